//! What both functions do with what reaches them: an object that arrived, a job to take on.

use rowproof_core::event::ObjectRef;
use rowproof_core::ids::JobId;
use rowproof_core::ledger::{self, ChunkId, Failure, JobState};
use rowproof_core::message::{Message, Restart, Task};
use rowproof_core::plan::PlanKind;
use tracing::{Instrument, info, info_span, warn};

use crate::advance::{advance_job, send_chunk};
use crate::app::App;
use crate::clock::Deadline;
use crate::commit::load_plan;
use crate::error::StepError;
use crate::observe::{Observation, is_still_head, observe_object};
use crate::pipelines::Matched;
use crate::process::{Processed, process_chunk};

/// An event names an object: find its pipeline, observe it, take its job on.
pub async fn object_arrived(
    app: &App,
    object: &ObjectRef,
    restart: Restart,
    deadline: Deadline,
) -> Result<(), StepError> {
    if object.bucket != app.settings.input_bucket {
        return Err(StepError::Pipeline(format!(
            "an event names bucket {}, but only {} is read; check who may send to the queue",
            object.bucket, app.settings.input_bucket
        )));
    }
    let (ready, captures) = match app.pipelines.matching(&object.key).await? {
        Matched::One(ready, captures) => (ready, captures),
        Matched::None => {
            warn!(source_uri = %format!("s3://{}/{}", object.bucket, object.key), "no pipeline matches");
            crate::telemetry::count("none", "ObjectsUnmatched", 1);
            return Ok(());
        }
    };
    let span = info_span!("object", pipeline = ready.pipeline.name, key = object.key);
    let observed = async {
        // A version that is overwritten while it is planned is observed again, as the newer one.
        loop {
            let seen = observe_object(app, &ready, &captures, &object.key, restart).await?;
            let job = match seen {
                Observation::Job(job) => *job,
                Observation::Gone => {
                    info!("the object is gone");
                    return Ok(());
                }
                Observation::Own => {
                    info!("written by Rowproof itself: ignored");
                    return Ok(());
                }
            };
            if job.state.is_settled() {
                crate::telemetry::count(&ready.pipeline.name, "DuplicateEventSkipped", 1);
                return Ok(());
            }
            match advance_job(app, job, deadline).await {
                Err(StepError::SourceChanged { uri, .. }) => info!(uri, "overwritten meanwhile"),
                other => return other,
            }
        }
    };
    observed.instrument(span).await
}

/// A message of the work queue.
pub async fn take_on(app: &App, task: Task, deadline: Deadline) -> Result<(), StepError> {
    let (id, chunk) = match task {
        Task::Chunk { job, chunk } => (job, Some(chunk)),
        Task::Job { job } => (job, None),
        Task::Observe { bucket, key, restart } => {
            let object = ObjectRef {
                bucket,
                key,
                version_id: None,
                etag: None,
                size: None,
                sequencer: None,
            };
            return Box::pin(object_arrived(app, &object, restart, deadline)).await;
        }
        Task::Failed { .. } => return Ok(()),
    };
    // A job that is not there has expired: its messages are older than all that is kept.
    let Some(job) = app.ledger.job(&id).await? else { return Ok(()) };
    let done = match chunk {
        None => advance_job(app, job.clone(), deadline).await,
        Some(chunk) if matches!(job.state, JobState::Running | JobState::Blocked) => {
            if !is_still_head(app, &job).await? {
                return Ok(());
            }
            let chunk = ChunkId { job: id.clone(), chunk };
            match process_chunk(app, &job, &chunk, deadline).await {
                Ok(Processed::Yielded) => go_on_later(app, &job, chunk.chunk).await,
                Ok(Processed::Done | Processed::Busy(_) | Processed::Over) => Ok(()),
                Err(error) => Err(error),
            }
        }
        Some(_) => return Ok(()),
    };
    match done {
        Err(StepError::SourceChanged { .. }) => source_changed(app, &id).await,
        other => other,
    }
}

/// A chunk that ran out of time goes on in the next invocation; a chain wherever it got to.
async fn go_on_later(app: &App, job: &ledger::Job, chunk: u32) -> Result<(), StepError> {
    if load_plan(app, job).await?.kind == PlanKind::Ranges {
        return send_chunk(app, job, chunk).await;
    }
    let message = Message::new(Task::Job { job: job.facts.job.clone() });
    app.queue.send(&app.settings.work_queue_url, &message, 0).await?;
    Ok(())
}

/// The object was overwritten or removed while a job read it: the newer version is observed, whose
/// own event may be lost; without one the job fails.
async fn source_changed(app: &App, id: &JobId) -> Result<(), StepError> {
    let Some(job) = app.ledger.job(id).await? else { return Ok(()) };
    let key = &job.facts.object.key;
    let Matched::One(ready, captures) = app.pipelines.matching(key).await? else { return Ok(()) };
    match observe_object(app, &ready, &captures, key, Restart::No).await? {
        Observation::Job(newer) if newer.facts.job != *id => {
            info!(job = %id, newer = %newer.facts.job, "overwritten while it was read");
            let message = Message::new(Task::Job { job: newer.facts.job });
            app.queue.send(&app.settings.work_queue_url, &message, 0).await?;
        }
        Observation::Job(_) => {}
        Observation::Gone | Observation::Own => {
            let failure = Failure {
                code: "source_gone".into(),
                message: format!("{} was removed while it was read", job.facts.object.uri()),
            };
            app.ledger.perform(&ledger::fail(&job, &failure, app.clock.now())).await?;
            crate::queue::announce(app, id, None, &failure.code).await?;
        }
    }
    Ok(())
}
