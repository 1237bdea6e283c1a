//! The own-write rule: a refused condition is judged by what is stored, never taken at its word.

use super::fixtures::*;
use crate::ledger::*;

/// A lost answer: the write happened, and the SDK sends it once more under its id.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) write: Write,
    pub(super) before: Option<Item>,
}

fn sent(write: Write, before: Option<Item>) -> Sent {
    Sent { write, before }
}

fn job_writes() -> Vec<Sent> {
    use JobState::*;
    let at = |state| Some(job_item(state, 0));
    let read = |state| job_in(state, 0);
    let id = facts(1).job;
    vec![
        sent(create(&facts(1), NOW), None),
        sent(save_planning(&read(Planning), "p", NOW), at(Planning)),
        sent(seal_plan(&read(Planning), &plan_ref("p"), Some(3), NOW), at(Planning)),
        sent(set_chunk_count(&id, 3), at(Running)),
        sent(begin_commit(&read(Running), &plan_ref("i"), NOW), at(Running)),
        sent(end_commit(&read(Committing), "m", NOW), at(Committing)),
        sent(supersede_committing(&id, NOW), at(Committing)),
        sent(supersede(&id, NOW), at(Held)),
        sent(block(&read(Running), &failure("poison"), NOW), at(Running)),
        sent(hold(&read(Running), HoldReason::Rejected, "m", "t", NOW), at(Running)),
        sent(approve(&read(Held), "ann", "fine", 1, NOW).unwrap(), at(Held)),
        sent(discard(&read(Held), "ann", "no", NOW).unwrap(), at(Held)),
        sent(fail(&read(Running), &failure("codec"), NOW), at(Running)),
    ]
}

fn slot_writes() -> Vec<Sent> {
    let head = |slot: Option<&Slot>, etag: &str, modified| match observe(
        &slot_id(),
        slot,
        &object("a.csv", etag, modified),
        NOW,
        0,
    ) {
        Observed::NewHead { write, .. } => *write,
        other @ (Observed::IsHead { .. } | Observed::Older | Observed::Reverted) => {
            panic!("{other:?}")
        }
    };
    let first = head(None, "v1", 10);
    let item = first.apply(None, "earlier").unwrap();
    let second = head(Some(&Slot::from_item(&item).unwrap()), "v2", 20);
    let job = job_in(JobState::Committing, 0);
    let committed = commit_slot(&job, "m").apply(Some(&item), "earlier").unwrap();
    let read = Slot::from_item(&committed).unwrap();
    vec![
        sent(first, None),
        sent(second, Some(item.clone())),
        sent(commit_slot(&job, "m"), Some(item)),
        sent(settle_slot(&job), Some(committed.clone())),
        sent(rest_slot(&read), Some(committed.clone())),
        sent(revert(&read, &facts(1), NOW).0, Some(committed.clone())),
        sent(raise_manifest(&job, "m", "m1"), Some(committed)),
    ]
}

fn chunk_writes() -> Vec<Sent> {
    let mut store = Store::default();
    let (acquired, lease) = try_acquire(&store, &chunk_id(0), &worker("ann"), NOW);
    store.must(&acquired);
    let halves = cut(&range(0, 2)).unwrap();
    let failed = chunk_item(ChunkState::Failed, 1, "ann", 0);
    let redrive = redrive_chunk(&chunk_id(0), &Chunk::from_item(&failed).unwrap(), "q").unwrap();
    let before = [("outcome", stored(&outcome("o")))];
    let swapped = Some(with(chunk_item(ChunkState::Done, 1, "ann", 0), &before));
    let leased = || store.items.get(&chunk_id(0).key()).cloned();
    let done = Chunk::from_item(&chunk_item(ChunkState::Done, 1, "ann", 0)).unwrap();
    vec![
        sent(acquired, None),
        sent(renew(&lease, Stage::Decoding, NOW.plus(1)), leased()),
        sent(give_back(&lease), leased()),
        sent(complete(&lease, &outcome("o")), leased()),
        sent(give_up(&lease, &failure("poison"), NOW), leased()),
        sent(split(&lease, &halves), leased()),
        sent(redrive, Some(failed)),
        sent(swap_outcome(&chunk_id(0), &outcome("o"), &outcome("p")), swapped),
        sent(close_group(&facts(1).job, 0, 1, &[(chunk_id(0), done)]).unwrap(), None),
    ]
}

