//! What each clause prevents: slots, jobs and groups.

use super::clauses::{Because::*, check_clauses};
use super::fixtures::*;
use crate::ledger::*;

fn new_head(observed: Observed) -> Write {
    match observed {
        Observed::NewHead { write, .. } => *write,
        Observed::IsHead { .. } | Observed::Older | Observed::Reverted => panic!("{observed:?}"),
    }
}

#[test]
fn observing_and_restarting() {
    let first = new_head(observe(&slot_id(), None, &object("a.csv", "v1", 10), NOW, 0));
    let taken = Some(slot_item(7, Some(7)));
    check_clauses(
        &first,
        &[("absent", Wrong(taken.clone(), "a slot at generation 7 begins again at 1"))],
    );
    let read = Slot::from_item(&slot_item(3, None)).unwrap();
    let newer = object("a.csv", "v2", 20);
    let stale = "a version seen before the newest one becomes the head after it";
    let observed = new_head(observe(&slot_id(), Some(&read), &newer, NOW, 0));
    check_clauses(&observed, &[("rev = 3", Wrong(taken.clone(), stale))]);
    let restarted = new_head(restart(&slot_id(), Some(&read), &newer, true, NOW, 0));
    check_clauses(&restarted, &[("rev = 3", Wrong(taken, stale))]);
}

#[test]
fn committing_a_slot() {
    let job = Job { facts: facts(3), ..job_in(JobState::Committing, 0) };
    let older = "an older generation's rows replace a newer one's";
    check_clauses(
        &commit_slot(&job, "manifest"),
        &[
            ("exists", Wrong(None, "a slot without a head is made")),
            ("(no committed_gen or committed_gen < 3)", Wrong(Some(slot_item(9, Some(4))), older)),
            ("or no committed_gen", Needed(Some(slot_item(9, None)), "the first commit")),
            ("or committed_gen < 3", Needed(Some(slot_item(9, Some(2))), "the next commit")),
        ],
    );
}

#[test]
fn settling_a_slot() {
    let job = job_in(JobState::Committing, 0);
    let id = job.facts.job.0.as_str();
    let committed = [("committed_job", id.into())];
    let overtaken = [("committed_job", id.into()), ("head_job", "newer".into())];
    let item = with(slot_item(1, None), &[("head_job", id.into())]);
    let lost = "a newer head that nobody works on yet is forgotten";
    check_clauses(
        &settle_slot(&job),
        &[
            (format!("head_job = {id}").leak(), Wrong(Some(with(item.clone(), &overtaken)), lost)),
            (
                format!("committed_job = {id}").leak(),
                Wrong(Some(item.clone()), "a head that never committed is forgotten"),
            ),
        ],
    );
    let settled = settle_slot(&job).apply(Some(&with(item, &committed)), "new").unwrap();
    assert!(!settled.contains_key("due_shard") && !settled.contains_key("due_at"));
}

#[test]
fn creating_and_planning() {
    let running = || Some(job_item(JobState::Running, 0));
    check_clauses(
        &create(&facts(1), NOW),
        &[("absent", Wrong(running(), "a running job is planned again"))],
    );
    let fresh = job_in(JobState::Planning, 0);
    let ahead = with(job_item(JobState::Planning, 0), &[("planning", "later".into())]);
    check_clauses(
        &save_planning(&fresh, "p", NOW),
        &[
            ("state = PLANNING", Wrong(running(), "a sealed job is planned again")),
            ("no planning", Wrong(Some(ahead), "a slow planner takes progress back")),
        ],
    );
    let halfway = Job { planning: Some("half".into()), ..fresh.clone() };
    let item = |state| with(job_item(state, 0), &[("planning", "half".into())]);
    let ahead = with(item(JobState::Planning), &[("planning", "later".into())]);
    check_clauses(
        &save_planning(&halfway, "p", NOW),
        &[
            (
                "state = PLANNING",
                Wrong(Some(item(JobState::Held)), "a hold is lifted by a planner"),
            ),
            ("planning = half", Wrong(Some(ahead), "a slow planner takes progress back")),
        ],
    );
    let plan = Value::S(serde_json::to_string(&plan_ref("one")).unwrap());
    let sealed = with(job_item(JobState::Running, 0), &[("plan", plan)]);
    check_clauses(
        &seal_plan(&fresh, &plan_ref("other"), Some(3), NOW),
        &[("state = PLANNING", Wrong(Some(sealed), "chunks of two plans in one job"))],
    );
}

#[test]
fn counting_the_chunks_of_a_chain() {
    let counted = with(job_item(JobState::Running, 0), &[("chunk_count", 5_u32.into())]);
    let open = job_item(JobState::Running, 0);
    check_clauses(
        &set_chunk_count(&facts(1).job, 4),
        &[
            ("exists", Wrong(None, "a job with nothing but a count is made")),
            (
                "(no chunk_count or chunk_count = 4)",
                Wrong(Some(counted), "a chain of 5 chunks is committed with 4"),
            ),
            ("or no chunk_count", Needed(Some(open), "the end was found")),
            ("or chunk_count = 4", Equivalent("refused, it is judged to stand")),
        ],
    );
}

