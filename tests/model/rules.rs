//! What no write may do to an item, whatever is sent when: checked at every write that lands.

use rowproof_core::ledger::{Chunk, ChunkState, Fields, Item, JobState, Write};

use crate::parsed::{JobItem, Parsed, SlotItem};

/// Rules by their bit, in order.
pub(crate) const RULES: [&str; 22] = [
    "a DONE chunk keeps its state and outcome",
    "a FAILED chunk comes back only by a redrive",
    "an epoch is given once, and never falls",
    "a slot's revision and generations never fall",
    "a COMMITTED or SUPERSEDED job stays so",
    "a job that publishes ends as COMMITTED or SUPERSEDED",
    "a sealed plan and its chunk count never change",
    "of two decisions made from one view of a job one takes effect",
    "a job is created once",
    "a hold ends by a decision or a newer version",
    "a job over the limit commits only what was approved",
    "a write that stands is not reported as refused",
    "a discarded job does not commit",
    "what readers see never goes back",
    "a name on S3 has one content",
    "a worker that renews in time keeps its chunk",
    "the head never goes back to an older file",
    "no worker meets what must not be",
    "one outage is told once",
    "a chunk is given up only when its attempts are used up",
    "a version that an operator went back from does not take the slot back",
    "a request brings a chunk back once",
];

pub(crate) const DONE_CHANGED: u32 = 1;
pub(crate) const FAILED_BACK: u32 = 1 << 1;
pub(crate) const EPOCH_TWICE: u32 = 1 << 2;
pub(crate) const SLOT_BACK: u32 = 1 << 3;
pub(crate) const SETTLED_CHANGED: u32 = 1 << 4;
pub(crate) const PUBLISHING_LEFT: u32 = 1 << 5;
pub(crate) const PLAN_CHANGED: u32 = 1 << 6;
pub(crate) const TWO_DECISIONS: u32 = 1 << 7;
pub(crate) const CREATED_TWICE: u32 = 1 << 8;
pub(crate) const HOLD_LOST: u32 = 1 << 9;
pub(crate) const UNAPPROVED: u32 = 1 << 10;
pub(crate) const OWN_REFUSED: u32 = 1 << 11;
pub(crate) const DISCARDED_COMMITS: u32 = 1 << 12;
pub(crate) const CURRENT_BACK: u32 = 1 << 13;
pub(crate) const TWO_CONTENTS: u32 = 1 << 14;
pub(crate) const ROBBED: u32 = 1 << 15;
pub(crate) const HEAD_BACK: u32 = 1 << 16;
pub(crate) const ALARM: u32 = 1 << 17;
pub(crate) const TOLD_TWICE: u32 = 1 << 18;
pub(crate) const GIVEN_UP_EARLY: u32 = 1 << 19;
pub(crate) const REVERTED_BACK: u32 = 1 << 20;
pub(crate) const BACK_TWICE: u32 = 1 << 21;

/// The rules that a write broke by turning `before` into `after`.
pub(crate) fn broken(write: &Write, before: Option<&Parsed>, after: &Parsed) -> u32 {
    match (before, after) {
        (Some(Parsed::Chunk(before)), Parsed::Chunk(after)) => chunk(write, before, after),
        (Some(Parsed::Job(before)), Parsed::Job(after)) => job(write, before, after),
        (Some(Parsed::Slot(before)), Parsed::Slot(after)) => slot(write, before, after),
        _ => 0,
    }
}

fn flag(bit: u32, is_broken: bool) -> u32 {
    if is_broken { bit } else { 0 }
}

fn chunk(write: &Write, before: &Chunk, after: &Chunk) -> u32 {
    let is_done = before.state == ChunkState::Done;
    let changed = after.state != before.state || after.outcome != before.outcome;
    let failed_back = before.state == ChunkState::Failed && after.state != ChunkState::Failed;
    let new_owner = after.owner != before.owner && after.epoch <= before.epoch;
    flag(DONE_CHANGED, is_done && changed && write.name != "swap_outcome")
        | flag(FAILED_BACK, failed_back && write.name != "redrive_chunk")
        | flag(EPOCH_TWICE, after.epoch < before.epoch || new_owner)
}

