//! A pipeline in words.

use rowproof_core::pipeline::{
    Column, ColumnType, CommitUnit, Format, HoldIf, OnEmpty, ParquetSink, Pipeline, PostgresSink,
    Rejected, Replaces, Sink, WriteMode,
};

use crate::show::report::grouped;

/// What the pipeline reads, what a new file does, its columns, its sink, when it holds.
pub(crate) fn lines(pipeline: &Pipeline) -> Vec<String> {
    let source = &pipeline.source;
    let format = match &source.format {
        Format::Csv(dialect) => {
            let header = if dialect.header { "with a header" } else { "without a header" };
            format!("CSV, {:?} between fields, {header}", dialect.separator())
        }
        Format::Jsonl(_) => "JSON Lines".to_owned(),
    };
    let columns: Vec<_> = pipeline.columns.iter().map(column).collect();
    let mut lines = vec![
        format!("{} reads {} ({format})", pipeline.name, source.pattern),
        taken_over(pipeline),
        format!("{} columns: {}", columns.len(), columns.join(", ")),
        sink(pipeline),
    ];
    lines.extend(pipeline.errors.hold_if.as_ref().map(hold_if));
    lines.push(empty(source.empty).to_owned());
    lines
}

/// What becomes of rows that are there already.
fn taken_over(pipeline: &Pipeline) -> String {
    match pipeline.sink.postgres() {
        Some(sink) if sink.mode == WriteMode::Upsert => {
            "a row takes the place of the one with its key; rows that a new file lacks stay"
                .to_owned()
        }
        Some(_) | None => replaces(&pipeline.source.replaces),
    }
}

/// What a new file takes over.
fn replaces(replaces: &Replaces) -> String {
    match replaces {
        Replaces::Key => "a new file under the same key replaces the old one's rows".to_owned(),
        Replaces::Captures(names) => format!(
            "a new file with the same {} replaces the old one's rows",
            names.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(" and ")
        ),
        Replaces::Table => "the newest file is the whole table".to_owned(),
        Replaces::Nothing => "a new file never replaces rows: every version counts".to_owned(),
    }
}

fn column(column: &Column) -> String {
    let key = if column.key { " key" } else { "" };
    let nullable = if column.nullable { " nullable" } else { "" };
    format!("{} {}{key}{nullable}", column.name, type_name(&column.data_type))
}

fn type_name(data_type: &ColumnType) -> String {
    match data_type {
        ColumnType::Bool => "bool".into(),
        ColumnType::Int(bits) => format!("int{bits}"),
        ColumnType::UInt(bits) => format!("uint{bits}"),
        ColumnType::Float(bits) => format!("float{bits}"),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::String => "string".into(),
        ColumnType::Date { .. } => "date".into(),
        ColumnType::Time { .. } => "time".into(),
        ColumnType::Timestamp { .. } => "timestamp".into(),
    }
}

fn sink(pipeline: &Pipeline) -> String {
    let mut text = match &pipeline.sink {
        Sink::Parquet(sink) => parquet(sink),
        Sink::Postgres(sink) => postgres(sink),
    };
    let added: Vec<_> = pipeline.sink.added().iter().map(|added| added.name()).collect();
    if !added.is_empty() {
        text.push_str(&format!(", with {}", added.join(", ")));
    }
    text
}

fn postgres(sink: &PostgresSink) -> String {
    let how = match sink.mode {
        WriteMode::Upsert => "are upserted by key into",
        WriteMode::DeleteInsert => "take the place of the file's earlier rows in",
        WriteMode::Append => "are appended to",
    };
    let unit = match sink.commit {
        CommitUnit::Object => "all rows of a file at once",
        CommitUnit::Chunk => "chunk by chunk",
    };
    format!("good rows {how} table {}.{}, {unit}", sink.schema, sink.table)
}

fn parquet(sink: &ParquetSink) -> String {
    let mut text = format!("good rows go to Parquet files under {}", sink.path);
    let levels: Vec<_> = sink.partition_by.iter().map(ToString::to_string).collect();
    if !levels.is_empty() {
        text.push_str(&format!(", a folder for each {}", levels.join(", ")));
    }
    text
}

fn empty(empty: OnEmpty) -> &'static str {
    match empty {
        OnEmpty::Hold => {
            "a file that holds nothing is held, and so is one without a good row where it would take \
             rows away"
        }
        OnEmpty::Accept => "a file that holds nothing is taken as one without rows",
    }
}

fn hold_if(hold_if: &HoldIf) -> String {
    let limit = match hold_if.rejected {
        Rejected::Rows(rows) => format!("{} rows", grouped(rows)),
        Rejected::PartsPerMillion(ppm) => format!("{} % of the rows", f64::from(ppm) / 10_000.0),
    };
    let from = match hold_if.min_rows {
        0 => String::new(),
        rows => format!(", in files of {} rows or more", grouped(rows)),
    };
    format!("a file is held when more than {limit} are rejected{from}")
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn a_pipeline_is_told_in_words() {
        let text = include_str!("../../../../infra/pipelines/events.toml");
        let load = |_: &str| Err("no base".to_owned());
        let parsed =
            rowproof_core::pipeline_file::parse("events.toml", text, &load, &|_| None).unwrap();
        let lines = lines(&parsed.pipeline);
        assert!(lines[0].contains("JSON Lines"), "{lines:#?}");
        assert!(lines[1].contains("a new file with the same {"), "{lines:#?}");
        assert!(lines[3].contains("a folder for each"), "{lines:#?}");
    }
}
