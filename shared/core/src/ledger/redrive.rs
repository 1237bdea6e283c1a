//! Bringing back what was given up, and the index of unfinished work.

use std::collections::BTreeMap;

use super::chunk::{Chunk, ChunkId, ChunkState};
use super::item::{Guard, Value, Write};
use super::job::{DUE_SECONDS, Job, JobState, decided_at, text_eq, to_state};
use crate::time::EpochSeconds;

/// T13: a FAILED chunk is READY again, with fresh attempts, once for each request. Its epoch rises, so
/// nothing that was sent before takes effect on it. `None` for a chunk that did not fail.
pub fn redrive_chunk(id: &ChunkId, chunk: &Chunk, request: &str) -> Option<Write> {
    if chunk.state != ChunkState::Failed {
        return None;
    }
    let request = Value::from(request);
    let other = Guard::Any(vec![Guard::Missing("redrive"), Guard::Ne("redrive", request.clone())]);
    Some(Write {
        name: "redrive_chunk",
        key: id.key(),
        guard: Guard::All(vec![
            text_eq("state", "FAILED"),
            Guard::Eq("epoch", Value::N(chunk.epoch)),
            other,
        ]),
        effect: Guard::Eq("redrive", request.clone()),
        set: BTreeMap::from([
            ("state", Value::from(ChunkState::Ready.as_str())),
            ("epoch", Value::N(chunk.epoch + 1)),
            ("attempts", Value::N(0)),
            ("sink_deaths", Value::N(0)),
            ("redrive", request),
        ]),
        remove: vec!["failure"],
    })
}

/// T13: a BLOCKED or FAILED job goes on where it stood. What was approved before is judged anew.
/// `None` for a job in another state.
pub fn redrive_job(job: &Job, now: EpochSeconds) -> Option<Write> {
    let to = match (job.state, &job.plan) {
        (JobState::Blocked, _) | (JobState::Failed, Some(_)) => JobState::Running,
        (JobState::Failed, None) => JobState::Planning,
        (
            JobState::Planning
            | JobState::Running
            | JobState::Held
            | JobState::Committing
            | JobState::Committed
            | JobState::Superseded,
            _,
        ) => return None,
    };
    let mut write = to_state("redrive_job", &job.facts.job, to, now);
    write.guard = decided_at(job);
    write.effect = Guard::All(vec![
        text_eq("state", to.as_str()),
        Guard::Eq("rev", Value::N(job.rev + 1)),
        Guard::Missing("failure"),
    ]);
    write.set.insert("rev", Value::N(job.rev + 1));
    write.remove.extend(["failure", "approval"]);
    Some(write)
}

/// Somebody was told to take the unfinished job on: it is looked at again later.
pub fn postpone_job(job: &Job, now: EpochSeconds) -> Write {
    Write {
        name: "postpone_job",
        key: Job::key(&job.facts.job),
        guard: decided_at(job),
        effect: Guard::Never,
        set: BTreeMap::from([("due_at", Value::N(now.plus(DUE_SECONDS).0))]),
        remove: vec![],
    }
}

/// A BLOCKED job of which no other chunk can go on leaves the index of unfinished work.
pub fn rest_job(job: &Job) -> Write {
    Write {
        name: "rest_job",
        key: Job::key(&job.facts.job),
        guard: Guard::All(vec![
            text_eq("state", JobState::Blocked.as_str()),
            Guard::Eq("rev", Value::N(job.rev)),
        ]),
        effect: Guard::Missing("due_shard"),
        set: BTreeMap::new(),
        remove: vec!["due_shard", "due_at"],
    }
}
