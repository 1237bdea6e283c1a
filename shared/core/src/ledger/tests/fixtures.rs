//! A store in memory, one pipeline's objects, and items in any state.

use std::collections::BTreeMap;

use crate::ids::{JobId, ObjectVersion, SlotId, job_id};
use crate::isolate::halves;
use crate::ledger::*;
use crate::plan::PlannedChunk;
use crate::time::EpochSeconds;

pub(super) const NOW: EpochSeconds = EpochSeconds(1_000_000);

/// The reference store: every write goes through its guard, a refused one through its judgement.
#[derive(Default)]
pub(super) struct Store {
    pub(super) items: BTreeMap<Key, Item>,
    writes: u64,
}

impl Store {
    /// One send of a write. The answer may be lost and the same id sent again.
    pub(super) fn send(&mut self, write: &Write, write_id: &str) -> Performed {
        let stored = self.items.get(&write.key);
        match write.apply(stored, write_id) {
            Some(item) => {
                self.items.insert(write.key.clone(), item);
                Performed::Stands
            }
            None => write.judge(stored.cloned(), write_id),
        }
    }

    /// A write of its own.
    pub(super) fn perform(&mut self, write: &Write) -> Performed {
        self.writes += 1;
        let id = format!("write-{}", self.writes);
        self.send(write, &id)
    }

    /// A write that must stand.
    pub(super) fn must(&mut self, write: &Write) {
        let performed = self.perform(write);
        assert!(performed.stands(), "{}: {performed:?}", write.name);
    }

    /// A write that must be refused and leave no trace.
    pub(super) fn must_refuse(&mut self, write: &Write) {
        let before = self.items.get(&write.key).cloned();
        let performed = self.perform(write);
        assert_eq!(performed, Performed::Refused(before.clone()), "{}", write.name);
        assert_eq!(self.items.get(&write.key), before.as_ref());
    }

    pub(super) fn job(&self, job: &JobId) -> Option<Job> {
        let item = self.items.get(&Job::key(job))?;
        Some(Job::from_item(item).unwrap())
    }

    pub(super) fn chunk(&self, id: &ChunkId) -> Option<Chunk> {
        let item = self.items.get(&id.key())?;
        Some(Chunk::from_item(item).unwrap())
    }

    /// Those of the stored chunks of group 0, in the order of their keys.
    pub(super) fn group(&self, job: &JobId) -> Vec<(ChunkId, Chunk)> {
        let pk = ChunkId::group_pk(job, 0);
        let stored = self.items.iter().filter(|(key, _)| key.pk == pk);
        let read = |item: &Item| {
            let fields = Fields(item);
            let part = fields.need_text("part").unwrap().to_owned();
            let chunk = u32::try_from(fields.need_number("chunk").unwrap()).unwrap();
            (ChunkId { job: job.clone(), chunk, part }, Chunk::from_item(item).unwrap())
        };
        stored.map(|(_, item)| read(item)).collect()
    }

    pub(super) fn slot(&self) -> Option<Slot> {
        let item = self.items.get(&Slot::key(&slot_id()))?;
        Some(Slot::from_item(item).unwrap())
    }
}

pub(super) fn slot_id() -> SlotId {
    SlotId("slot".into())
}

pub(super) fn object(key: &str, etag: &str, modified: i64) -> ObjectVersion {
    ObjectVersion {
        bucket: "in".into(),
        key: key.into(),
        etag: etag.into(),
        size: 100,
        version_id: None,
        last_modified: EpochSeconds(modified),
    }
}

pub(super) fn facts_of(object: ObjectVersion, generation: i64) -> JobFacts {
    JobFacts {
        job: job_id(&slot_id(), &object, generation),
        slot: slot_id(),
        generation,
        pipeline: "orders".into(),
        pipeline_sha: "sha".into(),
        object,
        captures: BTreeMap::new(),
        created_at: NOW,
        replay: None,
        reverts: None,
    }
}

pub(super) fn facts(generation: i64) -> JobFacts {
    facts_of(object("a.csv", &format!("v{generation}"), 10), generation)
}

pub(super) fn plan_ref(name: &str) -> PlanRef {
    PlanRef { key: format!("_plans/{name}"), sha256: name.into() }
}

pub(super) fn failure(code: &str) -> Failure {
    Failure { code: code.into(), message: format!("{code}: see the runbook") }
}

pub(super) fn outcome(name: &str) -> OutcomeRef {
    OutcomeRef {
        rows: 1,
        key: format!("_staging/{name}"),
        sha256: name.into(),
        next: None,
        end_of_object: false,
    }
}

pub(super) fn chunk_id(chunk: u32) -> ChunkId {
    ChunkId::whole(&facts(1).job, chunk)
}

/// A part of chunk 0.
pub(super) fn part_id(part: &str) -> ChunkId {
    ChunkId { part: part.into(), ..chunk_id(0) }
}

