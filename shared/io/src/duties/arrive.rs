//! What both functions do with what reaches them: an object that arrived, a job to take on.

use futures_util::FutureExt;
use rowproof_core::event::ObjectRef;
use rowproof_core::ids::JobId;
use rowproof_core::ledger::{self, ChunkId, Failure, JobState};
use rowproof_core::message::{Message, Restart, Task};
use tracing::{Instrument, info, info_span, warn};

use crate::app::App;
use crate::clock::Deadline;
use crate::duties::advance::{advance_job, follow_up};
use crate::duties::retrying::retrying;
use crate::error::StepError;
use crate::pipelines::Matched;
use crate::steps::observe::{Observation, is_still_head, observe_object};
use crate::steps::outage;
use crate::steps::process::process_chunk;
use crate::steps::replay::{Begun, begin_requested};
use crate::steps::send::send_job;

/// An event names an object: find its pipeline, observe it, take its job on.
///
/// # Errors
/// What did not pass while the invocation had time; the event has to come again.
pub async fn object_arrived(
    app: &App,
    object: &ObjectRef,
    restart: Restart,
    deadline: Deadline,
) -> Result<(), StepError> {
    retrying(app, deadline, || arrived(app, object, restart, deadline).boxed()).await
}

async fn arrived(
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
        Matched::Skipped { pipeline, what } => {
            let source_uri = format!("s3://{}/{}", object.bucket, object.key);
            info!(source_uri, pipeline, what, "skipped by its name");
            crate::telemetry::count(&pipeline, "ObjectsSkipped", 1);
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

/// Seconds before a message comes again whose faults did not pass within an invocation: between this
/// and twice as much.
const COME_BACK_SECONDS: i32 = 20;

/// A message of Rowproof's own. One whose faults do not pass within this invocation is sent again, to
/// come back later: a service that is down for long does not use up the deliveries of a message.
///
/// # Errors
/// What does not pass by itself, or when not even the message can be sent.
pub async fn take_on(app: &App, task: Task, deadline: Deadline) -> Result<(), StepError> {
    let done = retrying(app, deadline, || take_on_once(app, task.clone(), deadline).boxed());
    match done.await {
        Err(error) if error.passes() => {
            warn!(%error, "it is tried again later");
            let seconds = fastrand::i32(COME_BACK_SECONDS..=2 * COME_BACK_SECONDS);
            let queue = &app.settings.work_queue_url;
            app.queue.send(queue, &Message::new(task), seconds).await?;
            Ok(())
        }
        other => other,
    }
}

async fn take_on_once(app: &App, task: Task, deadline: Deadline) -> Result<(), StepError> {
    let (id, chunk) = match task {
        Task::Chunk { job, chunk, part } => (job.clone(), Some(ChunkId { job, chunk, part })),
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
            return arrived(app, &object, restart, deadline).await;
        }
        Task::Replay { request } => {
            match begin_requested(app, &request).await? {
                Begun::Job(job) => info!(%job, "the replay is under way"),
                Begun::Nothing => info!(request, "no failed row is selected"),
                Begun::Refused(why) => warn!(request, why, "not replayed"),
            }
            return Ok(());
        }
        Task::Failed { .. } | Task::SinkUnavailable { .. } | Task::Redrive { .. } => return Ok(()),
    };
    // A job that is not there has expired: its messages are older than all that is kept.
    let Some(job) = app.ledger.job(&id).await? else { return Ok(()) };
    let done = match chunk {
        None => advance_job(app, job.clone(), deadline).await,
        Some(chunk) if matches!(job.state, JobState::Running | JobState::Blocked) => {
            if job.facts.replay.is_some() {
                return crate::steps::replay::replay_chunk(app, &job, &chunk, deadline).await;
            }
            if !is_still_head(app, &job).await? {
                return Ok(());
            }
            match process_chunk(app, &job, &chunk, deadline).await {
                Ok(processed) => follow_up(app, &job, &chunk, processed).await,
                Err(error) => Err(error),
            }
        }
        Some(_) => return Ok(()),
    };
    match done {
        Err(StepError::SourceChanged { .. }) => source_changed(app, &id).await,
        Err(error @ StepError::Sink(_)) => {
            let pipeline = &job.facts.pipeline;
            let outage = app.ledger.outage(pipeline).await?;
            let seconds = outage::note(app, pipeline, outage.as_ref(), &error).await?;
            send_job(app, &job, seconds).await
        }
        other => other,
    }
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
            send_job(app, &newer, 0).await?;
        }
        Observation::Job(_) => {}
        Observation::Gone | Observation::Own => {
            let failure = Failure {
                code: "source_gone".into(),
                message: format!("{} was removed while it was read", job.facts.object.uri()),
            };
            app.ledger.perform(&ledger::fail(&job, &failure, app.clock.now())).await?;
            app.announce(id, None, &failure.code).await?;
        }
    }
    Ok(())
}