#[test]
fn committing_a_job() {
    let read = job_in(JobState::Running, 0);
    let blocked = Some(job_item(JobState::Blocked, 0));
    let decided = Some(job_item(JobState::Running, 2));
    check_clauses(
        &begin_commit(&read, &plan_ref("intent"), NOW),
        &[
            ("state = RUNNING", Wrong(blocked, "a job with a failed chunk is published")),
            ("rev = 0", Wrong(decided, "a list frozen before a hold and its approval is used")),
        ],
    );
    let superseded = Some(job_item(JobState::Superseded, 1));
    check_clauses(
        &end_commit(&read, "manifest", NOW),
        &[("state = COMMITTING", Wrong(superseded, "an overtaken job says COMMITTED"))],
    );
    let committed = Some(job_item(JobState::Committed, 1));
    check_clauses(
        &supersede_committing(&read.facts.job, NOW),
        &[("state = COMMITTING", Wrong(committed, "a committed job says SUPERSEDED"))],
    );
    let committing = Some(job_item(JobState::Committing, 1));
    check_clauses(
        &supersede(&read.facts.job, NOW),
        &[(
            "state in PLANNING RUNNING BLOCKED HELD FAILED",
            Wrong(committing, "half published files that nobody finishes or removes"),
        )],
    );
}

#[test]
fn blocking_a_job() {
    let overtaken = Some(job_item(JobState::Superseded, 0));
    let back = Some(job_item(JobState::Running, 1));
    check_clauses(
        &block(&job_in(JobState::Running, 0), &failure("poison"), NOW),
        &[
            ("state = RUNNING", Wrong(overtaken, "a job that is over waits for an operator")),
            ("rev = 0", Wrong(back, "a job that was brought back is blocked by an old death")),
        ],
    );
}

/// T14 and T16 share their guard: made while planning, while running, and out of place.
#[test]
fn holding_and_failing_a_job() {
    let both = |job: &Job| {
        let hold = hold(job, HoldReason::Drift, "header", "hash", NOW);
        [hold, fail(job, &failure("codec"), NOW)]
    };
    let may = "state in PLANNING RUNNING";
    for write in both(&job_in(JobState::Planning, 0)) {
        let sealed = Some(job_item(JobState::Running, 0));
        let decided = Some(job_item(JobState::Planning, 2));
        check_clauses(
            &write,
            &[
                (may, Equivalent("a job read in PLANNING; see the misuse below")),
                ("state = PLANNING", Wrong(sealed, "a verdict on planning hits a sealed job")),
                ("rev = 0", Wrong(decided, "what was approved is held or failed again")),
            ],
        );
    }
    for write in both(&job_in(JobState::Committing, 1)) {
        let committing = Some(job_item(JobState::Committing, 1));
        let running = Some(job_item(JobState::Running, 1));
        let later = Some(job_item(JobState::Committing, 3));
        for (stored, harm) in [(&running, "not as read"), (&later, "not as read")] {
            assert!(!write.guard.holds(stored.as_ref()), "{harm}");
        }
        check_clauses(
            &write,
            &[
                (may, Wrong(committing, "a job that is publishing is held or failed")),
                ("state = COMMITTING", Wrong(running, "a verdict on another state")),
                ("rev = 1", Equivalent("the first clause refuses every such job")),
            ],
        );
    }
}

#[test]
fn deciding_a_held_job() {
    let read = job_in(JobState::Held, 1);
    let writes =
        [approve(&read, "ann", "fine", 1, NOW).unwrap(), discard(&read, "ann", "no", NOW).unwrap()];
    for write in writes {
        let superseded = Some(job_item(JobState::Superseded, 1));
        let held_again = Some(job_item(JobState::Held, 3));
        let lock = ReplayLock { job: read.facts.job.clone(), changes: plan_ref("changes") };
        let locked = Value::S(serde_json::to_string(&lock).unwrap());
        let changing = Some(with(job_item(JobState::Held, 1), &[("replay", locked)]));
        check_clauses(
            &write,
            &[
                ("state = HELD", Wrong(superseded, "an overtaken job comes back or fails")),
                ("rev = 1", Wrong(held_again, "totals are decided that nobody was shown")),
                ("no replay", Wrong(changing, "totals are decided while they change")),
            ],
        );
    }
}

#[test]
fn closing_a_group() {
    let done = Chunk::from_item(&chunk_item(ChunkState::Done, 1, "ann", 0)).unwrap();
    let write = close_group(&facts(1).job, 0, 1, &[(chunk_id(0), done)]).unwrap();
    let same = "every writer of a group writes the same item, so a repeat changes nothing";
    check_clauses(&write, &[("absent", Equivalent(same))]);
}

#[test]
fn a_ledger_that_was_lost_begins_above_what_readers_see() {
    let observed = observe(&slot_id(), None, &object("a.csv", "v2", 10), NOW, 7);
    let Observed::NewHead { generation, write, .. } = observed else { panic!("{observed:?}") };
    assert_eq!(generation, 8);
    assert_eq!(write.set.get("gen"), Some(&Value::N(8)));
}
