//! Published files: those of replaced versions that a worker copied after it was overtaken, and those
//! that no manifest or intent names.

use std::collections::{BTreeMap, BTreeSet};

use rowproof_core::housekeeping::{is_stray, publisher};
use rowproof_core::ids::{JobId, ObjectVersion, SlotId};
use rowproof_core::ledger::Job;
use rowproof_core::names;
use rowproof_core::pipeline::Pipeline;
use rowproof_core::receipt::FinalNames;

use super::{Ended, Reconciled, doubt};
use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;
use crate::steps::commit::remove_replaced;

/// Folder of the pipelines that jobs run under, see [`names::frozen_pipeline`].
const FROZEN_PIPELINES: &str = "_plans/pipelines/";

pub(super) async fn look(
    app: &App,
    mut after: String,
    deadline: Deadline,
    found: &mut Reconciled,
) -> Result<Ended, StepError> {
    let bucket = &app.settings.output_bucket;
    for prefix in sink_paths(app, found).await? {
        if !after.starts_with(&prefix) && after > prefix {
            continue;
        }
        let mut behind = if after.starts_with(&prefix) { after.clone() } else { String::new() };
        loop {
            if deadline.is_near(app.settings.deadline_margin_ms) {
                return Ok(Ended::Early(if behind.is_empty() { after } else { behind }));
            }
            let page = app.store.page(bucket, &prefix, &behind).await?;
            if let Some(last) = page.objects.last() {
                behind.clone_from(&last.key);
            }
            look_at_page(app, page.objects, found).await?;
            if !page.more {
                break;
            }
        }
        after = behind.max(prefix);
    }
    Ok(Ended::Complete)
}

/// Folders that data was ever published to: every job's pipeline is kept under its hash.
async fn sink_paths(app: &App, found: &mut Reconciled) -> Result<BTreeSet<String>, StepError> {
    let mut paths = BTreeSet::new();
    let folder = |pipeline: &Pipeline| Some(format!("{}/", pipeline.sink.parquet()?.path));
    for ready in app.pipelines.stored().await? {
        paths.extend(folder(&ready.pipeline));
    }
    let bucket = &app.settings.output_bucket;
    for key in app.store.list(bucket, FROZEN_PIPELINES).await? {
        match app.document::<Pipeline>(&key, "pipeline").await {
            Ok(pipeline) => paths.extend(folder(&pipeline)),
            Err(error) => doubt(found, &key, error)?,
        }
    }
    Ok(paths)
}

/// Files of one page that one job published.
struct Published {
    generation: i64,
    job: JobId,
    files: Vec<ObjectVersion>,
}

async fn look_at_page(
    app: &App,
    objects: Vec<ObjectVersion>,
    found: &mut Reconciled,
) -> Result<(), StepError> {
    let mut by_job: BTreeMap<(i64, JobId), Vec<ObjectVersion>> = BTreeMap::new();
    for object in objects {
        if let Some(publisher) = publisher(&object.key) {
            by_job.entry(publisher).or_default().push(object);
        }
    }
    let mut cleaned = BTreeSet::new();
    for ((generation, job), files) in by_job {
        let published = Published { generation, job, files };
        match look_at_job(app, &published, &mut cleaned).await {
            Ok(Some(removed)) => found.published_removed += removed,
            // Published under a ledger that was lost: what is not known is not touched.
            Ok(None) => found.doubtful += 1,
            Err(error) => doubt(found, &published.job.0, error)?,
        }
    }
    Ok(())
}

/// How many files were removed; `None` when the ledger does not know their job.
async fn look_at_job(
    app: &App,
    published: &Published,
    cleaned: &mut BTreeSet<SlotId>,
) -> Result<Option<u64>, StepError> {
    let Some(job) = app.ledger.job(&published.job).await? else { return Ok(None) };
    let slot = app.ledger.slot(&job.facts.slot).await?;
    let named = named_files(app, &job).await?;
    let (kept, unnamed): (Vec<_>, Vec<_>) =
        published.files.iter().partition(|file| named.contains(&file.key));
    let mut removed = 0;
    // Only a hint of where to look: what goes is decided by the pointer that readers follow.
    let is_replaced = slot.is_some_and(|slot| slot.committed_generation > published.generation);
    if is_replaced && !kept.is_empty() {
        if cleaned.insert(job.facts.slot.clone()) {
            remove_replaced(app, &job.facts.slot).await?;
        }
        removed += kept.len();
    }
    let (now, grace) = (app.clock.now(), app.settings.grace_seconds);
    let strays: Vec<String> = unnamed
        .iter()
        .filter(|file| is_stray(Some(&job), file.last_modified, now, grace))
        .map(|file| file.key.clone())
        .collect();
    app.store.delete(&app.settings.output_bucket, &strays).await?;
    removed += strays.len();
    Ok(Some(u64::try_from(removed).unwrap_or(0)))
}

/// Every data file that a manifest or intent of the job names, in any revision.
async fn named_files(app: &App, job: &Job) -> Result<BTreeSet<String>, StepError> {
    let facts = &job.facts;
    let prefix =
        format!("{}{:06}/{}-", names::slot_manifests(&facts.slot), facts.generation, facts.job);
    let mut named = BTreeSet::new();
    for key in app.store.list(&app.settings.output_bucket, &prefix).await? {
        let document: FinalNames = app.document(&key, "manifest").await?;
        named.extend(document.files.into_iter().map(|file| file.key));
    }
    Ok(named)
}
