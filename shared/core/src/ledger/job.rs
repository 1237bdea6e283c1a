//! JOB: one version of one object on its way from PLANNING to a terminal state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::due_shard;
use super::item::{BadItem, Fields, Guard, Item, Key, Value, Write, json};
use crate::ids::{JobId, ObjectVersion, SlotId};
use crate::time::EpochSeconds;

/// What never changes about a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFacts {
    /// Its id.
    pub job: JobId,
    /// The slot whose rows it replaces.
    pub slot: SlotId,
    /// Its generation in the slot, from 1.
    pub generation: i64,
    /// Pipeline name.
    pub pipeline: String,
    /// SHA-256 of the pipeline file's parsed form, under which the whole job runs.
    pub pipeline_sha: String,
    /// The object version it reads.
    pub object: ObjectVersion,
    /// Values of the captures in the pipeline's `match`.
    pub captures: BTreeMap<String, String>,
    /// Creation time: the only clock that reaches the outputs.
    pub created_at: EpochSeconds,
    /// For a job that replays failed rows of another one: which, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayFacts>,
    /// For a job that brings the rows of an earlier job of its slot back: that job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverts: Option<JobId>,
}

impl JobFacts {
    /// The job whose chunks this one commits: itself, or the earlier one that it brings back.
    pub fn chunks_of(&self) -> &JobId {
        self.reverts.as_ref().unwrap_or(&self.job)
    }
}

/// What a replay works on. Slot, generation, object and pipeline are those of its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayFacts {
    /// The job whose failed rows go through again.
    pub parent: JobId,
    /// The parent's revision that the replay was planned at.
    pub parent_rev: i64,
    /// Key and SHA-256 of the request: which rows, and what becomes of them.
    pub request: PlanRef,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobState {
    /// Its chunks are being found.
    Planning,
    /// Its chunks are being processed.
    Running,
    /// A chunk failed for good; the others go on.
    Blocked,
    /// It waits for an operator; nothing is visible.
    Held,
    /// Its rows are being published.
    Committing,
    /// Its rows are the slot's rows, or were until a later job's.
    Committed,
    /// A newer version took the slot before it committed.
    Superseded,
    /// It ended without rows.
    Failed,
}

impl JobState {
    /// The name in the ledger and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Planning => "PLANNING",
            JobState::Running => "RUNNING",
            JobState::Blocked => "BLOCKED",
            JobState::Held => "HELD",
            JobState::Committing => "COMMITTING",
            JobState::Committed => "COMMITTED",
            JobState::Superseded => "SUPERSEDED",
            JobState::Failed => "FAILED",
        }
    }

    /// Reads the name in the ledger.
    pub fn parse(text: &str) -> Option<JobState> {
        use JobState::*;
        [Planning, Running, Blocked, Held, Committing, Committed, Superseded, Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }

    /// Whether the job will not move again by itself.
    pub fn is_settled(self) -> bool {
        match self {
            JobState::Planning | JobState::Running | JobState::Committing => false,
            JobState::Blocked
            | JobState::Held
            | JobState::Committed
            | JobState::Superseded
            | JobState::Failed => true,
        }
    }
}

/// Why a job is HELD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// More rejected rows than `hold_if` allows.
    Rejected,
    /// More rows of the table are missing from the file than may be deleted.
    Missing,
    /// The header differs from the contract.
    Drift,
    /// The object holds nothing.
    Empty,
    /// No row of it is good, and rows are visible in its place.
    NoRows,
    /// The books do not balance: a bug of Rowproof; never approved.
    Unbalanced,
}

/// The hold of a job, as shown to the operator who decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why.
    pub reason: HoldReason,
    /// In words, with figures.
    pub message: String,
    /// Hash of the totals (or of the header) that were judged: an approval names it.
    pub shown: String,
    /// State to go back to on approval.
    pub from: JobState,
}

/// An operator's approval of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The hold's `shown` that was approved.
    pub shown: String,
}

/// The sealed plan of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRef {
    /// Key of the plan document in the output bucket.
    pub key: String,
    /// SHA-256 of it.
    pub sha256: String,
}

/// The replay that is changing a job's outcomes. While it stands nobody else decides about the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayLock {
    /// The replay's job.
    pub job: JobId,
    /// Key and SHA-256 of the list of outcomes that change.
    pub changes: PlanRef,
}

/// Why a job FAILED: a stable code and a text with what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code, snake case.
    pub code: String,
    /// Names the thing, the place and what to do; never a row's value.
    pub message: String,
}