fn redrive_and_replay_writes() -> Vec<Sent> {
    use JobState::*;
    let at = |state| Some(job_item(state, 1));
    let read = |state| job_in(state, 1);
    let lock = replay_lock("replay");
    let locked = |state| with(job_item(state, 1), &[("replay", stored(&lock))]);
    let unlock = |state| {
        let parent = Job::from_item(&locked(state)).unwrap();
        sent(unlock_after_replay(&parent, &lock, Some(&plan_ref("m")), NOW), Some(locked(state)))
    };
    vec![
        sent(redrive_job(&read(Blocked), NOW).unwrap(), at(Blocked)),
        sent(redrive_job(&read(Failed), NOW).unwrap(), at(Failed)),
        sent(postpone_job(&read(Running), NOW.plus(1)), at(Running)),
        sent(rest_job(&read(Blocked)), at(Blocked)),
        sent(create_replay(&replay_facts("replay"), &plan_ref("p"), 2, NOW), None),
        sent(lock_for_replay(&read(Committed), 1, &lock), at(Committed)),
        sent(lock_for_replay(&read(Held), 1, &lock), at(Held)),
        unlock(Committed),
        unlock(Held),
        unlock(Superseded),
    ]
}

fn outage_writes() -> Vec<Sent> {
    let mark = mark_unavailable("orders", "m1", NOW);
    let item = mark.apply(None, "earlier").unwrap();
    let outage = Outage::from_item(&item).unwrap().unwrap();
    let end = end_outage("orders", &outage);
    let well = end.apply(Some(&item), "earlier").unwrap();
    vec![
        sent(mark.clone(), None),
        sent(mark, Some(well)),
        sent(extend_outage("orders", &outage, NOW.plus(15)), Some(item.clone())),
        sent(end, Some(item)),
    ]
}

pub(super) fn all_writes() -> Vec<Sent> {
    let old = [job_writes(), slot_writes(), chunk_writes()];
    [old.concat(), redrive_and_replay_writes(), outage_writes()].concat()
}

/// Writes that one worker alone may count as its own: it doubles the wait.
const ALONE: [&str; 1] = ["extend_outage"];

#[test]
fn a_write_whose_answer_was_lost_stands_when_sent_again() {
    for Sent { write, before } in all_writes() {
        let after = write.apply(before.as_ref(), "mine").unwrap();
        match write.apply(Some(&after), "mine") {
            Some(again) => assert_eq!(again, after, "{} is not idempotent", write.name),
            None => assert!(write.judge(Some(after), "mine").stands(), "{}", write.name),
        }
    }
}

#[test]
fn its_own_id_is_enough_where_nothing_else_tells() {
    for Sent { mut write, before } in all_writes() {
        let after = write.apply(before.as_ref(), "mine").unwrap();
        write.effect = Guard::Never;
        assert!(write.judge(Some(after), "mine").stands(), "{}", write.name);
    }
}

#[test]
fn an_equal_write_of_somebody_else_stands_unless_one_alone_may_make_it() {
    for Sent { write, before } in all_writes() {
        let after = write.apply(before.as_ref(), "theirs").unwrap();
        let stands = write.apply(Some(&after), "mine").is_some()
            || write.judge(Some(after), "mine").stands();
        assert_eq!(stands, !ALONE.contains(&write.name), "{}", write.name);
    }
}

#[test]
fn what_is_refused_leaves_what_is_stored_to_decide_again() {
    for Sent { write, before } in all_writes() {
        let performed = write.judge(before.clone(), "mine");
        // Before it happened there is no effect: a judgement that says otherwise loses the write.
        assert_eq!(performed, Performed::Refused(before), "{}", write.name);
    }
}

