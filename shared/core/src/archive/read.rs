//! Archive files back to rejected records.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_null_array,
};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use serde::Serialize;

use super::{COLUMNS, FOLDER, Predicate};
use crate::table::{self, TableError};

/// A rejected record as the archive has it; the fields are the columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the module's table describes them")]
pub struct ArchivedRow {
    pub source_id: String,
    pub error: String,
    pub raw_data: Option<String>,
    /// RFC 3339 in UTC.
    pub timestamp: String,
    pub error_code: String,
    pub column: Option<String>,
    pub value: Option<String>,
    pub rule: Option<String>,
    pub stage: String,
    pub row_number: i64,
    pub byte_start: i64,
    pub byte_end: i64,
    pub job: String,
    pub chunk: String,
    pub fix: i64,
    pub pipeline: String,
    pub pipeline_sha: String,
    pub source_bucket: String,
    pub source_key: String,
    pub source_version: String,
}

impl ArchivedRow {
    /// Columns and their text in the archive's order; `None` for NULL.
    pub fn texts(&self) -> [(&'static str, Option<String>); 20] {
        let text = |text: &String| Some(text.clone());
        let number = |number: i64| Some(number.to_string());
        [
            ("source_id", text(&self.source_id)),
            ("error", text(&self.error)),
            ("raw_data", self.raw_data.clone()),
            ("timestamp", text(&self.timestamp)),
            ("error_code", text(&self.error_code)),
            ("column", self.column.clone()),
            ("value", self.value.clone()),
            ("rule", self.rule.clone()),
            ("stage", text(&self.stage)),
            ("row_number", number(self.row_number)),
            ("byte_start", number(self.byte_start)),
            ("byte_end", number(self.byte_end)),
            ("job", text(&self.job)),
            ("chunk", text(&self.chunk)),
            ("fix", number(self.fix)),
            ("pipeline", text(&self.pipeline)),
            ("pipeline_sha", text(&self.pipeline_sha)),
            ("source_bucket", text(&self.source_bucket)),
            ("source_key", text(&self.source_key)),
            ("source_version", text(&self.source_version)),
        ]
    }
}

/// Which rejected records are wanted; every condition given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// With this error code.
    pub code: Option<String>,
    /// With this column to blame.
    pub column: Option<String>,
    /// With this row number.
    pub row: Option<i64>,
    /// For which this is true.
    pub condition: Option<Predicate>,
}

/// The wanted records of an archive file, batch by batch; batches without one are left out.
///
/// # Errors
/// When the bytes are no Parquet file or lack a column.
pub fn read(
    bytes: Bytes,
    wanted: &Wanted,
) -> Result<impl Iterator<Item = Result<RecordBatch, TableError>> + use<>, TableError> {
    let wanted = wanted.clone();
    let pipeline = table::pipeline_of(&bytes)?;
    let batches = table::read(bytes)?;
    let batches =
        batches.map(move |batch| select(&with_folder(batch?, pipeline.as_deref())?, &wanted));
    Ok(batches
        .filter(|batch| batch.as_ref().is_ok_and(|batch| batch.num_rows() > 0) || batch.is_err()))
}

/// The batch with the column that only the folder's name has.
fn with_folder(batch: RecordBatch, pipeline: Option<&str>) -> Result<RecordBatch, TableError> {
    let Some(pipeline) = pipeline.filter(|_| batch.column_by_name(FOLDER).is_none()) else {
        return Ok(batch);
    };
    let (schema, mut columns, rows) = batch.into_parts();
    let at = COLUMNS.iter().position(|name| *name == FOLDER).unwrap_or(columns.len());
    let mut fields = schema.fields().to_vec();
    let texts = StringArray::from_iter_values(std::iter::repeat_n(pipeline, rows));
    fields.insert(at.min(fields.len()), Arc::new(Field::new(FOLDER, DataType::Utf8, false)));
    columns.insert(at.min(columns.len()), Arc::new(texts));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn select(batch: &RecordBatch, wanted: &Wanted) -> Result<RecordBatch, TableError> {
    let batch = &with_value(batch)?;
    let view = View::new(batch)?;
    let keep = (0..batch.num_rows()).map(|row| {
        let equal = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let (code, column) = (view.text("error_code", row), view.text("column", row));
        let number = wanted.row.is_none_or(|number| view.number("row_number", row) == number);
        let plain = equal(&wanted.code, code) && equal(&wanted.column, column) && number;
        let condition = wanted.condition.as_ref();
        Some(plain && condition.is_none_or(|condition| condition.matches(&view.row(row))))
    });
    let keep: BooleanArray = keep.collect();
    Ok(filter_record_batch(batch, &keep)?)
}

/// The batch with the column `value`, which files of earlier versions lack.
fn with_value(batch: &RecordBatch) -> Result<RecordBatch, TableError> {
    if batch.column_by_name("value").is_some() {
        return Ok(batch.clone());
    }
    let nulls = new_null_array(&DataType::Utf8, batch.num_rows());
    let column = |name: &&'static str| match *name {
        "value" => Some(("value", nulls.clone(), true)),
        name => batch.column_by_name(name).map(|array| (name, array.clone(), is_nullable(name))),
    };
    Ok(RecordBatch::try_from_iter_with_nullable(COLUMNS.iter().filter_map(column))?)
}

