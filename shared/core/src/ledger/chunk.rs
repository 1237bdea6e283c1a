//! CHUNK: the unit of commit and restart. An absent item is READY at epoch 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::item::{BadItem, Fields, Guard, Item, Key, Value, Write, json};
use super::job::Failure;
use crate::ids::{CHUNKS_PER_GROUP, JobId};
use crate::time::EpochSeconds;

/// Seconds a lease lasts; it is renewed while its holder works.
pub const LEASE_SECONDS: i64 = 60;

/// Attempts of one chunk before it is given up.
pub const ATTEMPTS_MAX: i64 = 5;

/// Names one chunk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ChunkId {
    /// Its job.
    pub job: JobId,
    /// Its number in the job, from 0.
    pub chunk: u32,
}

impl ChunkId {
    /// Its group.
    pub fn group(&self) -> u32 {
        self.chunk / CHUNKS_PER_GROUP
    }

    /// Where it is stored.
    pub fn key(&self) -> Key {
        Key { pk: ChunkId::group_pk(&self.job, self.group()), sk: format!("C#{:06}", self.chunk) }
    }

    /// Partition of all chunks of a group.
    pub fn group_pk(job: &JobId, group: u32) -> String {
        format!("J#{job}#{group:04}")
    }
}

/// Where a chunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkState {
    /// Nobody works on it.
    Ready,
    /// A worker has it until its lease ends.
    Leased,
    /// Its outcome stands for ever.
    Done,
    /// It was given up.
    Failed,
}

impl ChunkState {
    /// The name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            ChunkState::Ready => "READY",
            ChunkState::Leased => "LEASED",
            ChunkState::Done => "DONE",
            ChunkState::Failed => "FAILED",
        }
    }

    /// Reads the name in the ledger.
    pub fn parse(text: &str) -> Option<ChunkState> {
        [ChunkState::Ready, ChunkState::Leased, ChunkState::Done, ChunkState::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// What a worker was doing when it last said so: deaths before `Sinking` tell of the record, later
/// ones of the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading the source.
    Reading,
    /// Cutting and checking rows.
    Decoding,
    /// Writing to the sink and the archive.
    Sinking,
}

impl Stage {
    /// The name in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Reading => "reading",
            Stage::Decoding => "decoding",
            Stage::Sinking => "sinking",
        }
    }
}

/// Key and hash of a chunk's outcome document, with what the ledger itself must know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeRef {
    /// Key in the output bucket.
    pub key: String,
    /// SHA-256 of the document.
    pub sha256: String,
    /// Records in the chunk.
    pub rows: u64,
    /// Where the next chunk of a chain begins; `None` for the last one, and on ranges.
    pub next: Option<ChainStart>,
    /// Whether the object ends with this chunk of a chain.
    pub end_of_object: bool,
}

/// Where a chunk of a chain begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainStart {
    /// Offset in the plain (decompressed, UTF-8) text, in bytes.
    pub byte: u64,
    /// Records before it.
    pub row: u64,
}

/// What is stored about a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it stands.
    pub state: ChunkState,
    /// Acquisitions so far: the fence of every later write.
    pub epoch: i64,
    /// Acquisitions since it last yielded by itself.
    pub attempts: i64,
    /// The last worker.
    pub owner: Option<String>,
    /// The run (of a local `run`) the last worker belonged to.
    pub run: Option<String>,
    /// End of the last lease.
    pub lease_until: EpochSeconds,
    /// The outcome, once DONE.
    pub outcome: Option<OutcomeRef>,
    /// Why it FAILED.
    pub failure: Option<Failure>,
}