/// What is stored about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// What never changes.
    pub facts: JobFacts,
    /// Where it stands.
    pub state: JobState,
    /// Decisions so far: each of T11a and T13 to T16 names the one it was made at.
    pub rev: i64,
    /// The sealed plan.
    pub plan: Option<PlanRef>,
    /// Chunks in all; absent on a chain until its end is found.
    pub chunk_count: Option<u32>,
    /// Progress of a planner that ran out of time, JSON.
    pub planning: Option<String>,
    /// The hold, while HELD.
    pub hold: Option<Hold>,
    /// An approval of the last hold.
    pub approval: Option<Approval>,
    /// Key and SHA-256 of the frozen outcome list, from COMMITTING on.
    pub intent: Option<PlanRef>,
    /// Key of the manifest, once COMMITTED.
    pub manifest: Option<String>,
    /// The replay that is changing its outcomes.
    pub replay: Option<ReplayLock>,
    /// Why it FAILED or is BLOCKED.
    pub failure: Option<Failure>,
    /// Last change.
    pub updated_at: EpochSeconds,
}

impl Job {
    /// Where a job is stored.
    pub fn key(job: &JobId) -> Key {
        Key { pk: format!("J#{job}"), sk: "J".into() }
    }

    /// Reads a stored item.
    pub fn from_item(item: &Item) -> Result<Job, BadItem> {
        let fields = Fields(item);
        let state = JobState::parse(fields.need_text("state")?);
        let optional = |name: &str| fields.text(name).is_some();
        Ok(Job {
            facts: fields.need_json("facts")?,
            state: state.ok_or_else(|| fields.bad("state"))?,
            rev: fields.need_number("rev")?,
            plan: optional("plan").then(|| fields.need_json("plan")).transpose()?,
            chunk_count: fields.number("chunk_count").and_then(|count| u32::try_from(count).ok()),
            planning: fields.text("planning").map(str::to_owned),
            hold: optional("hold").then(|| fields.need_json("hold")).transpose()?,
            approval: optional("approval").then(|| fields.need_json("approval")).transpose()?,
            intent: optional("intent").then(|| fields.need_json("intent")).transpose()?,
            manifest: fields.text("manifest").map(str::to_owned),
            replay: optional("replay").then(|| fields.need_json("replay")).transpose()?,
            failure: optional("failure").then(|| fields.need_json("failure")).transpose()?,
            updated_at: EpochSeconds(fields.need_number("updated_at")?),
        })
    }

    /// Whether the hold of `reason` with these totals was approved.
    pub fn is_approved(&self, shown: &str) -> bool {
        self.approval.as_ref().is_some_and(|approval| approval.shown == shown)
    }
}

/// Seconds until someone should look at an unfinished job that has not moved.
pub(super) const DUE_SECONDS: i64 = 120;

/// A write of a job's next state. States that nothing follows by itself leave the index of unfinished
/// work; a BLOCKED job stays while other chunks of it may go on.
pub(super) fn to_state(
    name: &'static str,
    job: &JobId,
    state: JobState,
    now: EpochSeconds,
) -> Write {
    let mut set =
        BTreeMap::from([("state", Value::from(state.as_str())), ("updated_at", Value::N(now.0))]);
    let mut remove = vec![];
    if state.is_settled() && state != JobState::Blocked {
        remove.extend(["due_shard", "due_at"]);
    } else {
        set.insert("due_shard", due_shard(&job.0));
        set.insert("due_at", Value::N(now.plus(DUE_SECONDS).0));
    }
    Write { name, key: Job::key(job), guard: Guard::Never, effect: Guard::Never, set, remove }
}

/// The guard of every decision about a job: the state and the revision it was made at.
pub(super) fn decided_at(job: &Job) -> Guard {
    Guard::All(vec![
        Guard::Eq("state", Value::from(job.state.as_str())),
        Guard::Eq("rev", Value::N(job.rev)),
    ])
}

pub(super) fn text_eq(name: &'static str, value: &str) -> Guard {
    Guard::Eq(name, Value::from(value))
}

/// T2: the job of a slot's head begins.
pub fn create(facts: &JobFacts, now: EpochSeconds) -> Write {
    let mut write = to_state("create", &facts.job, JobState::Planning, now);
    write.guard = Guard::Absent;
    // The id is a hash of all that matters, so whoever created the job created this one.
    write.effect = Guard::Exists;
    write.set.extend([
        ("facts", json(facts)),
        ("slot", Value::from(facts.slot.0.as_str())),
        ("pipeline", Value::from(facts.pipeline.as_str())),
        ("rev", Value::N(0)),
    ]);
    write
}

