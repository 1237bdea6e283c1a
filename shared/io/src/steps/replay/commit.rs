//! The end of a replay: lock the parent, publish, swap its outcomes, show the next revision, let it go.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rowproof_core::ids::sha256_hex;
use rowproof_core::ledger::{self, ChunkId, Job, JobState, PlanRef, ReplayLock};
use rowproof_core::names;
use rowproof_core::receipt::{Current, Manifest};
use rowproof_core::replay::{Change, Changes, ReplayOutcome, ReplayPlan, ReplayTally};
use tracing::info;

use super::{begin_stored, load_request, replay_facts};
use crate::app::App;
use crate::documents::job::done_chunks;
use crate::documents::job::next_manifest;
use crate::error::StepError;
use crate::sinks::postgres::{publish_replay, remove_stale_archive};
use crate::steps::commit::{commit_job, help_winner, publish, raise_current, remove_replaced};

/// Documents read, and items swapped, at a time.
const IN_FLIGHT: usize = 8;

/// Takes a replay whose chunks are all done to its end, from wherever it stands.
pub(super) async fn commit_replay(app: &App, job: &Job) -> Result<(), StepError> {
    let Some(job) = app.ledger.job(&job.facts.job).await? else { return Ok(()) };
    if job.state == JobState::Committing {
        return finish(app, &job).await;
    }
    if job.state != JobState::Running {
        return Ok(());
    }
    let parent = parent_of(app, &job).await?;
    let lock = match &parent.replay {
        // Whoever locked it died before saying so in the replay's own item.
        Some(lock) if lock.job == job.facts.job => lock.clone(),
        Some(_) | None => match lock_parent(app, &job, &parent).await? {
            Some(lock) => lock,
            None => return Ok(()),
        },
    };
    app.ledger.perform(&ledger::begin_commit(&job, &lock.changes, app.clock.now())).await?;
    let Some(job) = app.ledger.job(&job.facts.job).await? else { return Ok(()) };
    if job.state == JobState::Committing { finish(app, &job).await } else { Ok(()) }
}

async fn parent_of(app: &App, job: &Job) -> Result<Job, StepError> {
    let parent = app.ledger.job(&replay_facts(job)?.parent).await?;
    let id = &job.facts.job;
    parent.ok_or_else(|| StepError::Broken(format!("the job that replay {id} works on is gone")))
}

/// Freezes what changes and locks the parent for it. `None` when the replay is over: it changes
/// nothing, or the parent has changed and the rows are planned anew.
async fn lock_parent(app: &App, job: &Job, parent: &Job) -> Result<Option<ReplayLock>, StepError> {
    let planned_at = replay_facts(job)?.parent_rev;
    let may_change = matches!(parent.state, JobState::Committed | JobState::Held);
    if parent.rev != planned_at || !may_change {
        replan(app, job).await?;
        return Ok(None);
    }
    let Some(changes) = collect(app, job, parent).await? else { return Ok(None) };
    let text = serde_json::to_vec(&changes).unwrap_or_default();
    let sha256 = sha256_hex(&text);
    let key = names::changes(&parent.facts, &job.facts.job, &sha256);
    let bucket = &app.settings.output_bucket;
    app.store.put_new(bucket, &key, Bytes::from(text), &job.facts.job.0).await?;
    let stored = PlanRef { key, sha256 };
    if changes.changes.is_empty() {
        app.ledger.perform(&ledger::begin_commit(job, &stored, app.clock.now())).await?;
        end(app, job, changes.from_manifest.as_deref().unwrap_or_default()).await?;
        return Ok(None);
    }
    let lock = ReplayLock { job: job.facts.job.clone(), changes: stored };
    let write = ledger::lock_for_replay(parent, planned_at, &lock);
    if !app.ledger.perform(&write).await?.stands() {
        replan(app, job).await?;
        return Ok(None);
    }
    Ok(Some(lock))
}

