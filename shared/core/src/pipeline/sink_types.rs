//! Where good rows go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where good rows go. Without a tag, so that the canonical JSON of a Parquet pipeline is what it was
/// when there was no other sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sink {
    /// Files on S3.
    Parquet(ParquetSink),
    /// A table.
    Postgres(PostgresSink),
}

impl Sink {
    /// Columns added after the contract's.
    pub fn added(&self) -> &[AddedColumn] {
        match self {
            Sink::Parquet(sink) => &sink.add,
            Sink::Postgres(sink) => &sink.add,
        }
    }

    /// The Parquet sink, if it is one.
    pub fn parquet(&self) -> Option<&ParquetSink> {
        match self {
            Sink::Parquet(sink) => Some(sink),
            Sink::Postgres(_) => None,
        }
    }

    /// The Postgres sink, if it is one.
    pub fn postgres(&self) -> Option<&PostgresSink> {
        match self {
            Sink::Parquet(_) => None,
            Sink::Postgres(sink) => Some(sink),
        }
    }

    /// Whether rows are written chunk by chunk, before the job commits.
    pub fn commits_chunks(&self) -> bool {
        self.postgres().is_some_and(|sink| sink.commit == CommitUnit::Chunk)
    }
}

/// A table in Postgres.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostgresSink {
    /// Schema of the table.
    pub schema: String,
    /// The table.
    pub table: String,
    /// Where the database is.
    pub dsn: Dsn,
    /// What happens to rows that are there already.
    pub mode: WriteMode,
    /// Which of two rows with one key wins: the greater value of this column; without it, or with equal
    /// ones, the row of the later file.
    pub newest_by: Option<String>,
    /// A row equal to the stored one is not written.
    pub skip_unchanged: bool,
    /// What becomes visible at once.
    pub commit: CommitUnit,
    /// The table is created when it does not exist.
    pub create: bool,
    /// SQL over a row: the row of its key is deleted.
    pub deleted_when: Option<String>,
    /// Rows that an earlier file brought and the newest does not have are deleted; over this share of
    /// them, in parts of a million, the job is HELD first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_missing: Option<u32>,
    /// Columns that an update writes; all without it.
    pub update_columns: Option<Vec<String>>,
    /// Columns added after the contract's.
    pub add: Vec<AddedColumn>,
}

/// Where a database is, and how to get in. Never the password itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dsn {
    /// Name of a secret in Secrets Manager.
    Secret(String),
    /// `user@host:port/database`, with a token of the function's own role.
    Iam(String),
    /// An environment variable that holds a connection string; for laptops.
    Env(String),
}

/// What happens to rows that are there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// One row a key: it is updated.
    Upsert,
    /// All rows of what the file replaces are deleted first.
    DeleteInsert,
    /// They stay.
    Append,
}

/// What becomes visible at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitUnit {
    /// All rows of the object, or none.
    Object,
    /// A chunk's.
    Chunk,
}

/// Parquet files on S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParquetSink {
    /// Key prefix in the output bucket, no leading or trailing slash.
    pub path: String,
    /// Partition columns in path order.
    pub partition_by: Vec<PartitionBy>,
    /// Columns added after the contract's.
    pub add: Vec<AddedColumn>,
    /// How `time` columns are stored.
    #[serde(default, skip_serializing_if = "TimeForm::is_time")]
    pub time: TimeForm,
    /// Columns with a bloom filter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bloom_filter: Vec<String>,
    /// Field ids of columns, for readers that find columns by them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub field_ids: BTreeMap<String, u32>,
}

impl ParquetSink {
    /// Files under `path`, and nothing else asked for.
    pub fn new(path: &str) -> ParquetSink {
        ParquetSink {
            path: path.to_owned(),
            partition_by: vec![],
            add: vec![],
            time: TimeForm::default(),
            bloom_filter: vec![],
            field_ids: BTreeMap::new(),
        }
    }
}

/// How a `time` column is stored in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeForm {
    /// Parquet's own TIME, in microseconds.
    #[default]
    Time,
    /// Microseconds since midnight.
    Int64,
    /// `10:11:12.000001`, always 15 characters.
    String,
}

impl TimeForm {
    fn is_time(&self) -> bool {
        *self == TimeForm::Time
    }
}

/// One level of partition folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionBy {
    /// A contract column; it is not repeated in the files.
    Column(String),
    /// Year, month, day or hour of a date or timestamp column. Folder names: `created_at_day=2026-11-23`.
    Part {
        /// Which part.
        part: DatePart,
        /// Of which column.
        column: String,
    },
    /// A contract column as a text that no reader can take for a number, a date or a NULL; the column
    /// itself stays in the files. Folder names: `site_text=v-007`, `site_text=none` for NULL.
    Text(String),
}

impl PartitionBy {
    /// The column that it comes from.
    pub fn column(&self) -> &str {
        match self {
            PartitionBy::Column(column)
            | PartitionBy::Part { column, .. }
            | PartitionBy::Text(column) => column,
        }
    }

    /// What its folders are called, before the `=`.
    pub fn folder(&self) -> String {
        match self {
            PartitionBy::Column(column) => column.clone(),
            PartitionBy::Part { part, column } => format!("{column}_{}", part.word()),
            PartitionBy::Text(column) => format!("{column}_text"),
        }
    }
}

impl std::fmt::Display for PartitionBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PartitionBy::Column(column) => f.write_str(column),
            PartitionBy::Part { part, column } => write!(f, "{}({column})", part.word()),
            PartitionBy::Text(column) => write!(f, "text({column})"),
        }
    }
}

/// Part of a date or timestamp (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatePart {
    /// `2026`
    Year,
    /// `2026-11`
    Month,
    /// `2026-11-23`
    Day,
    /// `2026-11-23T10`
    Hour,
}

impl DatePart {
    /// As a pipeline file has it.
    pub fn word(self) -> &'static str {
        match self {
            DatePart::Year => "year",
            DatePart::Month => "month",
            DatePart::Day => "day",
            DatePart::Hour => "hour",
        }
    }
}

/// A column that Rowproof adds to each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AddedColumn {
    /// `s3://bucket/key` of the file, text.
    #[serde(rename = "_source_file")]
    SourceFile,
    /// Number of the record in the file, from 1, int64.
    #[serde(rename = "_source_row")]
    SourceRow,
    /// Creation time of the job, timestamp in microseconds UTC.
    #[serde(rename = "_loaded_at")]
    LoadedAt,
}

impl AddedColumn {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            AddedColumn::SourceFile => "_source_file",
            AddedColumn::SourceRow => "_source_row",
            AddedColumn::LoadedAt => "_loaded_at",
        }
    }
}
