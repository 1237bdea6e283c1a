//! Which partition each row belongs to.

use std::collections::HashMap;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Schema};
use arrow_select::take::take_record_batch;

use super::{TableError, value};
use crate::block::Refusal;
use crate::check::civil::DAY_MICROS;
use crate::pipeline::{DatePart, PartitionBy};

/// Bytes of an encoded folder value.
const VALUE_BYTES_MAX: usize = 200;
/// Bytes of a whole folder name: what a name on any disk holds.
const FOLDER_BYTES_MAX: usize = 255;
/// Bytes of a sink's path and all folders below it: of the 1,024 of an S3 key the rest is for the file.
const FOLDERS_BYTES_MAX: usize = 900;
const HOUR_MICROS: i128 = 3_600_000_000;
/// Before every value of a `text()` folder: no reader takes what follows for a number, a date or a NULL.
const TEXT_PREFIX: &str = "v-";
/// NULL's value in a `text()` folder.
const TEXT_NULL: &str = "none";

/// What a folder holds of its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The value; the files do not repeat the column.
    Column,
    /// A part of a date or timestamp.
    Part(DatePart),
    /// The value as a text that cannot be taken for anything else.
    Text,
}

/// One level of folders.
#[derive(Debug, Clone)]
pub(super) struct Level {
    /// Before the `=`.
    pub(super) folder: String,
    /// The column it comes from.
    pub(super) column: usize,
    kind: Kind,
}

impl Level {
    /// Resolves one entry of `partition_by` against the contract's schema.
    pub(super) fn new(by: &PartitionBy, schema: &Schema) -> Result<Level, TableError> {
        let name = by.column();
        let refuse = |message: String| TableError::PartitionBy { column: name.to_owned(), message };
        let Some((column, field)) = schema.column_with_name(name) else {
            return Err(refuse("the pipeline has no such column".to_owned()));
        };
        let folder = by.folder();
        let kind = match by {
            PartitionBy::Column(_) => Kind::Column,
            PartitionBy::Part { part, .. } => Kind::Part(*part),
            PartitionBy::Text(_) => Kind::Text,
        };
        if let Kind::Part(part) = kind {
            let is_date = matches!(field.data_type(), DataType::Date32);
            let is_instant = matches!(field.data_type(), DataType::Timestamp(_, _));
            let has_part = is_instant || (is_date && part != DatePart::Hour);
            if !has_part {
                let (part, found) = (part.word(), field.data_type());
                let message = format!("{part}() needs a timestamp or date column, not {found}");
                return Err(refuse(message));
            }
        } else {
            value::check_type(field.data_type())?;
        }
        if kind != Kind::Column && schema.column_with_name(&folder).is_some() {
            return Err(refuse(format!("its folder {folder} has the name of another column")));
        }
        Ok(Level { folder, column, kind })
    }

    /// Whether the folder holds the column itself.
    pub(super) fn is_column(&self) -> bool {
        self.kind == Kind::Column
    }

    /// Why no folder can have this value.
    fn refusal(&self, value: &str) -> Option<Refusal> {
        let rest = FOLDER_BYTES_MAX.saturating_sub(self.folder.len() + 1);
        let max = VALUE_BYTES_MAX.min(rest);
        let reason = || {
            format!(
                "longer than the {max} bytes that a value may take in the name of its folder \
                 (partition_by)"
            )
        };
        (value.len() > max).then(|| Refusal { column: Some(self.column), reason: reason() })
    }

    /// For each row the index of its folder value, and these values.
    fn values(&self, array: &ArrayRef) -> (Vec<u32>, Vec<String>) {
        if let Some(texts) = array.as_string_opt::<i32>() {
            let (codes, distinct) = numbered(texts.iter());
            return (codes, distinct.into_iter().map(|text| self.folder_value(text)).collect());
        }
        let keys = value::keys(array.as_ref()).unwrap_or_else(|| vec![None; array.len()]);
        let (codes, distinct) = numbered(keys.into_iter().map(|key| self.bucket(key, array)));
        let values = distinct.into_iter().map(|bucket| {
            let text = bucket.and_then(|bucket| self.bucket_text(bucket, array.data_type()));
            self.folder_value(text.as_deref())
        });
        (codes, values.collect())
    }