fn job(write: &Write, before: &JobItem, after: &JobItem) -> u32 {
    let (was, is) = (before.job.state, after.job.state);
    let settled = matches!(was, JobState::Committed | JobState::Superseded) && was != is;
    let published = was == JobState::Committing
        && !matches!(is, JobState::Committing | JobState::Committed | JobState::Superseded);
    let plan = (before.job.plan.is_some() && after.job.plan != before.job.plan)
        || (before.job.chunk_count.is_some() && after.job.chunk_count != before.job.chunk_count);
    let decides = write.set.contains_key("rev");
    let decided = decides && write.name != "create" && after.job.rev != before.job.rev + 1;
    let may_lift = ["approve", "discard", "supersede", "unlock_after_replay"].contains(&write.name);
    let commits = is == JobState::Committing && was != is;
    let lost_progress = after.job.planning.is_some() && after.job.planning < before.job.planning;
    flag(SETTLED_CHANGED, settled)
        | flag(PUBLISHING_LEFT, published)
        | flag(PLAN_CHANGED, plan || lost_progress)
        | flag(TWO_DECISIONS, decided)
        | flag(CREATED_TWICE, write.name.starts_with("create"))
        | flag(HOLD_LOST, was == JobState::Held && is != was && !may_lift)
        | flag(UNAPPROVED, commits && is_over_limit(after) && !is_approved(after))
}

/// Jobs whose object's tag begins with "bad" have too many rejected rows.
pub(crate) fn is_over_limit(job: &JobItem) -> bool {
    job.job.facts.replay.is_none() && job.job.facts.object.etag.starts_with("bad")
}

fn is_approved(job: &JobItem) -> bool {
    job.job.intent.as_ref().is_some_and(|intent| job.job.is_approved(&intent.sha256))
}

fn slot(write: &Write, before: &SlotItem, after: &SlotItem) -> u32 {
    let (was, is) = (&before.slot, &after.slot);
    let swaps = write.set.contains_key("rev");
    let fell = is.rev < was.rev
        || (swaps && is.rev == was.rev)
        || is.generation < was.generation
        || is.committed_generation < was.committed_generation
        || (is.committed_generation == was.committed_generation
            && was.committed_job.is_some()
            && is.committed_job != was.committed_job);
    let rank = |slot: &rowproof_core::ledger::Slot| (slot.head_modified, slot.head_uri.clone());
    let back = write.name == "observe" && rank(is) < rank(was);
    let from = was.reverted.as_ref().map(|from| (&from.from_uri, &from.from_version));
    let again = from == Some((&is.head_uri, &is.head_version));
    flag(REVERTED_BACK, write.name == "observe" && again)
        | flag(SLOT_BACK, fell)
        | flag(HEAD_BACK, back)
}

/// A chunk whose worker holds a live lease.
pub(crate) fn is_held(item: &Parsed) -> bool {
    let held = |chunk: &Chunk| {
        chunk.state == ChunkState::Leased && chunk.lease_until == crate::fixed::LIVE
    };
    item.chunk().is_some_and(held)
}

/// A chunk, or a part of one, whose attempts are not used up.
pub(crate) fn is_fresh(item: &Item) -> bool {
    use rowproof_core::ledger::{ATTEMPTS_MAX, ISOLATIONS_MAX, PART_ATTEMPTS_MAX};
    let fields = Fields(item);
    let is_whole = fields.text("part").is_none_or(str::is_empty);
    let tries = if is_whole { ATTEMPTS_MAX } else { PART_ATTEMPTS_MAX };
    fields.number("attempts").unwrap_or(0) < tries + ISOLATIONS_MAX
}

/// The request that brought a chunk back last.
pub(crate) fn request(item: &Item) -> Option<&str> {
    Fields(item).text("redrive")
}
