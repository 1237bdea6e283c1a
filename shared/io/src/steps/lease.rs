//! A worker's hold on a chunk: taking it, keeping it, and giving up what cannot be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rowproof_core::ledger::{
    self, Acquire, ChunkId, Failure, Job, Lease, OutcomeRef, Stage, Worker,
};
use tracing::warn;

use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;
use crate::error::joined;

/// What became of an attempt to take a chunk.
pub(crate) enum Acquired {
    Lease(Lease),
    Done(OutcomeRef),
    Split,
    Busy(i64),
    Over,
}

/// T4, or T8 when all attempts are used up.
pub(crate) async fn acquire(app: &App, id: &ChunkId) -> Result<Acquired, StepError> {
    let owner = uuid::Uuid::new_v4().to_string();
    let lease_seconds = app.settings.lease_seconds;
    let worker = Worker { owner, run: app.settings.run.clone(), lease_seconds };
    for attempt in 0..8 {
        let stored = app.ledger.chunk(id).await?;
        match ledger::acquire(id, stored.as_ref(), &worker, app.clock.now()) {
            Acquire::Done(outcome) => return Ok(Acquired::Done(outcome)),
            Acquire::Split(_) => return Ok(Acquired::Split),
            Acquire::Busy(until) => return Ok(Acquired::Busy(until.0)),
            Acquire::Failed => return Ok(Acquired::Over),
            Acquire::GiveUp(lease) => {
                give_up_poison(app, &lease).await?;
                return Ok(Acquired::Over);
            }
            Acquire::Try(write, lease) => {
                if app.ledger.perform(&write).await?.stands() {
                    return Ok(Acquired::Lease(lease));
                }
            }
        }
        crate::aws::retry::pause(app.clock, attempt).await;
    }
    Ok(Acquired::Busy(app.clock.now().plus(1).0))
}

/// T8 of a chunk that killed its workers; the failed queue names it.
async fn give_up_poison(app: &App, lease: &Lease) -> Result<(), StepError> {
    let failure = Failure {
        code: "poison".into(),
        message: format!(
            "chunk {} was given up after {} attempts: its workers died, and so did those that looked \
             for the record at fault; `rowproof redrive --job {}` tries again, with more memory maybe",
            lease.id,
            lease.attempts - 1,
            lease.id.job
        ),
    };
    if give_up(app, lease, &failure).await? {
        app.announce(&lease.id.job, Some(&lease.id), &failure.code).await?;
        warn!(job = %lease.id.job, chunk = %lease.id, "chunk given up");
    }
    Ok(())
}

/// T8: the chunk FAILED and its job is BLOCKED; `false` when the chunk has moved on since.
pub(crate) async fn give_up(
    app: &App,
    lease: &Lease,
    failure: &Failure,
) -> Result<bool, StepError> {
    let now = app.clock.now();
    if !app.ledger.perform(&ledger::give_up(lease, failure, now)).await?.stands() {
        return Ok(false);
    }
    if let Some(job) = app.ledger.job(&lease.id.job).await? {
        app.ledger.perform(&ledger::block(&job, failure, now)).await?;
    }
    Ok(true)
}

/// T16: nothing of the object will be loaded.
pub(crate) async fn fail_job(
    app: &App,
    job: &Job,
    lease: &Lease,
    failure: &Failure,
) -> Result<(), StepError> {
    app.ledger.perform(&ledger::give_back(lease)).await?;
    let Some(job) = app.ledger.job(&job.facts.job).await? else { return Ok(()) };
    if app.ledger.perform(&ledger::fail(&job, failure, app.clock.now())).await?.stands() {
        warn!(code = failure.code, message = failure.message, "job failed");
        app.announce(&job.facts.job, None, &failure.code).await?;
    }
    Ok(())
}

/// Keeps the lease and says what the worker does.
pub(crate) async fn renew(app: &App, lease: &Lease, stage: Stage) -> Result<(), StepError> {
    match app.ledger.perform(&ledger::renew(lease, stage, app.clock.now())).await?.stands() {
        true => Ok(()),
        false => Err(fenced(lease)),
    }
}

/// How often a worker looks at the time while it waits for something, in milliseconds.
const LOOK_MS: u64 = 500;

/// Waits for `work` and keeps the lease meanwhile; `None` when the invocation's time is up first.
pub(crate) async fn keeping<T>(
    app: &App,
    lease: &Lease,
    stage: Stage,
    deadline: Deadline,
    work: impl Future<Output = Result<T, StepError>>,
) -> Result<Option<T>, StepError> {
    renew(app, lease, stage).await?;
    let mut work = std::pin::pin!(work);
    let mut pulse = Pulse::new(app, lease);
    loop {
        tokio::select! {
            done = work.as_mut() => return done.map(Some),
            () = app.clock.sleep(Duration::from_millis(LOOK_MS)) => {}
        }
        if deadline.is_near(app.settings.deadline_margin_ms) {
            return Ok(None);
        }
        pulse.beat(app, lease, stage).await?;
    }
}

/// Runs `work` on a thread of its own and keeps the lease meanwhile. When the invocation's time is up
/// the thread is told to stop, and answers `None` then.
pub(crate) async fn watched<T: Send + 'static>(
    app: &App,
    lease: &Lease,
    deadline: Deadline,
    work: impl FnOnce(&AtomicBool) -> Result<Option<T>, StepError> + Send + 'static,
) -> Result<Option<T>, StepError> {
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let mut thread = tokio::task::spawn_blocking(move || work(&stopped));
    let mut pulse = Pulse::new(app, lease);
    loop {
        tokio::select! {
            done = &mut thread => return joined(done)?,
            () = app.clock.sleep(Duration::from_millis(LOOK_MS)) => {}
        }
        if deadline.is_near(app.settings.deadline_margin_ms) {
            stop.store(true, Ordering::Relaxed);
        }
        if let Err(error) = pulse.beat(app, lease, Stage::Decoding).await {
            stop.store(true, Ordering::Relaxed);
            joined(thread.await)??;
            return Err(error);
        }
    }
}

/// When a lease is due to be renewed: three times before it ends.
struct Pulse {
    renewed_ms: u64,
    every_ms: u64,
}

impl Pulse {
    fn new(app: &App, lease: &Lease) -> Pulse {
        let every_ms = u64::try_from(lease.seconds).unwrap_or(1).saturating_mul(1000) / 3;
        Pulse { renewed_ms: app.clock.now_ms(), every_ms }
    }

    /// Renews the lease when it is time.
    async fn beat(&mut self, app: &App, lease: &Lease, stage: Stage) -> Result<(), StepError> {
        if app.clock.now_ms().saturating_sub(self.renewed_ms) >= self.every_ms {
            self.renewed_ms = app.clock.now_ms();
            renew(app, lease, stage).await?;
        }
        Ok(())
    }
}

pub(crate) fn fenced(lease: &Lease) -> StepError {
    StepError::Fenced { id: lease.id.clone() }
}