fn is_nullable(name: &str) -> bool {
    ["raw_data", "column", "value", "rule"].contains(&name)
}

/// The records of a batch.
///
/// # Errors
/// When the batch lacks a column of the archive.
pub fn rows(batch: &RecordBatch) -> Result<impl Iterator<Item = ArchivedRow> + use<>, TableError> {
    let view = View::new(batch)?;
    Ok((0..batch.num_rows()).map(move |row| view.row(row)))
}

/// The columns of a batch by their names.
struct View {
    texts: Vec<(&'static str, StringArray)>,
    numbers: Vec<(&'static str, Int64Array)>,
    timestamps: TimestampMicrosecondArray,
}

const TEXTS: [&str; 15] = [
    "source_id",
    "error",
    "raw_data",
    "error_code",
    "column",
    "value",
    "rule",
    "stage",
    "job",
    "chunk",
    "pipeline",
    "pipeline_sha",
    "source_bucket",
    "source_key",
    "source_version",
];
const NUMBERS: [&str; 4] = ["row_number", "byte_start", "byte_end", "fix"];

impl View {
    fn new(batch: &RecordBatch) -> Result<View, TableError> {
        let array = |name: &'static str| {
            let missing = || TableError::Column {
                column: name.to_owned(),
                message: "missing, or of another type than a failure archive has".to_owned(),
            };
            (batch.column_by_name(name), missing)
        };
        let text = |name: &'static str| {
            let (array, missing) = array(name);
            let array = array.and_then(|array| array.as_string_opt::<i32>());
            array.cloned().map(|array| (name, array)).ok_or_else(missing)
        };
        let number = |name: &'static str| {
            let (array, missing) = array(name);
            let array = array.and_then(|array| array.as_primitive_opt::<Int64Type>());
            array.cloned().map(|array| (name, array)).ok_or_else(missing)
        };
        let (timestamps, missing) = array("timestamp");
        let timestamps = timestamps
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>())
            .ok_or_else(missing)?;
        Ok(View {
            texts: TEXTS.into_iter().map(text).collect::<Result<_, _>>()?,
            numbers: NUMBERS.into_iter().map(number).collect::<Result<_, _>>()?,
            timestamps: timestamps.clone(),
        })
    }

    fn text(&self, name: &str, row: usize) -> Option<&str> {
        let (_, array) = self.texts.iter().find(|(known, _)| *known == name)?;
        (row < array.len() && array.is_valid(row)).then(|| array.value(row))
    }

    fn number(&self, name: &str, row: usize) -> i64 {
        let found = self.numbers.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, array)| array.values().get(row)).copied().unwrap_or_default()
    }

    fn row(&self, row: usize) -> ArchivedRow {
        let text = |name: &str| self.text(name, row).map(str::to_owned);
        let needed = |name: &str| text(name).unwrap_or_default();
        let moment = self.timestamps.values().get(row).copied().unwrap_or_default();
        ArchivedRow {
            source_id: needed("source_id"),
            error: needed("error"),
            raw_data: text("raw_data"),
            timestamp: crate::time::EpochSeconds(moment.div_euclid(1_000_000)).rfc3339(),
            error_code: needed("error_code"),
            column: text("column"),
            value: text("value"),
            rule: text("rule"),
            stage: needed("stage"),
            row_number: self.number("row_number", row),
            byte_start: self.number("byte_start", row),
            byte_end: self.number("byte_end", row),
            job: needed("job"),
            chunk: needed("chunk"),
            fix: self.number("fix", row),
            pipeline: needed("pipeline"),
            pipeline_sha: needed("pipeline_sha"),
            source_bucket: needed("source_bucket"),
            source_key: needed("source_key"),
            source_version: needed("source_version"),
        }
    }
}