/// Somebody decided about the parent, or replayed other rows of it, since this replay was planned: it
/// ends, and what is left of the wish is planned from what stands now.
async fn replan(app: &App, job: &Job) -> Result<(), StepError> {
    let request = load_request(app, job).await?;
    let stored = replay_facts(job)?.request.clone();
    let over = ledger::supersede(&job.facts.job, app.clock.now());
    if !app.ledger.perform(&over).await?.stands() {
        // Somebody else took it to its end meanwhile.
        return Ok(());
    }
    let begun = Box::pin(begin_stored(app, &request, stored)).await?;
    info!(job = %job.facts.job, next = ?begun, "the replayed job has changed: planned anew");
    Ok(())
}

/// What the replay's chunks change, with the parent's next manifest; `None` while a chunk is missing.
async fn collect(app: &App, job: &Job, parent: &Job) -> Result<Option<Changes>, StepError> {
    let Some(done) = done_chunks(app, job).await? else { return Ok(None) };
    let sealed = job.plan.as_ref().map(|plan| plan.key.as_str()).unwrap_or_default();
    let plan: ReplayPlan = app.document(sealed, "replay plan").await?;
    let read: Vec<_> =
        done.iter().map(|(_, outcome)| app.document(&outcome.key, "replay outcome")).collect();
    let outcomes: Vec<ReplayOutcome> = stream::iter(read).buffered(IN_FLIGHT).try_collect().await?;
    let mut tally = ReplayTally::default();
    let mut changes = vec![];
    for (chunk, outcome) in plan.chunks.into_iter().zip(outcomes) {
        tally.add(&outcome.tally);
        if outcome.to != chunk.from {
            let (from, to) = (chunk.from, outcome.to);
            changes.push(Change { chunk: chunk.chunk, part: chunk.part, from, to });
        }
    }
    let mut all = Changes {
        parent: parent.facts.job.clone(),
        from_manifest: parent.manifest.clone(),
        revision: 0,
        manifest: None,
        tally,
        changes,
        files: vec![],
    };
    if let Some(key) = &parent.manifest {
        let before: Manifest = app.document(key, "manifest").await?;
        all.revision = before.revision + 1;
        let next = next_manifest(app, parent, &all).await?;
        let known = |key: &str| before.files.iter().any(|file| file.key == key);
        all.files = next.files.iter().filter(|file| !known(&file.key)).cloned().collect();
        let key = names::manifest(&parent.facts, all.revision);
        all.manifest = Some(PlanRef { key, sha256: sha256_hex(next.to_json().as_bytes()) });
    }
    Ok(Some(all))
}

/// From the lock on: publish, swap, manifest, slot, pointer, and the parent goes free.
async fn finish(app: &App, job: &Job) -> Result<(), StepError> {
    let Some(changes) = super::frozen_changes(app, job).await? else { return Ok(()) };
    let parent = parent_of(app, job).await?;
    let mine = parent.replay.as_ref().filter(|lock| lock.job == job.facts.job).cloned();
    let Some(lock) = mine else {
        // The parent was let go already: all that is left is the replay's own end.
        return end(app, job, manifest_key(&changes)).await;
    };
    let frozen = changes;
    let Some(changes) = settle(app, job, &parent, &frozen).await? else {
        unlock(app, &parent, &lock, None).await?;
        let over = ledger::supersede_committing(&job.facts.job, app.clock.now());
        app.ledger.perform(&over).await?;
        return Ok(());
    };
    let shown = match &changes.manifest {
        Some(manifest) => show(app, &parent, &changes, manifest).await?,
        None => {
            swap(app, &parent, &changes).await?;
            false
        }
    };
    unlock(app, &parent, &lock, changes.manifest.as_ref().filter(|_| shown)).await?;
    if changes.manifest.is_some() && !shown {
        let over = ledger::supersede_committing(&job.facts.job, app.clock.now());
        app.ledger.perform(&over).await?;
        return Ok(());
    }
    end(app, job, manifest_key(&changes)).await?;
    if changes.manifest.is_none() {
        // The hold is judged by the new totals.
        commit_job(app, &parent.facts.job).await?;
    }
    Ok(())
}

