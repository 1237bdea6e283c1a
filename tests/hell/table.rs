//! Reads one input in every way it can be cut up, and shows what came out.

use rowproof_core::archive;
use rowproof_core::block::Limits;

use crate::fuzz::reading::{Chunks, Cuts, Feed, Reading, Row};

/// A CSV feed with these lines under `[source]` and these under `[columns]`.
pub(crate) fn csv(source: &str, columns: &str) -> Feed {
    feed("csv", source, columns)
}

/// As [`csv`], for JSON Lines.
pub(crate) fn jsonl(source: &str, columns: &str) -> Feed {
    feed("jsonl", source, columns)
}

fn feed(format: &str, source: &str, columns: &str) -> Feed {
    let text = format!(
        "version = 1\nname = \"hell\"\n[source]\nmatch = \"in/*\"\nformat = \"{format}\"\n{source}\n\
         [columns]\n{columns}\n[sink.parquet]\npath = \"out\"\n"
    );
    Feed::parse(&text).unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// The problems of a feed that is refused.
pub(crate) fn refused(source: &str, columns: &str) -> String {
    let text = format!(
        "version = 1\nname = \"hell\"\n[source]\nmatch = \"in/*\"\nformat = \"csv\"\n{source}\n\
         [columns]\n{columns}\n[sink.parquet]\npath = \"out\"\n"
    );
    Feed::parse(&text).expect_err("it is refused").to_string()
}

/// Text and a number, both required.
pub(crate) const ID_TEXT: &str = "id = \"int64\"\nt = { type = \"string\", nullable = true }";

/// Good rows as their values with `|` between, others as `!code(column)@start..end`.
pub(crate) fn shown(reading: &Reading) -> Vec<String> {
    let row = |row: &Row| match &row.verdict {
        Ok(values) => {
            let value = |value: &Option<String>| value.clone().unwrap_or("<null>".to_owned());
            values.iter().map(value).collect::<Vec<_>>().join("|")
        }
        Err((code, column)) => {
            let column = column.as_ref().map(|name| format!("({name})")).unwrap_or_default();
            format!("!{code}{column}@{}..{}", row.bytes.start, row.bytes.end)
        }
    };
    reading.rows.iter().map(row).collect()
}

/// The file gives these rows whole, and the very same with blocks and chunks of every size.
pub(crate) fn gives(feed: &Feed, what: &str, file: &[u8], expected: &[&str]) -> Reading {
    let sizes: Vec<usize> = (1..=file.len() + 1).collect();
    gives_at(feed, what, file, expected, &sizes)
}

/// As [`gives`], with these sizes only.
pub(crate) fn gives_at(
    feed: &Feed,
    what: &str,
    file: &[u8],
    expected: &[&str],
    sizes: &[usize],
) -> Reading {
    let whole = Cuts { block: file.len().max(1), chunks: Chunks::One };
    let reading = feed.read(file, whole).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(shown(&reading), expected, "{what}");
    for size in sizes {
        let (block, piece, bytes) = (*size, *size, *size as u64);
        for chunks in [
            Chunks::One,
            Chunks::Ranges { piece, bytes, rows: u64::MAX },
            Chunks::Chain { bytes, records: u64::MAX },
            Chunks::Ranges { piece, bytes: u64::MAX, rows: bytes },
            Chunks::Chain { bytes: u64::MAX, records: bytes },
        ] {
            let cuts = Cuts { block, chunks };
            assert!(feed.read(file, cuts).as_ref() == Ok(&reading), "{what}: {cuts:?}");
        }
    }
    feed.books_agree(file, sizes.first().copied().unwrap_or(1), &reading);
    reading
}

/// The header cannot be used, for this reason, from whatever prefix it is judged.
pub(crate) fn no_header(feed: &Feed, what: &str, file: &[u8], reason: &str) {
    let error = feed.start(file, file.len().max(1)).expect_err(what).to_string();
    assert!(error.contains(reason), "{what}: {error}");
    for prefix in 1..=file.len() {
        assert!(feed.start(file, prefix).is_err(), "{what}: {prefix}");
    }
}

/// `raw_data` of every archived row.
pub(crate) fn archived(feed: &Feed, file: &[u8]) -> Vec<Option<String>> {
    let product = feed.load(file, 7).unwrap();
    let Some(failures) = product.failures else { return Vec::new() };
    let batches = archive::read(failures.bytes.into(), &archive::Wanted::default()).unwrap();
    batches
        .flat_map(|batch| archive::rows(&batch.unwrap()).unwrap())
        .map(|row| row.raw_data)
        .collect()
}

/// Limits that a small file reaches.
pub(crate) fn with_limits(mut feed: Feed, record: usize, field: usize) -> Feed {
    feed.limits = Limits { record_bytes_max: record, field_bytes_max: field, ..feed.limits };
    feed
}
