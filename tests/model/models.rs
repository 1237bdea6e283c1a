//! The models: what each part of the protocol is asked, and how far.

use crate::bounds::{Bounds, may};

/// When a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Always, also for the mutants and for liveness.
    Smoke,
    /// At full size, also for the mutants and for liveness.
    Small,
    /// At full size, for the properties of states alone.
    Full,
}

/// One model within bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// The model, a colon, and the case.
    pub(crate) name: &'static str,
    pub(crate) size: Size,
    pub(crate) bounds: Bounds,
}

const fn smoke(name: &'static str, bounds: Bounds) -> Case {
    Case { name, size: Size::Smoke, bounds }
}

const fn small(name: &'static str, bounds: Bounds) -> Case {
    Case { name, size: Size::Small, bounds }
}

const fn full(name: &'static str, bounds: Bounds) -> Case {
    Case { name, size: Size::Full, bounds }
}

type Versions = &'static [&'static [crate::fixed::Version]];

const TWO: Versions = &[&[("v1", 10), ("v2", 20)]];
const THREE: Versions = &[&[("v1", 10), ("v2", 20), ("v3", 30)]];
const BAD: Versions = &[&[("bad1", 10)]];
const BAD_AND_NEXT: Versions = &[&[("bad1", 10), ("v2", 20)]];
const BACK_AGAIN: Versions = &[&[("a", 10), ("b", 20), ("a", 30)]];
const TWO_KEYS: Versions = &[&[("a1", 10), ("a2", 30)], &[("b1", 20)]];
const ONE_SECOND: Versions = &[&[("a1", 10)], &[("b1", 20), ("b2", 20)]];

/// Nothing but one death, or nothing but one lost answer or late duplicate, or nothing at all.
const DEATH: Bounds = Bounds::NONE;
const FAULT: Bounds = Bounds { crashes: 0, faults: 1, ..DEATH };
const CALM: Bounds = Bounds { crashes: 0, ..DEATH };

const WORK: u32 = may::PLANNED | may::CHUNK | may::COMMIT;
const ALL: u32 =
    may::OBSERVE | may::PLAN | may::CHUNK | may::COMMIT | may::SUPERSEDE | may::RECONCILE;
const PUBLISH: u32 = may::ARRIVE | may::COMMIT | may::SUPERSEDE | may::RECONCILE;
const DECIDE: u32 = PUBLISH | may::DECIDE | may::FAIL;
const WORN: u32 = may::PLANNED | may::CHUNK | may::WORN;
const PROMPT: u32 = WORN | may::HONEST | may::PROMPT;
const REDRIVE: u32 = WORK | may::GIVE_UP | may::REDRIVE | may::REST;
const PLANS: u32 =
    may::OBSERVE | may::PLAN | may::PLAN_OTHERWISE | may::DECIDE | may::FAIL | may::REDRIVE;

/// Every case of every model.
pub(crate) fn cases() -> Vec<Case> {
    [base(), chunks(), commit(), operators(), chains(), slots(), replays(), outages()].concat()
}

/// Observe, plan, chunks, groups, commit by generation, supersede.
#[rustfmt::skip]
fn base() -> Vec<Case> {
    vec![
        smoke("base: lost answers", Bounds { epochs: 1, may: ALL, ..FAULT }),
        small("base: one version", Bounds { may: ALL, ..DEATH }),
        small("base: two versions", Bounds { versions: TWO, epochs: 1, may: ALL, ..CALM }),
        small("base: three workers", Bounds { workers: 3, epochs: 3, may: WORK, ..CALM }),
        small("base: plans", Bounds { plans: 2, deeds: 2, may: PLANS, ..FAULT }),
        full("base: three workers, a death", Bounds { workers: 3, epochs: 2, may: WORK, ..DEATH }),
        full("base: one version, faults", Bounds { faults: 1, may: ALL, ..DEATH }),
        full("base: two versions, a fault", Bounds { versions: TWO, epochs: 1, may: ALL, ..FAULT }),
        full("base: two versions, a death", Bounds { versions: TWO, may: ALL, ..DEATH }),
    ]
}

