//! Plans: which bytes and rows each chunk of a job covers.

use serde::{Deserialize, Serialize};

use crate::block::Layout;
use crate::input::Codec;

/// How the chunks of a job are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Byte ranges that start and end at record boundaries, known before any chunk runs.
    Ranges,
    /// Chunk n + 1 starts where chunk n ended: compressed or transcoded input.
    Chain,
}

/// The sealed plan of a job, stored once under its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How chunks are found.
    pub kind: PlanKind,
    /// How the bytes are packed.
    pub codec: Codec,
    /// How the file's fields meet the contract.
    pub layout: Layout,
    /// Offset of the first record: bytes of byte-order mark, skipped lines and header before it.
    pub data_start: u64,
    /// The object ends before the header that its format has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub headless: bool,
    /// Bytes of the plain text, for ranges; a chain knows them at its end.
    pub text_bytes: Option<u64>,
    /// Records, for ranges.
    pub rows: Option<u64>,
    /// Keys of the segments, one a group; empty for a chain.
    pub segments: Vec<String>,
}

/// The chunk ranges of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// In order; the first is chunk `64 * group`.
    pub chunks: Vec<PlannedChunk>,
}

/// One chunk's range. Bytes `[start, end)` of the plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChunk {
    /// First byte, a record start.
    pub start: u64,
    /// One past the last byte, a record start or the end of the object; terminators and blank lines
    /// belong to the chunk before them.
    pub end: u64,
    /// Records of the object before this chunk.
    pub first_row: u64,
    /// Records in it, well-formed or not; 0 when blank lines alone fill it.
    pub rows: u64,
}

/// Progress of a planner that ran out of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planning {
    /// What the header said.
    pub layout: Layout,
    /// Offset of the first record.
    pub data_start: u64,
    /// Where the scan goes on: a record start.
    pub byte: u64,
    /// Records before it.
    pub row: u64,
    /// Segments sealed so far.
    pub segments: Vec<String>,
    /// Chunks in the last of them.
    pub last_chunks: u32,
}