/// A file that a later file of its slot had overtaken before it was first seen.
pub fn create_superseded(facts: &JobFacts, now: EpochSeconds) -> Write {
    let mut write = create(facts, now);
    write.name = "create_superseded";
    write.set.insert("state", Value::from(JobState::Superseded.as_str()));
    write.set.remove("due_shard");
    write.set.remove("due_at");
    write
}

/// The planner ran out of time after sealing more segments.
pub fn save_planning(job: &Job, progress: &str, now: EpochSeconds) -> Write {
    let mut write = to_state("save_planning", &job.facts.job, JobState::Planning, now);
    let unchanged = match &job.planning {
        Some(read) => text_eq("planning", read),
        None => Guard::Missing("planning"),
    };
    write.guard = Guard::All(vec![text_eq("state", "PLANNING"), unchanged]);
    write.effect = text_eq("planning", progress);
    write.set.insert("planning", Value::from(progress));
    write
}

/// T3: the plan is sealed. A chain's chunk count is found at its end.
pub fn seal_plan(job: &Job, plan: &PlanRef, chunk_count: Option<u32>, now: EpochSeconds) -> Write {
    let mut write = to_state("seal_plan", &job.facts.job, JobState::Running, now);
    write.guard = text_eq("state", "PLANNING");
    write.effect = Guard::Eq("plan", json(plan));
    write.set.insert("plan", json(plan));
    if let Some(count) = chunk_count {
        write.set.insert("chunk_count", Value::from(count));
    }
    write.remove.push("planning");
    write
}

/// The end of a chain was acknowledged in its last chunk. An unequal count is a bug to be paged.
pub fn set_chunk_count(job: &JobId, count: u32) -> Write {
    let equal = Guard::Eq("chunk_count", Value::from(count));
    Write {
        name: "set_chunk_count",
        key: Job::key(job),
        guard: Guard::All(vec![
            Guard::Exists,
            Guard::Any(vec![Guard::Missing("chunk_count"), equal.clone()]),
        ]),
        effect: equal,
        set: BTreeMap::from([("chunk_count", Value::from(count))]),
        remove: vec![],
    }
}

/// T11a: the outcome list is frozen and publishing begins.
pub fn begin_commit(job: &Job, intent: &PlanRef, now: EpochSeconds) -> Write {
    let mut write = to_state("begin_commit", &job.facts.job, JobState::Committing, now);
    let running = Guard::Eq("state", Value::from(JobState::Running.as_str()));
    write.guard = Guard::All(vec![running, Guard::Eq("rev", Value::N(job.rev))]);
    write.effect = Guard::All(vec![
        Guard::In("state", vec!["COMMITTING", "COMMITTED"]),
        Guard::Eq("intent", json(intent)),
    ]);
    write.set.insert("intent", json(intent));
    write.set.insert("rev", Value::N(job.rev + 1));
    write
}

/// T11g: replaced files are gone and the job is over.
pub fn end_commit(job: &Job, manifest: &str, now: EpochSeconds) -> Write {
    let mut write = to_state("end_commit", &job.facts.job, JobState::Committed, now);
    write.guard = text_eq("state", "COMMITTING");
    write.effect = text_eq("state", "COMMITTED");
    write.set.insert("manifest", Value::from(manifest));
    write
}

/// A committer that a newer generation overtook ends its job.
pub fn supersede_committing(job: &JobId, now: EpochSeconds) -> Write {
    let mut write = to_state("supersede_committing", job, JobState::Superseded, now);
    write.guard = text_eq("state", "COMMITTING");
    write.effect = text_eq("state", "SUPERSEDED");
    write
}

/// T12: a newer version has the slot, so this job ends. A job past T11a is settled by T11d instead.
pub fn supersede(job: &JobId, now: EpochSeconds) -> Write {
    let mut write = to_state("supersede", job, JobState::Superseded, now);
    let from = vec!["PLANNING", "RUNNING", "BLOCKED", "HELD", "FAILED"];
    write.guard = Guard::In("state", from);
    write.effect = text_eq("state", "SUPERSEDED");
    write
}

/// A chunk failed for good: the job cannot commit until it is brought back. A late copy of this write
/// does not block a job that was brought back since.
pub fn block(job: &Job, failure: &Failure, now: EpochSeconds) -> Write {
    let mut write = to_state("block", &job.facts.job, JobState::Blocked, now);
    write.guard =
        Guard::All(vec![text_eq("state", "RUNNING"), Guard::Eq("rev", Value::N(job.rev))]);
    write.effect = text_eq("state", "BLOCKED");
    write.set.insert("failure", json(failure));
    write
}
