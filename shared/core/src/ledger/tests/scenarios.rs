//! What goes wrong in the field, and how the ledger answers: chunks and groups.

use super::fixtures::*;
use crate::ids::CHUNKS_PER_GROUP;
use crate::ledger::*;
use crate::time::EpochSeconds;

#[test]
fn a_zombie_cannot_complete_after_a_take_over() {
    let mut store = Store::default();
    let zombie = hold_lease(&mut store, &chunk_id(0), &worker("zombie"), NOW);
    let lease = hold_lease(&mut store, &chunk_id(0), &worker("ann"), NOW.plus(61));
    store.must_refuse(&complete(&zombie, &outcome("zombie's")));
    store.must(&complete(&lease, &outcome("ann's")));
    assert_eq!(store.chunk(&chunk_id(0)).unwrap().outcome, Some(outcome("ann's")));
}

#[test]
fn of_two_acquirers_of_one_epoch_one_wins() {
    let mut store = Store::default();
    for now in [NOW, NOW.plus(61), NOW.plus(122)] {
        let (first, _) = try_acquire(&store, &chunk_id(0), &worker("ann"), now);
        let (second, _) = try_acquire(&store, &chunk_id(0), &worker("bob"), now);
        store.must(&first);
        store.must_refuse(&second);
    }
}

#[test]
fn a_lease_holds_through_its_last_second_and_no_longer() {
    let mut store = Store::default();
    hold_lease(&mut store, &chunk_id(0), &worker("ann"), NOW);
    let decide = |store: &Store, now| {
        acquire(&chunk_id(0), store.chunk(&chunk_id(0)).as_ref(), &worker("bob"), now)
    };
    let until = NOW.plus(LEASE_SECONDS);
    assert_eq!(decide(&store, until), Acquire::Busy(until));
    assert!(matches!(decide(&store, until.plus(1)), Acquire::Try(..)));
}

#[test]
fn a_renewed_lease_is_not_taken_by_who_read_it_before() {
    let mut store = Store::default();
    let lease = hold_lease(&mut store, &chunk_id(0), &worker("ann"), NOW);
    let later = NOW.plus(61);
    let (write, _) = try_acquire(&store, &chunk_id(0), &worker("bob"), later);
    store.must(&renew(&lease, Stage::Sinking, later));
    store.must_refuse(&write);
    store.must(&complete(&lease, &outcome("o")));
}

#[test]
fn a_chunk_that_was_given_back_costs_no_attempt() {
    let mut store = Store::default();
    for round in 1..=2 * ATTEMPTS_MAX {
        let lease = hold_lease(&mut store, &chunk_id(0), &worker("ann"), NOW);
        assert_eq!((lease.epoch, lease.attempts), (round, 1));
        store.must(&give_back(&lease));
    }
}

/// Deaths after which a whole chunk is given up: at work on it, then at cutting it.
const DEATHS_MAX: i64 = ATTEMPTS_MAX + ISOLATIONS_MAX;

/// As many workers die on chunk 0; what the next one is told, at the end of the last lease.
fn too_many_deaths(store: &mut Store) -> Lease {
    let mut now = NOW;
    for death in 1..=DEATHS_MAX {
        let lease = hold_lease(store, &chunk_id(0), &worker("dead"), now);
        assert_eq!((lease.attempts, lease.isolate), (death, death > ATTEMPTS_MAX));
        continue_after(&mut now);
    }
    given_up(store, now)
}

fn continue_after(now: &mut EpochSeconds) {
    *now = now.plus(LEASE_SECONDS + 1);
}

fn given_up(store: &Store, now: EpochSeconds) -> Lease {
    let chunk = store.chunk(&chunk_id(0)).unwrap();
    match acquire(&chunk_id(0), Some(&chunk), &worker("next"), now) {
        Acquire::GiveUp(lease) => lease,
        other @ (Acquire::Try(..)
        | Acquire::Done(_)
        | Acquire::Split(_)
        | Acquire::Busy(_)
        | Acquire::Failed) => panic!("{other:?}"),
    }
}

const AFTER_ALL: EpochSeconds = EpochSeconds(NOW.0 + DEATHS_MAX * (LEASE_SECONDS + 1));

#[test]
fn a_chunk_that_kills_five_workers_is_given_up_and_stays_so() {
    let mut store = Store::default();
    let lease = too_many_deaths(&mut store);
    store.must(&give_up(&lease, &failure("attempts"), AFTER_ALL));
    let chunk = store.chunk(&chunk_id(0)).unwrap();
    assert_eq!(chunk.state, ChunkState::Failed);
    assert_eq!(chunk.failure, Some(failure("attempts")));
    let again = acquire(&chunk_id(0), Some(&chunk), &worker("seventh"), NOW.plus(100_000));
    assert_eq!(again, Acquire::Failed);
}

#[test]
fn a_chunk_given_back_by_a_worker_thought_dead_is_not_given_up() {
    let mut store = Store::default();
    let lease = too_many_deaths(&mut store);
    let alive =
        Lease { epoch: DEATHS_MAX, attempts: DEATHS_MAX, owner: "dead".into(), ..lease.clone() };
    store.must(&give_back(&alive));
    store.must_refuse(&give_up(&lease, &failure("attempts"), AFTER_ALL));
    assert_eq!(store.chunk(&chunk_id(0)).unwrap().state, ChunkState::Ready);
}

