//! What goes wrong in the field, and how the ledger answers: slots, jobs and operators.

use super::fixtures::*;
use crate::ids::ObjectVersion;
use crate::ledger::*;

fn see(store: &Store, object: &ObjectVersion) -> Observed {
    observe(&slot_id(), store.slot().as_ref(), object, NOW, 0)
}

/// Observes a version that must become the head, and creates its job.
fn land(store: &mut Store, object: &ObjectVersion) -> Job {
    let Observed::NewHead { write, generation, .. } = see(store, object) else {
        panic!("not a new head: {:?}", object.key);
    };
    store.must(&write);
    let facts = facts_of(object.clone(), generation);
    store.must(&create(&facts, NOW));
    store.job(&facts.job).unwrap()
}

/// Plans a job and freezes its outcomes.
fn up_to_commit(store: &mut Store, job: &Job) -> Job {
    store.must(&seal_plan(job, &plan_ref("p"), Some(1), NOW));
    store.must(&begin_commit(job, &plan_ref("i"), NOW));
    store.job(&job.facts.job).unwrap()
}

#[test]
fn a_repeated_event_finds_the_first_ones_job() {
    let mut store = Store::default();
    let object = object("a.csv", "v1", 10);
    let job = land(&mut store, &object);
    let head = Observed::IsHead { job: job.facts.job.clone(), generation: 1 };
    assert_eq!(see(&store, &object), head);
    store.must(&create(&facts_of(object, 1), NOW.plus(500)));
    assert_eq!(store.job(&job.facts.job).unwrap().facts.created_at, NOW);
}

#[test]
fn two_observers_of_one_version_agree_on_one_job() {
    let mut store = Store::default();
    for etag in ["v1", "v2"] {
        let object = object("a.csv", etag, 10);
        let (first, second) = (see(&store, &object), see(&store, &object));
        let (Observed::NewHead { write: a, .. }, Observed::NewHead { write: b, .. }) =
            (first, second)
        else {
            panic!("both see a new head");
        };
        store.must(&a);
        store.must(&b);
    }
    assert_eq!(store.slot().unwrap().generation, 2);
}

#[test]
fn a_version_seen_before_the_newest_cannot_land_after_it() {
    let mut store = Store::default();
    land(&mut store, &object("a.csv", "v1", 10));
    let Observed::NewHead { write: stale, .. } = see(&store, &object("a.csv", "v2", 20)) else {
        panic!("a new version");
    };
    land(&mut store, &object("a.csv", "v3", 30));
    store.must_refuse(&stale);
    assert_eq!(store.slot().unwrap().head_version, "v3:100");
}

#[test]
fn an_object_that_goes_a_b_a_ends_as_a() {
    let mut store = Store::default();
    let first = land(&mut store, &object("a.csv", "A", 10));
    land(&mut store, &object("a.csv", "B", 20));
    let third = land(&mut store, &object("a.csv", "A", 30));
    assert_ne!(first.facts.job, third.facts.job);
    assert_eq!(third.facts.generation, 3);
}

#[test]
fn an_older_file_of_another_key_never_takes_the_slot_back() {
    let mut store = Store::default();
    let (old, new) = (object("a.csv", "v1", 10), object("b.csv", "v1", 20));
    land(&mut store, &old);
    land(&mut store, &new);
    assert_eq!(see(&store, &old), Observed::Older);
    let slot = store.slot();
    let again = restart(&slot_id(), slot.as_ref(), &old, false, NOW, 0);
    assert_eq!(again, Observed::Older);
    let forced = restart(&slot_id(), slot.as_ref(), &old, true, NOW, 0);
    let Observed::NewHead { write, .. } = forced else {
        panic!("an operator insists");
    };
    store.must(&write);
    assert_eq!(store.slot().unwrap().head_uri, "s3://in/a.csv");
    // The same key stored once more is later than all.
    land(&mut store, &object("b.csv", "v2", 40));
    land(&mut store, &object("a.csv", "v1", 50));
}

#[test]
fn files_stored_in_one_second_are_ordered_by_key() {
    let mut store = Store::default();
    land(&mut store, &object("b.csv", "v1", 10));
    assert_eq!(see(&store, &object("a.csv", "v1", 10)), Observed::Older);
    land(&mut store, &object("c.csv", "v1", 10));
}

