//! What each clause prevents: chunks.

use super::clauses::{Because::*, check_clauses};
use super::fixtures::*;
use crate::ledger::ChunkState::{Done, Failed, Leased, Ready};
use crate::ledger::*;

const LIVE: i64 = NOW.0 + 60;
const PAST: i64 = NOW.0 - 60;

/// What `who` does about a chunk as stored.
fn acquiring(stored: Option<&Item>, who: &Worker) -> Write {
    let chunk = stored.map(|item| Chunk::from_item(item).unwrap());
    match acquire(&chunk_id(0), chunk.as_ref(), who, NOW) {
        Acquire::Try(write, _) => *write,
        other @ (Acquire::Done(_)
        | Acquire::Split(_)
        | Acquire::Busy(_)
        | Acquire::Failed
        | Acquire::GiveUp(_)) => panic!("not free: {other:?}"),
    }
}

#[test]
fn acquiring_an_absent_chunk() {
    let done = Some(chunk_item(Done, 1, "ann", LIVE));
    check_clauses(
        &acquiring(None, &worker("eve")),
        &[("absent", Wrong(done, "a DONE chunk is done again at an epoch given before"))],
    );
}

#[test]
fn acquiring_a_ready_or_expired_chunk() {
    let twice = "one epoch is given twice, so the fence lets two workers through";
    for read in [chunk_item(Ready, 1, "ann", PAST), chunk_item(Leased, 1, "ann", PAST)] {
        check_clauses(
            &acquiring(Some(&read), &worker("eve")),
            &[
                ("epoch = 1", Wrong(Some(chunk_item(Ready, 2, "bob", LIVE)), twice)),
                (
                    "(state = READY or (state = LEASED and lease_until < 1000000))",
                    Wrong(Some(chunk_item(Failed, 1, "ann", PAST)), "a FAILED chunk comes back"),
                ),
                (
                    "or state = READY",
                    Needed(Some(chunk_item(Ready, 1, "ann", LIVE)), "it was given back"),
                ),
                (
                    "or (state = LEASED and lease_until < 1000000)",
                    Needed(Some(chunk_item(Leased, 1, "ann", PAST)), "its worker died"),
                ),
                (
                    "state = LEASED",
                    Wrong(Some(chunk_item(Done, 1, "ann", PAST)), "a DONE chunk is done again"),
                ),
                (
                    "lease_until < 1000000",
                    Wrong(
                        Some(chunk_item(Leased, 1, "ann", LIVE)),
                        "a worker that renewed meanwhile is fenced for nothing",
                    ),
                ),
            ],
        );
    }
}

#[test]
fn acquiring_within_a_local_run() {
    let of =
        |run: &str, state, until| with(chunk_item(state, 1, "ann", until), &[("run", run.into())]);
    let no_run = chunk_item(Leased, 1, "ann", LIVE);
    let reserved = "(state = READY or (state = LEASED and lease_until < 1000000) \
         or (state = LEASED and (no run or run <> now)))";
    check_clauses(
        &acquiring(Some(&of("before", Leased, LIVE)), &worker_of("eve", "now")),
        &[
            ("epoch = 1", Wrong(Some(chunk_item(Ready, 2, "bob", LIVE)), "an epoch given twice")),
            (reserved, Wrong(Some(of("before", Failed, PAST)), "a FAILED chunk comes back")),
            ("or state = READY", Needed(Some(of("now", Ready, LIVE)), "it was given back")),
            (
                "or (state = LEASED and lease_until < 1000000)",
                Needed(Some(of("now", Leased, PAST)), "a worker of this run died"),
            ),
            ("state = LEASED", Wrong(Some(of("now", Done, PAST)), "a DONE chunk is done again")),
            ("lease_until < 1000000", Wrong(Some(of("now", Leased, LIVE)), "its own worker")),
            (
                "or (state = LEASED and (no run or run <> now))",
                Needed(Some(of("before", Leased, LIVE)), "a lease of a run that is gone"),
            ),
            (
                "state = LEASED",
                Wrong(Some(of("before", Done, LIVE)), "what an earlier run did is done again"),
            ),
            ("(no run or run <> now)", Wrong(Some(of("now", Leased, LIVE)), "its own worker")),
            ("or no run", Needed(Some(no_run), "a lease from outside of any run")),
            ("or run <> now", Needed(Some(of("before", Leased, LIVE)), "of a run that is gone")),
        ],
    );
}

