use super::*;

fn column<'a>(pipeline: &'a Pipeline, name: &str) -> &'a Column {
    pipeline.columns.iter().find(|column| column.name == name).expect("the column")
}

#[test]
fn what_is_not_said_has_its_default() {
    let pipeline = minimal();

    let source = &pipeline.source;
    assert_eq!(source.replaces, Replaces::Key);
    assert_eq!(source.encoding, "utf-8");
    assert_eq!(source.timezone, None);
    assert_eq!(source.on_new_column, OnNewColumn::Ignore);
    assert_eq!(source.on_missing_column, OnMissingColumn::Hold);
    let Format::Csv(csv) = &source.format else { panic!("csv") };
    assert_eq!((csv.delimiter, csv.quote, csv.escape), (b',', Some(b'"'), None));
    assert!(csv.header);
    assert_eq!(csv.null, [""]);
    assert_eq!(csv.ragged, Ragged::Reject);
    let names: Vec<&str> = pipeline.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["id", "status", "day", "at"]);
    let id = column(&pipeline, "id");
    assert_eq!(id.from, ColumnSource::Field(vec!["id".into()]));
    assert!(!id.key && !id.nullable && !id.trim);
    assert_eq!(pipeline.errors, ErrorPolicy { hold_if: None, archive_raw: ArchiveRaw::Full });
}

const EVERY_OPTION: &str = r#"
version = 1
name = "all-1_x"
[source]
match = "in/{supplier}_{day:%Y%m%d}.csv"
replaces = ["supplier", "day"]
format = "csv"
csv = { delimiter="\t", quote="'", escape="\\", skip_lines=2, null=["", "NULL"], ragged="lenient", encoding="Latin1" }
timezone = "Europe/Berlin"
on_new_column = "hold"
on_missing_column = "null"
[columns]
supplier = { type = "string", from = "{supplier}" }
amount = { type = "decimal(12,2)", from = ["amount", "Betrag"], min = 0, max = 1_000.5, default = "0" }
flag = { type = "bool", default = true }
day = { type = "date", format = "%d.%m.%Y", min = "01.01.2020" }
seen = { type = "timestamp", format = "epoch_ms", nullable = true }
sent = { type = "timestamp", format = "%d.%m.%Y %H:%M" }
email = { type = "string", trim = true, pattern = '^[^@]+@[^@]+$', archive = "hash", min_length = 3, max_length = 9 }
level = { type = "uint8", one_of = [1, 2, "3"], key = true, archive = "mask" }
[sink.parquet]
path = "curated/all"
partition_by = ["supplier", "year(day)", "hour(sent)"]
add = ["_loaded_at", "_source_row", "_source_file"]
[errors]
hold_if = { rejected = "2.5%", min_rows = 200 }
archive_raw = "pointer"
"#;

#[test]
fn every_option_is_read() {
    let Parsed { pipeline, warnings, .. } =
        parse_text(EVERY_OPTION).unwrap_or_else(|e| panic!("{e}"));

    assert_eq!(warnings, []);
    let source = &pipeline.source;
    assert_eq!(source.replaces, Replaces::Captures(vec!["supplier".into(), "day".into()]));
    assert_eq!(source.encoding, "windows-1252");
    let Format::Csv(csv) = &source.format else { panic!("csv") };
    assert_eq!((csv.delimiter, csv.quote, csv.escape), (b'\t', Some(b'\''), Some(b'\\')));
    assert_eq!((csv.skip_lines, csv.null.len(), csv.ragged), (2, 2, Ragged::Lenient));
    assert_eq!(column(&pipeline, "supplier").from, ColumnSource::Capture("supplier".into()));
    let amount = column(&pipeline, "amount");
    assert_eq!(amount.from, ColumnSource::Field(vec!["amount".into(), "Betrag".into()]));
    assert_eq!((amount.min.as_deref(), amount.max.as_deref()), (Some("0"), Some("1000.5")));
    assert_eq!(column(&pipeline, "flag").default.as_deref(), Some("true"));
    assert_eq!(column(&pipeline, "day").min.as_deref(), Some("01.01.2020"));
    let millis = ColumnType::Timestamp { format: TimestampFormat::EpochMillis };
    assert_eq!(column(&pipeline, "seen").data_type, millis);
    let level = column(&pipeline, "level");
    assert_eq!(level.one_of, Some(vec!["1".into(), "2".into(), "3".into()]));
    assert_eq!((level.key, level.archive), (true, ArchivePolicy::Mask));
    let email = column(&pipeline, "email");
    assert_eq!((email.trim, email.min_length, email.max_length), (true, Some(3), Some(9)));
    assert_eq!(pipeline.sink.parquet().unwrap().partition_by.len(), 3);
    assert_eq!(pipeline.sink.added().first(), Some(&AddedColumn::LoadedAt));
    let hold_if = HoldIf { rejected: Rejected::PartsPerMillion(25_000), min_rows: 200 };
    assert_eq!(pipeline.errors.hold_if, Some(hold_if));
    assert_eq!(pipeline.errors.archive_raw, ArchiveRaw::Pointer);
}