#[test]
fn a_restart_is_a_new_generation_of_the_same_version() {
    let mut store = Store::default();
    let object = object("a.csv", "v1", 10);
    let job = land(&mut store, &object);
    let again = restart(&slot_id(), store.slot().as_ref(), &object, false, NOW, 0);
    let Observed::NewHead { write, job: id, generation } = again else {
        panic!("a restart");
    };
    store.must(&write);
    assert_eq!(generation, 2);
    assert_ne!(id, job.facts.job);
    assert_eq!(store.slot().unwrap().head_job, id);
}

#[test]
fn an_older_generation_never_commits_over_a_newer_one() {
    let mut store = Store::default();
    let first = land(&mut store, &object("a.csv", "v1", 10));
    let first = up_to_commit(&mut store, &first);
    let second = land(&mut store, &object("a.csv", "v2", 20));
    let second = up_to_commit(&mut store, &second);
    store.must(&commit_slot(&second, "m2"));
    store.must_refuse(&commit_slot(&first, "m1"));
    store.must(&supersede_committing(&first.facts.job, NOW));
    store.must_refuse(&end_commit(&first, "m1", NOW));
    store.must(&end_commit(&second, "m2", NOW));
    let slot = store.slot().unwrap();
    assert_eq!((slot.committed_generation, slot.manifest.as_deref()), (2, Some("m2")));
}

#[test]
fn a_second_committer_joins_the_first_ones_list_and_no_other() {
    let mut store = Store::default();
    let job = land(&mut store, &object("a.csv", "v1", 10));
    up_to_commit(&mut store, &job);
    store.must(&begin_commit(&job, &plan_ref("i"), NOW));
    store.must_refuse(&begin_commit(&job, &plan_ref("another list"), NOW));
    store.must(&end_commit(&job, "m", NOW));
    store.must(&begin_commit(&job, &plan_ref("i"), NOW));
}

#[test]
fn a_newer_head_without_a_job_stays_in_the_index_when_an_older_job_commits() {
    let mut store = Store::default();
    let first = land(&mut store, &object("a.csv", "v1", 10));
    let first = up_to_commit(&mut store, &first);
    // The observer of v2 dies between T1 and T2.
    let Observed::NewHead { write, .. } = see(&store, &object("a.csv", "v2", 20)) else {
        panic!("a new version");
    };
    store.must(&write);
    store.must(&commit_slot(&first, "m1"));
    store.must_refuse(&settle_slot(&first));
    assert!(store.items[&Slot::key(&slot_id())].contains_key("due_shard"));
}

#[test]
fn a_settled_slot_leaves_the_index_until_a_new_version_lands() {
    let mut store = Store::default();
    let job = land(&mut store, &object("a.csv", "v1", 10));
    let job = up_to_commit(&mut store, &job);
    store.must_refuse(&settle_slot(&job));
    store.must(&commit_slot(&job, "m1"));
    store.must(&settle_slot(&job));
    let due = |store: &Store| store.items[&Slot::key(&slot_id())].contains_key("due_shard");
    assert!(!due(&store));
    land(&mut store, &object("a.csv", "v2", 20));
    assert!(due(&store));
}

#[test]
fn a_late_seal_with_another_plan_is_refused_and_an_equal_one_stands() {
    let mut store = Store::default();
    let job = land(&mut store, &object("a.csv", "v1", 10));
    store.must(&seal_plan(&job, &plan_ref("p"), Some(3), NOW));
    store.must(&seal_plan(&job, &plan_ref("p"), Some(3), NOW));
    store.must_refuse(&seal_plan(&job, &plan_ref("other"), Some(4), NOW));
    let job = store.job(&job.facts.job).unwrap();
    assert_eq!((job.plan, job.chunk_count), (Some(plan_ref("p")), Some(3)));
    assert_eq!(job.planning, None);
}

#[test]
fn a_chain_has_one_chunk_count() {
    let mut store = Store::default();
    let job = land(&mut store, &object("a.csv.gz", "v1", 10));
    store.must(&seal_plan(&job, &plan_ref("p"), None, NOW));
    assert_eq!(store.job(&job.facts.job).unwrap().chunk_count, None);
    store.must(&set_chunk_count(&job.facts.job, 5));
    store.must(&set_chunk_count(&job.facts.job, 5));
    store.must_refuse(&set_chunk_count(&job.facts.job, 4));
    assert_eq!(store.job(&job.facts.job).unwrap().chunk_count, Some(5));
}

/// A running job, held for its totals.
fn held(store: &mut Store, reason: HoldReason, shown: &str) -> Job {
    let job = land(store, &object("a.csv", "v1", 10));
    store.must(&seal_plan(&job, &plan_ref("p"), Some(1), NOW));
    let job = store.job(&job.facts.job).unwrap();
    store.must(&hold(&job, reason, "too many", shown, NOW));
    store.job(&job.facts.job).unwrap()
}

