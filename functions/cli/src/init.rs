//! `rowproof init`: a first pipeline file for an unknown input.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rowproof_core::block::{Decoded, Layout, Limits, RejectCode};
use rowproof_core::decode::{Budget, Decoder, Header};
use rowproof_core::infer::{Inference, Sniffed, sniff};
use rowproof_core::pipeline::{
    ArchiveRaw, CsvDialect, ErrorPolicy, Format, JsonlOptions, OnEmpty, OnMissingColumn,
    OnNewColumn, ParquetSink, Pipeline, Replaces, Sink, Source,
};
use rowproof_io::settings::{limits, read_env};
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::report::{self, grouped};
use crate::text_file::{TextFile, check_file};
use crate::{OK, Usage};

/// Bytes that the format is told by.
const LOOK_BYTES: usize = 1 << 20;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File to look at: CSV or JSON Lines, plain, gzip or zstd
    pub(crate) file: PathBuf,
    /// Look at the first ROWS rows only
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let text =
        tokio::task::spawn_blocking(move || pipeline_file(&args.file, args.sample)).await??;
    report::line(text.trim_end());
    Ok(OK)
}

/// The text of a pipeline file that fits an input. Remarks about the input go to standard error.
fn pipeline_file(path: &Path, sample: Option<u64>) -> anyhow::Result<String> {
    let refuse = |error: &dyn fmt::Display| Usage(format!("{}: {error}", path.display()));
    if check_file(path)? == 0 {
        return Err(refuse(&EMPTY).into());
    }
    let limits = limits(&read_env)?;
    let (encoding, remark) = encoding(path, &limits).map_err(|error| refuse(&error))?;
    let mut file = TextFile::open(path, encoding, &limits).map_err(|error| refuse(&error))?;
    let mut block = Vec::new();
    let ended = file.fill(&mut block, LOOK_BYTES).map_err(|error| refuse(&error))?;
    let (format, sniffed) = tell_format(&block, ended).map_err(|problem| refuse(&problem))?;
    let mut pipeline = reading(format.clone());
    if let Format::Csv(dialect) = &mut pipeline.source.format {
        // Where escapes are undone, the NULL word is one as it is written.
        dialect.null.push("\\N".to_owned());
    }
    let header = file.header(&pipeline.source, &mut block, &limits);
    let header = header.map_err(|error| refuse(&error))?;
    block.drain(..header.data_start.min(block.len()));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut inference = Inference::new(&name, format, &sniffed.names);
    if encoding != "utf-8" {
        inference.set_encoding(encoding);
    }
    remark.into_iter().chain(sniffed.remarks).for_each(|remark| inference.remark(remark));
    let mut reader = Reader {
        inference,
        decoder: Decoder::new(&pipeline, Arc::new(layout(sniffed.names.len(), &header)), &limits),
        defects: BTreeMap::new(),
        nested: BTreeSet::new(),
        doubled: 0,
        rows_left: sample.unwrap_or(u64::MAX),
    };
    reader.read(&mut file, block, limits.block_bytes).map_err(|error| refuse(&error))?;
    reader.finish().map_err(|problem| refuse(&problem).into())
}

const EMPTY: &str = "the file is empty; give one with a header or a first row";

/// The encoding that the file's first bytes are valid in, and what is doubtful about it.
fn encoding(
    path: &Path,
    limits: &Limits,
) -> Result<(&'static str, Option<String>), crate::text_file::TextError> {
    let mut file = TextFile::open(path, "utf-8", limits)?;
    let mut block = Vec::new();
    let ended = file.fill(&mut block, LOOK_BYTES)?;
    let marked = match block.as_slice() {
        [0xFF, 0xFE, ..] => Some("utf-16le"),
        [0xFE, 0xFF, ..] => Some("utf-16be"),
        _ => wide(&block),
    };
    if let Some(label) = marked {
        return Ok((label, None));
    }
    let broken = match std::str::from_utf8(&block) {
        Ok(_) => false,
        Err(error) => ended || error.error_len().is_some(),
    };
    // Bytes that no text has say that something else is in there.
    let is_binary = block.iter().any(|byte| matches!(byte, 0..=8 | 0x0E..=0x1F) && *byte != 1);
    if !broken || is_binary {
        return Ok(("utf-8", None));
    }
    let doubt = "the text is not UTF-8: windows-1252 reads every byte, whether it is right shows in the letters \
                 beyond ASCII";
    Ok(("windows-1252", Some(doubt.to_owned())))
}

/// UTF-16 without a mark: every other byte of plain Latin text is zero.
fn wide(block: &[u8]) -> Option<&'static str> {
    let pairs = block.get(..64.min(block.len())).unwrap_or(block).as_chunks::<2>().0;
    let zeros = |at: usize| pairs.iter().filter(|pair| pair.get(at) == Some(&0)).count();
    match (zeros(0), zeros(1)) {
        (0, high) if high > 3 && high * 10 > pairs.len() * 8 => Some("utf-16le"),
        (low, 0) if low > 3 && low * 10 > pairs.len() * 8 => Some("utf-16be"),
        _ => None,
    }
}

