//! What each clause prevents: chunks that are split, brought back or replayed, and their parts.

use super::clauses::{Because::*, check_clauses};
use super::fixtures::*;
use crate::ledger::ChunkState::{Done, Failed, Leased, Ready};
use crate::ledger::*;

const LIVE: i64 = NOW.0 + 60;
const PAST: i64 = NOW.0 - 60;

fn read(item: &Item) -> Chunk {
    Chunk::from_item(item).unwrap()
}

/// A chunk of eight records, split by the worker of an epoch.
fn split_item(epoch: i64, owner: &str) -> Item {
    let cut = stored(&cut(&range(0, 8)).unwrap());
    with(chunk_item(ChunkState::Split, epoch, owner, PAST), &[("split", cut)])
}

fn lease(epoch: i64) -> Lease {
    Lease {
        id: chunk_id(0),
        epoch,
        owner: "ann".into(),
        attempts: ATTEMPTS_MAX + 1,
        seconds: LEASE_SECONDS,
        isolate: true,
    }
}

fn taken(id: &ChunkId, stored: &Item) -> (Write, Lease) {
    match acquire(id, Some(&read(stored)), &worker("eve"), NOW) {
        Acquire::Try(write, lease) => (*write, lease),
        other @ (Acquire::Done(_)
        | Acquire::Split(_)
        | Acquire::Busy(_)
        | Acquire::Failed
        | Acquire::GiveUp(_)) => panic!("not free: {other:?}"),
    }
}

#[test]
fn splitting() {
    let failed = chunk_item(Failed, 6, "ann", PAST);
    let again = chunk_item(Leased, 7, "ann", LIVE);
    let other = chunk_item(Leased, 6, "bob", LIVE);
    let write = split(&lease(6), &cut(&range(0, 8)).unwrap());
    check_clauses(
        &write,
        &[
            ("state = LEASED", Wrong(Some(failed), "what was reported as failed is worked on")),
            ("epoch = 6", Wrong(Some(again), "whoever has it now loads rows that its halves load")),
            ("owner = ann", Wrong(Some(other), "a ledger that went back in time")),
        ],
    );
    for stored in [chunk_item(Done, 6, "ann", PAST), chunk_item(Ready, 6, "ann", PAST)] {
        assert!(!write.guard.holds(Some(&stored)));
    }
}

#[test]
fn a_worker_of_a_chunk_that_was_split() {
    let twice = "rows of a split chunk are loaded by it and by its halves";
    for (write, harm) in [
        (renew(&lease(6), Stage::Sinking, NOW), "a split chunk looks alive"),
        (give_back(&lease(6)), twice),
        (complete(&lease(6), &outcome("o")), twice),
        (split(&lease(6), &cut(&range(0, 7)).unwrap()), "halves change under their workers"),
    ] {
        check_clauses(
            &write,
            &[
                ("state = LEASED", Wrong(Some(split_item(6, "ann")), harm)),
                ("epoch = 6", Wrong(Some(chunk_item(Leased, 7, "ann", LIVE)), "a late write")),
                ("owner = ann", Wrong(Some(chunk_item(Leased, 6, "bob", LIVE)), "went back")),
            ],
        );
    }
}

/// A chunk is acquired to be isolated, and a part at all, under the guard of every acquisition.
#[test]
fn acquiring_to_isolate_and_acquiring_parts() {
    for (id, max) in [(chunk_id(0), ATTEMPTS_MAX), (part_id("01"), PART_ATTEMPTS_MAX)] {
        let left = with(chunk_item(Leased, 5, "dead", PAST), &[("attempts", max.into())]);
        let (write, lease) = taken(&id, &left);
        assert_eq!((lease.isolate, lease.attempts, &write.key), (true, max + 1, &id.key()));
        let at = |state, epoch, until| Some(chunk_item(state, epoch, "dead", until));
        check_clauses(
            &write,
            &[
                ("epoch = 5", Wrong(at(Ready, 6, PAST), "one epoch is given twice")),
                (
                    "(state = READY or (state = LEASED and lease_until < 1000000))",
                    Wrong(Some(split_item(5, "dead")), "a split chunk is worked on as a whole"),
                ),
                ("or state = READY", Needed(at(Ready, 5, LIVE), "it was given back")),
                (
                    "or (state = LEASED and lease_until < 1000000)",
                    Needed(at(Leased, 5, PAST), "its worker died"),
                ),
                ("state = LEASED", Wrong(Some(split_item(5, "dead")), "it is split again")),
                ("lease_until < 1000000", Wrong(at(Leased, 5, LIVE), "its worker lives")),
            ],
        );
    }
    let Acquire::Try(first, lease) = acquire(&part_id("01"), None, &worker("eve"), NOW) else {
        panic!("an absent part is READY");
    };
    assert!(!lease.isolate);
    let split = Some(split_item(2, "ann"));
    check_clauses(&first, &[("absent", Wrong(split, "a part that was split is whole again"))]);
}

