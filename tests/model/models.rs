//! The models: what each part of the protocol is asked, and how far.

use crate::bounds::{Bounds, may};

/// How big a case is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Also run for every mutant, and for liveness.
    Small,
    /// Only run with `ROWPROOF_MODEL=full`.
    Full,
}

/// One model within bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) size: Size,
    pub(crate) bounds: Bounds,
}

const fn small(name: &'static str, bounds: Bounds) -> Case {
    Case { name, size: Size::Small, bounds }
}

const fn full(name: &'static str, bounds: Bounds) -> Case {
    Case { name, size: Size::Full, bounds }
}

const NONE: Bounds = Bounds::NONE;
const FAULT: Bounds = Bounds { crashes: 0, faults: 1, ..NONE };
const WORK: u32 = may::CHUNK | may::COMMIT;
const ALL: u32 = may::OBSERVE | may::PLAN | WORK | may::SUPERSEDE | may::RECONCILE;
const TWO: &[&[(&str, i64)]] = &[&[("v1", 10), ("v2", 20)]];
const THREE: &[&[(&str, i64)]] = &[&[("v1", 10), ("v2", 20), ("v3", 30)]];
const PUBLISH: u32 = may::ARRIVE | may::COMMIT | may::SUPERSEDE | may::RECONCILE;
const DECIDE: u32 = PUBLISH | may::DECIDE | may::FAIL;

