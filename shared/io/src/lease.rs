//! A worker's hold on a chunk: taking it, keeping it, and giving up what cannot be done.

use rowproof_core::ledger::{
    self, Acquire, ChunkId, Failure, Job, Lease, OutcomeRef, Stage, Worker,
};
use tracing::warn;

use crate::app::App;
use crate::error::StepError;

/// What became of an attempt to take a chunk.
pub(crate) enum Acquired {
    Lease(Lease),
    Done(OutcomeRef),
    Busy(i64),
    Over,
}

/// T4, or T8 when all attempts are used up.
pub(crate) async fn acquire(app: &App, id: &ChunkId) -> Result<Acquired, StepError> {
    let owner = uuid::Uuid::new_v4().to_string();
    let worker = Worker { owner, run: app.settings.run.clone() };
    for attempt in 0..8 {
        let stored = app.ledger.chunk(id).await?;
        match ledger::acquire(id, stored.as_ref(), &worker, app.clock.now()) {
            Acquire::Done(outcome) => return Ok(Acquired::Done(outcome)),
            Acquire::Busy(until) => return Ok(Acquired::Busy(until.0)),
            Acquire::Failed => return Ok(Acquired::Over),
            Acquire::GiveUp(lease) => {
                give_up(app, &lease).await?;
                return Ok(Acquired::Over);
            }
            Acquire::Try(write, lease) => {
                if app.ledger.perform(&write).await?.stands() {
                    return Ok(Acquired::Lease(lease));
                }
            }
        }
        crate::backoff::pause(attempt).await;
    }
    Ok(Acquired::Busy(app.clock.now().plus(1).0))
}

/// T8: the chunk FAILED, its job is BLOCKED, and the failed queue names both.
async fn give_up(app: &App, lease: &Lease) -> Result<(), StepError> {
    let failure = Failure {
        code: "attempts".into(),
        message: format!(
            "chunk {} was given up after {} attempts; its workers died or were cut off",
            lease.id.chunk,
            lease.attempts - 1
        ),
    };
    let now = app.clock.now();
    if app.ledger.perform(&ledger::give_up(lease, &failure, now)).await?.stands() {
        app.ledger.perform(&ledger::block(&lease.id.job, &failure, now)).await?;
        crate::queue::announce(app, &lease.id.job, Some(lease.id.chunk), &failure.code).await?;
        warn!(job = %lease.id.job, chunk = lease.id.chunk, "chunk given up");
    }
    Ok(())
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
        crate::queue::announce(app, &job.facts.job, None, &failure.code).await?;
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

pub(crate) fn fenced(lease: &Lease) -> StepError {
    StepError::Fenced { job: lease.id.job.clone(), chunk: lease.id.chunk }
}
