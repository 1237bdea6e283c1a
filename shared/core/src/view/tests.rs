use super::*;
use crate::check::fixture::{column, pipeline};
use crate::pipeline::{Column, ColumnType, DatePart, Pipeline, Sink, TimeForm, TimestampFormat};

struct Made {
    contract: Contract,
    sink: ParquetSink,
}

impl Made {
    fn of(columns: Vec<Column>, partition_by: Vec<PartitionBy>) -> Made {
        let mut pipeline: Pipeline = pipeline(columns);
        let mut sink = ParquetSink::new("curated/t");
        sink.partition_by = partition_by;
        pipeline.sink = Sink::Parquet(sink.clone());
        Made { contract: Contract::compile(&pipeline).unwrap(), sink }
    }

    fn table(&self) -> Table<'_> {
        Table { contract: &self.contract, sink: &self.sink }
    }

    fn source(&self, files: &[(&str, &[(&str, &str)])]) -> Source<'_> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let file = |(path, partition): &(&str, &[(&str, &str)])| ViewFile {
            path: (*path).to_owned(),
            partition: partition.iter().map(owned).collect(),
        };
        Source { table: self.table(), files: files.iter().map(file).collect() }
    }
}

const AT: ColumnType = ColumnType::Timestamp { format: TimestampFormat::Rfc3339 };

fn nullable(name: &str, data_type: ColumnType) -> Column {
    let mut column = column(name, data_type);
    column.nullable = true;
    column
}

fn id() -> Column {
    column("id", ColumnType::Int(64))
}

#[test]
fn files_of_one_layout_are_read_together_and_nothing_is_cast() {
    let made = Made::of(vec![id(), column("name", ColumnType::String)], vec![]);
    let again = Made::of(vec![id(), column("name", ColumnType::String)], vec![]);
    let sources =
        [made.source(&[("/o/it's.parquet", &[])]), again.source(&[("/o/b.parquet", &[])])];

    let sql = sql(Engine::Duckdb, "t", made.table(), &sources, "output");

    assert_eq!(
        sql,
        "CREATE OR REPLACE VIEW \"t\" AS\nSELECT \"id\", \"name\"\nFROM read_parquet([\n  \
         '/o/it''s.parquet',\n  '/o/b.parquet'\n], hive_partitioning = false);"
    );
}

#[test]
fn files_of_other_layouts_are_cast_and_filled_up() {
    let old = Made::of(vec![column("id", ColumnType::Int(32)), id_named("gone")], vec![]);
    let new = Made::of(vec![id(), nullable("more", ColumnType::String)], vec![]);
    let sources = [old.source(&[("/o/a.parquet", &[])]), new.source(&[("/o/b.parquet", &[])])];

    let duckdb = sql(Engine::Duckdb, "t", new.table(), &sources, "output");
    let spark = sql(Engine::Spark, "t", new.table(), &sources, "output");
    let clickhouse = sql(Engine::Clickhouse, "t", new.table(), &sources, "output");

    assert!(
        duckdb
            .contains("SELECT CAST(\"id\" AS BIGINT) AS \"id\", CAST(NULL AS VARCHAR) AS \"more\""),
        "{duckdb}"
    );
    assert!(duckdb.contains("UNION ALL\nSELECT \"id\", \"more\"\nFROM"), "{duckdb}");
    assert!(!duckdb.contains("gone"), "{duckdb}");
    assert!(
        spark.contains(
            "SELECT CAST(`id` AS BIGINT) AS `id`, CAST(NULL AS STRING) AS `more`\nFROM \
             parquet.`file:///o/a.parquet`"
        ),
        "{spark}"
    );
    assert!(clickhouse.contains("CAST(`id` AS Int64) AS `id`"), "{clickhouse}");
    assert!(clickhouse.contains("'`id` Int32, `gone` Int64'"), "{clickhouse}");
}

fn id_named(name: &str) -> Column {
    column(name, ColumnType::Int(64))
}

