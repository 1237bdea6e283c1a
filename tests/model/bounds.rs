//! How far a model goes: who there is, what may go wrong how often, and what may happen at all.

use crate::fixed::Version;

/// What may happen in a model.
pub(crate) mod may {
    /// Objects are observed.
    pub(crate) const OBSERVE: u32 = 1;
    /// Events come again for what is the head already.
    pub(crate) const REPEAT: u32 = 1 << 1;
    /// An operator runs the head's object again (T17).
    pub(crate) const RESTART: u32 = 1 << 2;
    /// An operator runs an older file again.
    pub(crate) const FORCE: u32 = 1 << 3;
    /// Jobs are planned.
    pub(crate) const PLAN: u32 = 1 << 4;
    /// A planner may run out of time, or find that the header differs from the contract.
    pub(crate) const PLAN_OTHERWISE: u32 = 1 << 5;
    /// Chunks are processed.
    pub(crate) const CHUNK: u32 = 1 << 6;
    /// Workers give chunks back by themselves.
    pub(crate) const GIVE_BACK: u32 = 1 << 7;
    /// Workers renew their lease before they complete.
    pub(crate) const RENEW: u32 = 1 << 8;
    /// A worker finds that the object cannot be loaded.
    pub(crate) const REFUSE: u32 = 1 << 9;
    /// Jobs are committed.
    pub(crate) const COMMIT: u32 = 1 << 10;
    /// The reconciler removes what was replaced.
    pub(crate) const RECONCILE: u32 = 1 << 11;
    /// T12 is sent for every job that is not the head.
    pub(crate) const SUPERSEDE: u32 = 1 << 12;
    /// Versions arrive as jobs whose chunks are DONE.
    pub(crate) const ARRIVE: u32 = 1 << 13;
    /// Clocks are right: a lease is over when it ended, not whenever somebody thinks so.
    pub(crate) const HONEST: u32 = 1 << 14;
    /// Operators approve and discard what is HELD.
    pub(crate) const DECIDE: u32 = 1 << 15;
    /// T16 is sent for jobs on their way.
    pub(crate) const FAIL: u32 = 1 << 16;
    /// A worker gives up a chunk that it holds.
    pub(crate) const GIVE_UP: u32 = 1 << 17;
    /// The first chunk's attempts are used up but for one: those to process it where a record kills its
    /// workers, and those to cut it elsewhere.
    pub(crate) const WORN: u32 = 1 << 18;
    /// The first job is planned already.
    pub(crate) const PLANNED: u32 = 1 << 19;
    /// Operators bring back what failed (T13).
    pub(crate) const REDRIVE: u32 = 1 << 20;
    /// Operators go back to an earlier job's rows.
    pub(crate) const REVERT: u32 = 1 << 23;
    /// The sweeper takes what is listed elsewhere off the index of unfinished work.
    pub(crate) const REST: u32 = 1 << 24;
    /// Workers renew in time: a lease is over only when its worker is gone. With `HONEST`.
    pub(crate) const PROMPT: u32 = 1 << 22;
    /// The sink goes away and comes back; `deeds` counts how often.
    pub(crate) const OUTAGE: u32 = 1 << 21;
}

/// The bounds of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) workers: u8,
    pub(crate) crashes: u8,
    /// Lost answers and late duplicates.
    pub(crate) faults: u8,
    /// Deeds of operators.
    pub(crate) deeds: u8,
    /// The versions stored under each key, in order.
    pub(crate) versions: &'static [&'static [Version]],
    /// Chunks in a plan.
    pub(crate) chunks: u8,
    /// Different plans that planners may come to.
    pub(crate) plans: u8,
    /// Acquisitions of one chunk.
    pub(crate) epochs: u8,
    /// Length of the object that is a chain; 0 for ranges.
    pub(crate) chain: u8,
    /// Records of each chunk, where they are counted; 0 where they are not.
    pub(crate) rows: u8,
    /// Records of the first chunk that kill their worker, by bit.
    pub(crate) poison: u8,
    /// Replays that are asked for, by bit.
    pub(crate) replays: u8,
    pub(crate) may: u32,
}

impl Bounds {
    pub(crate) const NONE: Bounds = Bounds {
        workers: 2,
        crashes: 1,
        faults: 0,
        deeds: 0,
        versions: &[&[("v1", 10)]],
        chunks: 1,
        plans: 1,
        epochs: 2,
        chain: 0,
        rows: 0,
        poison: 0,
        replays: 0,
        may: 0,
    };

    /// Workers that died of the first chunk of a worn job, and the one that has it next.
    pub(crate) fn deaths(&self) -> i64 {
        use rowproof_core::ledger::{ATTEMPTS_MAX, ISOLATIONS_MAX};
        match self.rows > 0 && self.poison > 0 {
            true => ATTEMPTS_MAX,
            false => ATTEMPTS_MAX + ISOLATIONS_MAX,
        }
    }

    pub(crate) fn allows(&self, what: u32) -> bool {
        self.may & what == what
    }
}
