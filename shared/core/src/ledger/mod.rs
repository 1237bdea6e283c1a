//! The ledger: what is stored about slots, jobs, groups and chunks, and the only ways it may change.
//!
//! Every transition is a pure function from what was read to a [`Write`]: the attributes to set and
//! the condition under which they may be set. `rowproof-io` performs them against DynamoDB; nothing
//! else writes. Safety never reads a clock: leases decide only when to try, epochs and revisions
//! decide who wins.

mod chunk;
mod decision;
mod group;
mod item;
mod job;
mod lease;
mod outage;
mod redrive;
mod replay;
mod slot;
#[cfg(test)]
mod tests;

pub use chunk::*;
pub use decision::*;
pub use group::*;
pub use item::{BadItem, Fields, Guard, Item, Key, Performed, Value, WRITE_ID, Write};
pub use job::*;
pub use lease::*;
pub use outage::*;
pub use redrive::*;
pub use replay::*;
pub use slot::*;

/// Shards of the index that lists unfinished work.
pub const DUE_SHARDS: u32 = 16;

/// The shard of a job in the index of unfinished work.
fn due_shard(id: &str) -> Value {
    let sum: u32 = id.bytes().map(u32::from).sum();
    Value::S(format!("D#{:02}", sum % DUE_SHARDS))
}
