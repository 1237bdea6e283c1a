//! The contract of a pipeline, ready to run.

use std::str::FromStr as _;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono_tz::Tz;

use super::column::{CheckedColumn, utc};
use super::compile;
use super::problem::ColumnProblem;
use crate::pipeline::{AddedColumn, ArchiveRaw, Column, Format, Pipeline, Source};

impl std::fmt::Display for ColumnProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { column, key, message } = self;
        match column.as_str() {
            "" => write!(f, "source.{key}: {message}"),
            column => write!(f, "columns.{column}.{key}: {message}"),
        }
    }
}

/// The columns of a pipeline with their types and rules compiled.
#[derive(Debug, Clone)]
pub struct Contract {
    pub(crate) checked: Vec<CheckedColumn>,
    pub(crate) added: Vec<AddedColumn>,
    /// Good rows come with their numbers and hashes: a table wants them.
    pub(crate) numbers_rows: bool,
    pub(crate) format: Format,
    pub(crate) archive_raw: ArchiveRaw,
    columns: Vec<Column>,
    encoding: String,
    timezone: Option<String>,
    schema: SchemaRef,
}

impl Contract {
    /// Compiles every column of the pipeline, or names everything that is wrong.
    ///
    /// # Errors
    /// One problem for each literal, pattern, format or time zone that cannot be used.
    pub fn compile(pipeline: &Pipeline) -> Result<Contract, Vec<ColumnProblem>> {
        let source = &pipeline.source;
        let checked = compiled(source, &pipeline.columns)?;
        let fields = checked
            .iter()
            .map(|column| Field::new(&column.name, column.data_type.clone(), column.nullable));
        let added = pipeline.sink.added();
        let schema = Schema::new(fields.chain(added.iter().map(added_field)).collect::<Vec<_>>());
        Ok(Contract {
            checked,
            added: added.to_vec(),
            numbers_rows: pipeline.sink.postgres().is_some(),
            format: source.format.clone(),
            archive_raw: pipeline.errors.archive_raw,
            columns: pipeline.columns.clone(),
            encoding: source.encoding.clone(),
            timezone: source.timezone.clone(),
            schema: Arc::new(schema),
        })
    }

    /// The contract's columns, then the added ones.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How many columns the contract itself has.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// A column as the pipeline file declares it.
    pub fn column(&self, index: usize) -> Option<&Column> {
        self.columns.get(index)
    }

    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub(crate) fn encoding(&self) -> &str {
        &self.encoding
    }

    /// The zone of the source.
    pub(crate) fn timezone(&self) -> Option<&str> {
        self.timezone.as_deref()
    }
}

/// The columns compiled, or everything that is wrong with them.
pub(crate) fn compiled(
    source: &Source,
    columns: &[Column],
) -> Result<Vec<CheckedColumn>, Vec<ColumnProblem>> {
    let mut problems = Vec::new();
    let zone = source.timezone.as_deref().and_then(|name| {
        let message = |_| compile::no_zone(name);
        Tz::from_str(name)
            .map_err(message)
            .map_err(|message| {
                problems.push(ColumnProblem { column: String::new(), key: "timezone", message });
            })
            .ok()
    });
    let columns = columns.iter();
    let checked: Vec<_> = columns
        .filter_map(|column| compile::column(column, &source.format, zone, &mut problems))
        .collect();
    if problems.is_empty() { Ok(checked) } else { Err(problems) }
}

/// Name and type of an added column.
fn added_field(added: &AddedColumn) -> Field {
    let data_type = match added {
        AddedColumn::SourceFile => DataType::Utf8,
        AddedColumn::SourceRow => DataType::Int64,
        AddedColumn::LoadedAt => DataType::Timestamp(TimeUnit::Microsecond, utc()),
    };
    Field::new(added.name(), data_type, false)
}