#[test]
fn a_run_treats_leases_of_other_runs_as_free_and_never_its_own() {
    let mut store = Store::default();
    let before = hold_lease(&mut store, &chunk_id(0), &worker_of("ann", "before"), NOW);
    let chunk = |store: &Store| store.chunk(&chunk_id(0));
    let own = acquire(&chunk_id(0), chunk(&store).as_ref(), &worker_of("bob", "before"), NOW);
    assert_eq!(own, Acquire::Busy(NOW.plus(LEASE_SECONDS)));
    let lambda = acquire(&chunk_id(0), chunk(&store).as_ref(), &worker("bob"), NOW);
    assert_eq!(lambda, Acquire::Busy(NOW.plus(LEASE_SECONDS)));

    let lease = hold_lease(&mut store, &chunk_id(0), &worker_of("bob", "now"), NOW);
    store.must_refuse(&complete(&before, &outcome("o")));
    assert_eq!(chunk(&store).unwrap().run, Some("now".into()));
    let own = acquire(&chunk_id(0), chunk(&store).as_ref(), &worker_of("eve", "now"), NOW);
    assert_eq!(own, Acquire::Busy(NOW.plus(LEASE_SECONDS)));
    store.must(&complete(&lease, &outcome("o")));
    let done = acquire(&chunk_id(0), chunk(&store).as_ref(), &worker_of("eve", "later"), NOW);
    assert_eq!(done, Acquire::Done(outcome("o")));
}

#[test]
fn a_worker_without_a_run_leaves_no_trace_of_an_earlier_run() {
    let mut store = Store::default();
    hold_lease(&mut store, &chunk_id(0), &worker_of("ann", "before"), NOW);
    hold_lease(&mut store, &chunk_id(0), &worker("bob"), NOW.plus(61));
    assert_eq!(store.chunk(&chunk_id(0)).unwrap().run, None);
}

#[test]
fn a_chunk_is_not_charged_for_runs_that_were_ended_over_it() {
    let mut store = Store::default();
    for run in 0..3 * DEATHS_MAX {
        let ended = worker_of("ended", &format!("run {run}"));
        assert_eq!(hold_lease(&mut store, &chunk_id(0), &ended, NOW).attempts, 1);
    }
    // Deaths within one run are the chunk's.
    for death in 1..=DEATHS_MAX {
        let now = NOW.plus(death * (LEASE_SECONDS + 1));
        let lease = hold_lease(&mut store, &chunk_id(0), &worker_of("dead", "last"), now);
        assert_eq!(lease.attempts, death);
    }
    let chunk = store.chunk(&chunk_id(0)).unwrap();
    let after = NOW.plus((DEATHS_MAX + 1) * (LEASE_SECONDS + 1));
    let next = acquire(&chunk_id(0), Some(&chunk), &worker_of("next", "last"), after);
    let Acquire::GiveUp(lease) = next else { panic!("its attempts are used up") };
    store.must(&give_up(&lease, &failure("attempts"), after));
}

fn chunks(group: u32, done: u32, ready: u32) -> Vec<(ChunkId, Chunk)> {
    let read = |state| Chunk::from_item(&chunk_item(state, 1, "ann", 0)).unwrap();
    let first = group * CHUNKS_PER_GROUP;
    let state = |n| if n < done { ChunkState::Done } else { ChunkState::Ready };
    (0..done + ready).map(|n| (chunk_id(first + n), read(state(n)))).collect()
}

#[test]
fn a_group_closes_exactly_when_all_its_chunks_are_done() {
    let closes = |group, count, done, ready| {
        close_group(&facts(1).job, group, count, &chunks(group, done, ready)).is_some()
    };
    assert!(closes(0, 3, 3, 0));
    assert!(!closes(0, 3, 2, 0), "one was never begun");
    assert!(!closes(0, 3, 2, 1), "one is not done");
    assert!(!closes(0, 3, 3, 1), "there is one too many");
    assert!(!closes(0, 3, 4, 0), "there is one too many");
    assert!(closes(0, 100, 64, 0) && closes(1, 100, 36, 0));
    assert!(!closes(1, 100, 64, 0));
}

#[test]
fn groups_partition_the_chunks_of_a_job() {
    for count in [0, 1, 63, 64, 65, 128, 1000] {
        let lengths = (0..group_count(count)).map(|group| group_len(count, group));
        assert!(lengths.clone().all(|length| (1..=CHUNKS_PER_GROUP).contains(&length)));
        assert_eq!(lengths.sum::<u32>(), count);
        assert_eq!(group_len(count, group_count(count)), 0);
    }
    assert_eq!(group_len(u32::MAX, u32::MAX), 0);
    assert_eq!((chunk_id(63).group(), chunk_id(64).group()), (0, 1));
}

#[test]
fn keys_of_jobs_groups_and_chunks_differ_and_sort_by_number() {
    let job = facts(1).job;
    assert_ne!(Job::key(&job), group_key(&job, 0));
    assert_eq!(Job::key(&job).pk, group_key(&job, 7).pk);
    assert!(chunk_id(9).key().sk < chunk_id(10).key().sk);
    assert_eq!(chunk_id(70).key().pk, ChunkId::group_pk(&job, 1));
    assert_ne!(chunk_id(70).key().pk, ChunkId::group_pk(&job, 0));
}

#[test]
fn an_item_of_the_wrong_kind_is_an_error_that_names_it() {
    let broken = with(chunk_item(ChunkState::Ready, 1, "a", 0), &[("epoch", "1".into())]);
    let error = Chunk::from_item(&broken).unwrap_err();
    assert_eq!(error.name, "epoch");
    assert!(error.to_string().contains("C#000000") && error.to_string().contains("`epoch`"));
    let broken = with(job_item(JobState::Held, 1), &[("state", "ASLEEP".into())]);
    assert_eq!(Job::from_item(&broken).unwrap_err().name, "state");
    let broken = with(job_item(JobState::Held, 1), &[("hold", "{".into())]);
    assert_eq!(Job::from_item(&broken).unwrap_err().name, "hold");
}