impl Chunk {
    /// Reads a stored item.
    pub fn from_item(item: &Item) -> Result<Chunk, BadItem> {
        let fields = Fields(item);
        let state = ChunkState::parse(fields.need_text("state")?);
        let optional = |name: &str| fields.text(name).is_some();
        Ok(Chunk {
            state: state.ok_or_else(|| fields.bad("state"))?,
            epoch: fields.need_number("epoch")?,
            attempts: fields.number("attempts").unwrap_or(0),
            owner: fields.text("owner").map(str::to_owned),
            run: fields.text("run").map(str::to_owned),
            lease_until: EpochSeconds(fields.number("lease_until").unwrap_or(0)),
            outcome: optional("outcome").then(|| fields.need_json("outcome")).transpose()?,
            failure: optional("failure").then(|| fields.need_json("failure")).transpose()?,
        })
    }
}

/// A worker of this process, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Unique for every acquisition.
    pub owner: String,
    /// The local `run` it belongs to. A `run` holds the lock on its folder, so a lease of another
    /// run is a dead worker's. `None` on Lambda, where leases end by time alone.
    pub run: Option<String>,
}

/// A worker's hold on a chunk: what fences its later writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The chunk.
    pub id: ChunkId,
    /// The epoch it won.
    pub epoch: i64,
    /// Its owner.
    pub owner: String,
    /// Attempts including this one.
    pub attempts: i64,
}

/// What an attempt to acquire a chunk should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquire {
    /// Perform T4; if it stands, this is the lease.
    Try(Box<Write>, Lease),
    /// Nothing to do: the outcome stands.
    Done(OutcomeRef),
    /// Somebody works on it until then.
    Busy(EpochSeconds),
    /// It was given up.
    Failed,
    /// Its attempts are used up: perform T8.
    GiveUp(Lease),
}

/// T4: what to do about a chunk as read (`None` = absent = READY, epoch 0).
pub fn acquire(
    id: &ChunkId,
    stored: Option<&Chunk>,
    worker: &Worker,
    now: EpochSeconds,
) -> Acquire {
    let (epoch, attempts) = stored.map_or((0, 0), |chunk| (chunk.epoch, charged(chunk, worker)));
    let guard = match stored {
        None => Guard::Absent,
        Some(chunk) => match chunk.state {
            ChunkState::Done => {
                return chunk.outcome.clone().map_or(Acquire::Failed, Acquire::Done);
            }
            ChunkState::Failed => return Acquire::Failed,
            ChunkState::Leased if !is_free(chunk, worker, now) => {
                return Acquire::Busy(chunk.lease_until);
            }
            ChunkState::Leased | ChunkState::Ready => Guard::All(vec![
                Guard::Eq("epoch", Value::N(epoch)),
                Guard::Any(free_guards(worker, now)),
            ]),
        },
    };
    let lease = Lease {
        id: id.clone(),
        epoch: epoch + 1,
        owner: worker.owner.clone(),
        attempts: attempts + 1,
    };
    let mut set = BTreeMap::from([
        ("state", Value::from(ChunkState::Leased.as_str())),
        ("chunk", Value::from(id.chunk)),
        ("epoch", Value::N(lease.epoch)),
        ("attempts", Value::N(lease.attempts)),
        ("owner", Value::from(lease.owner.as_str())),
        ("lease_until", Value::N(now.plus(LEASE_SECONDS).0)),
        ("stage", Value::from(Stage::Reading.as_str())),
    ]);
    let mut remove = vec![];
    match &worker.run {
        Some(run) => {
            set.insert("run", Value::from(run.as_str()));
        }
        None => remove.push("run"),
    }
    // The owner is new for every acquisition, so the epoch and the owner together are this write.
    let effect = mine(&lease);
    let write = Box::new(Write { name: "acquire", key: id.key(), guard, effect, set, remove });
    match attempts < ATTEMPTS_MAX {
        true => Acquire::Try(write, lease),
        false => Acquire::GiveUp(lease),
    }
}

/// Attempts that count against the chunk. A local run that somebody ended took its workers along:
/// that is no fault of theirs, nor of the chunk's.
fn charged(chunk: &Chunk, worker: &Worker) -> i64 {
    let ended = chunk.state == ChunkState::Leased && of_another_run(chunk, worker);
    if ended { chunk.attempts.saturating_sub(1).max(0) } else { chunk.attempts }
}

