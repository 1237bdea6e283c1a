//! Which partition each row belongs to.

use std::collections::HashMap;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Schema};
use arrow_select::take::take_record_batch;

use super::{TableError, value};
use crate::check::civil::DAY_MICROS;
use crate::pipeline::{DatePart, PartitionBy};

/// Bytes of an encoded folder value; a file name on any disk holds it.
const VALUE_BYTES_MAX: usize = 200;
const HOUR_MICROS: i128 = 3_600_000_000;

/// One level of folders.
#[derive(Debug, Clone)]
pub(super) struct Level {
    /// Before the `=`.
    pub(super) folder: String,
    /// The column it comes from.
    pub(super) column: usize,
    part: Option<DatePart>,
}

impl Level {
    /// Resolves one entry of `partition_by` against the contract's schema.
    pub(super) fn new(by: &PartitionBy, schema: &Schema) -> Result<Level, TableError> {
        let (name, part) = match by {
            PartitionBy::Column(name) => (name, None),
            PartitionBy::Part { part, column } => (column, Some(*part)),
        };
        let refuse = |message: String| TableError::PartitionBy { column: name.clone(), message };
        let Some((column, field)) = schema.column_with_name(name) else {
            return Err(refuse("the pipeline has no such column".to_owned()));
        };
        let Some(part) = part else {
            value::check_type(field.data_type())?;
            return Ok(Level { folder: name.clone(), column, part: None });
        };
        let is_date = matches!(field.data_type(), DataType::Date32);
        let is_instant = matches!(field.data_type(), DataType::Timestamp(_, _));
        let has_part = is_instant || (is_date && part != DatePart::Hour);
        if !has_part {
            let (part, found) = (part_name(part), field.data_type());
            return Err(refuse(format!("{part}() needs a timestamp or date column, not {found}")));
        }
        let folder = format!("{name}_{}", part_name(part));
        if schema.column_with_name(&folder).is_some() {
            return Err(refuse(format!("its folder {folder} has the name of another column")));
        }
        Ok(Level { folder, column, part: Some(part) })
    }

    /// Whether the folder holds the column itself.
    pub(super) fn is_column(&self) -> bool {
        self.part.is_none()
    }

    /// For each row the index of its folder value, and these values.
    fn values(&self, array: &ArrayRef) -> Result<(Vec<u32>, Vec<String>), TableError> {
        if let Some(texts) = array.as_string_opt::<i32>() {
            let (codes, distinct) = numbered(texts.iter());
            let values = distinct.into_iter().map(|text| self.checked(value::encode(text)));
            return Ok((codes, values.collect::<Result<_, _>>()?));
        }
        let keys = value::keys(array.as_ref()).unwrap_or_else(|| vec![None; array.len()]);
        let (codes, distinct) = numbered(keys.into_iter().map(|key| self.bucket(key, array)));
        let values = distinct.into_iter().map(|bucket| {
            let text = bucket.and_then(|bucket| self.bucket_text(bucket, array.data_type()));
            self.checked(value::encode(text.as_deref()))
        });
        Ok((codes, values.collect::<Result<_, _>>()?))
    }

    /// The day (for an hour part: the hour) of a moment; otherwise the key itself.
    fn bucket(&self, key: Option<i128>, array: &ArrayRef) -> Option<i128> {
        let is_date = matches!(array.data_type(), DataType::Date32);
        match self.part {
            None => key,
            Some(_) if is_date => key,
            Some(DatePart::Hour) => key.map(|key| key.div_euclid(HOUR_MICROS)),
            Some(DatePart::Year | DatePart::Month | DatePart::Day) => {
                key.map(|key| key.div_euclid(i128::from(DAY_MICROS)))
            }
        }
    }

    fn bucket_text(&self, bucket: i128, data_type: &DataType) -> Option<String> {
        let Some(part) = self.part else {
            return value::text_of_key(bucket, data_type);
        };
        let bucket = i64::try_from(bucket).ok()?;
        let day_text =
            |days: i64, format: &str| value::day(days).map(|day| day.format(format).to_string());
        match part {
            DatePart::Year => day_text(bucket, "%Y"),
            DatePart::Month => day_text(bucket, "%Y-%m"),
            DatePart::Day => day_text(bucket, "%Y-%m-%d"),
            DatePart::Hour => {
                let day = day_text(bucket.div_euclid(24), "%Y-%m-%d")?;
                Some(format!("{day}T{:02}", bucket.rem_euclid(24)))
            }
        }
    }

    fn checked(&self, value: String) -> Result<String, TableError> {
        if value.len() > VALUE_BYTES_MAX {
            let (column, bytes) = (self.folder.clone(), value.len());
            return Err(TableError::ValueTooLong { column, bytes, max: VALUE_BYTES_MAX });
        }
        Ok(value)
    }
}

