//! What was given up comes back by request, and sinks that do not answer.

use super::fixtures::*;
use crate::ledger::*;
use crate::time::EpochSeconds;

/// A worker gives chunk 0 up; its lease.
fn fail_chunk(store: &mut Store, owner: &str) -> Lease {
    let lease = hold_lease(store, &chunk_id(0), &worker(owner), NOW);
    store.must(&give_up(&lease, &failure("poison"), NOW));
    lease
}

fn bring_back(store: &Store, request: &str) -> Option<Write> {
    redrive_chunk(&chunk_id(0), &store.chunk(&chunk_id(0)).unwrap(), request)
}

#[test]
fn a_request_brings_a_chunk_back_once_however_often_it_is_delivered() {
    let mut store = Store::default();
    fail_chunk(&mut store, "ann");
    store.must(&bring_back(&store, "q").unwrap());
    let chunk = store.chunk(&chunk_id(0)).unwrap();
    assert_eq!((chunk.state, chunk.epoch), (ChunkState::Ready, 2));
    assert_eq!((chunk.attempts, chunk.sink_deaths, chunk.failure), (0, 0, None));
    assert_eq!(bring_back(&store, "q"), None);
    // It fails again: the second delivery of the request finds its work done.
    fail_chunk(&mut store, "bob");
    store.must(&bring_back(&store, "q").unwrap());
    assert_eq!(store.chunk(&chunk_id(0)).unwrap().state, ChunkState::Failed);
    store.must(&bring_back(&store, "r").unwrap());
    assert_eq!(store.chunk(&chunk_id(0)).unwrap().state, ChunkState::Ready);
}

#[test]
fn of_two_requests_at_a_time_one_brings_the_chunk_back() {
    for (second, stands) in [("q", true), ("r", false)] {
        let mut store = Store::default();
        fail_chunk(&mut store, "ann");
        let writes = [bring_back(&store, "q").unwrap(), bring_back(&store, second).unwrap()];
        store.must(&writes[0]);
        assert_eq!(store.perform(&writes[1]).stands(), stands, "{second}");
        assert_eq!(store.chunk(&chunk_id(0)).unwrap().epoch, 2);
        // Nor does the one that lost undo what came of the other.
        let lease = hold_lease(&mut store, &chunk_id(0), &worker("bob"), NOW);
        store.perform(&writes[1]);
        store.must(&complete(&lease, &outcome("o")));
        store.perform(&writes[1]);
        assert_eq!(store.chunk(&chunk_id(0)).unwrap().outcome, Some(outcome("o")));
    }
}

#[test]
fn nothing_sent_before_a_redrive_takes_effect_after_it() {
    let mut store = Store::default();
    let mut now = NOW;
    for _ in 0..ATTEMPTS_MAX + ISOLATIONS_MAX {
        hold_lease(&mut store, &chunk_id(0), &worker("dead"), now);
        now = now.plus(LEASE_SECONDS + 1);
    }
    let unowned = |store: &Store, owner| {
        let chunk = store.chunk(&chunk_id(0));
        match acquire(&chunk_id(0), chunk.as_ref(), &worker(owner), now) {
            Acquire::GiveUp(lease) => give_up(&lease, &failure("poison"), now),
            other @ (Acquire::Try(..)
            | Acquire::Done(_)
            | Acquire::Split(_)
            | Acquire::Busy(_)
            | Acquire::Failed) => panic!("{other:?}"),
        }
    };
    let dead = Lease { epoch: ATTEMPTS_MAX + ISOLATIONS_MAX, ..fixed_lease("dead") };
    let late = [
        unowned(&store, "late"),
        give_up(&dead, &failure("poison"), now),
        give_back(&dead),
        complete(&dead, &outcome("late")),
        renew(&dead, Stage::Sinking, now),
        split(&dead, &cut(&range(0, 2)).unwrap()),
    ];
    store.must(&unowned(&store, "ann"));
    store.must(&bring_back(&store, "q").unwrap());
    for write in &late {
        store.must_refuse(write);
    }
    let lease = hold_lease(&mut store, &chunk_id(0), &worker("bob"), now);
    let epoch = ATTEMPTS_MAX + ISOLATIONS_MAX + 2;
    assert_eq!((lease.epoch, lease.attempts, lease.isolate), (epoch, 1, false));
    for write in &late {
        store.must_refuse(write);
    }
    store.must(&complete(&lease, &outcome("o")));
}