/// A range of records of ten bytes each.
pub(super) fn range(first_row: u64, rows: u64) -> PlannedChunk {
    let end = first_row + rows;
    PlannedChunk { start: first_row * 10, end: end * 10, first_row, rows }
}

/// Where such a range is cut; `None` for a single record.
pub(super) fn cut(whole: &PlannedChunk) -> Option<Split> {
    let rows = whole.first_row..whole.first_row + whole.rows;
    let records: Vec<_> = rows.map(|row| range(row, 1)).collect();
    let halves = halves(&records)?;
    Some(Split { halves, next: None, end_of_object: false, packed_bytes: None })
}

pub(super) fn replay_lock(name: &str) -> ReplayLock {
    ReplayLock { job: JobId(name.into()), changes: plan_ref(name) }
}

/// Facts of a replay of the job of generation 1.
pub(super) fn replay_facts(name: &str) -> JobFacts {
    let parent = facts(1);
    let replay = ReplayFacts { parent: parent.job.clone(), parent_rev: 0, request: plan_ref(name) };
    JobFacts { job: JobId(name.into()), replay: Some(replay), ..parent }
}

/// As the ledger stores facts.
pub(super) fn stored<T: serde::Serialize>(value: &T) -> Value {
    Value::S(serde_json::to_string(value).unwrap())
}

pub(super) fn worker(owner: &str) -> Worker {
    Worker { owner: owner.into(), run: None, lease_seconds: LEASE_SECONDS }
}

pub(super) fn worker_of(owner: &str, run: &str) -> Worker {
    Worker { run: Some(run.into()), ..worker(owner) }
}

pub(super) const JOB_STATES: [JobState; 8] = [
    JobState::Planning,
    JobState::Running,
    JobState::Blocked,
    JobState::Held,
    JobState::Committing,
    JobState::Committed,
    JobState::Superseded,
    JobState::Failed,
];

/// `item` with some attributes changed.
pub(super) fn with(mut item: Item, changes: &[(&str, Value)]) -> Item {
    for (name, value) in changes {
        item.insert((*name).to_owned(), value.clone());
    }
    item
}

/// The job of generation 1 in a state, at a revision.
pub(super) fn job_item(state: JobState, rev: i64) -> Item {
    let created = create(&facts(1), NOW).apply(None, "earlier").unwrap();
    let item = with(created, &[("state", state.as_str().into()), ("rev", rev.into())]);
    if state == JobState::Held {
        return with(item, &[("hold", hold_value(HoldReason::Rejected))]);
    }
    item
}

pub(super) fn hold_value(reason: HoldReason) -> Value {
    stored(&Hold {
        reason,
        message: "too many".into(),
        shown: "totals".into(),
        from: JobState::Running,
    })
}

pub(super) fn job_in(state: JobState, rev: i64) -> Job {
    Job::from_item(&job_item(state, rev)).unwrap()
}

/// The slot with the job of generation 1 as its head.
pub(super) fn slot_item(rev: i64, committed: Option<i64>) -> Item {
    let Observed::NewHead { write, .. } =
        observe(&slot_id(), None, &object("a.csv", "v1", 10), NOW, 0)
    else {
        panic!("the first version is a new head");
    };
    let item = with(write.apply(None, "earlier").unwrap(), &[("rev", rev.into())]);
    match committed {
        Some(generation) => with(item, &[("committed_gen", generation.into())]),
        None => item,
    }
}

/// Chunk 0 of that job, last acquired by `owner`.
pub(super) fn chunk_item(state: ChunkState, epoch: i64, owner: &str, lease_until: i64) -> Item {
    let Acquire::Try(write, _) = acquire(&chunk_id(0), None, &worker(owner), NOW) else {
        panic!("an absent chunk can be acquired");
    };
    let item = write.apply(None, "earlier").unwrap();
    with(
        item,
        &[
            ("state", state.as_str().into()),
            ("epoch", epoch.into()),
            ("lease_until", lease_until.into()),
        ],
    )
}

/// Acquires a chunk that can be acquired.
pub(super) fn try_acquire(
    store: &Store,
    id: &ChunkId,
    worker: &Worker,
    now: EpochSeconds,
) -> (Write, Lease) {
    match acquire(id, store.chunk(id).as_ref(), worker, now) {
        Acquire::Try(write, lease) => (*write, lease),
        other @ (Acquire::Done(_)
        | Acquire::Split(_)
        | Acquire::Busy(_)
        | Acquire::Failed
        | Acquire::GiveUp(_)) => panic!("not free: {other:?}"),
    }
}

/// Acquires it and sees the write stand.
pub(super) fn hold_lease(
    store: &mut Store,
    id: &ChunkId,
    worker: &Worker,
    now: EpochSeconds,
) -> Lease {
    let (write, lease) = try_acquire(store, id, worker, now);
    store.must(&write);
    lease
}