fn part_name(part: DatePart) -> &'static str {
    match part {
        DatePart::Year => "year",
        DatePart::Month => "month",
        DatePart::Day => "day",
        DatePart::Hour => "hour",
    }
}

/// Numbers values in order of appearance; neighbours are often equal, so the last one is tried first.
fn numbered<K: Hash + Eq + Copy>(keys: impl Iterator<Item = K>) -> (Vec<u32>, Vec<K>) {
    let mut numbers = HashMap::new();
    let mut distinct: Vec<K> = Vec::new();
    let mut last = None;
    let codes = keys.map(|key| match last {
        Some((known, code)) if known == key => code,
        _ => {
            let next = u32::try_from(distinct.len()).unwrap_or(u32::MAX);
            let code = *numbers.entry(key).or_insert_with(|| {
                distinct.push(key);
                next
            });
            last = Some((key, code));
            code
        }
    });
    (codes.collect(), distinct)
}

/// The rows of one partition in one batch.
#[derive(Debug)]
pub(super) struct Part {
    /// Encoded values, one for each level.
    pub(super) values: Vec<String>,
    pub(super) rows: RecordBatch,
}

/// Splits a batch by partition; the order of rows within a partition stays.
pub(super) fn split(levels: &[Level], batch: &RecordBatch) -> Result<Vec<Part>, TableError> {
    let mut codes = vec![0u32; batch.num_rows()];
    let mut groups: Vec<Vec<String>> = vec![Vec::new()];
    for level in levels {
        let Some(array) = batch.columns().get(level.column) else {
            continue;
        };
        let (level_codes, values) = level.values(array)?;
        let pairs = codes.iter().copied().zip(level_codes);
        let (joined, distinct) = numbered(pairs);
        let extended = distinct.into_iter().map(|(group, value)| {
            let (group, value) = (usize::try_from(group).ok()?, usize::try_from(value).ok()?);
            let mut values_so_far = groups.get(group)?.clone();
            values_so_far.push(values.get(value)?.clone());
            Some(values_so_far)
        });
        groups = extended.map(Option::unwrap_or_default).collect();
        codes = joined;
    }
    let (codes, groups) = merged(codes, groups);
    if groups.len() <= 1 {
        let whole = groups.into_iter().map(|values| Part { values, rows: batch.clone() });
        return Ok(whole.collect());
    }
    gather(&codes, groups, batch)
}

/// Different buckets can have one text: all days of a month. They become one group.
fn merged(codes: Vec<u32>, groups: Vec<Vec<String>>) -> (Vec<u32>, Vec<Vec<String>>) {
    let mut numbers: HashMap<Vec<String>, u32> = HashMap::new();
    let mut distinct = Vec::new();
    let mut renumbered = Vec::with_capacity(groups.len());
    for values in groups {
        let next = u32::try_from(distinct.len()).unwrap_or(u32::MAX);
        let number = *numbers.entry(values).or_insert_with_key(|values| {
            distinct.push(values.clone());
            next
        });
        renumbered.push(number);
    }
    let new_code = |code: u32| {
        let index = usize::try_from(code).ok();
        index.and_then(|index| renumbered.get(index)).copied().unwrap_or(0)
    };
    (codes.into_iter().map(new_code).collect(), distinct)
}

/// One `take` that sorts the rows by group, then a slice for each.
fn gather(
    codes: &[u32],
    groups: Vec<Vec<String>>,
    batch: &RecordBatch,
) -> Result<Vec<Part>, TableError> {
    let (order, starts) = sorted_by_code(codes, groups.len());
    let sorted = take_record_batch(batch, &UInt32Array::from(order))?;
    let parts = starts
        .array_windows()
        .zip(groups)
        .map(|([start, end], values)| Part { values, rows: sorted.slice(*start, end - start) });
    Ok(parts.collect())
}

/// Rows in the order of their codes (a stable counting sort), and where each code starts and ends.
fn sorted_by_code(codes: &[u32], count: usize) -> (Vec<u32>, Vec<usize>) {
    let place = |code: u32| usize::try_from(code).unwrap_or(usize::MAX);
    let mut starts = vec![0; count + 1];
    for code in codes {
        if let Some(rows) = starts.get_mut(place(*code).saturating_add(1)) {
            *rows += 1;
        }
    }
    let mut total = 0;
    for start in &mut starts {
        total += *start;
        *start = total;
    }
    let mut next = starts.clone();
    let mut order = vec![0; codes.len()];
    for (row, code) in (0u32..).zip(codes) {
        let Some(at) = next.get_mut(place(*code)) else {
            continue;
        };
        if let Some(slot) = order.get_mut(*at) {
            *slot = row;
        }
        *at += 1;
    }
    (order, starts)
}
