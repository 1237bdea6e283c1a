//! T0 to T2: read the slot, HEAD the object, swap the slot's head, create the job.

use std::collections::BTreeMap;
use std::sync::Arc;

use rowproof_core::ids::{ObjectVersion, job_id, slot_id};
use rowproof_core::ledger::{self, Job, JobFacts, JobState, Observed, Slot};
use rowproof_core::message::Restart;
use rowproof_core::pipeline::{Pipeline, Replaces};
use tracing::info;

use crate::app::App;
use crate::documents::current::generation_shown;
use crate::error::StepError;
use crate::pipelines::Ready;

/// What an object turned out to be.
#[derive(Debug)]
pub enum Observation {
    /// This job, which may be over already.
    Job(Box<Job>),
    /// Nothing is under the key any more.
    Gone,
    /// Rowproof wrote it: outputs never trigger.
    Own,
}

/// Swaps of one slot's head that may come between before this worker gives the message back.
const SWAP_TRIES: u32 = 8;

/// Makes the object's current version the head of its slot and creates its job, or finds that done.
pub async fn observe_object(
    app: &App,
    ready: &Arc<Ready>,
    captures: &BTreeMap<String, String>,
    key: &str,
    restart: Restart,
) -> Result<Observation, StepError> {
    for attempt in 0..SWAP_TRIES {
        if let Some(observation) = try_observe(app, ready, captures, key, restart).await? {
            return Ok(observation);
        }
        crate::aws::retry::pause(app.clock, attempt).await;
    }
    Err(StepError::Broken(format!("the slot of {key} kept changing while it was observed")))
}

/// `None` when the slot changed in between.
async fn try_observe(
    app: &App,
    ready: &Arc<Ready>,
    captures: &BTreeMap<String, String>,
    key: &str,
    restart: Restart,
) -> Result<Option<Observation>, StepError> {
    let bucket = &app.settings.input_bucket;
    // The slot of `replaces = "nothing"` contains the version, so the first HEAD finds the slot; the
    // second one, after the slot was read, is what T1 builds on.
    let Some(first) = app.store.head(bucket, key).await? else {
        return Ok(Some(Observation::Gone));
    };
    if first.written_by.is_some() {
        return Ok(Some(Observation::Own));
    }
    let id = slot_id(&ready.pipeline, &first.object, captures);
    let slot = app.ledger.slot(&id).await?;
    let Some(head) = app.store.head(bucket, key).await? else {
        return Ok(Some(Observation::Gone));
    };
    let object = head.object;
    if ready.pipeline.source.replaces == Replaces::Nothing
        && slot_id(&ready.pipeline, &object, captures) != id
    {
        return Ok(None);
    }
    let facts = |generation: i64| JobFacts {
        job: job_id(&id, &object, generation),
        slot: id.clone(),
        generation,
        pipeline: ready.pipeline.name.clone(),
        pipeline_sha: ready.sha256.clone(),
        object: object.clone(),
        captures: captures.clone(),
        created_at: app.clock.now(),
        replay: None,
        reverts: None,
    };
    let floor = match slot {
        Some(_) => 0,
        None => generation_shown(app, &id).await?,
    };
    let observed = decide(app, ready, slot.as_ref(), &id, &object, restart, floor).await?;
    match observed {
        Observed::Older => {
            let facts = facts(0);
            let write = ledger::create_superseded(&facts, app.clock.now());
            app.ledger.perform(&write).await?;
            info!(job = %facts.job, source_uri = %object.uri(), "a later file holds its slot");
            need_job(app, &facts).await.map(Some)
        }
        Observed::Reverted => {
            info!(source_uri = %object.uri(), "an operator went back from this version");
            let slot = slot.ok_or_else(|| StepError::Broken(format!("slot {id} has vanished")))?;
            crate::steps::observe::reverted_job(app, &slot).await.map(Some)
        }
        Observed::IsHead { generation, .. } => {
            create_job(app, ready, facts(generation)).await.map(Some)
        }
        Observed::NewHead { write, generation, .. } => {
            if !app.ledger.perform(&write).await?.stands() {
                return Ok(None);
            }
            if let Some(slot) = slot {
                // Its own worker would find out too; this only makes the picture right at once.
                let overtaken = ledger::supersede(&slot.head_job, app.clock.now());
                app.ledger.perform(&overtaken).await?;
            }
            create_job(app, ready, facts(generation)).await.map(Some)
        }
    }
}

