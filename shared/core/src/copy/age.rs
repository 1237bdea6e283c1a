//! Which of two files' rows is newer, in SQL.

use crate::ledger::{ChunkId, JobFacts};
use crate::sql::quote_text;

/// What decides between rows of two files with one key, as a row of SQL.
fn order_of(facts: &JobFacts, id: &ChunkId, fix: u32) -> String {
    let object = format!("{}/{}", facts.object.bucket, facts.object.key);
    format!(
        "({}, {}, {}, {}, {}, {fix})",
        facts.object.last_modified.0,
        quote_text(&object),
        facts.generation,
        id.chunk,
        quote_text(&id.part)
    )
}

/// Whether a stored load `l` comes after this chunk.
pub(super) fn later_than(facts: &JobFacts, id: &ChunkId, fix: u32) -> String {
    format!(
        "(l.modified, l.object COLLATE \"C\", l.generation, l.chunk, l.part COLLATE \"C\", l.fix) > {}",
        order_of(facts, id, fix)
    )
}
