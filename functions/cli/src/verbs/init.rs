//! `rowproof init`: a first pipeline file for an unknown input.

mod reader;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rowproof_core::block::{Layout, Limits};
use rowproof_core::decode::{Decoder, Header};
use rowproof_core::infer::{Inference, Sniffed, sniff};
use rowproof_core::pipeline::{
    ArchiveRaw, ErrorPolicy, Format, JsonlOptions, OnEmpty, OnMissingColumn, OnNewColumn,
    ParquetSink, Pipeline, Replaces, Sink, Source,
};
use rowproof_io::settings::{limits, read_env};

use crate::exit::{OK, Usage};
use crate::input::text_file::{TextError, TextFile, check_file};
use crate::show::report;
use reader::Reader;

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
    let (mut encoding, mut remark) = encoding(path, &limits).map_err(|error| refuse(&error))?;
    let (mut file, mut block, ended) = open(path, encoding, &limits).map_err(|e| refuse(&e))?;
    let (format, sniffed) = tell_format(&block, ended).map_err(|problem| refuse(&problem))?;
    if matches!(format, Format::Jsonl(_)) && encoding != "utf-8" {
        // RFC 8259, 8.1: JSON is UTF-8. In another encoding of one byte the records that differ are rejected.
        if encoding.starts_with("utf-16") {
            let words = format!("JSON is read in UTF-8; convert it: iconv -f {encoding} -t utf-8");
            return Err(refuse(&words).into());
        }
        (encoding, remark) = ("utf-8", None);
        (file, block, _) = open(path, encoding, &limits).map_err(|error| refuse(&error))?;
    }
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
    let layout = Arc::new(layout(sniffed.names.len(), &header));
    let decoder = Decoder::new(&pipeline, layout, &limits);
    let mut reader = Reader::new(inference, decoder, sample);
    reader.read(&mut file, block, limits.block_bytes).map_err(|error| refuse(&error))?;
    reader.finish().map_err(|problem| refuse(&problem).into())
}

/// The file, its first bytes, and whether they are all of it.
fn open(
    path: &Path,
    encoding: &'static str,
    limits: &Limits,
) -> Result<(TextFile, Vec<u8>, bool), TextError> {
    let mut file = TextFile::open(path, encoding, limits)?;
    let mut block = Vec::new();
    let ended = file.fill(&mut block, LOOK_BYTES)?;
    Ok((file, block, ended))
}

const EMPTY: &str = "the file is empty; give one with a header or a first row";

/// The encoding that the file's first bytes are valid in, and what is doubtful about it.
fn encoding(path: &Path, limits: &Limits) -> Result<(&'static str, Option<String>), TextError> {
    let (_, block, ended) = open(path, "utf-8", limits)?;
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
            let options = JsonlOptions { list: true, ..JsonlOptions::default() };
            Ok((Format::Jsonl(options), Sniffed::default()))
        }
        (Some(b'{'), Some(b'"' | b'}')) => {
            Ok((Format::Jsonl(JsonlOptions::default()), Sniffed::default()))
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

#[cfg(test)]
mod tests;
