//! CHUNK: the unit of commit and restart. An absent item is READY at epoch 0.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::item::{BadItem, Fields, Item, Key};
use super::job::Failure;
use crate::ids::{CHUNKS_PER_GROUP, JobId};
use crate::plan::PlannedChunk;
use crate::time::EpochSeconds;

/// Names one chunk, or a part of one that was split.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChunkId {
    /// Its job.
    pub job: JobId,
    /// Its number in the job, from 0.
    pub chunk: u32,
    /// Which half of which half: a `0` or `1` for each time the chunk was split; empty for the whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part: String,
}

/// `3` for a whole chunk, `3.01` for a part.
impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.chunk)?;
        if self.part.is_empty() { Ok(()) } else { write!(f, ".{}", self.part) }
    }
}

impl ChunkId {
    /// A whole chunk.
    pub fn whole(job: &JobId, chunk: u32) -> ChunkId {
        ChunkId { job: job.clone(), chunk, part: String::new() }
    }

    /// Its first and second half.
    pub fn halves(&self) -> [ChunkId; 2] {
        ["0", "1"].map(|half| ChunkId { part: format!("{}{half}", self.part), ..self.clone() })
    }

    /// What it is a half of, and whether it is the second one; `None` for a whole chunk.
    pub fn parent(&self) -> Option<(ChunkId, bool)> {
        let mut part = self.part.clone();
        let last = part.pop()?;
        Some((ChunkId { part, ..self.clone() }, last == '1'))
    }

    /// Its name in file names and sort keys; parts sort behind what they are parts of, in the order
    /// of their bytes.
    pub fn padded(&self) -> String {
        let dot = if self.part.is_empty() { "" } else { "." };
        format!("{:06}{dot}{}", self.chunk, self.part)
    }

    /// Its group.
    pub fn group(&self) -> u32 {
        self.chunk / CHUNKS_PER_GROUP
    }

    /// Where it is stored.
    pub fn key(&self) -> Key {
        Key { pk: ChunkId::group_pk(&self.job, self.group()), sk: format!("C#{}", self.padded()) }
    }

    /// Partition of all chunks of a group.
    pub fn group_pk(job: &JobId, group: u32) -> String {
        format!("J#{job}#{group:04}")
    }
}

/// Where a chunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkState {
    /// Nobody works on it.
    Ready,
    /// A worker has it until its lease ends.
    Leased,
    /// Its outcome stands for ever.
    Done,
    /// It was given up.
    Failed,
    /// It killed its workers: its two halves stand in its place, for ever.
    Split,
}

impl ChunkState {
    /// The name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            ChunkState::Ready => "READY",
            ChunkState::Leased => "LEASED",
            ChunkState::Done => "DONE",
            ChunkState::Failed => "FAILED",
            ChunkState::Split => "SPLIT",
        }
    }

    /// Reads the name in the ledger.
    pub fn parse(text: &str) -> Option<ChunkState> {
        use ChunkState::*;
        [Ready, Leased, Done, Failed, Split].into_iter().find(|state| state.as_str() == text)
    }
}

/// What a worker was doing when it last said so: deaths before `Sinking` tell of the record, later
/// ones of the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the source.
    Reading,
    /// Cutting and checking rows.
    Decoding,
    /// Writing to the sink and the archive.
    Sinking,
}

impl Stage {
    /// The name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Reading => "reading",
            Stage::Decoding => "decoding",
            Stage::Sinking => "sinking",
        }
    }

    /// Reads the name in the ledger.
    pub fn parse(text: &str) -> Option<Stage> {
        let stages = [Stage::Reading, Stage::Decoding, Stage::Sinking];
        stages.into_iter().find(|stage| stage.as_str() == text)
    }
}

/// Key and hash of a chunk's outcome document, with what the ledger itself must know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRef {
    /// Key in the output bucket.
    pub key: String,
    /// SHA-256 of the document.
    pub sha256: String,
    /// Records in the chunk.
    pub rows: u64,
    /// Where the next chunk of a chain begins; `None` for the last one, and on ranges.
    pub next: Option<ChainStart>,
    /// Whether the object ends with this chunk of a chain.
    pub end_of_object: bool,
}

/// Where a chunk of a chain begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStart {
    /// Offset in the plain (decompressed, UTF-8) text, in bytes.
    pub byte: u64,
    /// Records before it.
    pub row: u64,
}

/// Where a split chunk was cut. Both halves hold at least one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The halves, which tile the chunk.
    pub halves: [PlannedChunk; 2],
    /// Where the next chunk of a chain begins; `None` for the last one, and on ranges.
    pub next: Option<ChainStart>,
    /// Whether the object ends with this chunk of a chain.
    pub end_of_object: bool,
    /// Then: packed bytes that were read, with every checksum verified.
    pub packed_bytes: Option<u64>,
}

/// What is stored about a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it stands.
    pub state: ChunkState,
    /// Acquisitions so far: the fence of every later write.
    pub epoch: i64,
    /// Acquisitions since it last yielded by itself.
    pub attempts: i64,
    /// Workers that died while they wrote to the sink: they tell nothing of the rows.
    pub sink_deaths: i64,
    /// What the last worker was doing when it last said so.
    pub stage: Option<Stage>,
    /// The last worker.
    pub owner: Option<String>,
    /// The run (of a local `run`) the last worker belonged to.
    pub run: Option<String>,
    /// End of the last lease.
    pub lease_until: EpochSeconds,
    /// The outcome, once DONE.
    pub outcome: Option<OutcomeRef>,
    /// Where it was cut, once SPLIT.
    pub split: Option<Split>,
    /// Why it FAILED.
    pub failure: Option<Failure>,
}

impl Chunk {
    /// Where the next chunk of a chain begins, once this one is known to the end; `None` while it is
    /// not, and behind the last one.
    pub fn next(&self) -> Option<ChainStart> {
        let of_outcome = self.outcome.as_ref().and_then(|outcome| outcome.next);
        of_outcome.or_else(|| self.split.as_ref().and_then(|split| split.next))
    }

    /// Whether the object is known to end with this chunk of a chain.
    pub fn ends_object(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.end_of_object)
            || self.split.as_ref().is_some_and(|split| split.end_of_object)
    }

    /// Reads a stored item.
    pub fn from_item(item: &Item) -> Result<Chunk, BadItem> {
        let fields = Fields(item);
        let state = ChunkState::parse(fields.need_text("state")?);
        let optional = |name: &str| fields.text(name).is_some();
        Ok(Chunk {
            state: state.ok_or_else(|| fields.bad("state"))?,
            epoch: fields.need_number("epoch")?,
            attempts: fields.number("attempts").unwrap_or(0),
            sink_deaths: fields.number("sink_deaths").unwrap_or(0),
            stage: fields.text("stage").and_then(Stage::parse),
            owner: fields.text("owner").map(str::to_owned),
            run: fields.text("run").map(str::to_owned),
            lease_until: EpochSeconds(fields.number("lease_until").unwrap_or(0)),
            outcome: optional("outcome").then(|| fields.need_json("outcome")).transpose()?,
            split: optional("split").then(|| fields.need_json("split")).transpose()?,
            failure: optional("failure").then(|| fields.need_json("failure")).transpose()?,
        })
    }
}