const WRITTEN: &str = r#"
version = 1
name = "written"
[source]
match = "in/*"
format = "csv"
decimal_separator = ","
thousands = "."
local_time = "later"
[columns]
plain = "decimal(12,2)"
note = "string"
at = "timestamp"
point = { type = "float64", decimal_separator = "." }
swiss = { type = "int64", thousands = "'" }
money = { type = "decimal(12,2)", affix = ["$", "EUR"], negative = ["parentheses", "trailing"] }
local = { type = "timestamp", timezone = "Asia/Tokyo", local_time = "reject", subsecond = "truncate" }
when = { type = "timestamp", format = ["rfc3339", "epoch_us", "%d.%m.%Y %H:%M %#z"] }
day = { type = "date", format = ["iso", "%d.%m.%Y"], time_of_day = "drop" }
only = { type = "date", format = ["epoch_days"] }
flag = { type = "bool", true = ["ja", "wahr"], false = ["nein"] }
[sink.parquet]
path = "written"
"#;

#[test]
fn how_values_are_written_is_read_and_inherited() {
    let Parsed { pipeline, warnings, .. } = parse_text(WRITTEN).unwrap_or_else(|e| panic!("{e}"));

    assert_eq!(warnings, []);
    let reading = |name| column(&pipeline, name).reading.clone();
    let german =
        Reading { decimal_separator: Some(','), thousands: Some('.'), ..Reading::default() };
    assert_eq!(reading("plain"), german);
    assert_eq!(reading("note"), Reading::default());
    let later = Reading { local_time: Some(LocalTime::Later), ..Reading::default() };
    assert_eq!(reading("at"), later);
    assert_eq!(reading("point"), Reading::default(), "a point has no points between groups");
    assert_eq!(reading("swiss").thousands, Some('\''));
    let money = reading("money");
    assert_eq!(money.negative, [Negative::Trailing, Negative::Parentheses]);
    assert_eq!(money.affix, ["$", "EUR"]);
    let local = Reading {
        timezone: Some("Asia/Tokyo".to_owned()),
        truncate_subsecond: true,
        ..Reading::default()
    };
    assert_eq!(reading("local"), local);
    let formats = TimestampFormat::AnyOf(vec![
        TimestampFormat::Rfc3339,
        TimestampFormat::EpochMicros,
        TimestampFormat::Strftime("%d.%m.%Y %H:%M %#z".to_owned()),
    ]);
    assert_eq!(column(&pipeline, "when").data_type, ColumnType::Timestamp { format: formats });
    let formats = Formats::AnyOf(vec!["iso".to_owned(), "%d.%m.%Y".to_owned()]);
    assert_eq!(column(&pipeline, "day").data_type, ColumnType::Date { format: Some(formats) });
    let formats = Formats::One("epoch_days".to_owned());
    assert_eq!(column(&pipeline, "only").data_type, ColumnType::Date { format: Some(formats) });
    assert_eq!(reading("flag").true_words, ["ja", "wahr"]);
    assert_eq!(Pipeline::from_json(&pipeline.to_json()).expect("comes back"), pipeline);
}

