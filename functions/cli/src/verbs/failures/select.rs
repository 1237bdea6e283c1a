//! The jobs whose archives are asked about.

use bytes::Bytes;
use rowproof_core::archive::Wanted;
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::receipt::{ArchivedFile, Manifest};
use rowproof_io::app::App;

use crate::exit::Usage;
use crate::show::jobs;
use crate::show::outcome::load_manifest;

/// A job and what it archived.
pub(crate) struct Source {
    pub(crate) job: Job,
    pub(crate) manifest: Manifest,
}

impl Source {
    /// Rejected rows with the wanted code and column.
    pub(super) fn rows_with(&self, wanted: &Wanted) -> u64 {
        let reasons = self.manifest.totals.reasons.iter().filter(|reason| {
            wanted.code.as_ref().is_none_or(|code| *code == reason.code)
                && (wanted.column.is_none() || wanted.column == reason.column)
        });
        reasons.map(|reason| reason.rows).sum()
    }
}

/// This job, or every job whose rows are current or that is held, newest first.
pub(crate) async fn sources(app: &App, job: Option<&str>) -> anyhow::Result<Vec<Source>> {
    if let Some(text) = job {
        let job = jobs::find(app, text).await?;
        let Some(manifest) = load_manifest(app, &job).await? else {
            let (id, state) = (&job.facts.job, job.state.as_str());
            return Err(Usage(format!(
                "job {id} is {state}: no row of it was archived; see `rowproof why {id}`"
            ))
            .into());
        };
        return Ok(vec![Source { job, manifest }]);
    }
    let mut jobs = app.ledger.all_jobs().await?;
    jobs.sort_by_key(|job| (std::cmp::Reverse(job.facts.created_at), job.facts.job.0.clone()));
    let mut sources = vec![];
    for job in jobs {
        if !is_current(app, &job).await? {
            continue;
        }
        if let Some(manifest) = load_manifest(app, &job).await? {
            sources.push(Source { job, manifest });
        }
    }
    Ok(sources)
}

async fn is_current(app: &App, job: &Job) -> anyhow::Result<bool> {
    let (committed, held) = (job.state == JobState::Committed, job.state == JobState::Held);
    if !committed && !held {
        return Ok(false);
    }
    let slot = app.ledger.slot(&job.facts.slot).await?;
    Ok(slot.is_some_and(|slot| {
        let id = &job.facts.job;
        (held && slot.head_job == *id) || (committed && slot.committed_job.as_ref() == Some(id))
    }))
}

/// The bytes of an archive file, which must be there.
pub(super) async fn archive_file(
    app: &App,
    source: &Source,
    file: &ArchivedFile,
) -> anyhow::Result<Bytes> {
    let bytes = app.store.get(&app.settings.failures_bucket, &file.key).await?;
    bytes.ok_or_else(|| {
        let job = &source.job.facts.job;
        anyhow::anyhow!(
            "failures/{} is gone: restore it, or load its file again by `rowproof rerun {job}`",
            file.key
        )
    })
}