/// What the replay comes to: what was frozen, or what a table made of it. `None` when a later file has
/// the slot there.
async fn settle(
    app: &App,
    job: &Job,
    parent: &Job,
    frozen: &Changes,
) -> Result<Option<Changes>, StepError> {
    let ready = app.pipelines.frozen(&parent.facts.pipeline_sha).await?;
    let sink = &ready.pipeline.sink;
    // A table takes a HELD job's rows when it commits, unless its chunks are there already.
    if sink.postgres().is_none() || (frozen.manifest.is_none() && !sink.commits_chunks()) {
        return Ok(Some(frozen.clone()));
    }
    let Some(settled) = publish_replay(app, job, parent, frozen).await? else { return Ok(None) };
    let text = Bytes::from(serde_json::to_vec(&settled).unwrap_or_default());
    let key = names::settled(&parent.facts, &job.facts.job);
    app.store.put_new(&app.settings.output_bucket, &key, text, &job.facts.job.0).await?;
    for (frozen, settled) in frozen.changes.iter().zip(&settled.changes) {
        remove_stale_archive(app, &frozen.to, &settled.to).await?;
    }
    Ok(Some(settled))
}

fn manifest_key(changes: &Changes) -> &str {
    changes.manifest.as_ref().map(|manifest| manifest.key.as_str()).unwrap_or_default()
}

async fn end(app: &App, job: &Job, manifest: &str) -> Result<(), StepError> {
    app.ledger.perform(&ledger::end_commit(job, manifest, app.clock.now())).await?;
    Ok(())
}

/// Makes the new rows visible. `false` when a newer version has the slot: then nothing of them stays.
async fn show(
    app: &App,
    parent: &Job,
    changes: &Changes,
    manifest: &PlanRef,
) -> Result<bool, StepError> {
    publish(app, &changes.files).await.map_err(StepError::of_sink)?;
    swap(app, parent, changes).await?;
    let next = next_manifest(app, parent, changes).await?;
    let text = Bytes::from(next.to_json());
    if sha256_hex(&text) != manifest.sha256 {
        return Err(StepError::Broken(format!("{} would not be what was frozen", manifest.key)));
    }
    let bucket = &app.settings.output_bucket;
    app.store.put_new(bucket, &manifest.key, text, &parent.facts.job.0).await?;
    let from = changes.from_manifest.as_deref().unwrap_or_default();
    let raised = ledger::raise_manifest(parent, from, &manifest.key);
    let shown = app.ledger.perform(&raised).await?.stands();
    if shown {
        let current = Current {
            generation: parent.facts.generation,
            revision: changes.revision,
            job: parent.facts.job.0.clone(),
            manifest: manifest.key.clone(),
        };
        raise_current(app, parent, &current).await?;
    } else {
        help_winner(app, parent).await?;
    }
    // Also after a success: a newer version may have committed and removed before this one published.
    remove_replaced(app, &parent.facts.slot).await?;
    Ok(shown)
}

async fn swap(app: &App, parent: &Job, changes: &Changes) -> Result<(), StepError> {
    for change in &changes.changes {
        let id = ChunkId {
            job: parent.facts.job.clone(),
            chunk: change.chunk,
            part: change.part.clone(),
        };
        let write = ledger::swap_outcome(&id, &change.from, &change.to);
        if !app.ledger.perform(&write).await?.stands() {
            let job = &parent.facts.job;
            let now = app.ledger.job(job).await?;
            if now.and_then(|job| job.replay) != parent.replay {
                // Another worker took this replay to its end, and a later one changed the chunk again.
                return Err(StepError::Fenced { id });
            }
            return Err(StepError::Broken(format!(
                "chunk {id} of job {job} has another outcome than its replay started from"
            )));
        }
    }
    Ok(())
}

/// The parent goes free, in whatever state it is by now.
async fn unlock(
    app: &App,
    parent: &Job,
    lock: &ReplayLock,
    manifest: Option<&PlanRef>,
) -> Result<(), StepError> {
    for attempt in 0.. {
        let Some(parent) = app.ledger.job(&parent.facts.job).await? else { return Ok(()) };
        if parent.replay.as_ref() != Some(lock) {
            return Ok(());
        }
        let write = ledger::unlock_after_replay(&parent, lock, manifest, app.clock.now());
        if app.ledger.perform(&write).await?.stands() {
            return Ok(());
        }
        crate::aws::retry::pause(app.clock, attempt).await;
    }
    Ok(())
}
