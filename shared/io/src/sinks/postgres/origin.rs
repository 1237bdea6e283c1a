//! Where rows come from.

use rowproof_core::ledger::{ChunkId, JobFacts};

/// Where rows come from, which decides between two with one key.
pub(super) struct Origin<'a> {
    pub(super) facts: &'a JobFacts,
    pub(super) id: &'a ChunkId,
    pub(super) fix: u32,
    /// Number of the chunk's row in `rowproof.loads`.
    pub(super) load: i64,
}
