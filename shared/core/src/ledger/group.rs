//! GROUP: 64 chunks whose outcomes all stand. Counts are recomputed from outcomes, never incremented.

use std::collections::BTreeMap;

use super::chunk::{Chunk, ChunkId, ChunkState};
use super::item::{Guard, Key, Value, Write};
use crate::ids::{CHUNKS_PER_GROUP, JobId};

/// Where a group is stored.
pub fn group_key(job: &JobId, group: u32) -> Key {
    Key { pk: format!("J#{job}"), sk: format!("G#{group:04}") }
}

/// Chunks that belong to a group of a job with this many chunks.
pub fn group_len(chunk_count: u32, group: u32) -> u32 {
    chunk_count.saturating_sub(group.saturating_mul(CHUNKS_PER_GROUP)).min(CHUNKS_PER_GROUP)
}

/// Groups of a job with this many chunks.
pub fn group_count(chunk_count: u32) -> u32 {
    chunk_count.div_ceil(CHUNKS_PER_GROUP)
}

/// Those of a group's stored chunks that hold rows: whole chunks, and the parts in place of split ones.
/// `stored` is in the order of the sort keys, which is the order of the rows.
pub fn leaves(stored: &[(ChunkId, Chunk)]) -> impl Iterator<Item = &(ChunkId, Chunk)> {
    stored.iter().filter(|(_, chunk)| chunk.state != ChunkState::Split)
}

/// Whether every row of a chunk is in an outcome that stands: its own, or those of its halves.
pub fn is_done(id: &ChunkId, stored: &[(ChunkId, Chunk)]) -> bool {
    let found = stored.iter().find(|(found, _)| found == id);
    match found.map(|(_, chunk)| chunk.state) {
        Some(ChunkState::Done) => true,
        Some(ChunkState::Split) => id.halves().iter().all(|half| is_done(half, stored)),
        Some(ChunkState::Ready | ChunkState::Leased | ChunkState::Failed) | None => false,
    }
}

/// T10: every chunk of the group is DONE, or split into parts that are. `None` while one is missing:
/// `stored` must come from one consistent query of the group, made after the caller's own T7, so that
/// of two last finishers at least one sees all.
pub fn close_group(
    job: &JobId,
    group: u32,
    chunk_count: u32,
    stored: &[(ChunkId, Chunk)],
) -> Option<Write> {
    let first = group.saturating_mul(CHUNKS_PER_GROUP);
    let behind = first.saturating_add(group_len(chunk_count, group));
    let whole = stored.iter().filter(|(id, _)| id.part.is_empty());
    let all = whole.count() == usize::try_from(behind - first).ok()?;
    if !all || (first..behind).any(|chunk| !is_done(&ChunkId::whole(job, chunk), stored)) {
        return None;
    }
    let state = Value::from("DONE");
    Some(Write {
        name: "close_group",
        key: group_key(job, group),
        guard: Guard::Absent,
        effect: Guard::Eq("state", state.clone()),
        set: BTreeMap::from([
            ("state", state),
            ("chunks", Value::from(group_len(chunk_count, group))),
        ]),
        remove: vec![],
    })
}
