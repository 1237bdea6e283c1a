//! T10 and T11: when a job's last chunk is done, check the books, publish, and swap.
//!
//! Every step can be repeated by anybody, in any number, at any time: whoever finds a job COMMITTING
//! goes on from its intent.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rowproof_core::ids::{JobId, SlotId, sha256_hex};
use rowproof_core::ledger::{self, ChunkId, HoldReason, Job, JobState, PlanRef};
use rowproof_core::names;
use rowproof_core::pipeline::Sink;
use rowproof_core::receipt::{ChunkOutcome, Current, FinalNames, Manifest, PublishedFile};
use rowproof_core::replay::Change;
use tracing::{error, info, warn};

use crate::app::App;
use crate::aws::store::Stored;
use crate::documents::current::read_current;
use crate::documents::job::done_chunks;
use crate::documents::job::load_plan;
use crate::documents::job::read_outcomes;
use crate::error::StepError;
use crate::sinks::postgres::{Published, publish_object, remove_stale_archive};
use crate::steps::doubts::doubts;

/// Objects read, copied or removed at a time.
const IN_FLIGHT: usize = 8;

/// Takes a job towards COMMITTED as far as it goes now; the state it is in afterwards.
pub async fn commit_job(app: &App, id: &JobId) -> Result<JobState, StepError> {
    loop {
        let job = reread(app, id).await?;
        match job.state {
            JobState::Running => {
                if !try_begin(app, &job).await? {
                    return Ok(reread(app, id).await?.state);
                }
            }
            JobState::Committing => return Box::pin(finish(app, &job)).await,
            JobState::Planning
            | JobState::Blocked
            | JobState::Held
            | JobState::Committed
            | JobState::Superseded
            | JobState::Failed => return Ok(job.state),
        }
    }
}

async fn reread(app: &App, id: &JobId) -> Result<Job, StepError> {
    let found = app.ledger.job(id).await?;
    found.ok_or_else(|| StepError::Broken(format!("job {id} has vanished")))
}

/// T10 for every group, then T14 or T11a. `false` when there is nothing more to do now: a chunk is
/// missing, or the job is HELD.
async fn try_begin(app: &App, job: &Job) -> Result<bool, StepError> {
    let Some(outcomes) = collect_outcomes(app, job).await? else { return Ok(false) };
    let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await?;
    let plan = load_plan(app, job).await?;
    let manifest = Manifest::build(&job.facts, &ready.pipeline, &plan, &outcomes, 0);
    let text = manifest.to_json();
    let sha256 = sha256_hex(text.as_bytes());
    let intent = PlanRef { key: names::intent(&job.facts, &sha256), sha256 };
    if !manifest.balanced() {
        let message = manifest.problems.join("; ");
        error!(job = %job.facts.job, message, "the books do not balance");
        let hold =
            ledger::hold(job, HoldReason::Unbalanced, &message, &intent.sha256, app.clock.now());
        app.ledger.perform(&hold).await?;
        return Ok(false);
    }
    if !job.is_approved(&intent.sha256)
        && job.facts.reverts.is_none()
        && let Some((reason, message)) = doubts(app, job, &ready, &plan, &manifest).await?
    {
        store_once(app, job, &intent, &text).await?;
        let hold = ledger::hold(job, reason, &message, &intent.sha256, app.clock.now());
        app.ledger.perform(&hold).await?;
        warn!(job = %job.facts.job, message, "job held");
        return Ok(false);
    }
    store_once(app, job, &intent, &text).await?;
    // Refused when an operator or another committer decided in between: the caller reads again.
    app.ledger.perform(&ledger::begin_commit(job, &intent, app.clock.now())).await?;
    Ok(true)
}

/// Stores the frozen outcome list, whose name contains its hash.
async fn store_once(app: &App, job: &Job, intent: &PlanRef, text: &str) -> Result<(), StepError> {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let bucket = &app.settings.output_bucket;
    app.store.put_new(bucket, &intent.key, bytes, &job.facts.job.0).await?;
    Ok(())
}

/// Closes every group that is complete; all outcomes in the order of their rows once every group is.
async fn collect_outcomes(app: &App, job: &Job) -> Result<Option<Vec<ChunkOutcome>>, StepError> {
    let Some(done) = done_chunks(app, job).await? else { return Ok(None) };
    read_outcomes(app, &done).await.map(Some)
}

/// T11b to T11g, from the intent.
async fn finish(app: &App, job: &Job) -> Result<JobState, StepError> {
    let intent = job.intent.as_ref();
    let intent = intent
        .ok_or_else(|| StepError::Broken(format!("job {} commits nothing", job.facts.job)))?;
    let manifest: Manifest = app.document(&intent.key, "outcome list").await?;
    let key = names::manifest(&job.facts, manifest.revision);
    let (manifest, won) = match show_rows(app, job, &manifest).await? {
        Some(shown) => {
            let text = Bytes::from(shown.to_json());
            app.store.put_new(&app.settings.output_bucket, &key, text, &job.facts.job.0).await?;
            let won = app.ledger.perform(&ledger::commit_slot(job, &key)).await?.stands();
            (shown, won)
        }
        None => (manifest, false),
    };
    if won {
        let current = Current {
            generation: job.facts.generation,
            revision: manifest.revision,
            job: job.facts.job.0.clone(),
            manifest: key.clone(),
        };
        raise_current(app, job, &current).await?;
    } else {
        help_winner(app, job).await?;
    }
    remove_replaced(app, &job.facts.slot).await?;
    let end = match won {
        true => ledger::end_commit(job, &key, app.clock.now()),
        false => ledger::supersede_committing(&job.facts.job, app.clock.now()),
    };
    app.ledger.perform(&end).await?;
    if won {
        app.ledger.perform(&ledger::settle_slot(job)).await?;
    }
    let state = reread(app, &job.facts.job).await?.state;
    let counts = manifest.totals.counts;
    info!(
        job = %job.facts.job,
        state = state.as_str(),
        rows_read = counts.read,
        rows_loaded = counts.loaded,
        rows_rejected = counts.rejected,
        "job over"
    );
    if won {
        crate::telemetry::job_committed(&job.facts.pipeline, &manifest.totals);
        let outage = app.ledger.outage(&job.facts.pipeline).await?;
        crate::steps::outage::end(app, &job.facts.pipeline, outage.as_ref()).await?;
    }
    Ok(state)
}