/// Leases, attempts, redrive (T13), and bisecting (T9).
#[rustfmt::skip]
fn chunks() -> Vec<Case> {
    vec![
        smoke("chunks: two", Bounds { chunks: 2, may: WORK, ..CALM }),
        smoke("chunks: a fault", Bounds { may: WORK | may::GIVE_BACK, ..FAULT }),
        smoke("chunks: used up", Bounds { epochs: 12, may: WORN | may::GIVE_BACK | may::GIVE_UP, ..DEATH }),
        smoke("chunks: used up, a fault", Bounds { epochs: 12, may: WORN | may::GIVE_BACK, ..FAULT }),
        smoke("chunks: right clocks", Bounds {
            epochs: 3, may: may::PLANNED | may::CHUNK | may::HONEST | may::RENEW, ..DEATH
        }),
        smoke("chunks: used up, right clocks", Bounds { epochs: 12, may: WORN | may::HONEST | may::RENEW, ..DEATH }),
        small("chunks: one", Bounds { may: WORK | may::RENEW | may::GIVE_BACK, ..DEATH }),
        small("chunks: given up", Bounds { may: WORK | may::GIVE_UP | may::REFUSE, ..DEATH }),
        small("chunks: brought back", Bounds { deeds: 1, epochs: 5, may: REDRIVE, ..CALM }),
        smoke("chunks: brought back, alone", Bounds { workers: 1, deeds: 1, epochs: 5, may: REDRIVE, ..FAULT }),
        small("chunks: brought back twice", Bounds {
            deeds: 2, epochs: 5, may: may::PLANNED | may::CHUNK | may::GIVE_UP | may::REDRIVE, ..CALM
        }),
        small("chunks: brought back, overtaken", Bounds {
            versions: TWO, deeds: 1, epochs: 3,
            may: may::OBSERVE | may::PLANNED | may::CHUNK | may::GIVE_UP | may::REDRIVE | may::SUPERSEDE,
            ..CALM
        }),
        full("chunks: brought back, a fault", Bounds { deeds: 1, epochs: 4, may: REDRIVE, ..FAULT })
            ,
        smoke("bisect: one of two", Bounds { rows: 2, poison: 2, epochs: 10, may: PROMPT | may::COMMIT, ..CALM }),
        small("bisect: a death of its own", Bounds { rows: 2, poison: 2, epochs: 11, may: PROMPT, ..DEATH }),
        smoke("bisect: used up", Bounds { rows: 2, epochs: 11, may: WORN, ..CALM }),
        smoke("bisect: alone, a fault", Bounds { workers: 1, rows: 2, epochs: 12, may: WORN, ..FAULT }),
        small("bisect: a fault", Bounds { rows: 2, poison: 1, epochs: 10, may: PROMPT, ..FAULT }),
        small("bisect: one of four", Bounds { rows: 4, poison: 4, epochs: 10, may: PROMPT, ..CALM }),
        full("chunks: two, faults", Bounds { chunks: 2, faults: 1, may: WORK, ..DEATH }),
        full("chunks: one, more faults", Bounds {
            crashes: 2, faults: 1, epochs: 3, may: WORK | may::RENEW | may::GIVE_BACK, ..DEATH
        }),
    ]
}

/// T11 in the order that keeps a plain listing right, with copies that land late.
#[rustfmt::skip]
fn commit() -> Vec<Case> {
    vec![
        smoke("commit: two files", Bounds { versions: TWO, chunks: 2, may: PUBLISH, ..CALM }),
        small("commit: a fault", Bounds { versions: TWO, may: PUBLISH, ..FAULT }),
        small("commit: two generations", Bounds { versions: TWO, may: PUBLISH, ..DEATH }),
        full("commit: two files, a death", Bounds { versions: TWO, chunks: 2, may: PUBLISH, ..DEATH }),
        full("commit: three generations", Bounds { versions: THREE, may: PUBLISH, ..CALM }),
        full("commit: two generations, faults", Bounds { versions: TWO, faults: 1, may: PUBLISH, ..DEATH }),
    ]
}

/// T13 to T16 under the job's revision.
#[rustfmt::skip]
fn operators() -> Vec<Case> {
    vec![
        smoke("operators: a fault", Bounds { versions: BAD, deeds: 2, may: DECIDE, ..FAULT }),
        smoke("operators: overtaken", Bounds { versions: BAD_AND_NEXT, deeds: 1, may: DECIDE, ..CALM }),
        smoke("operators: brought back", Bounds { versions: BAD, deeds: 3, may: DECIDE | may::REDRIVE, ..CALM }),
        small("operators: brought back, overtaken", Bounds {
            versions: TWO, deeds: 2, may: PUBLISH | may::FAIL | may::REDRIVE, ..CALM
        }),
        small("operators: a death", Bounds { versions: BAD, deeds: 2, may: DECIDE, ..DEATH }),
        full("operators: two and two", Bounds { versions: BAD_AND_NEXT, deeds: 2, may: DECIDE, ..DEATH }),
    ]
}