#[test]
fn a_pipeline_that_declares_nothing_of_it_keeps_its_canonical_json() {
    let json = minimal().to_json();

    assert!(!json.contains("reading"), "{json}");
    // As jobs have frozen it before.
    let before = json.replace(
        r#""data_type":{"date":{"format":null}}"#,
        r#""data_type":{"date":{"format":"%d.%m.%Y"}}"#,
    );
    assert_ne!(before, json);
    let format = Some(Formats::One("%d.%m.%Y".to_owned()));
    let pipeline = Pipeline::from_json(&before).expect("comes back");
    assert_eq!(column(&pipeline, "day").data_type, ColumnType::Date { format });
    assert_eq!(pipeline.to_json(), before);
}

#[test]
fn what_a_file_replaces_has_four_forms() {
    for (line, expected) in [
        ("replaces = \"key\"", Replaces::Key),
        ("replaces = \"nothing\"", Replaces::Nothing),
        ("replaces = []", Replaces::Table),
        ("replaces = [\"supplier\"]", Replaces::Captures(vec!["supplier".into()])),
    ] {
        let parsed = parse_text(&with("[source]", line)).expect(line);
        assert_eq!(parsed.pipeline.source.replaces, expected, "{line}");
    }
}

#[test]
fn json_lines_and_csv_without_quotes_are_read() {
    let jsonl = MINIMAL.replace("\"csv\"", "\"jsonl\"\njsonl = { unknown_fields = \"reject\" }");
    let plain = with("[source]", "csv = { quote = \"\", header = false }");

    let jsonl = parse_text(&jsonl).expect("parses").pipeline.source.format;
    let plain = parse_text(&plain).expect("parses").pipeline.source.format;

    assert_eq!(
        jsonl,
        Format::Jsonl(JsonlOptions {
            unknown_fields: UnknownFields::Reject,
            ..JsonlOptions::default()
        })
    );
    assert!(matches!(plain, Format::Csv(CsvDialect { quote: None, header: false, .. })));
}

#[test]
fn what_works_but_was_hardly_meant_is_a_warning() {
    let nullable = with("[columns]", "x = { type = \"int8\", nullable = true, default = 0 }");
    let twice = with("[columns]", "x = { type = \"string\", one_of = [\"a\", \"a\"] }");

    let nullable = parse_text(&nullable).expect("parses").warnings;
    let twice = parse_text(&twice).expect("parses").warnings;

    assert_eq!((nullable.len(), nullable[0].line), (1, 7));
    assert!(nullable[0].what.contains("stands in for every NULL"), "{nullable:?}");
    assert!(twice[0].what.contains("\"a\" stands twice"), "{twice:?}");
}

#[test]
fn canonical_json_comes_back_equal_and_hashes_equal() {
    let pipeline = minimal();
    let spaced = MINIMAL.replace(" = ", "   =   ") + "# a comment\n";

    let back = Pipeline::from_json(&pipeline.to_json()).expect("comes back");

    assert_eq!(back, pipeline);
    assert_eq!(parse_text(&spaced).expect("parses").pipeline.sha256(), pipeline.sha256());
    assert_eq!(pipeline.sha256().len(), 64);
    let mut changed = pipeline.clone();
    changed.name.push('2');
    assert_ne!(changed.sha256(), pipeline.sha256());
}

#[test]
fn json_that_is_no_pipeline_is_refused() {
    let mut pipeline = minimal();
    pipeline.source.pattern = "in/{".into();

    assert!(matches!(Pipeline::from_json("{}"), Err(CanonicalError::Json(_))));
    let refused = Pipeline::from_json(&pipeline.to_json());
    assert!(matches!(refused, Err(CanonicalError::Pattern(_))));
}

#[test]
fn a_dialect_is_a_name_that_single_keys_change() {
    let dialect = |csv: &str| {
        let text = MINIMAL.replace("format = \"csv\"", &format!("format = \"csv\"\n{csv}"));
        let parsed = parse_text(&text).unwrap_or_else(|e| panic!("{e}"));
        let Format::Csv(dialect) = parsed.pipeline.source.format else { panic!("csv") };
        dialect
    };
    let spark = dialect("csv = \"spark\"");
    assert_eq!(spark, CsvDialect { escape: Some(b'\\'), ..CsvDialect::default() });
    let mysql = dialect("csv = { dialect = \"mysql\", delimiter = \",\", quote = \"\\\"\" }");
    assert_eq!((mysql.header, mysql.escapes, mysql.quote), (false, Escapes::Text, Some(b'"')));
    assert_eq!((mysql.separator(), mysql.null), (",".to_owned(), vec!["\\N".to_owned()]));
    let several = dialect("csv = { delimiter = \"~|~\", comment = \"#\", header_lines = 2 }");
    assert_eq!((several.separator(), several.header_lines), ("~|~".to_owned(), 2));
    for (name, _) in csv::DIALECTS {
        dialect(&format!("csv = \"{name}\""));
        assert!(csv::dialect(name).is_some(), "{name}");
    }
}

