//! Inputs from hell: what files, objects and events look like at their worst, and what becomes of each.
//!
//! One test for each kind of trouble, with a table of inputs and outcomes. Every CSV and JSON Lines file is
//! read whole and again with every block and chunk size from one byte on; nothing of that may show.
//!
//! Not offered, and so not here:
//! - Lenient quotes: a quote that stands where none may always rejects its record. `ragged` is about the
//!   number of fields only.
//! - A quote that swallows too much does not fail the object: its record ends at its own first line end and
//!   is rejected, and reading goes on behind it.
//! - Guessing the delimiter, the encoding or a date's format while loading: `rowproof init` proposes them,
//!   the pipeline file declares them. Delimiters and quotes are single ASCII characters.
//! - Refusing a NUL in a row: it is a character like any other, kept in text and no value of other types.
//!   In a header it is the sign of a binary file.
//! - Exact floats: `float32` and `float64` take the nearest value, for that is what they are. `decimal` and
//!   the integers are exact or rejected.
//! - Parquet, Excel, Avro, ORC, bzip2, xz, snappy, lz4, zlib, tar and zip input: recognised by content and
//!   refused by name.
//! - JSON Lines in another encoding than UTF-8.
//! - Judging events by their version, region or order: an event only says where to look, and the object is
//!   then asked itself.
//! - Objects in the archive storage classes, or encrypted with keys that the functions may not use: S3's
//!   refusal is repeated until the queue gives the message up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails"
)]

mod corpus;
mod csv_header;
mod csv_text;
mod csv_values;
mod encodings;
mod events;
#[allow(unreachable_pub, missing_docs, clippy::default_trait_access, reason = "a crate of its own")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;
mod jsonl;
mod large;
mod objects;
mod packed;
#[allow(dead_code, reason = "the tests of the whole program need all of it")]
#[path = "../support/mod.rs"]
mod support;
mod table;