/// T11b: the job's rows are where readers look. The receipt as it is then; `None` when a later job of
/// the slot has shown its rows first.
async fn show_rows(app: &App, job: &Job, frozen: &Manifest) -> Result<Option<Manifest>, StepError> {
    let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await?;
    match &ready.pipeline.sink {
        Sink::Parquet(_) => {
            publish(app, &frozen.files).await.map_err(StepError::of_sink)?;
            Ok(Some(frozen.clone()))
        }
        Sink::Postgres(_) => match Box::pin(publish_object(app, job, &ready, frozen)).await? {
            Published::Shown(manifest, changes) => {
                settle_outcomes(app, job, &changes).await?;
                Ok(Some(*manifest))
            }
            Published::Lost => Ok(None),
        },
    }
}

/// The ledger names the outcomes as the table made them, so that a replay starts from what stands. One
/// that a replay has changed since stays.
async fn settle_outcomes(app: &App, job: &Job, changes: &[Change]) -> Result<(), StepError> {
    if job.facts.reverts.is_some() {
        return Ok(());
    }
    for Change { chunk, part, from, to } in changes.iter().filter(|change| change.from != change.to)
    {
        let (job, part) = (job.facts.job.clone(), part.clone());
        let id = ChunkId { job, chunk: *chunk, part };
        app.ledger.perform(&ledger::swap_outcome(&id, from, to)).await?;
        remove_stale_archive(app, from, to).await?;
    }
    Ok(())
}

/// T11b: every file under its final name. A name that is taken holds the same bytes.
pub(crate) async fn publish(app: &App, files: &[PublishedFile]) -> Result<(), StepError> {
    let bucket = &app.settings.output_bucket;
    let copy = |file: &PublishedFile| {
        let (from, to) = (file.staged.clone(), file.key.clone());
        async move { app.store.copy_new(bucket, &from, &to).await }
    };
    let copies: Vec<_> = files.iter().map(copy).collect();
    stream::iter(copies)
        .buffer_unordered(IN_FLIGHT)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    Ok(())
}

/// T11e: moves the slot's pointer, only ever to a higher generation or revision.
pub(crate) async fn raise_current(app: &App, job: &Job, new: &Current) -> Result<(), StepError> {
    let bucket = &app.settings.output_bucket;
    let key = names::current(&job.facts.slot);
    for attempt in 0.. {
        let (found, etag) = match read_current(app, &key).await? {
            Some((found, etag)) => (Some(found), Some(etag)),
            None => (None, None),
        };
        let rank = |current: &Current| (current.generation, current.revision);
        if let Some(found) = found.as_ref().filter(|found| rank(found) >= rank(new)) {
            if rank(found) == rank(new) && found.job != new.job {
                return Err(StepError::Broken(format!(
                    "{key} names job {} with the generation of job {}: was the ledger lost or restored?",
                    found.job, new.job
                )));
            }
            return Ok(());
        }
        let text = Bytes::from(serde_json::to_vec(new).unwrap_or_default());
        let over = etag.as_deref();
        let stored = app.store.swap(bucket, &key, text, &new.job, over).await?;
        if stored == Stored::Created {
            return Ok(());
        }
        crate::aws::retry::pause(app.clock, attempt).await;
    }
    Ok(())
}

/// A committer that lost first brings the pointer up to the winner's manifest: its own removal below
/// must never see an older pointer than the ledger's.
pub(crate) async fn help_winner(app: &App, job: &Job) -> Result<(), StepError> {
    let slot = app.ledger.slot(&job.facts.slot).await?;
    let Some(slot) = slot else { return Ok(()) };
    let (Some(winner), Some(key)) = (slot.committed_job, slot.manifest) else { return Ok(()) };
    let manifest: Manifest = app.document(&key, "manifest").await?;
    let current = Current {
        generation: slot.committed_generation,
        revision: manifest.revision,
        job: winner.0,
        manifest: key,
    };
    raise_current(app, job, &current).await
}

/// T11f: removes the files of every generation below the one that the pointer names, as listed in
/// their intents. Never by what this worker remembers: it may be long overtaken itself.
pub(crate) async fn remove_replaced(app: &App, slot: &SlotId) -> Result<(), StepError> {
    let bucket = &app.settings.output_bucket;
    let current = read_current(app, &names::current(slot)).await?;
    let Some((current, _)) = current else { return Ok(()) };
    let prefix = names::slot_manifests(slot);
    let keys = app.store.list(bucket, &prefix).await?;
    let replaced = keys.into_iter().filter(|key| {
        names::intent_generation(key).is_some_and(|generation| generation < current.generation)
    });
    for key in replaced {
        let named: FinalNames = app.document(&key, "outcome list").await?;
        let files: Vec<_> = named.files.into_iter().map(|file| file.key).collect();
        app.store.delete(bucket, &files).await?;
    }
    Ok(())
}
