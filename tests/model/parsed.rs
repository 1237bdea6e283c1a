//! A ledger item in its typed form, with the numbers of the jobs it names.

use rowproof_core::ledger::{Chunk, Fields, Item, Job, Slot};

use crate::world::World;

/// One item. There are few, and each stands once.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "every one is kept behind a pointer")]
pub(crate) enum Parsed {
    Slot(SlotItem),
    Job(JobItem),
    Chunk(Chunk),
    /// A group, or the mark of an outage.
    Group,
    /// A mutant stored something that production could not read.
    Unreadable,
}

#[derive(Debug)]
pub(crate) struct SlotItem {
    pub(crate) slot: Slot,
    pub(crate) head: u8,
    /// 0 before the first commit.
    pub(crate) committed: u8,
    /// Whether the index of unfinished work lists it.
    pub(crate) is_due: bool,
}

#[derive(Debug)]
pub(crate) struct JobItem {
    pub(crate) job: Job,
    pub(crate) index: u8,
    /// Whether the index of unfinished work lists it.
    pub(crate) is_due: bool,
}

impl Parsed {
    pub(crate) fn from_item(world: &World, item: &Item) -> Parsed {
        let fields = Fields(item);
        let is_due = fields.text("due_shard").is_some();
        let kind = fields.text("sk").unwrap_or_default();
        let parsed = match kind.get(..1) {
            Some("S") => Slot::from_item(item).map(|slot| {
                let head = world.job(&slot.head_job);
                let committed = slot.committed_job.as_ref().map_or(0, |job| world.job(job));
                Parsed::Slot(SlotItem { slot, head, committed, is_due })
            }),
            Some("J") => Job::from_item(item).map(|job| {
                let index = world.job(&job.facts.job);
                Parsed::Job(JobItem { job, index, is_due })
            }),
            Some("C") => Chunk::from_item(item).map(Parsed::Chunk),
            Some("G" | "P") => Ok(Parsed::Group),
            _ => return Parsed::Unreadable,
        };
        parsed.unwrap_or(Parsed::Unreadable)
    }

    pub(crate) fn slot(&self) -> Option<&SlotItem> {
        match self {
            Parsed::Slot(slot) => Some(slot),
            _ => None,
        }
    }

    pub(crate) fn job(&self) -> Option<&JobItem> {
        match self {
            Parsed::Job(job) => Some(job),
            _ => None,
        }
    }

    pub(crate) fn chunk(&self) -> Option<&Chunk> {
        match self {
            Parsed::Chunk(chunk) => Some(chunk),
            _ => None,
        }
    }
}
