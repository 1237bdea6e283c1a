//! The sinks' tables.

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// A table in Postgres.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct PostgresTable {
    /// "schema.table"; the schema is public without one.
    table: String,
    /// "secret:NAME", "iam:user@host:port/database" or, on a laptop, "env:VARIABLE".
    #[schemars(regex(pattern = r"^(secret|iam|env):.+$"))]
    dsn: String,
    /// "upsert" by key, "delete_insert" of what the file replaces, "append".
    mode: ModeName,
    /// Of two rows with one key the one with the greater value wins; then that of the later file.
    newest_by: Option<String>,
    /// A row equal to the stored one is not written. Default true for "upsert".
    skip_unchanged: Option<bool>,
    /// What becomes visible at once: "object" (default) or "chunk".
    commit: Option<UnitName>,
    /// "if_missing" creates the table; "never" is the default.
    create: Option<CreateName>,
    /// SQL over a row for which the row of its key is deleted, e.g. "op = 'D'".
    deleted_when: Option<String>,
    /// Rows that an earlier file brought and the newest does not have are deleted. Only for
    /// source.replaces = []. Default false.
    delete_missing: Option<bool>,
    /// Share of those rows over which the job is HELD first. Default "10%".
    #[schemars(regex(pattern = r"^[0-9]{1,3}(\.[0-9]{1,4})? *%$"))]
    delete_missing_max: Option<String>,
    /// Columns that an update writes. Default all.
    update_columns: Option<Vec<String>>,
    /// Columns to add after the contract's. Default none.
    add: Option<Vec<AddedName>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ModeName {
    Upsert,
    DeleteInsert,
    Append,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum UnitName {
    Object,
    Chunk,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum CreateName {
    IfMissing,
    Never,
}

/// Parquet files on S3.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ParquetTable {
    /// Key prefix in the output bucket, e.g. "curated/orders".
    path: String,
    /// Folders: a column, year, month, day or hour of one, e.g. "day(created_at)", or "text(column)":
    /// names that no engine takes for numbers, the column stays in the files. Default none.
    partition_by: Option<Vec<String>>,
    /// Columns to add after the contract's. Default none.
    add: Option<Vec<AddedName>>,
    /// How time columns are stored: "time" (default), "int64" (microseconds since midnight) or "string"
    /// (10:11:12.000001). Spark and Delta read only the last two.
    time: Option<TimeName>,
    /// Columns with a bloom filter, e.g. ["id"]: engines skip row groups without the value they look for.
    /// Default none.
    bloom_filter: Option<Vec<String>>,
    /// Field ids, e.g. { id = 1, amount = 2 }: for engines that find columns by them. Default none.
    field_ids: Option<BTreeMap<String, u32>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum TimeName {
    Time,
    Int64,
    String,
}

#[derive(JsonSchema)]
enum AddedName {
    #[schemars(rename = "_source_file")]
    SourceFile,
    #[schemars(rename = "_source_row")]
    SourceRow,
    #[schemars(rename = "_loaded_at")]
    LoadedAt,
}