fn lease(epoch: i64, attempts: i64) -> Lease {
    Lease {
        id: chunk_id(0),
        epoch,
        owner: "ann".into(),
        attempts,
        seconds: LEASE_SECONDS,
        isolate: false,
    }
}

#[test]
fn writing_under_a_lease() {
    let lease = lease(1, 1);
    let failed = || Some(chunk_item(Failed, 1, "ann", PAST));
    let again = || Some(chunk_item(Leased, 2, "ann", LIVE));
    let other = || Some(chunk_item(Leased, 1, "bob", LIVE));
    let restored = "after the ledger went back in time, its epochs are given again";
    for (write, harm) in [
        (renew(&lease, Stage::Sinking, NOW), "a chunk that was given up looks alive"),
        (give_back(&lease), "a chunk that was given up comes back"),
        (complete(&lease, &outcome("o")), "a chunk reported as failed is DONE"),
    ] {
        check_clauses(
            &write,
            &[
                ("state = LEASED", Wrong(failed(), harm)),
                ("epoch = 1", Wrong(again(), "a late write of an earlier attempt lands")),
                ("owner = ann", Wrong(other(), restored)),
            ],
        );
    }
}

#[test]
fn giving_up_what_it_holds() {
    let (done, later) = (chunk_item(Done, 1, "ann", LIVE), chunk_item(Leased, 2, "ann", LIVE));
    let other = chunk_item(Leased, 1, "bob", LIVE);
    let write = give_up(&lease(1, 1), &failure("poison"), NOW);
    for stored in [done, later, other] {
        assert!(!write.guard.holds(Some(&stored)));
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of clauses")]
fn giving_up_what_nobody_holds() {
    // Read at epoch 1 with its attempts used up: the lease that was not taken is of epoch 2.
    let used_up = |state, until| {
        with(chunk_item(state, 1, "bob", until), &[("attempts", ATTEMPTS_MAX.into())])
    };
    let unowned = "or (epoch = 1 and attempts = 5 and (state = READY or lease_until < 1000000) \
         and state in READY LEASED)";
    let write = give_up(&lease(2, ATTEMPTS_MAX + 1), &failure("attempts"), NOW);
    let given_back = with(chunk_item(Ready, 1, "bob", PAST), &[("attempts", 0_i64.into())]);
    let next = with(used_up(Leased, PAST), &[("epoch", 3_i64.into())]);
    let mine = chunk_item(Leased, 2, "ann", LIVE);
    let restored = chunk_item(Leased, 2, "bob", LIVE);
    let done = with(mine.clone(), &[("state", "DONE".into())]);
    let later = with(mine.clone(), &[("epoch", 4_i64.into())]);
    check_clauses(
        &write,
        &[
            (
                "or (state = LEASED and epoch = 2 and owner = ann)",
                Needed(Some(mine), "a worker that cannot go on"),
            ),
            ("state = LEASED", Wrong(Some(done), "a DONE chunk is reported as failed")),
            ("epoch = 2", Wrong(Some(later), "a late write of an earlier attempt lands")),
            ("owner = ann", Wrong(Some(restored), "a ledger that went back in time")),
            (unowned, Needed(Some(used_up(Leased, PAST)), "five workers died on it")),
            ("epoch = 1", Wrong(Some(next), "somebody took it meanwhile")),
            (
                "attempts = 5",
                Wrong(Some(given_back), "a worker thought dead gave it back in good order"),
            ),
            (
                "(state = READY or lease_until < 1000000)",
                Wrong(Some(used_up(Leased, LIVE)), "the last worker lives and renews"),
            ),
            (
                "or state = READY",
                Needed(Some(used_up(Ready, LIVE)), "nobody holds it, whatever the old lease says"),
            ),
            ("or lease_until < 1000000", Needed(Some(used_up(Leased, PAST)), "they all died")),
            (
                "state in READY LEASED",
                Wrong(Some(used_up(Done, PAST)), "a DONE chunk is reported as failed"),
            ),
        ],
    );
}