#[test]
fn folders_have_the_types_of_their_layout() {
    let columns = || vec![id(), nullable("shop", ColumnType::String), column("at", AT)];
    let month = PartitionBy::Part { part: DatePart::Month, column: "at".into() };
    let day = PartitionBy::Part { part: DatePart::Day, column: "at".into() };
    let shop = PartitionBy::Column("shop".into());
    let old = Made::of(columns(), vec![month]);
    let new = Made::of(columns(), vec![shop, day]);
    let null = "__HIVE_DEFAULT_PARTITION__";
    let sources = [
        old.source(&[("/o/at_month=2026-01/a.parquet", &[("at_month", "2026-01")])]),
        new.source(&[
            ("/o/shop=007/b.parquet", &[("shop", "007"), ("at_day", "2026-01-01")]),
            ("/o/shop=007/c.parquet", &[("shop", "007"), ("at_day", "2026-01-02")]),
            ("/o/shop=a%2Fb/d.parquet", &[("shop", "a%2Fb"), ("at_day", "2026-01-02")]),
            ("/o/shop=n/e.parquet", &[("shop", null), ("at_day", "2026-01-02")]),
        ]),
    ];

    let duckdb = sql(Engine::Duckdb, "t", new.table(), &sources, "output");
    let spark = sql(Engine::Spark, "t", new.table(), &sources, "output");

    let types = "hive_types = {'shop': VARCHAR, 'at_day': DATE}";
    assert!(duckdb.contains(types), "{duckdb}");
    let computed = "CAST(make_timestamp(epoch_us(\"at\")) AS DATE) AS \"at_day\"";
    assert!(duckdb.contains(computed), "{duckdb}");
    assert!(duckdb.contains("SELECT \"id\", \"shop\", \"at\", \"at_day\"\nFROM"), "{duckdb}");
    assert!(
        spark.contains(
            "SELECT `id`, CAST('007' AS STRING) AS `shop`, `at`\nFROM \
             parquet.`file:///o/shop=007/{b.parquet,c.parquet}`"
        ),
        "{spark}"
    );
    assert!(spark.contains("CAST('a/b' AS STRING) AS `shop`"), "{spark}");
    assert!(spark.contains("CAST(NULL AS STRING) AS `shop`"), "{spark}");
}

#[test]
fn times_are_what_the_contract_says_where_the_engine_can() {
    let time = || vec![id(), column("t", ColumnType::Time { format: None })];
    let old = Made::of(time(), vec![]);
    let mut new = Made::of(time(), vec![]);
    new.sink.time = TimeForm::Int64;
    let sources = [old.source(&[("/o/a.parquet", &[])]), new.source(&[("/o/b.parquet", &[])])];

    let duckdb = sql(Engine::Duckdb, "t", new.table(), &sources, "output");

    assert!(duckdb.contains("SELECT \"id\", \"t\"\nFROM"), "{duckdb}");
    assert!(duckdb.contains("to_microseconds(\"t\")"), "{duckdb}");
    let clickhouse = sql(Engine::Clickhouse, "t", new.table(), &sources, "output");
    assert!(clickhouse.contains("formatDateTime(`t`, "), "{clickhouse}");
    assert!(clickhouse.contains("fromUnixTimestamp64Micro(`t`, 'UTC')"), "{clickhouse}");
    let spark = sql(Engine::Spark, "t", new.table(), &sources, "output");
    assert!(spark.starts_with("-- Its files hold TIME"), "{spark}");
}

#[test]
fn a_table_without_files_has_its_columns() {
    let columns = vec![id(), column("at", AT)];
    let day = PartitionBy::Part { part: DatePart::Day, column: "at".into() };
    let made = Made::of(columns, vec![day]);

    for (engine, expected) in [
        (Engine::Duckdb, "CAST(NULL AS TIMESTAMPTZ) AS \"at\", CAST(NULL AS DATE) AS \"at_day\""),
        (Engine::Spark, "CAST(NULL AS BIGINT) AS `id`"),
        (Engine::Clickhouse, "CAST(NULL AS Nullable(Int64)) AS `id`"),
    ] {
        let text = sql(engine, "t", made.table(), &[made.source(&[])], "output");
        assert!(text.contains(expected), "{text}");
        assert!(text.ends_with("WHERE false;"), "{text}");
    }
}

#[test]
fn a_pattern_fits_only_its_paths() {
    assert_eq!(pattern(&["/o/a{1}.parquet"]), "/o/a?1?.parquet");
    assert_eq!(pattern(&["/o/x/a.p", "/o/y/b,c.p"]), "/o/{x/a.p,y/b?c.p}");
}

#[test]
fn athena_gets_the_folder() {
    let columns = vec![id(), column("n", ColumnType::UInt(8)), column("s", ColumnType::String)];
    let made = Made::of(columns, vec![PartitionBy::Column("s".into())]);

    let text = sql(Engine::Athena, "t", made.table(), &[], "bucket");

    assert_eq!(
        text,
        "CREATE EXTERNAL TABLE IF NOT EXISTS `t` (\n  `id` bigint,\n  `n` smallint\n)\nPARTITIONED BY \
         (\n  `s` string\n)\nSTORED AS PARQUET\nLOCATION 's3://bucket/curated/t/';\nMSCK REPAIR TABLE \
         `t`;"
    );
}
