//! Failed rows go through again, and operators go back.

use super::fixtures::*;
use crate::ids::{JobId, ObjectVersion};
use crate::ledger::*;

fn parent(state: JobState) -> (Store, Job) {
    let mut store = Store::default();
    store.items.insert(Job::key(&facts(1).job), job_item(state, 1));
    let job = store.job(&facts(1).job).unwrap();
    (store, job)
}

fn lock(job: &Job, name: &str) -> Write {
    lock_for_replay(job, job.rev, &replay_lock(name))
}

#[test]
fn of_a_replay_and_any_other_decision_one_stands() {
    let others: [fn(&Job) -> Write; 4] = [
        |job| approve(job, "ann", "fine", 1, NOW).unwrap(),
        |job| discard(job, "ann", "no", NOW).unwrap(),
        |job| lock(job, "second"),
        |job| supersede(&job.facts.job, NOW),
    ];
    for other in others {
        let (mut store, job) = parent(JobState::Held);
        store.must(&other(&job));
        store.must_refuse(&lock(&job, "replay"));

        let (mut store, job) = parent(JobState::Held);
        store.must(&lock(&job, "replay"));
        let write = other(&job);
        let locked = store.job(&job.facts.job).unwrap();
        let superseding = write.name == "supersede";
        assert_eq!(store.perform(&write).stands(), superseding, "{}", write.name);
        // Nor with the revision as it is now.
        if !superseding {
            store.must_refuse(&other(&locked));
        }
        let lock = store.job(&job.facts.job).unwrap().replay;
        assert_eq!(lock, Some(replay_lock("replay")));
    }
}

#[test]
fn a_committed_job_is_changed_by_one_replay_at_a_time() {
    let (mut store, job) = parent(JobState::Committed);
    store.must(&lock(&job, "first"));
    store.must(&lock(&job, "first"));
    store.must_refuse(&lock(&job, "second"));
    let locked = store.job(&job.facts.job).unwrap();
    store.must_refuse(&lock(&locked, "second"));
    // A replay that never had the lock finds itself let go, and takes nothing from who has it.
    store.must(&unlock_after_replay(&locked, &replay_lock("second"), Some(&plan_ref("m2")), NOW));
    assert_eq!(store.job(&job.facts.job).as_ref(), Some(&locked));
    store.must(&unlock_after_replay(&locked, &replay_lock("first"), Some(&plan_ref("m1")), NOW));
    let job = store.job(&job.facts.job).unwrap();
    assert_eq!((job.state, job.rev), (JobState::Committed, 3));
    assert_eq!((job.manifest.as_deref(), job.replay.clone()), (Some("_plans/m1"), None));
    assert!(!store.items[&Job::key(&job.facts.job)].contains_key("due_shard"));
    // The lock of a replay that is over, and one that was planned before it, land too late.
    store.must_refuse(&lock_for_replay(&job, 1, &replay_lock("first")));
    store.must_refuse(&lock_for_replay(&job, 1, &replay_lock("second")));
    store.must(&lock(&job, "second"));
}

#[test]
fn a_held_parent_goes_on_to_be_judged_by_its_new_totals() {
    let (mut store, job) = parent(JobState::Held);
    store.must(&lock(&job, "replay"));
    let locked = store.job(&job.facts.job).unwrap();
    assert!(locked.hold.is_some());
    let unlock = unlock_after_replay(&locked, &replay_lock("replay"), None, NOW);
    store.must(&unlock);
    store.must(&unlock);
    let job = store.job(&job.facts.job).unwrap();
    assert_eq!((job.state, job.rev), (JobState::Running, 3));
    assert_eq!((job.hold.clone(), job.approval.clone(), job.replay.clone()), (None, None, None));
    assert!(store.items[&Job::key(&job.facts.job)].contains_key("due_shard"));
    // The screen from before the replay decides nothing.
    store.must_refuse(&approve(&locked, "ann", "fine", 1, NOW).unwrap());
    store.must(&begin_commit(&job, &plan_ref("i"), NOW));
    store.must(&unlock);
    assert_eq!(store.job(&job.facts.job).unwrap().state, JobState::Committing);
}

