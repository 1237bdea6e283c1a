//! Decisions about a job: each names the revision of the job it was made at, so of two that were made
//! from one view only one takes effect.

use super::item::{Guard, Value, Write, json};
use super::job::{
    Approval, Failure, Hold, HoldReason, Job, JobState, decided_at, text_eq, to_state,
};
use crate::ids::JobId;
use crate::time::EpochSeconds;

/// T14: the job waits for an operator.
pub fn hold(job: &Job, reason: HoldReason, message: &str, shown: &str, now: EpochSeconds) -> Write {
    let hold =
        Hold { reason, message: message.to_owned(), shown: shown.to_owned(), from: job.state };
    let mut write = to_state("hold", &job.facts.job, JobState::Held, now);
    let may_hold = Guard::In("state", vec!["PLANNING", "RUNNING"]);
    write.guard = Guard::All(vec![may_hold, decided_at(job)]);
    write.effect = Guard::All(vec![text_eq("state", "HELD"), Guard::Eq("hold", json(&hold))]);
    write.set.insert("hold", json(&hold));
    write.set.insert("rev", Value::N(job.rev + 1));
    write
}

/// Why an operator's decision is refused before it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// Only a HELD job can be approved or discarded.
    #[error("job {job} is {state}, not HELD: there is nothing to decide")]
    NotHeld {
        /// The job.
        job: JobId,
        /// Its state.
        state: &'static str,
    },
    /// Unbalanced books are a bug.
    #[error(
        "job {0} is held because its books do not balance: that is a bug and cannot be approved; \
         discard it and run the object again"
    )]
    Unbalanced(JobId),
    /// A newer version has the slot.
    #[error("job {0} was overtaken by a newer version of its file: there is nothing to approve")]
    Overtaken(JobId),
}

fn held(job: &Job) -> Result<&Hold, Undecidable> {
    let not_held =
        || Undecidable::NotHeld { job: job.facts.job.clone(), state: job.state.as_str() };
    job.hold.as_ref().filter(|_| job.state == JobState::Held).ok_or_else(not_held)
}

/// T15: an operator lets the job go on, for the totals that were shown. `head_generation` is the
/// generation of the slot's head.
pub fn approve(
    job: &Job,
    by: &str,
    why: &str,
    head_generation: i64,
    now: EpochSeconds,
) -> Result<Write, Undecidable> {
    let hold = held(job)?;
    if hold.reason == HoldReason::Unbalanced {
        return Err(Undecidable::Unbalanced(job.facts.job.clone()));
    }
    if job.facts.generation < head_generation {
        return Err(Undecidable::Overtaken(job.facts.job.clone()));
    }
    let approval =
        Approval { by: by.to_owned(), reason: why.to_owned(), shown: hold.shown.clone() };
    let mut write = to_state("approve", &job.facts.job, hold.from, now);
    write.guard = Guard::All(vec![decided_at(job), Guard::Missing("replay")]);
    write.effect = Guard::Eq("approval", json(&approval));
    write.set.insert("approval", json(&approval));
    write.set.insert("rev", Value::N(job.rev + 1));
    write.remove.push("hold");
    Ok(write)
}

/// T15: an operator drops the job.
pub fn discard(job: &Job, by: &str, why: &str, now: EpochSeconds) -> Result<Write, Undecidable> {
    held(job)?;
    let failure =
        Failure { code: "discarded".into(), message: format!("discarded by {by}: {why}") };
    let mut write = fail(job, &failure, now);
    write.name = "discard";
    write.guard = Guard::All(vec![decided_at(job), Guard::Missing("replay")]);
    write.remove.extend(["approval", "hold"]);
    Ok(write)
}

/// T16: the object cannot be loaded.
pub fn fail(job: &Job, failure: &Failure, now: EpochSeconds) -> Write {
    let mut write = to_state("fail", &job.facts.job, JobState::Failed, now);
    let may_fail = Guard::In("state", vec!["PLANNING", "RUNNING"]);
    write.guard = Guard::All(vec![may_fail, decided_at(job)]);
    write.effect =
        Guard::All(vec![text_eq("state", "FAILED"), Guard::Eq("failure", json(failure))]);
    write.set.insert("failure", json(failure));
    write.set.insert("rev", Value::N(job.rev + 1));
    write
}