/// Every case of every model.
pub(crate) const CASES: &[Case] = &[
    small("base: one version", Bounds { may: ALL, ..NONE }),
    small("base: lost answers", Bounds { may: ALL, epochs: 1, ..FAULT }),
    small("base: two versions", Bounds { versions: TWO, crashes: 0, epochs: 1, may: ALL, ..NONE }),
    full("base: two versions, a death", Bounds { versions: TWO, may: ALL, ..NONE }),
    small("base: one chunk", Bounds { may: may::PLANNED | WORK | may::RENEW | may::GIVE_BACK, ..NONE }),
    small("base: a fault", Bounds { may: may::PLANNED | WORK | may::GIVE_BACK, ..FAULT }),
    full("base: one chunk, more faults", Bounds {
        crashes: 2, faults: 1, epochs: 3,
        may: may::PLANNED | WORK | may::RENEW | may::GIVE_BACK, ..NONE
    }),
    small("base: two chunks", Bounds { chunks: 2, crashes: 0, may: may::PLANNED | WORK, ..NONE }),
    full("base: two chunks, faults", Bounds { chunks: 2, faults: 1, may: may::PLANNED | WORK, ..NONE }),
    small("base: used up", Bounds {
        epochs: 10,
        may: may::PLANNED | may::CHUNK | may::WORN | may::GIVE_BACK | may::GIVE_UP,
        ..NONE
    }),
    small("base: used up, a fault", Bounds {
        epochs: 10,
        may: may::PLANNED | may::CHUNK | may::WORN | may::GIVE_BACK,
        ..FAULT
    }),
    small("base: honest clocks", Bounds {
        epochs: 10,
        may: may::PLANNED | may::CHUNK | may::WORN | may::HONEST | may::RENEW,
        ..NONE
    }),
    small("base: given up", Bounds {
        may: may::PLANNED | WORK | may::GIVE_UP | may::REFUSE, ..NONE
    }),
    small("base: three workers", Bounds {
        workers: 3, crashes: 0, epochs: 3, may: may::PLANNED | WORK, ..NONE
    }),
    small("base: plans", Bounds {
        plans: 2, deeds: 2, crashes: 0, faults: 1,
        may: may::OBSERVE | may::PLAN | may::PLAN_OTHERWISE | may::DECIDE | may::FAIL,
        ..NONE
    }),
    small("base: A, B, A", Bounds {
        versions: &[&[("a", 10), ("b", 20), ("a", 30)]],
        deeds: 1, may: may::OBSERVE | may::RESTART,
        ..NONE
    }),
    small("commit: two generations", Bounds { versions: TWO, may: PUBLISH, ..NONE }),
    small("commit: a fault", Bounds { versions: TWO, may: PUBLISH, ..FAULT }),
    small("commit: two files", Bounds { versions: TWO, chunks: 2, crashes: 0, may: PUBLISH, ..NONE }),
    full("commit: two files, faults", Bounds { versions: TWO, chunks: 2, faults: 1, may: PUBLISH, ..NONE }),
    full("commit: three generations", Bounds { versions: THREE, may: PUBLISH, ..NONE }),
    small("operators: one job", Bounds {
        versions: &[&[("bad1", 10)]], deeds: 2, may: DECIDE, ..NONE
    }),
    small("operators: a fault", Bounds {
        versions: &[&[("bad1", 10)]], deeds: 2, may: DECIDE, ..FAULT
    }),
    small("operators: overtaken", Bounds {
        versions: &[&[("bad1", 10), ("v2", 20)]], deeds: 1, crashes: 0, may: DECIDE, ..NONE
    }),
    small("chain", Bounds { chain: 2, chunks: 2, may: may::PLANNED | WORK, ..NONE }),
    full("chain: three chunks", Bounds {
        chain: 3, chunks: 3, may: may::PLANNED | WORK | may::GIVE_BACK, ..NONE
    }),
    small("chain: a fault", Bounds { chain: 2, chunks: 2, may: may::PLANNED | WORK, ..FAULT }),
    small("slots: two keys", Bounds {
        versions: &[&[("a1", 10), ("a2", 30)], &[("b1", 20)]],
        may: may::OBSERVE | may::SUPERSEDE, ..NONE
    }),
    small("base: right clocks", Bounds {
        epochs: 3, may: may::PLANNED | may::CHUNK | may::HONEST | may::RENEW, ..NONE
    }),
    small("bisect: one of two", Bounds {
        rows: 2, poison: 2, epochs: 10, crashes: 0,
        may: may::PLANNED | may::WORN | WORK | may::HONEST | may::PROMPT, ..NONE
    }),
    small("bisect: one of four", Bounds {
        rows: 4, poison: 4, epochs: 10, crashes: 0,
        may: may::PLANNED | may::WORN | may::CHUNK | may::HONEST | may::PROMPT, ..NONE
    }),
    small("redrive", Bounds {
        deeds: 1, crashes: 0, epochs: 5,
        may: may::PLANNED | WORK | may::GIVE_UP | may::REDRIVE, ..NONE
    }),
    small("redrive: a fault", Bounds {
        deeds: 1, epochs: 4,
        may: may::PLANNED | WORK | may::GIVE_UP | may::REDRIVE, ..FAULT
    }),
    small("redrive: failed jobs", Bounds {
        versions: &[&[("bad1", 10)]], deeds: 3, crashes: 0,
        may: DECIDE | may::REDRIVE, ..NONE
    }),
    small("replay: two", Bounds { replays: 3, crashes: 0, may: PUBLISH, ..NONE }),
    small("replay: a death", Bounds { replays: 1, may: PUBLISH, ..NONE }),
    small("replay: overtaken", Bounds {
        versions: TWO, replays: 1, crashes: 0, may: PUBLISH, ..NONE
    }),
    small("replay: held", Bounds {
        versions: &[&[("bad1", 10)]], deeds: 1, replays: 1, crashes: 0, may: DECIDE, ..NONE
    }),
    small("outage", Bounds { deeds: 2, may: may::OUTAGE, ..NONE }),
    small("outage: a fault", Bounds { deeds: 2, may: may::OUTAGE, ..FAULT }),
    small("slots: forced", Bounds {
        versions: &[&[("a1", 10)], &[("b1", 20), ("b2", 20)]],
        deeds: 1, crashes: 0, may: may::OBSERVE | may::SUPERSEDE | may::FORCE,
        ..NONE
    }),
];