#[test]
fn keys_that_came_later_do_not_change_the_hash_of_a_pipeline_without_them() {
    let text = serde_json::to_string(&CsvDialect::default()).unwrap();
    let expected =
        r#"{"delimiter":44,"quote":34,"escape":null,"header":true,"skip_lines":0,"null":[""]"#;
    assert_eq!(text, format!(r#"{expected},"ragged":"reject"}}"#));
    let text = serde_json::to_string(&JsonlOptions::default()).unwrap();
    assert_eq!(text, r#"{"unknown_fields":"ignore"}"#);
}
/// What `check` says of readers when the sink is this and `status` is this.
fn notes(status: &str, sink: &str) -> Vec<String> {
    let text = MINIMAL.replace("status = \"string\"", &format!("status = {status}"));
    let text = format!("{text}{sink}\n");
    let parsed = parse_text(&text).unwrap_or_else(|problems| panic!("{problems}"));
    parsed.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn folders_whose_values_readers_guess_are_noted() {
    const BY_STATUS: &str = "partition_by = [\"status\"]";
    for (status, expected) in [
        ("\"string\"", vec!["\"007\"", "empty text", "text(status)"]),
        ("{ type = \"string\", min_length = 1, pattern = '^[A-Z]{2}$' }", vec![]),
        ("{ type = \"string\", one_of = [\"paid\", \"open\"] }", vec![]),
        ("{ type = \"string\", one_of = [\"true\", \"no\"] }", vec!["\"true\""]),
        ("{ type = \"int64\", nullable = true }", vec!["NULL", "pandas"]),
        ("\"int64\"", vec![]),
        ("\"uint64\"", vec!["DuckDB"]),
        ("\"bool\"", vec!["Spark"]),
        ("\"date\"", vec![]),
    ] {
        let notes = notes(status, BY_STATUS);
        assert_eq!(notes.len(), usize::from(!expected.is_empty()), "{status}: {notes:?}");
        for part in expected {
            assert!(notes[0].contains(part), "{status}: {notes:?}");
        }
    }
    assert_eq!(notes("\"string\"", "partition_by = [\"text(status)\"]"), [""; 0]);
}

#[test]
fn times_are_noted_unless_they_are_stored_in_another_form() {
    let time = "{ type = \"time\" }";
    let noted = notes(time, "");
    assert!(noted[0].contains("Spark") && noted[0].contains("int64"), "{noted:?}");
    assert_eq!(notes(time, "time = \"string\""), [""; 0]);
}

#[test]
fn what_a_parquet_sink_is_told_about_columns_is_read_and_kept() {
    let text = format!(
        "{MINIMAL}partition_by = [\"text(status)\"]\nadd = [\"_source_row\"]\ntime = \"int64\"\n\
         bloom_filter = [\"id\", \"_source_row\"]\nfield_ids = {{ id = 1, _source_row = 9 }}\n"
    );

    let pipeline = parse_text(&text).unwrap_or_else(|problems| panic!("{problems}")).pipeline;

    let sink = pipeline.sink.parquet().unwrap();
    assert_eq!(sink.partition_by, [PartitionBy::Text("status".into())]);
    assert_eq!(sink.time, TimeForm::Int64);
    assert_eq!(sink.bloom_filter, ["id", "_source_row"]);
    assert_eq!(sink.field_ids.get("_source_row"), Some(&9));
    assert_eq!(Pipeline::from_json(&pipeline.to_json()).unwrap(), pipeline);
    let plain = minimal().to_json();
    for key in ["\"time\":", "bloom_filter", "field_ids"] {
        assert!(!plain.contains(key), "stored pipelines are what they were: {plain}");
    }
}
