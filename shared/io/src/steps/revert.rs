//! Going back: the rows of an earlier version of a file take the place of today's, from the files that
//! were staged then.

use rowproof_core::ids::{JobId, SlotId};
use rowproof_core::ledger::{self, Job, JobState, Slot};
use rowproof_core::names;
use rowproof_core::pipeline::WriteMode;
use rowproof_core::receipt::Manifest;
use tracing::info;

use crate::app::App;
use crate::error::StepError;
use crate::steps::observe::Observation;
use crate::steps::observe::reverted_job;
use crate::steps::send::send_job;

/// What an operator's wish to go back led to.
#[derive(Debug)]
pub enum Revert {
    /// This job brings the rows of `to` back.
    Begun {
        /// The new job.
        job: JobId,
        /// The earlier job.
        to: Box<Job>,
    },
    /// It cannot be done, for this reason.
    Refused(String),
}

/// The committed job before the one whose rows a slot shows, or why there is none to go back to.
///
/// # Errors
/// AWS does not answer.
pub async fn earlier_job(app: &App, slot: &Slot) -> Result<Result<Job, String>, StepError> {
    let Some(shown) = slot.committed_job.as_ref() else {
        return Ok(Err("nothing of it was ever loaded".to_owned()));
    };
    let keys =
        app.store.list(&app.settings.output_bucket, &names::slot_manifests(&slot.slot)).await?;
    let mut generations: Vec<_> = keys.iter().filter_map(|key| names::manifest_job(key)).collect();
    generations.retain(|(generation, job)| *generation < slot.committed_generation && job != shown);
    generations.sort();
    generations.dedup();
    while let Some((_, id)) = generations.pop() {
        let job = app.ledger.job(&id).await?;
        if let Some(job) = job.filter(|job| job.state == JobState::Committed) {
            return Ok(Ok(job));
        }
    }
    Ok(Err("there is no earlier version: this one is the first".to_owned()))
}

/// Makes the earlier version's rows those of the slot again, as a new generation.
///
/// # Errors
/// AWS does not answer, or a stored document does not parse.
pub async fn revert(app: &App, id: &SlotId) -> Result<Revert, StepError> {
    let Some(slot) = app.ledger.slot(id).await? else {
        return Ok(Revert::Refused("no file of it was ever seen".to_owned()));
    };
    if Some(&slot.head_job) != slot.committed_job.as_ref() {
        let head = &slot.head_job;
        return Ok(Revert::Refused(format!(
            "its newest version, job {head}, has not committed: wait for it, or see `rowproof why {head}`"
        )));
    }
    let to = match earlier_job(app, &slot).await? {
        Ok(to) => to,
        Err(why) => return Ok(Revert::Refused(why)),
    };
    let ready = app.pipelines.frozen(&to.facts.pipeline_sha).await?;
    if let Some(sink) = ready.pipeline.sink.postgres()
        && sink.mode != WriteMode::DeleteInsert
    {
        let (schema, table) = (&sink.schema, &sink.table);
        return Ok(Revert::Refused(format!(
            "its rows went into table {schema}.{table} one by one, and what was there before is not \
             kept: store the earlier file again instead"
        )));
    }
    if let Some(gone) = missing_staged(app, &to).await? {
        return Ok(Revert::Refused(format!(
            "{gone} of job {} is gone: staged files are kept for a time only; store the earlier file \
             again instead",
            to.facts.job
        )));
    }
    let (write, job, _) = ledger::revert(&slot, &to.facts, app.clock.now());
    if !app.ledger.perform(&write).await?.stands() {
        return Ok(Revert::Refused("it changed just now: look again, then decide".to_owned()));
    }
    let slot = app.ledger.slot(id).await?;
    let slot = slot.ok_or_else(|| StepError::Broken(format!("slot {id} has vanished")))?;
    if let Observation::Job(created) = reverted_job(app, &slot).await? {
        info!(job = %created.facts.job, to = %to.facts.job, "going back");
        send_job(app, &created, 0).await?;
    }
    Ok(Revert::Begun { job, to: Box::new(to) })
}

/// Key of a staged file of the job that is not there any more.
async fn missing_staged(app: &App, to: &Job) -> Result<Option<String>, StepError> {
    let Some(key) = &to.manifest else { return Ok(None) };
    let manifest: Manifest = app.document(key, "manifest").await?;
    for file in manifest.files.into_iter().chain(manifest.staged) {
        if app.store.head(&app.settings.output_bucket, &file.staged).await?.is_none() {
            return Ok(Some(file.staged));
        }
    }
    Ok(None)
}

/// T3 of a job that goes back: the plan is that of the job whose rows it shows.
pub(crate) async fn plan_revert(app: &App, job: &Job) -> Result<Job, StepError> {
    let id = &job.facts.job;
    let broken = || StepError::Broken(format!("job {id} goes back to a job without a plan"));
    let source = app.ledger.job(job.facts.chunks_of()).await?.ok_or_else(broken)?;
    let plan = source.plan.ok_or_else(broken)?;
    let sealed = ledger::seal_plan(job, &plan, source.chunk_count, app.clock.now());
    app.ledger.perform(&sealed).await?;
    let planned = app.ledger.job(id).await?;
    planned.ok_or_else(|| StepError::Broken(format!("job {id} has vanished")))
}
