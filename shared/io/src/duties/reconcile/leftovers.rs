//! Working files of jobs that are over: staged chunks, outcomes, plans.

use std::collections::BTreeSet;

use rowproof_core::housekeeping::{
    Fate, GENERATIONS_KEPT, documented, fate_of_working_files, job_of_working_file,
};
use rowproof_core::ids::JobId;
use rowproof_core::ledger::{Job, JobState, Slot};
use rowproof_core::names;
use rowproof_core::receipt::Manifest;

use super::{Ended, Reconciled, doubt};
use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;

pub(super) async fn look(
    app: &App,
    prefix: &str,
    mut after: String,
    deadline: Deadline,
    found: &mut Reconciled,
) -> Result<Ended, StepError> {
    let bucket = &app.settings.output_bucket;
    loop {
        if deadline.is_near(app.settings.deadline_margin_ms) {
            return Ok(Ended::Early(after));
        }
        let page = app.store.page(bucket, prefix, &after).await?;
        let keys: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
        if let Some(last) = keys.last() {
            after.clone_from(last);
        }
        // The files of one job stand together.
        for files in keys.chunk_by(|a, b| job_of_working_file(a) == job_of_working_file(b)) {
            let Some(job) = files.first().and_then(|key| job_of_working_file(key)) else {
                continue;
            };
            match may_go(app, &job).await {
                Ok(true) => {
                    app.store.delete(bucket, files).await?;
                    found.working_removed += u64::try_from(files.len()).unwrap_or(0);
                }
                Ok(false) => {}
                Err(error) => doubt(found, &job.0, error)?,
            }
        }
        if !page.more {
            return Ok(Ended::Complete);
        }
    }
}

async fn may_go(app: &App, id: &JobId) -> Result<bool, StepError> {
    let job = app.ledger.job(id).await?;
    match fate_of_working_files(job.as_ref(), app.clock.now(), app.settings.grace_seconds) {
        Fate::Keep => Ok(false),
        Fate::Remove => Ok(true),
        Fate::RemoveUnlessNamed => match job {
            Some(job) => Ok(!is_named(app, &job).await?),
            None => Ok(false),
        },
    }
}

/// Whether a kept generation of its slot is made of this job's files.
async fn is_named(app: &App, job: &Job) -> Result<bool, StepError> {
    let Some(slot) = app.ledger.slot(&job.facts.slot).await? else { return Ok(true) };
    // What is under way may go back to any earlier job.
    if slot.committed_job.as_ref() != Some(&slot.head_job) {
        return Ok(true);
    }
    let kept = kept_jobs(app, &slot).await?;
    let replays_kept =
        job.facts.replay.as_ref().is_some_and(|replay| kept.contains(&replay.parent));
    Ok(kept.contains(&job.facts.job) || replays_kept)
}

/// The jobs of the last committed generations, and those whose staged files they are made of.
async fn kept_jobs(app: &App, slot: &Slot) -> Result<BTreeSet<JobId>, StepError> {
    let prefix = names::slot_manifests(&slot.slot);
    let keys = app.store.list(&app.settings.output_bucket, &prefix).await?;
    let candidates: BTreeSet<_> = keys.iter().filter_map(|key| documented(key)).collect();
    let mut kept = BTreeSet::new();
    let mut generations = 0;
    for (_, id) in candidates.into_iter().rev() {
        if generations == GENERATIONS_KEPT {
            break;
        }
        let Some(job) = app.ledger.job(&id).await? else { continue };
        let Some(key) = job.manifest.as_ref().filter(|_| job.state == JobState::Committed) else {
            continue;
        };
        generations += 1;
        let manifest: Manifest = app.document(key, "manifest").await?;
        let files = manifest.files.iter().chain(&manifest.staged);
        kept.extend(files.filter_map(|file| job_of_working_file(&file.staged)));
        kept.insert(job.facts.chunks_of().clone());
        kept.insert(id);
    }
    Ok(kept)
}