#[test]
fn an_approval_is_for_the_totals_that_were_shown_and_no_others() {
    let mut store = Store::default();
    let shown = held(&mut store, HoldReason::Rejected, "totals 1");
    store.must(&approve(&shown, "ann", "fine", 1, NOW).unwrap());
    let job = store.job(&shown.facts.job).unwrap();
    assert_eq!((job.state, job.hold.clone()), (JobState::Running, None));
    assert!(job.is_approved("totals 1") && !job.is_approved("totals 2"));
    // It is held again, for other totals: the old screen decides nothing.
    store.must(&hold(&job, HoldReason::Rejected, "more", "totals 2", NOW));
    store.must_refuse(&discard(&shown, "bob", "no", NOW).unwrap());
    store.must_refuse(&approve(&shown, "bob", "fine", 1, NOW).unwrap());
    let job = store.job(&shown.facts.job).unwrap();
    assert_eq!(job.state, JobState::Held);
    assert!(!job.is_approved("totals 2"));
}

#[test]
fn a_decision_goes_back_to_where_the_hold_came_from() {
    let mut store = Store::default();
    let job = land(&mut store, &object("a.csv", "v1", 10));
    store.must(&hold(&job, HoldReason::Drift, "column `x` is gone", "header", NOW));
    let job = store.job(&job.facts.job).unwrap();
    store.must(&approve(&job, "ann", "known", 1, NOW).unwrap());
    let job = store.job(&job.facts.job).unwrap();
    assert_eq!(job.state, JobState::Planning);
    assert!(job.is_approved("header"));
}

#[test]
fn of_approval_and_discard_one_stands() {
    for approve_first in [true, false] {
        let mut store = Store::default();
        let job = held(&mut store, HoldReason::Rejected, "totals");
        let mut writes = [
            approve(&job, "ann", "fine", 1, NOW).unwrap(),
            discard(&job, "bob", "no", NOW).unwrap(),
        ];
        if !approve_first {
            writes.reverse();
        }
        store.must(&writes[0]);
        store.must_refuse(&writes[1]);
    }
}

#[test]
fn a_discarded_job_has_neither_hold_nor_approval_and_says_who() {
    let mut store = Store::default();
    let job = held(&mut store, HoldReason::Rejected, "totals");
    store.must(&discard(&job, "ann", "wrong file", NOW).unwrap());
    let job = store.job(&job.facts.job).unwrap();
    assert_eq!((job.state, job.hold, job.approval), (JobState::Failed, None, None));
    let failure = job.failure.unwrap();
    assert_eq!(failure.code, "discarded");
    assert_eq!(failure.message, "discarded by ann: wrong file");
}

#[test]
fn what_cannot_be_decided_is_refused_in_words() {
    let mut store = Store::default();
    let unbalanced = held(&mut store, HoldReason::Unbalanced, "totals");
    let id = unbalanced.facts.job.clone();
    let refused = approve(&unbalanced, "ann", "fine", 1, NOW).unwrap_err();
    assert_eq!(refused, Undecidable::Unbalanced(id.clone()));
    assert!(discard(&unbalanced, "ann", "a bug", NOW).is_ok());

    let overtaken = job_in(JobState::Held, 1);
    let refused = approve(&overtaken, "ann", "fine", 2, NOW).unwrap_err();
    assert_eq!(refused, Undecidable::Overtaken(id));
    assert!(approve(&overtaken, "ann", "fine", 1, NOW).is_ok());

    for state in JOB_STATES {
        let job = job_in(state, 1);
        let words = approve(&job, "ann", "fine", 1, NOW).map_err(|error| error.to_string());
        let text = format!("is {}, not HELD", state.as_str());
        match words {
            Ok(_) => assert_eq!(state, JobState::Held),
            Err(words) => assert!(words.contains(&text), "{words}"),
        }
        assert_eq!(discard(&job, "ann", "no", NOW).is_ok(), state == JobState::Held);
    }
}

#[test]
fn a_held_or_failed_job_gives_way_to_a_newer_version() {
    for drop in [true, false] {
        let mut store = Store::default();
        let job = held(&mut store, HoldReason::Rejected, "totals");
        if drop {
            store.must(&discard(&job, "ann", "no", NOW).unwrap());
        }
        land(&mut store, &object("a.csv", "v2", 20));
        store.must(&supersede(&job.facts.job, NOW));
        store.must_refuse(&approve(&job, "ann", "fine", 1, NOW).unwrap());
    }
}