/// T1 or, when a restart is asked for and due, T17.
async fn decide(
    app: &App,
    ready: &Ready,
    slot: Option<&Slot>,
    id: &rowproof_core::ids::SlotId,
    object: &ObjectVersion,
    restart: Restart,
    floor: i64,
) -> Result<Observed, StepError> {
    let now = app.clock.now();
    let observed = ledger::observe(id, slot, object, now, floor);
    let again = match (&observed, restart) {
        (_, Restart::No) => false,
        (Observed::IsHead { job, .. }, Restart::IfChanged) => {
            let job = app.ledger.job(job).await?;
            job.is_some_and(|job| job.facts.pipeline_sha != ready.sha256)
        }
        (Observed::NewHead { .. } | Observed::Older | Observed::Reverted, Restart::IfChanged) => {
            false
        }
        (_, Restart::Always | Restart::Force) => true,
    };
    if !again {
        return Ok(observed);
    }
    let loaded = slot.is_some_and(|slot| slot.committed_job.is_some());
    if ready.pipeline.source.replaces == Replaces::Nothing && loaded {
        return Err(StepError::Pipeline(format!(
            "{} was loaded already, and pipeline {} has replaces = \"nothing\": its rows would be \
             there twice; store the file under a new key instead",
            object.uri(),
            ready.pipeline.name
        )));
    }
    Ok(ledger::restart(id, slot, object, restart == Restart::Force, now, floor))
}

/// T2, unless the job is there already.
async fn create_job(
    app: &App,
    ready: &Arc<Ready>,
    facts: JobFacts,
) -> Result<Observation, StepError> {
    if let Some(job) = app.ledger.job(&facts.job).await? {
        return Ok(Observation::Job(Box::new(job)));
    }
    app.pipelines.freeze(ready).await?;
    app.ledger.perform(&ledger::create(&facts, app.clock.now())).await?;
    info!(job = %facts.job, source_uri = %facts.object.uri(), "job created");
    need_job(app, &facts).await
}

async fn need_job(app: &App, facts: &JobFacts) -> Result<Observation, StepError> {
    match app.ledger.job(&facts.job).await? {
        Some(job) => Ok(Observation::Job(Box::new(job))),
        None => Err(StepError::Broken(format!("job {} vanished after it was created", facts.job))),
    }
}

/// The job of the version that is under the key now; `None` when there is no object or no job yet.
pub async fn job_of(
    app: &App,
    pipeline: &Pipeline,
    captures: &BTreeMap<String, String>,
    key: &str,
) -> Result<Option<Job>, StepError> {
    let Some(head) = app.store.head(&app.settings.input_bucket, key).await? else {
        return Ok(None);
    };
    let id = slot_id(pipeline, &head.object, captures);
    let slot = app.ledger.slot(&id).await?;
    match slot.filter(|slot| slot.is_head(&head.object)) {
        Some(slot) => app.ledger.job(&slot.head_job).await,
        None => app.ledger.job(&job_id(&id, &head.object, 0)).await,
    }
}

/// T12 when a newer version has the slot: says whether the job is still the head.
pub(crate) async fn is_still_head(app: &App, job: &Job) -> Result<bool, StepError> {
    let slot = app.ledger.slot(&job.facts.slot).await?;
    if slot.is_some_and(|slot| slot.head_job == job.facts.job) {
        return Ok(true);
    }
    if job.state != JobState::Committing {
        let write = ledger::supersede(&job.facts.job, app.clock.now());
        app.ledger.perform(&write).await?;
    }
    Ok(false)
}

/// The job of a slot whose head an operator went back to; made if whoever went back died before.
pub(crate) async fn reverted_job(app: &App, slot: &Slot) -> Result<Observation, StepError> {
    let broken = |what: &str| StepError::Broken(format!("slot {} {what}", slot.slot));
    if let Some(job) = app.ledger.job(&slot.head_job).await? {
        return Ok(Observation::Job(Box::new(job)));
    }
    let to = slot.reverted.as_ref().map(|reverted| &reverted.to);
    let to = to.ok_or_else(|| broken("goes back to no job"))?;
    let to = app.ledger.job(to).await?.ok_or_else(|| broken("goes back to a job that is gone"))?;
    let facts = JobFacts {
        job: slot.head_job.clone(),
        generation: slot.generation,
        created_at: app.clock.now(),
        reverts: Some(to.facts.chunks_of().clone()),
        ..to.facts
    };
    app.ledger.perform(&ledger::create(&facts, app.clock.now())).await?;
    let job = app.ledger.job(&facts.job).await?.ok_or_else(|| broken("lost its new job"))?;
    Ok(Observation::Job(Box::new(job)))
}