fn fixed_lease(owner: &str) -> Lease {
    Lease {
        id: chunk_id(0),
        epoch: 1,
        owner: owner.into(),
        attempts: 1,
        seconds: LEASE_SECONDS,
        isolate: false,
    }
}

#[test]
fn a_part_that_was_given_up_comes_back_as_a_part() {
    let mut store = Store::default();
    let id = part_id("10");
    let lease = hold_lease(&mut store, &id, &worker("ann"), NOW);
    store.must(&give_up(&lease, &failure("poison"), NOW));
    store.must(&redrive_chunk(&id, &store.chunk(&id).unwrap(), "q").unwrap());
    let lease = hold_lease(&mut store, &id, &worker("bob"), NOW);
    assert_eq!((lease.id, lease.attempts, lease.isolate), (id, 1, false));
}

fn blocked(store: &mut Store, approved: bool) -> Job {
    store.must(&create(&facts(1), NOW));
    let job = |store: &Store| store.job(&facts(1).job).unwrap();
    store.must(&seal_plan(&job(store), &plan_ref("p"), Some(1), NOW));
    if approved {
        store.must(&hold(&job(store), HoldReason::Rejected, "too many", "totals", NOW));
        store.must(&approve(&job(store), "ann", "fine", 1, NOW).unwrap());
    }
    store.must(&block(&job(store), &failure("poison"), NOW));
    job(store)
}

#[test]
fn a_job_that_comes_back_is_judged_anew() {
    let mut store = Store::default();
    let job = blocked(&mut store, true);
    assert!(job.is_approved("totals"));
    store.must(&redrive_job(&job, NOW).unwrap());
    let back = store.job(&job.facts.job).unwrap();
    assert_eq!((back.state, back.rev), (JobState::Running, job.rev + 1));
    assert_eq!((back.failure.clone(), back.approval.clone()), (None, None));
    // A list that was frozen, or a verdict that was reached, before it is about another state.
    store.must_refuse(&begin_commit(&job, &plan_ref("i"), NOW));
    store.must_refuse(&fail(&Job { state: JobState::Running, ..job.clone() }, &failure("x"), NOW));
    store.must(&redrive_job(&job, NOW).unwrap());
    assert_eq!(store.job(&job.facts.job).unwrap().rev, job.rev + 1);
    // It is blocked again: the old request does nothing.
    let back = store.job(&job.facts.job).unwrap();
    store.must(&block(&back, &failure("poison"), NOW));
    store.must_refuse(&redrive_job(&job, NOW).unwrap());
}

#[test]
fn a_block_that_lands_late_does_not_block_a_job_that_came_back() {
    let mut store = Store::default();
    let job = blocked(&mut store, false);
    let late = block(&job, &failure("poison"), NOW);
    store.must(&redrive_job(&job, NOW).unwrap());
    store.must_refuse(&late);
    assert_eq!(store.job(&job.facts.job).unwrap().state, JobState::Running);
}

#[test]
fn a_worker_whose_mark_was_answered_late_still_tells_when_others_have_looked_since() {
    let mut store = Store::default();
    let mark = mark_unavailable("orders", "mine", NOW);
    assert!(store.send(&mark, "w1").stands());
    store.must(&extend_outage("orders", &outage(&store).unwrap(), NOW));
    assert!(store.send(&mark, "w1").stands(), "its answer was lost: it is sent again");
    store.must_refuse(&mark_unavailable("orders", "other", NOW));
}

#[test]
fn a_job_that_was_overtaken_does_not_come_back() {
    let mut store = Store::default();
    let job = blocked(&mut store, false);
    let write = redrive_job(&job, NOW).unwrap();
    store.must(&supersede(&job.facts.job, NOW));
    store.must_refuse(&write);
    assert_eq!(redrive_job(&store.job(&job.facts.job).unwrap(), NOW), None);
}