/// Nothing of it was processed, so there is nothing to replay; a lock taken by mistake does no harm.
#[test]
fn a_parent_that_was_held_before_its_plan_was_sealed_goes_on_planning() {
    let mut store = Store::default();
    store.must(&create(&facts(1), NOW));
    let job = |store: &Store| store.job(&facts(1).job).unwrap();
    store.must(&hold(&job(&store), HoldReason::Drift, "a column is gone", "header", NOW));
    store.must(&lock(&job(&store), "replay"));
    let unlock = unlock_after_replay(&job(&store), &replay_lock("replay"), None, NOW);
    store.must(&unlock);
    assert_eq!((job(&store).state, job(&store).hold), (JobState::Planning, None));
}

#[test]
fn a_parent_that_is_overtaken_while_it_changes_is_only_let_go() {
    let (mut store, job) = parent(JobState::Held);
    store.must(&lock(&job, "replay"));
    let locked = store.job(&job.facts.job).unwrap();
    store.must(&supersede(&job.facts.job, NOW));
    let stale = unlock_after_replay(&locked, &replay_lock("replay"), None, NOW);
    store.must_refuse(&stale);
    let overtaken = store.job(&job.facts.job).unwrap();
    store.must(&unlock_after_replay(&overtaken, &replay_lock("replay"), None, NOW));
    let job = store.job(&job.facts.job).unwrap();
    assert_eq!((job.state, job.replay), (JobState::Superseded, None));
}

#[test]
fn an_outcome_is_swapped_only_for_the_one_it_was_made_from() {
    let mut store = Store::default();
    let id = chunk_id(0);
    let lease = hold_lease(&mut store, &id, &worker("ann"), NOW);
    store.must_refuse(&swap_outcome(&id, &outcome("o"), &outcome("o1")));
    store.must(&complete(&lease, &outcome("o")));
    let first = swap_outcome(&id, &outcome("o"), &outcome("o1"));
    let rival = swap_outcome(&id, &outcome("o"), &outcome("rival"));
    store.must(&first);
    store.must(&first);
    store.must_refuse(&rival);
    store.must(&swap_outcome(&id, &outcome("o1"), &outcome("o2")));
    store.must_refuse(&first);
    store.must_refuse(&complete(&lease, &outcome("o")));
    let chunk = store.chunk(&id).unwrap();
    assert_eq!(chunk.outcome, Some(outcome("o2")));
    store.must_refuse(&swap_outcome(&chunk_id(1), &outcome("o"), &outcome("o1")));
}

#[test]
fn a_manifest_is_raised_one_revision_at_a_time_while_its_job_is_shown() {
    let (mut store, first) = parent(JobState::Committing);
    store.items.insert(Slot::key(&slot_id()), slot_item(1, None));
    store.must(&commit_slot(&first, "m0"));
    store.must(&raise_manifest(&first, "m0", "m1"));
    store.must(&raise_manifest(&first, "m0", "m1"));
    store.must(&raise_manifest(&first, "m1", "m2"));
    store.must_refuse(&raise_manifest(&first, "m0", "m1"));
    assert_eq!(store.slot().unwrap().manifest.as_deref(), Some("m2"));
    let second = Job { facts: facts(2), ..first.clone() };
    store.must(&commit_slot(&second, "n0"));
    store.must_refuse(&raise_manifest(&first, "m2", "m3"));
    assert_eq!(store.slot().unwrap().manifest.as_deref(), Some("n0"));
}

#[test]
fn a_replay_is_created_once() {
    let mut store = Store::default();
    let write = create_replay(&replay_facts("replay"), &plan_ref("p"), 2, NOW);
    store.must(&write);
    let id = JobId("replay".into());
    store.must(&supersede(&id, NOW));
    store.must(&write);
    assert_eq!(store.job(&id).unwrap().state, JobState::Superseded);
}

fn see(store: &Store, object: &ObjectVersion) -> Observed {
    observe(&slot_id(), store.slot().as_ref(), object, NOW, 0)
}

fn land(store: &mut Store, object: &ObjectVersion) -> JobFacts {
    let Observed::NewHead { write, generation, .. } = see(store, object) else {
        panic!("not a new head: {:?}", object.etag);
    };
    store.must(&write);
    facts_of(object.clone(), generation)
}

/// Two versions, and the operator who went back to the first one.
fn went_back() -> (Store, [ObjectVersion; 2], Write) {
    let mut store = Store::default();
    let versions = [object("a.csv", "v1", 10), object("a.csv", "v2", 20)];
    let first = land(&mut store, &versions[0]);
    land(&mut store, &versions[1]);
    let (write, job, generation) = revert(&store.slot().unwrap(), &first, NOW);
    store.must(&write);
    assert_eq!((generation, store.slot().unwrap().head_job), (3, job));
    (store, versions, write)
}

