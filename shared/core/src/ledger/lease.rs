//! A worker's hold on a chunk: taking it, keeping it, and what ends it.

use std::collections::BTreeMap;

use super::chunk::{Chunk, ChunkId, ChunkState, OutcomeRef, Split, Stage};
use super::item::{Guard, Value, Write, json};
use super::job::Failure;
use crate::time::EpochSeconds;

/// Seconds a lease lasts unless the settings say otherwise; it is renewed while its holder works.
pub const LEASE_SECONDS: i64 = 60;

/// Attempts of a whole chunk before the record that kills its workers is looked for.
pub const ATTEMPTS_MAX: i64 = 5;

/// Attempts of a part before it is split again.
pub const PART_ATTEMPTS_MAX: i64 = 1;

/// Deaths over a part that is one record before it is taken for poison. One or two may have other
/// causes: a worker out of time, a clock that is wrong.
pub const LONE_DEATHS_MIN: i64 = 3;

/// Attempts to cut a chunk before it is given up: cutting it kills its workers too.
pub const ISOLATIONS_MAX: i64 = 5;

/// Workers that may die while they write to the sink before the chunk is given up.
pub const SINK_DEATHS_MAX: i64 = 20;

/// A worker of this process, for the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// Unique for every acquisition.
    pub owner: String,
    /// The local `run` it belongs to. A `run` holds the lock on its folder, so a lease of another
    /// run is a dead worker's. `None` on Lambda, where leases end by time alone.
    pub run: Option<String>,
    /// How long a lease lasts, in seconds.
    pub lease_seconds: i64,
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
    /// How long it lasts, in seconds, from each renewal.
    pub seconds: i64,
    /// The attempts to process the chunk are used up: find the record that kills its workers instead.
    pub isolate: bool,
}

impl Lease {
    /// Whether enough workers died over the chunk to take its only record for poison.
    pub fn condemns(&self) -> bool {
        self.attempts > LONE_DEATHS_MIN
    }
}

/// What an attempt to acquire a chunk should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquire {
    /// Perform T4; if it stands, this is the lease.
    Try(Box<Write>, Lease),
    /// Nothing to do: the outcome stands.
    Done(OutcomeRef),
    /// Its halves stand in its place.
    Split(Split),
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
    let charged = stored.map_or(Charged::default(), |chunk| charged(chunk, worker));
    let epoch = stored.map_or(0, |chunk| chunk.epoch);
    let guard = match stored {
        None => Guard::Absent,
        Some(chunk) => match chunk.state {
            ChunkState::Done => {
                return chunk.outcome.clone().map_or(Acquire::Failed, Acquire::Done);
            }
            ChunkState::Split => {
                return chunk.split.clone().map_or(Acquire::Failed, Acquire::Split);
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
    let whole = id.part.is_empty();
    let attempts_max = if whole { ATTEMPTS_MAX } else { PART_ATTEMPTS_MAX };
    let lease = Lease {
        id: id.clone(),
        epoch: epoch + 1,
        owner: worker.owner.clone(),
        attempts: charged.attempts + 1,
        seconds: worker.lease_seconds,
        isolate: charged.attempts >= attempts_max,
    };
    let used_up = charged.attempts >= attempts_max + ISOLATIONS_MAX;
    if used_up || charged.sink_deaths >= SINK_DEATHS_MAX {
        let stored = stored.map_or(0, |chunk| chunk.attempts);
        return Acquire::GiveUp(Lease { attempts: stored + 1, ..lease });
    }
    Acquire::Try(Box::new(take(&lease, &charged, guard, worker, now)), lease)
}

fn take(
    lease: &Lease,
    charged: &Charged,
    guard: Guard,
    worker: &Worker,
    now: EpochSeconds,
) -> Write {
    let mut set = BTreeMap::from([
        ("state", Value::from(ChunkState::Leased.as_str())),
        ("chunk", Value::from(lease.id.chunk)),
        ("part", Value::from(lease.id.part.as_str())),
        ("epoch", Value::N(lease.epoch)),
        ("attempts", Value::N(lease.attempts)),
        ("sink_deaths", Value::N(charged.sink_deaths)),
        ("owner", Value::from(lease.owner.as_str())),
        ("lease_until", Value::N(now.plus(lease.seconds).0)),
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
    let effect = mine(lease);
    Write { name: "acquire", key: lease.id.key(), guard, effect, set, remove }
}

/// What counts against a chunk.
#[derive(Default)]
struct Charged {
    attempts: i64,
    sink_deaths: i64,
}

/// A local run that somebody ended took its workers along: that is no fault of theirs, nor of the
/// chunk's. A worker that died while it wrote to the sink tells nothing of the rows.
fn charged(chunk: &Chunk, worker: &Worker) -> Charged {
    let died = chunk.state == ChunkState::Leased;
    let ended = died && of_another_run(chunk, worker);
    let sinking = died && !ended && chunk.stage == Some(Stage::Sinking);
    let free = i64::from(ended || sinking);
    Charged {
        attempts: chunk.attempts.saturating_sub(free).max(0),
        sink_deaths: chunk.sink_deaths + i64::from(sinking),
    }
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
        ("lease_until", Value::N(now.plus(lease.seconds).0)),
        ("stage", Value::from(stage.as_str())),
    ]);
    fenced("renew", lease, set)
}

/// T6: the worker gives the chunk back by itself, out of time or for a passing fault: no attempt is
/// charged. What is known of a chunk that kills its workers stays known.
pub fn give_back(lease: &Lease) -> Write {
    let attempts = if lease.isolate { lease.attempts.saturating_sub(1) } else { 0 };
    let set = BTreeMap::from([
        ("state", Value::from(ChunkState::Ready.as_str())),
        ("attempts", Value::N(attempts)),
        ("sink_deaths", Value::N(0)),
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

/// T9: its halves stand in its place.
pub fn split(lease: &Lease, split: &Split) -> Write {
    let state = Value::from(ChunkState::Split.as_str());
    let set = BTreeMap::from([("state", state.clone()), ("split", json(split))]);
    let mut write = fenced("split", lease, set);
    write.effect = Guard::All(vec![Guard::Eq("state", state), Guard::Eq("split", json(split))]);
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
