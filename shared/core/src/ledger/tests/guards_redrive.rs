//! What each clause prevents: jobs brought back, the index of unfinished work, and outages.

use super::clauses::{Because::*, check_clauses};
use super::fixtures::*;
use crate::ledger::*;

#[test]
fn bringing_a_job_back() {
    let sealed = |job: Job| Job { plan: Some(plan_ref("p")), ..job };
    for (read, to) in [
        (job_in(JobState::Blocked, 0), JobState::Running),
        (job_in(JobState::Failed, 0), JobState::Planning),
        (sealed(job_in(JobState::Failed, 0)), JobState::Running),
    ] {
        let write = redrive_job(&read, NOW).unwrap();
        assert_eq!(write.set["state"], to.as_str().into());
        let superseded = Some(job_item(JobState::Superseded, 0));
        let later = Some(job_item(read.state, 2));
        let state = format!("state = {}", read.state.as_str());
        check_clauses(
            &write,
            &[
                (state.leak(), Wrong(superseded, "an overtaken job comes back")),
                ("rev = 0", Wrong(later, "a failure that nobody was shown is forgotten")),
            ],
        );
    }
}

#[test]
fn a_job_in_another_state_is_not_brought_back() {
    for state in JOB_STATES {
        let may = matches!(state, JobState::Blocked | JobState::Failed);
        for plan in [None, Some(plan_ref("p"))] {
            let job = Job { plan, ..job_in(state, 0) };
            assert_eq!(redrive_job(&job, NOW).is_some(), may, "{state:?}");
        }
    }
}

#[test]
fn looking_at_a_job_again_later() {
    let read = job_in(JobState::Running, 0);
    let blocked = Some(job_item(JobState::Blocked, 0));
    let decided = Some(job_item(JobState::Running, 2));
    let own = "it moved, and set a time of its own";
    check_clauses(
        &postpone_job(&read, NOW),
        &[("state = RUNNING", Wrong(blocked, own)), ("rev = 0", Wrong(decided, own))],
    );
}

#[test]
fn leaving_the_index_as_a_job() {
    let running = Some(job_item(JobState::Running, 0));
    let again = Some(job_item(JobState::Blocked, 1));
    check_clauses(
        &rest_job(&job_in(JobState::Blocked, 0)),
        &[
            ("state = BLOCKED", Wrong(running, "a running job is forgotten with its dead worker")),
            ("rev = 0", Wrong(again, "a job that came back and has chunks to do is forgotten")),
        ],
    );
}

#[test]
fn leaving_the_index_as_a_slot() {
    let read = Slot::from_item(&slot_item(3, None)).unwrap();
    let newer = Some(slot_item(4, None));
    check_clauses(
        &rest_slot(&read),
        &[("rev = 3", Wrong(newer, "a head whose job nobody created yet is forgotten"))],
    );
}

fn outage_item(mark: &str, looks: i64) -> Item {
    let write = mark_unavailable("orders", mark, NOW);
    let item = write.apply(None, "earlier").unwrap();
    with(item, &[("looks", looks.into())])
}

#[test]
fn marking_a_sink_and_looking_at_it() {
    let marked = || Some(outage_item("m1", 1));
    check_clauses(
        &mark_unavailable("orders", "m2", NOW),
        &[("no since", Wrong(marked(), "the operators are told twice of one outage"))],
    );
    let read = Outage::from_item(&marked().unwrap()).unwrap().unwrap();
    let next = Some(outage_item("m2", 1));
    let looked = Some(outage_item("m1", 2));
    check_clauses(
        &extend_outage("orders", &read, NOW),
        &[
            ("mark = m1", Wrong(next.clone(), "a look at an outage that is over counts")),
            ("looks = 1", Wrong(looked, "a look that was overtaken shortens the wait")),
        ],
    );
    check_clauses(
        &end_outage("orders", &read),
        &[("mark = m1", Wrong(next, "an answer from before an outage ends it"))],
    );
}