/// What is given up without a lease: a chunk nobody could cut, and one whose sink kills.
#[test]
#[allow(clippy::too_many_lines, reason = "a table of clauses")]
fn giving_up_what_could_not_be_cut_or_written() {
    let max = ATTEMPTS_MAX + ISOLATIONS_MAX;
    let uncut = with(chunk_item(Leased, 8, "dead", PAST), &[("attempts", max.into())]);
    let deaths = [("sink_deaths", (SINK_DEATHS_MAX - 1).into()), ("stage", "sinking".into())];
    let unwritten = with(chunk_item(Leased, 8, "dead", PAST), &deaths);
    for (item, attempts) in [(uncut, max), (unwritten, 1)] {
        let decision = acquire(&chunk_id(0), Some(&read(&item)), &worker("ann"), NOW);
        let Acquire::GiveUp(lease) = decision else { panic!("{decision:?}") };
        let write = give_up(&lease, &failure("poison"), NOW);
        let change = |changes: &[(&str, Value)]| Some(with(item.clone(), changes));
        let in_state = |state: ChunkState, until: i64| {
            change(&[("state", state.as_str().into()), ("lease_until", until.into())])
        };
        let mine = |changes: &[(&str, Value)]| {
            let fresh = chunk_item(Leased, 9, "ann", LIVE);
            Some(with(fresh, changes))
        };
        let given_back = change(&[("state", "READY".into()), ("attempts", (attempts - 1).into())]);
        let unowned = format!(
            "or (epoch = 8 and attempts = {attempts} and (state = READY or lease_until < 1000000) \
             and state in READY LEASED)"
        );
        check_clauses(
            &write,
            &[
                (
                    "or (state = LEASED and epoch = 9 and owner = ann)",
                    Needed(mine(&[]), "a worker that cannot go on"),
                ),
                (
                    "state = LEASED",
                    Wrong(mine(&[("state", "SPLIT".into())]), "rows of its halves are given up"),
                ),
                ("epoch = 9", Wrong(mine(&[("epoch", 10_i64.into())]), "a late write")),
                ("owner = ann", Wrong(mine(&[("owner", "bob".into())]), "went back in time")),
                (unowned.leak(), Needed(Some(item.clone()), "the dead used its attempts up")),
                (
                    "epoch = 8",
                    Wrong(change(&[("epoch", 9_i64.into())]), "it was brought back or taken"),
                ),
                (
                    format!("attempts = {attempts}").leak(),
                    Wrong(given_back, "a worker thought dead gave it back in good order"),
                ),
                (
                    "(state = READY or lease_until < 1000000)",
                    Wrong(in_state(Leased, LIVE), "the last worker lives and renews"),
                ),
                ("or state = READY", Needed(in_state(Ready, LIVE), "nobody holds it")),
                ("or lease_until < 1000000", Needed(in_state(Leased, PAST), "they all died")),
                (
                    "state in READY LEASED",
                    Wrong(in_state(ChunkState::Split, PAST), "rows of its halves are given up"),
                ),
            ],
        );
    }
}

#[test]
fn bringing_a_chunk_back() {
    let failed = |epoch, request: Option<&str>| {
        let item = chunk_item(Failed, epoch, "dead", PAST);
        Some(request.map_or(item.clone(), |request| with(item, &[("redrive", request.into())])))
    };
    let write = redrive_chunk(&chunk_id(0), &read(&failed(1, None).unwrap()), "q").unwrap();
    check_clauses(
        &write,
        &[
            (
                "state = FAILED",
                Wrong(Some(chunk_item(Done, 1, "dead", PAST)), "a DONE chunk is done again"),
            ),
            (
                "epoch = 1",
                Wrong(failed(3, Some("p")), "a failure that nobody was shown is forgotten"),
            ),
            (
                "(no redrive or redrive <> q)",
                Wrong(failed(1, Some("q")), "a request delivered twice brings it back twice"),
            ),
            ("or no redrive", Needed(failed(1, None), "the first request")),
            ("or redrive <> q", Needed(failed(1, Some("p")), "the next request")),
        ],
    );
    for stored in [split_item(1, "dead"), chunk_item(Leased, 1, "dead", PAST)] {
        assert!(!write.guard.holds(Some(&stored)));
        assert_eq!(redrive_chunk(&chunk_id(0), &read(&stored), "q"), None);
    }
}

#[test]
fn swapping_an_outcome() {
    let from = outcome("read");
    let other = [("outcome", stored(&outcome("raised")))];
    let raised = with(chunk_item(Done, 1, "ann", PAST), &other);
    let only_done = "nothing but a DONE chunk has an outcome, and it stays DONE";
    check_clauses(
        &swap_outcome(&chunk_id(0), &from, &outcome("new")),
        &[
            ("state = DONE", Equivalent(only_done)),
            (
                format!("outcome = {}", serde_json::to_string(&from).unwrap()).leak(),
                Wrong(Some(raised), "rows that another replay loaded are taken back"),
            ),
        ],
    );
}