#[test]
fn a_blocked_job_rests_outside_the_index_until_it_comes_back() {
    let mut store = Store::default();
    let job = blocked(&mut store, false);
    let due = |store: &Store| {
        let item = &store.items[&Job::key(&job.facts.job)];
        (item.contains_key("due_shard"), Fields(item).number("due_at"))
    };
    let later = NOW.plus(1000);
    store.must(&postpone_job(&job, later));
    let (listed, at) = due(&store);
    assert!(listed && at > Some(later.0));
    store.must(&rest_job(&job));
    assert_eq!(due(&store), (false, None));
    store.must(&redrive_job(&job, NOW).unwrap());
    assert!(due(&store).0);
    store.must_refuse(&postpone_job(&job, NOW));
    let running = store.job(&job.facts.job).unwrap();
    store.must_refuse(&rest_job(&running));
    assert!(due(&store).0);
}

fn outage(store: &Store) -> Option<Outage> {
    let item = store.items.get(&Outage::key("orders"))?;
    Outage::from_item(item).unwrap()
}

#[test]
fn of_many_that_find_a_sink_dead_one_tells_whatever_answers_are_lost() {
    // Each worker's write is sent up to three times under its id; the answers of all but the last
    // send are lost. Every order of the sends of three workers:
    let writes: Vec<Write> =
        (0..3).map(|n| mark_unavailable("orders", &format!("m{n}"), NOW.plus(n % 2))).collect();
    let mut orders = vec![vec![]];
    for _ in 0..5 {
        let longer = orders
            .iter()
            .flat_map(|order| (0..3).map(|worker| [order.as_slice(), &[worker]].concat()));
        orders = longer.collect();
    }
    for order in orders {
        let mut store = Store::default();
        let mut last = [None, None, None];
        for worker in order.iter().copied() {
            let performed = store.send(&writes[worker], &format!("w{worker}"));
            last[worker] = Some(performed.stands());
        }
        let tell = last.iter().filter(|stands| **stands == Some(true)).count();
        assert_eq!(tell, 1, "{order:?}");
        assert_eq!(last[order[0]], Some(true), "the first one tells: {order:?}");
        let since = writes[order[0]].set["since"].clone();
        assert_eq!(store.items[&Outage::key("orders")]["since"], since);
    }
}

#[test]
fn of_looking_again_and_ending_an_outage_both_orders_end_it() {
    for end_first in [true, false] {
        let mut store = Store::default();
        store.must(&mark_unavailable("orders", "m", NOW));
        let seen = outage(&store).unwrap();
        let (extend, end) = (extend_outage("orders", &seen, NOW), end_outage("orders", &seen));
        if end_first {
            store.must(&end);
            store.must_refuse(&extend);
        } else {
            store.must(&extend);
            store.must(&end);
        }
        assert_eq!(outage(&store), None);
        store.must(&end);
        store.must_refuse(&extend);
        // The next outage is told of again, and nothing of the last one touches it.
        store.must(&mark_unavailable("orders", "next", NOW.plus(500)));
        store.must_refuse(&extend);
        store.must_refuse(&end);
        let next = outage(&store).unwrap();
        assert_eq!((next.since, next.looks), (NOW.plus(500), 1));
    }
}

#[test]
fn the_wait_between_two_looks_doubles_to_four_minutes_and_two_lookers_count_once() {
    let mut store = Store::default();
    store.must(&mark_unavailable("orders", "m", NOW));
    let wait = |store: &Store, now: EpochSeconds| outage(store).unwrap().retry_at.0 - now.0;
    let mut waits = vec![wait(&store, NOW)];
    for _ in 0..20 {
        let now = outage(&store).unwrap().retry_at;
        let look = extend_outage("orders", &outage(&store).unwrap(), now);
        store.must(&look);
        store.must_refuse(&look);
        waits.push(wait(&store, now));
    }
    assert_eq!(waits[..6], [15, 30, 60, 120, 240, 240]);
    assert!(waits[6..].iter().all(|wait| *wait == 240));
    assert_eq!(outage(&store).unwrap().since, NOW);
}

#[test]
fn outages_of_two_pipelines_are_apart() {
    let mut store = Store::default();
    store.must(&mark_unavailable("orders", "m", NOW));
    store.must(&mark_unavailable("returns", "m", NOW));
    store.must(&end_outage("orders", &outage(&store).unwrap()));
    assert!(store.items[&Outage::key("returns")].contains_key("since"));
}
