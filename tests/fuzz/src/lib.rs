//! What each fuzz target checks, as plain functions of bytes, so that ordinary tests replay the kept corpora.

pub mod csv_decode;
pub mod csv_split;
pub mod decompression;
pub mod events;
pub mod jsonl;
pub mod pipeline_file;
pub mod reading;
pub mod shape;
pub mod text;

/// A target: its name, which is its corpus folder's, and its check.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 6] = [
    ("csv_split", csv_split::check),
    ("csv_decode", csv_decode::check),
    ("jsonl", jsonl::check),
    ("pipeline_file", pipeline_file::check),
    ("events", events::check),
    ("decompression", decompression::check),
];