/// Chunks whose ends are found on the way.
#[rustfmt::skip]
fn chains() -> Vec<Case> {
    vec![
        smoke("chain: two", Bounds { chain: 2, chunks: 2, may: WORK, ..CALM }),
        small("chain: a fault", Bounds { chain: 2, chunks: 2, epochs: 1, may: WORK, ..FAULT }),
        full("chain: a death", Bounds { chain: 2, chunks: 2, may: WORK, ..DEATH }),
        full("chain: three", Bounds { chain: 3, chunks: 3, may: WORK, ..CALM }),
    ]
}

/// Which version has the slot: one key, two keys, one second, an operator who insists.
#[rustfmt::skip]
fn slots() -> Vec<Case> {
    let may = may::OBSERVE | may::SUPERSEDE;
    vec![
        smoke("slots: a fault", Bounds { versions: TWO, may: may::OBSERVE, ..FAULT }),
        smoke("slots: a, b, a", Bounds { versions: BACK_AGAIN, may: may::OBSERVE, ..CALM }),
        small("slots: run again", Bounds { versions: TWO, deeds: 1, may: may::OBSERVE | may::RESTART, ..DEATH }),
        smoke("slots: two keys", Bounds { versions: TWO_KEYS, may, ..CALM }),
        smoke("slots: gone back", Bounds {
            versions: TWO, deeds: 1, may: may::OBSERVE | may::REVERT | may::REST, ..CALM
        }),
        small("slots: gone back, a fault", Bounds {
            versions: TWO, deeds: 1, may: may::OBSERVE | may::REVERT, ..FAULT
        }),
        small("slots: gone back, a, b, a", Bounds {
            versions: BACK_AGAIN, deeds: 1, may: may::OBSERVE | may::REVERT | may::REST, ..CALM
        }),
        small("slots: run again, a fault", Bounds { deeds: 1, may: may::OBSERVE | may::RESTART, ..FAULT }),
        small("slots: two keys, a fault", Bounds { versions: TWO_KEYS, may: may::OBSERVE, ..FAULT }),
        small("slots: forced", Bounds { versions: ONE_SECOND, deeds: 1, may: may::OBSERVE | may::FORCE, ..CALM }),
        full("slots: events again", Bounds { versions: TWO_KEYS, may: may | may::REPEAT, ..DEATH }),
        full("slots: a, b, a, run again", Bounds {
            versions: BACK_AGAIN, deeds: 1, faults: 1, may: may | may::RESTART, ..DEATH
        }),
    ]
}

/// A11: two that differ, two that are equal, a newer version meanwhile, a held parent.
#[rustfmt::skip]
fn replays() -> Vec<Case> {
    vec![
        smoke("replay: two", Bounds { replays: 3, may: PUBLISH, ..CALM }),
        smoke("replay: held", Bounds { versions: BAD, deeds: 1, replays: 1, may: DECIDE, ..CALM }),
        small("replay: a fault", Bounds { replays: 1, may: PUBLISH, ..FAULT }),
        small("replay: a death", Bounds { replays: 1, may: PUBLISH, ..DEATH }),
        small("replay: overtaken", Bounds { versions: TWO, replays: 1, may: PUBLISH, ..CALM }),
        small("replay: held, overtaken", Bounds {
            versions: BAD_AND_NEXT, replays: 1, may: PUBLISH, ..CALM
        }),
        full("replay: two, two chunks", Bounds { chunks: 2, replays: 3, may: PUBLISH, ..DEATH }),
        full("replay: three workers", Bounds { workers: 3, replays: 3, may: PUBLISH, ..CALM }),
        full("replay: two, overtaken, a death", Bounds { versions: TWO, replays: 1, may: PUBLISH, ..DEATH }),
        full("replay: held, a death", Bounds { versions: BAD, deeds: 2, replays: 3, may: DECIDE, ..DEATH }),
    ]
}

/// A6: the mark of a sink that is away.
#[rustfmt::skip]
fn outages() -> Vec<Case> {
    vec![
        smoke("outage: a death", Bounds { deeds: 2, may: may::OUTAGE, ..DEATH }),
        smoke("outage: a fault", Bounds { deeds: 2, may: may::OUTAGE, ..FAULT }),
        full("outage: three workers", Bounds { workers: 3, deeds: 2, may: may::OUTAGE, ..DEATH }),
    ]
}
