//! What each clause prevents: replays, and going back.

use super::clauses::{Because::*, check_clauses};
use super::fixtures::*;
use crate::ledger::*;

fn locked(state: JobState, rev: i64, lock: &ReplayLock) -> Item {
    with(job_item(state, rev), &[("replay", stored(lock))])
}

#[test]
fn creating_a_replay() {
    let write = create_replay(&replay_facts("replay"), &plan_ref("p"), 2, NOW);
    let over = job_item(JobState::Committed, 0);
    check_clauses(
        &write,
        &[("absent", Wrong(Some(over), "a replay that is over goes through again"))],
    );
    let job = Job::from_item(&write.apply(None, "new").unwrap()).unwrap();
    assert_eq!((job.state, job.plan), (JobState::Running, Some(plan_ref("p"))));
    assert_eq!((job.chunk_count, job.facts), (Some(2), replay_facts("replay")));
}

#[test]
fn locking_a_parent() {
    for state in [JobState::Committed, JobState::Held] {
        let superseded = Some(job_item(JobState::Superseded, 1));
        let decided = Some(job_item(state, 3));
        let other = Some(locked(state, 1, &replay_lock("other")));
        check_clauses(
            &lock_for_replay(&job_in(state, 1), 1, &replay_lock("mine")),
            &[
                ("state in COMMITTED HELD", Wrong(superseded, "rows that nobody sees change")),
                ("rev = 1", Wrong(decided, "outcomes change that others were planned on")),
                ("no replay", Wrong(other, "two replays change one job's outcomes")),
            ],
        );
    }
}

#[test]
fn letting_a_parent_go() {
    let mine = replay_lock("mine");
    let text = format!("replay = {}", serde_json::to_string(&mine).unwrap());
    for state in [JobState::Held, JobState::Committed] {
        let parent = Job::from_item(&locked(state, 2, &mine)).unwrap();
        let overtaken = Some(locked(JobState::Superseded, 2, &mine));
        let later = Some(locked(state, 3, &mine));
        let other = Some(locked(state, 2, &replay_lock("other")));
        check_clauses(
            &unlock_after_replay(&parent, &mine, Some(&plan_ref("m")), NOW),
            &[
                (
                    format!("state = {}", state.as_str()).leak(),
                    Wrong(overtaken, "a job that was overtaken while it changed comes back"),
                ),
                ("rev = 2", Wrong(later, "read before the lock, it gives a revision twice")),
                (
                    text.clone().leak(),
                    Wrong(other, "a parent is let go while another replay changes it"),
                ),
            ],
        );
    }
}

/// The clause of the decisions is in `guards.rs`; nothing else moves a locked parent but supersession.
#[test]
fn nobody_decides_about_a_locked_parent() {
    let lock = replay_lock("mine");
    let held = locked(JobState::Held, 2, &lock);
    let job = Job::from_item(&held).unwrap();
    let refused = [
        approve(&job, "ann", "fine", 1, NOW).unwrap(),
        discard(&job, "ann", "no", NOW).unwrap(),
        lock_for_replay(&job, 2, &replay_lock("other")),
        begin_commit(&job, &plan_ref("i"), NOW),
        hold(&job, HoldReason::Rejected, "more", "totals", NOW),
        fail(&job, &failure("codec"), NOW),
        block(&job, &failure("poison"), NOW),
    ];
    for write in refused {
        assert_eq!(write.apply(Some(&held), "new"), None, "{}", write.name);
    }
    assert!(supersede(&job.facts.job, NOW).apply(Some(&held), "new").is_some());
}

#[test]
fn raising_a_manifest() {
    let parent = job_in(JobState::Committed, 2);
    let id = parent.facts.job.0.as_str();
    let shown = [("committed_job", id.into()), ("manifest", "r2".into())];
    let raised = Some(with(slot_item(1, Some(1)), &shown));
    check_clauses(
        &raise_manifest(&parent, "r0", "r1"),
        &[
            (
                format!("committed_job = {id}").leak(),
                Equivalent("the key of a manifest names its job"),
            ),
            ("manifest = r0", Wrong(raised, "rows of a later replay disappear")),
        ],
    );
}

#[test]
fn going_back() {
    let slot = Slot::from_item(&slot_item(3, Some(1))).unwrap();
    let (write, _, generation) = revert(&slot, &facts(1), NOW);
    assert_eq!(generation, slot.generation + 1);
    check_clauses(
        &write,
        &[("rev = 3", Wrong(Some(slot_item(4, Some(1))), "a version nobody was shown is dropped"))],
    );
}