fn of_another_run(chunk: &Chunk, worker: &Worker) -> bool {
    worker.run.is_some() && chunk.run != worker.run
}

fn is_free(chunk: &Chunk, worker: &Worker, now: EpochSeconds) -> bool {
    chunk.lease_until < now || of_another_run(chunk, worker)
}

fn free_guards(worker: &Worker, now: EpochSeconds) -> Vec<Guard> {
    let leased = || Guard::Eq("state", Value::from(ChunkState::Leased.as_str()));
    let mut guards = vec![
        Guard::Eq("state", Value::from(ChunkState::Ready.as_str())),
        Guard::All(vec![leased(), Guard::Lt("lease_until", now.0)]),
    ];
    if let Some(run) = &worker.run {
        let other =
            Guard::Any(vec![Guard::Missing("run"), Guard::Ne("run", Value::from(run.as_str()))]);
        guards.push(Guard::All(vec![leased(), other]));
    }
    guards
}

/// The fence: only the worker that holds the lease of this epoch may write.
fn mine(lease: &Lease) -> Guard {
    Guard::All(vec![
        Guard::Eq("state", Value::from(ChunkState::Leased.as_str())),
        Guard::Eq("epoch", Value::N(lease.epoch)),
        Guard::Eq("owner", Value::from(lease.owner.as_str())),
    ])
}

fn fenced(name: &'static str, lease: &Lease, set: BTreeMap<&'static str, Value>) -> Write {
    let key = lease.id.key();
    Write { name, key, guard: mine(lease), effect: Guard::Never, set, remove: vec![] }
}

/// The lease goes on, and the worker says what it does.
pub fn renew(lease: &Lease, stage: Stage, now: EpochSeconds) -> Write {
    let set = BTreeMap::from([
        ("lease_until", Value::N(now.plus(LEASE_SECONDS).0)),
        ("stage", Value::from(stage.as_str())),
    ]);
    fenced("renew", lease, set)
}

/// T6: the worker gives the chunk back by itself, out of time or for a passing fault: no attempt is
/// charged.
pub fn give_back(lease: &Lease) -> Write {
    let set = BTreeMap::from([
        ("state", Value::from(ChunkState::Ready.as_str())),
        ("attempts", Value::N(0)),
    ]);
    let mut write = fenced("give_back", lease, set);
    write.effect = Guard::All(vec![
        Guard::Eq("state", Value::from(ChunkState::Ready.as_str())),
        Guard::Eq("epoch", Value::N(lease.epoch)),
    ]);
    write
}

/// T7: the outcome stands.
pub fn complete(lease: &Lease, outcome: &OutcomeRef) -> Write {
    let done = Value::from(ChunkState::Done.as_str());
    let set = BTreeMap::from([("state", done.clone()), ("outcome", json(outcome))]);
    let mut write = fenced("complete", lease, set);
    write.effect = Guard::All(vec![Guard::Eq("state", done), Guard::Eq("outcome", json(outcome))]);
    write
}

/// T8: the chunk is given up. A worker that never acquired it (its attempts were used up by the dead)
/// may do so once no lease is live.
pub fn give_up(lease: &Lease, failure: &Failure, now: EpochSeconds) -> Write {
    let failed = Value::from(ChunkState::Failed.as_str());
    let set = BTreeMap::from([("state", failed.clone()), ("failure", json(failure))]);
    let mut write = fenced("give_up", lease, set);
    let unowned = Guard::All(vec![
        Guard::Eq("epoch", Value::N(lease.epoch - 1)),
        // Whoever gave the chunk back in good order since then charged no attempt.
        Guard::Eq("attempts", Value::N(lease.attempts - 1)),
        Guard::Any(vec![
            Guard::Eq("state", Value::from(ChunkState::Ready.as_str())),
            Guard::Lt("lease_until", now.0),
        ]),
        Guard::In("state", vec!["READY", "LEASED"]),
    ]);
    write.guard = Guard::Any(vec![mine(lease), unowned]);
    write.effect = Guard::Eq("state", failed);
    write
}