#[test]
fn the_version_that_an_operator_went_back_from_is_no_news() {
    let (store, [first, second], _) = went_back();
    let slot = store.slot().unwrap();
    assert_eq!(slot.reverted.as_ref().unwrap().to, facts_of(first.clone(), 1).job);
    assert!(slot.was_reverted(&second) && slot.is_head(&first));
    assert_eq!(see(&store, &second), Observed::Reverted);
    let head = Observed::IsHead { job: slot.head_job, generation: 3 };
    assert_eq!(see(&store, &first), head);
    // The same bytes under another key are another file.
    let elsewhere = ObjectVersion { key: "b.csv".into(), last_modified: NOW, ..second };
    assert!(matches!(see(&store, &elsewhere), Observed::NewHead { generation: 4, .. }));
}

#[test]
fn another_version_takes_the_slot_as_ever_and_what_was_unwanted_is_forgotten() {
    let (mut store, [_, second], _) = went_back();
    land(&mut store, &object("a.csv", "v3", 30));
    assert_eq!(store.slot().unwrap().reverted, None);
    assert!(matches!(see(&store, &second), Observed::NewHead { generation: 5, .. }));
}

#[test]
fn an_operator_who_restarts_the_unwanted_version_wants_it() {
    let (mut store, [_, second], _) = went_back();
    let again = restart(&slot_id(), store.slot().as_ref(), &second, false, NOW, 0);
    let Observed::NewHead { write, generation, .. } = again else { panic!("{again:?}") };
    store.must(&write);
    assert_eq!((generation, store.slot().unwrap().reverted), (4, None));
    assert_eq!(
        see(&store, &second),
        Observed::IsHead { job: facts_of(second, 4).job, generation: 4 }
    );
}

#[test]
fn going_back_from_going_back_ends_at_the_later_version() {
    let (mut store, [first, second], _) = went_back();
    let slot = store.slot().unwrap();
    store.must(&revert(&slot, &facts_of(second.clone(), 2), NOW).0);
    let slot = store.slot().unwrap();
    assert_eq!(slot.generation, 4);
    assert_eq!(see(&store, &second), Observed::IsHead { job: slot.head_job, generation: 4 });
    assert_eq!(see(&store, &first), Observed::Reverted);
}

#[test]
fn of_going_back_and_a_newer_version_one_stands() {
    for newer_first in [true, false] {
        let mut store = Store::default();
        let first = land(&mut store, &object("a.csv", "v1", 10));
        land(&mut store, &object("a.csv", "v2", 20));
        let (back, _, _) = revert(&store.slot().unwrap(), &first, NOW);
        let Observed::NewHead { write: newer, .. } = see(&store, &object("a.csv", "v3", 30)) else {
            panic!("a new version");
        };
        let mut writes = [back, *newer];
        if newer_first {
            writes.reverse();
        }
        store.must(&writes[0]);
        store.must_refuse(&writes[1]);
    }
}

/// The version that comes back is stored anew at this moment: both make the same job of it.
#[test]
fn an_operator_is_told_that_the_slot_goes_back_only_if_it_does() {
    let mut store = Store::default();
    let object = object("a.csv", "v1", 10);
    let first = land(&mut store, &object);
    land(&mut store, &super::fixtures::object("a.csv", "v2", 20));
    let (back, job, _) = revert(&store.slot().unwrap(), &first, NOW);
    land(&mut store, &object);
    assert_eq!(store.slot().unwrap().head_job, job);
    store.must_refuse(&back);
    assert_eq!(store.slot().unwrap().reverted, None);
}

#[test]
fn a_job_that_goes_back_commits_over_every_version_it_went_back_from() {
    let (mut store, [first, second], write) = went_back();
    let job = |object: &ObjectVersion, generation| Job {
        facts: facts_of(object.clone(), generation),
        ..job_in(JobState::Committing, 0)
    };
    store.must(&commit_slot(&job(&second, 2), "m2"));
    store.must(&commit_slot(&job(&first, 3), "m3"));
    store.must_refuse(&commit_slot(&job(&second, 2), "m2"));
    store.must(&write);
    let due = |store: &Store| store.items[&Slot::key(&slot_id())].contains_key("due_shard");
    assert!(due(&store));
    store.must(&rest_slot(&store.slot().unwrap()));
    assert!(!due(&store));
    let stale = store.slot().unwrap();
    land(&mut store, &object("a.csv", "v3", 30));
    store.must_refuse(&rest_slot(&stale));
    assert!(due(&store));
}