/// CSV or JSON Lines, by the first bytes, and how it is written. `whole`: they are all of it.
fn tell_format(first: &[u8], whole: bool) -> Result<(Format, Sniffed), &'static str> {
    let text = first.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(first);
    let mut visible = text.iter().filter(|byte| !byte.is_ascii_whitespace());
    match (visible.next(), visible.next()) {
        (None, _) => Err(EMPTY),
        (Some(b'['), Some(b'{')) => {
            Err("a JSON list is not read; write one object a line, as jq -c '.[]' does")
        }
        (Some(b'{'), Some(b'"' | b'}')) => {
            let sniffed =
                Sniffed { dialect: CsvDialect::default(), names: vec![], remarks: vec![] };
            Ok((Format::Jsonl(JsonlOptions::default()), sniffed))
        }
        _ => {
            let sniffed = sniff(text, whole);
            Ok((Format::Csv(sniffed.dialect.clone()), sniffed))
        }
    }
}

/// As much of a pipeline as it takes to cut records into fields.
fn reading(format: Format) -> Pipeline {
    Pipeline {
        name: "init".into(),
        source: Source {
            pattern: "*".into(),
            replaces: Replaces::Key,
            format,
            encoding: "utf-8".into(),
            timezone: None,
            on_new_column: OnNewColumn::Ignore,
            on_missing_column: OnMissingColumn::Hold,
            empty: OnEmpty::Hold,
        },
        columns: vec![],
        sink: Sink::Parquet(ParquetSink::new("init")),
        errors: ErrorPolicy { hold_if: None, archive_raw: ArchiveRaw::Full },
    }
}

/// Every field is a column.
fn layout(fields: usize, header: &Header) -> Layout {
    Layout {
        line_end: header.line_end,
        header: header.records.clone(),
        doubts: vec![],
        fields,
        field_of_column: (0..fields).map(Some).collect(),
        new_columns: vec![],
        missing_columns: vec![],
    }
}

/// Feeds the guess.
struct Reader {
    inference: Inference,
    decoder: Decoder,
    /// Records that could not be cut into fields.
    defects: BTreeMap<RejectCode, u64>,
    /// Lines of JSON with an escape that is escaped itself.
    doubled: u64,
    /// Fields that held a list or an object.
    nested: BTreeSet<String>,
    rows_left: u64,
}

