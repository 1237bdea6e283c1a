//! Replays: failed rows of a job go through again, as a job of their own that ends by changing the
//! outcomes of the first one.
//!
//! From the lock on, anybody can go on with a replay: what changes is frozen in one document.

use std::collections::BTreeMap;

use super::chunk::{ChunkId, OutcomeRef};
use super::item::{Guard, Value, Write, json};
use super::job::{
    Job, JobFacts, JobState, PlanRef, ReplayLock, create, decided_at, text_eq, to_state,
};
use crate::time::EpochSeconds;

/// A replay begins with its plan sealed: one chunk for each chunk of its parent that it concerns.
pub fn create_replay(facts: &JobFacts, plan: &PlanRef, chunks: u32, now: EpochSeconds) -> Write {
    let mut write = create(facts, now);
    write.name = "create_replay";
    write.set.insert("state", Value::from(JobState::Running.as_str()));
    write.set.insert("plan", json(plan));
    write.set.insert("chunk_count", Value::from(chunks));
    write
}

/// The parent's outcomes are about to change. Refused when another replay has it, when somebody
/// decided about it since the replay was planned, or when it is neither COMMITTED nor HELD.
pub fn lock_for_replay(parent: &Job, planned_at: i64, lock: &ReplayLock) -> Write {
    let mine = Guard::Eq("replay", json(lock));
    Write {
        name: "lock_for_replay",
        key: Job::key(&parent.facts.job),
        guard: Guard::All(vec![
            Guard::In("state", vec!["COMMITTED", "HELD"]),
            Guard::Eq("rev", Value::N(planned_at)),
            Guard::Missing("replay"),
        ]),
        effect: mine,
        set: BTreeMap::from([("replay", json(lock)), ("rev", Value::N(planned_at + 1))]),
        remove: vec![],
    }
}

/// A chunk's outcome with more of its rows loaded. Of two that start from one outcome, one stands.
pub fn swap_outcome(id: &ChunkId, from: &OutcomeRef, to: &OutcomeRef) -> Write {
    Write {
        name: "swap_outcome",
        key: id.key(),
        guard: Guard::All(vec![text_eq("state", "DONE"), Guard::Eq("outcome", json(from))]),
        effect: Guard::Eq("outcome", json(to)),
        set: BTreeMap::from([("outcome", json(to))]),
        remove: vec![],
    }
}

/// The replay is over with its parent: `manifest` names the revision that a COMMITTED parent shows
/// now. A HELD parent goes on from where it was held, to be judged by the new totals. A parent that was
/// superseded meanwhile is only let go.
pub fn unlock_after_replay(
    parent: &Job,
    lock: &ReplayLock,
    manifest: Option<&PlanRef>,
    now: EpochSeconds,
) -> Write {
    let is_held = parent.state == JobState::Held;
    let from = parent.hold.as_ref().map_or(JobState::Running, |hold| hold.from);
    let state = if is_held { from } else { parent.state };
    let mut write = to_state("unlock_after_replay", &parent.facts.job, state, now);
    let mine = Guard::Eq("replay", json(lock));
    write.guard = Guard::All(vec![decided_at(parent), mine]);
    write.effect = Guard::Any(vec![Guard::Missing("replay"), Guard::Ne("replay", json(lock))]);
    write.set.insert("rev", Value::N(parent.rev + 1));
    if let Some(manifest) = manifest {
        write.set.insert("manifest", Value::from(manifest.key.as_str()));
        write.set.insert("intent", json(manifest));
    }
    write.remove.push("replay");
    if is_held {
        write.remove.extend(["hold", "approval"]);
    }
    write
}