#[test]
fn a_successors_state_is_a_refusal() {
    let (live, past) = (NOW.0 + 60, NOW.0 - 60);
    let mut store = Store::default();
    let lease = hold_lease(&mut store, &chunk_id(0), &worker("ann"), NOW);
    let successors = [
        chunk_item(ChunkState::Leased, 2, "bob", live),
        chunk_item(ChunkState::Leased, 2, "bob", past),
        chunk_item(ChunkState::Ready, 2, "bob", past),
        with(
            chunk_item(ChunkState::Split, 2, "bob", past),
            &[("split", stored(&cut(&range(0, 4))))],
        ),
    ];
    for stored in successors {
        for write in [
            renew(&lease, Stage::Sinking, NOW),
            give_back(&lease),
            complete(&lease, &outcome("o")),
            give_up(&lease, &failure("poison"), NOW),
            split(&lease, &cut(&range(0, 2)).unwrap()),
        ] {
            assert_eq!(write.apply(Some(&stored), "mine"), None);
            let judged = write.judge(Some(stored.clone()), "mine");
            assert_eq!(judged, Performed::Refused(Some(stored.clone())), "{}", write.name);
        }
    }
}

#[test]
fn another_outcome_of_a_successor_is_a_refusal_and_an_equal_one_stands() {
    let mut store = Store::default();
    let first = hold_lease(&mut store, &chunk_id(0), &worker("ann"), NOW);
    let second = hold_lease(&mut store, &chunk_id(0), &worker("bob"), NOW.plus(100));
    store.must(&complete(&second, &outcome("same bytes")));
    store.must_refuse(&complete(&first, &outcome("other bytes")));
    store.must_refuse(&give_up(&first, &failure("poison"), NOW.plus(200)));
    store.must(&complete(&first, &outcome("same bytes")));
    assert_eq!(store.chunk(&chunk_id(0)).unwrap().outcome, Some(outcome("same bytes")));
}

#[test]
fn a_write_that_lands_after_its_sender_was_fenced_changes_nothing() {
    let mut store = Store::default();
    let first = hold_lease(&mut store, &chunk_id(0), &worker("ann"), NOW);
    let late = [
        renew(&first, Stage::Sinking, NOW.plus(1)),
        give_back(&first),
        complete(&first, &outcome("ann's")),
        give_up(&first, &failure("poison"), NOW.plus(1000)),
        split(&first, &cut(&range(0, 2)).unwrap()),
    ];
    let later = NOW.plus(100);
    let second = hold_lease(&mut store, &chunk_id(0), &worker("bob"), later);
    for write in &late {
        store.must_refuse(write);
    }
    store.must(&give_back(&second));
    for write in &late {
        store.must_refuse(write);
    }
    let third = hold_lease(&mut store, &chunk_id(0), &worker("eve"), later);
    store.must(&complete(&third, &outcome("eve's")));
    for write in &late {
        store.must_refuse(write);
    }
}

#[test]
fn an_acquisition_that_lands_late_is_refused_or_only_costs_time() {
    let mut store = Store::default();
    let (late, ghost) = try_acquire(&store, &chunk_id(0), &worker("ann"), NOW);
    let lease = hold_lease(&mut store, &chunk_id(0), &worker("bob"), NOW);
    store.must_refuse(&late);
    store.must(&give_back(&lease));
    store.must_refuse(&late);
    // Nobody knows that this one landed: the lease runs out and the next worker goes on.
    let (late, _) = try_acquire(&store, &chunk_id(0), &worker("ghost"), NOW);
    store.must(&late);
    let next = hold_lease(&mut store, &chunk_id(0), &worker("eve"), NOW.plus(100));
    store.must_refuse(&complete(&ghost, &outcome("o")));
    store.must(&complete(&next, &outcome("o")));
}