impl Reader {
    fn read(
        &mut self,
        file: &mut TextFile,
        mut block: Vec<u8>,
        block_bytes: usize,
    ) -> Result<(), crate::text_file::TextError> {
        let mut want = block_bytes;
        while self.rows_left > 0 {
            let ended = file.fill(&mut block, want)?;
            let budget = Budget { bytes: u64::MAX, records: self.rows_left };
            let decoded = self.decoder.decode(std::mem::take(&mut block), ended, budget);
            self.observe(&decoded);
            let used = usize::try_from(decoded.counts.bytes).unwrap_or(usize::MAX);
            block = decoded.buffer;
            block.truncate(decoded.block_len);
            block.drain(..used.min(decoded.block_len));
            // A record longer than a block needs more bytes at once.
            want = if used > 0 { block_bytes } else { want.saturating_mul(2) };
            want = want.max(block.len().saturating_add(1));
            if ended && block.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn observe(&mut self, decoded: &Decoded) {
        self.rows_left = self.rows_left.saturating_sub(decoded.counts.records);
        for defect in &decoded.defects {
            let (start, end) =
                (usize::try_from(defect.record.start), usize::try_from(defect.record.end));
            let line =
                start.ok().zip(end.ok()).and_then(|(start, end)| decoded.buffer.get(start..end));
            let escaped = line.is_some_and(|line| line.windows(3).any(|part| part == b"\\\\\""));
            self.doubled += u64::from(escaped);
            *self.defects.entry(defect.code).or_default() += 1;
        }
        if decoded.width > 0 {
            for row in decoded.cells.chunks(decoded.width) {
                for (column, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_null()) {
                    self.inference.observe(column, cell.text(&decoded.buffer), cell.is_quoted());
                }
                self.inference.end_row();
            }
            return;
        }
        for record in &decoded.records {
            let (start, end) = (usize::try_from(record.start), usize::try_from(record.end));
            let (Ok(start), Ok(end)) = (start, end) else { continue };
            let line = decoded.buffer.get(start..end).unwrap_or(&[]);
            let fields = Fields { inference: &mut self.inference, nested: &mut self.nested };
            // The decoder has read the line as an object already.
            if serde_json::Deserializer::from_slice(line).deserialize_map(fields).is_ok() {
                self.inference.end_row();
            }
        }
    }

    /// The pipeline file, or why there is nothing to guess from.
    fn finish(mut self) -> Result<String, String> {
        let rows = self.inference.rows();
        let left_out: u64 = self.defects.values().sum();
        if left_out > 0 {
            let counts =
                self.defects.iter().map(|(code, rows)| format!("{} {code}", grouped(*rows)));
            let counts: Vec<_> = counts.collect();
            let (all, counts) = (grouped(rows + left_out), counts.join(", "));
            if rows == 0 {
                return Err(format!("none of the {all} rows fits the header: {counts}"));
            }
            self.inference.remark(format!(
                "{} of {all} rows cannot be cut into fields and would be rejected: {counts}",
                grouped(left_out)
            ));
        }
        if self.doubled > 0 && self.defects.contains_key(&RejectCode::BadJson) {
            let line = "backslashes are doubled, as COPY doubles them: this is no JSON, and its texts are not \
                        what they were; export it by psql -At -c 'select row_to_json(t) from t'";
            self.inference.remark(line.to_owned());
        }
        for name in std::mem::take(&mut self.nested) {
            self.inference.column_remark(format!(
                "field {name:?} holds a list or an object, which no column type reads: it is left out"
            ));
        }
        self.inference.finish().map_err(|error| error.to_string())
    }
}

/// Observes the fields of one JSON object.
struct Fields<'a> {
    inference: &'a mut Inference,
    nested: &'a mut BTreeSet<String>,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            let raw = value.get();
            match raw.as_bytes().first() {
                Some(b'{' | b'[') => {
                    self.inference.leave_out(&name);
                    self.nested.insert(name);
                }
                Some(b'"') => {
                    let column = self.inference.column(&name);
                    let text: String = serde_json::from_str(raw).unwrap_or_default();
                    self.inference.observe(column, text.as_bytes(), true);
                }
                _ => {
                    let column = self.inference.column(&name);
                    if raw != "null" {
                        self.inference.observe(column, raw.as_bytes(), false);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn guessed(name: &str, bytes: &[u8], sample: Option<u64>) -> anyhow::Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        pipeline_file(&path, sample)
    }

    fn parsed(text: &str) -> Pipeline {
        let load = |_: &str| Err("no base".to_owned());
        rowproof_core::pipeline::parse("guess.toml", text, &load, &|_| None).unwrap().pipeline
    }

    fn column_names(text: &str) -> Vec<String> {
        parsed(text).columns.into_iter().map(|column| column.name).collect()
    }

    #[test]
    fn a_semicolon_file_becomes_a_pipeline_that_parses() {
        let text = guessed("a.csv", b"id;name\n1;x\n2;\"y;z\"\n", None).unwrap();
        let pipeline = parsed(&text);
        let Format::Csv(dialect) = &pipeline.source.format else { panic!("{text}") };
        assert_eq!(dialect.delimiter, b';');
        assert_eq!(column_names(&text), ["id", "name"]);
    }

    #[test]
    fn json_lines_are_told_by_content_and_nested_fields_are_left_out() {
        let lines = b"\xEF\xBB\xBF{\"id\":1,\"tags\":[1],\"at\":\"2026-01-02\"}\n{\"id\":2,\"note\":null}\n";
        let text = guessed("events.csv", lines, None).unwrap();
        assert!(matches!(parsed(&text).source.format, Format::Jsonl(_)), "{text}");
        assert_eq!(column_names(&text), ["id", "at", "note"]);
    }

    #[test]
    fn a_sample_ends_after_its_rows() {
        let text = guessed("a.csv", b"id\n1\n2\nx\n", Some(2)).unwrap();
        let id = &parsed(&text).columns[0];
        assert_eq!(id.data_type, rowproof_core::pipeline::ColumnType::Int(64));
    }

    #[test]
    fn records_longer_than_a_block_are_read_whole() {
        let long = "x".repeat(5 << 20);
        let text = guessed("a.csv", format!("id,text\n1,{long}\n2,b\n").as_bytes(), None).unwrap();
        assert_eq!(column_names(&text), ["id", "text"]);
    }

    #[test]
    fn what_cannot_be_guessed_from_says_why() {
        for (bytes, expected) in [
            (&b""[..], "the file is empty"),
            (b"\xEF\xBB\xBF", "the file is empty"),
            (b" \n\n", "the file is empty"),
            (b"\x7FELF\x02\x01\0\0", "not text"),
            (b"[{\"id\":1}]", "jq -c"),
            (b"PK\x03\x04rest of it", "zip"),
            (b"\x1F\x8B\x08\0\0\0\0\0\0\x03", "cut off"),
            (b"a,b\n1\n", "none of the 1 rows fits the header: 1 field_count"),
        ] {
            let error = guessed("a.csv", bytes, None).unwrap_err();
            assert!(error.is::<Usage>() && error.to_string().contains(expected), "{error}");
        }
        let error = pipeline_file(Path::new("/nowhere/at.csv"), None).unwrap_err();
        assert!(error.is::<Usage>(), "{error}");
    }
}