    fn folder_value(&self, text: Option<&str>) -> String {
        match (self.kind, text) {
            (Kind::Text, Some(text)) => value::encode(Some(&format!("{TEXT_PREFIX}{text}"))),
            (Kind::Text, None) => TEXT_NULL.to_owned(),
            (Kind::Column | Kind::Part(_), text) => value::encode(text),
        }
    }

    /// The day (for an hour part: the hour) of a moment; otherwise the key itself.
    fn bucket(&self, key: Option<i128>, array: &ArrayRef) -> Option<i128> {
        let is_date = matches!(array.data_type(), DataType::Date32);
        match self.kind {
            Kind::Column | Kind::Text => key,
            Kind::Part(_) if is_date => key,
            Kind::Part(DatePart::Hour) => key.map(|key| key.div_euclid(HOUR_MICROS)),
            Kind::Part(DatePart::Year | DatePart::Month | DatePart::Day) => {
                key.map(|key| key.div_euclid(i128::from(DAY_MICROS)))
            }
        }
    }

    fn bucket_text(&self, bucket: i128, data_type: &DataType) -> Option<String> {
        let Kind::Part(part) = self.kind else {
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
}

/// Why a partition with these values has no folder below a path of so many bytes.
pub(super) fn refusal(levels: &[Level], values: &[String], path_bytes: usize) -> Option<Refusal> {
    let each = levels.iter().zip(values);
    if let Some(refusal) = each.clone().find_map(|(level, value)| level.refusal(value)) {
        return Some(refusal);
    }
    let folder_bytes = each.map(|(level, value)| level.folder.len() + value.len() + 2);
    let longer = path_bytes + folder_bytes.sum::<usize>() > FOLDERS_BYTES_MAX;
    let reason = || {
        format!(
            "the values of {} are longer than a key has room for: {FOLDERS_BYTES_MAX} bytes with the \
             sink's path (partition_by)",
            folders(levels)
        )
    };
    longer.then(|| Refusal { column: only_column(levels), reason: reason() })
}

/// The refusal of a partition that is one too many.
pub(super) fn too_many(levels: &[Level], max: usize) -> Refusal {
    let reason = format!(
        "the chunk has {max} partitions of {} already, which is the most (partition_by): partition by a \
         coarser part such as month, or by a column with fewer values",
        folders(levels)
    );
    Refusal { column: only_column(levels), reason }
}

fn only_column(levels: &[Level]) -> Option<usize> {
    match levels {
        [level] => Some(level.column),
        _ => None,
    }
}

/// The names of all levels.
pub(super) fn folders(levels: &[Level]) -> String {
    let folders: Vec<_> = levels.iter().map(|level| level.folder.as_str()).collect();
    folders.join(", ")
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

/// The rows of a batch by partition.
#[derive(Debug)]
pub(super) struct Groups {
    /// For each row the index of its partition.
    codes: Vec<u32>,
    /// Encoded values of each partition, one for each level; in the order of their first rows.
    pub(super) values: Vec<Vec<String>>,
}

/// Finds the partition of each row.
pub(super) fn groups(levels: &[Level], batch: &RecordBatch) -> Groups {
    let mut codes = vec![0u32; batch.num_rows()];
    let mut groups: Vec<Vec<String>> = vec![Vec::new()];
    for level in levels {
        let Some(array) = batch.columns().get(level.column) else {
            continue;
        };
        let (level_codes, values) = level.values(array);
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
    let (codes, values) = merged(codes, groups);
    Groups { codes, values }
}

impl Groups {
    /// Each row's place, and the index of its partition.
    pub(super) fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let group = |code: &u32| usize::try_from(*code).unwrap_or(usize::MAX);
        self.codes.iter().map(group).enumerate()
    }

    /// The values and rows of each partition; the order of rows within one stays.
    pub(super) fn split(self, batch: &RecordBatch) -> Result<Vec<Part>, TableError> {
        let Groups { codes, values } = self;
        if values.len() <= 1 {
            let whole = values.into_iter().map(|values| Part { values, rows: batch.clone() });
            return Ok(whole.collect());
        }
        gather(&codes, values, batch)
    }
}

/// The rows of one partition in one batch.
#[derive(Debug)]
pub(super) struct Part {
    /// Encoded values, one for each level.
    pub(super) values: Vec<String>,
    pub(super) rows: RecordBatch,
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
