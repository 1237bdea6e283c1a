//! GROUP: 64 chunks whose outcomes all stand. Counts are recomputed from outcomes, never incremented.

use std::collections::BTreeMap;

use super::chunk::{Chunk, ChunkState};
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

/// T10: every chunk of the group is DONE. `None` while one is missing: `chunks` must come from one
/// consistent query of the group, made after the caller's own T7, so that of two last finishers at
/// least one sees all.
pub fn close_group(job: &JobId, group: u32, chunk_count: u32, chunks: &[Chunk]) -> Option<Write> {
    let expected = usize::try_from(group_len(chunk_count, group)).ok()?;
    let done = chunks.iter().filter(|chunk| chunk.state == ChunkState::Done).count();
    if done != expected || chunks.len() != expected {
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
