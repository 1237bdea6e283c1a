//! Staged rows of a chunk into the table, and what its archive is afterwards.

use std::collections::{BTreeMap, HashSet};

use rowproof_core::block::Refusal;
use rowproof_core::copy::{Sql, tuples};
use rowproof_core::engine::ChunkSetup;
use rowproof_core::ledger::OutcomeRef;
use rowproof_core::names;
use rowproof_core::receipt::{ChunkOutcome, StagedFile};
use rowproof_core::replay::{Candidate, Replayer};

use super::chunk::{Source, begin_load};
use super::missing::keep_keys;
use super::origin::Origin;
use super::staged::staged;
use super::write::{Write, Written};
use crate::app::App;
use crate::documents::job::archived_rows;
use crate::documents::outcome::write_rejects;
use crate::error::StepError;
use crate::error::joined;
use crate::postgres::session::Session;
use crate::text::chunk::refuse_engine;

/// Writes staged files of a chunk as one load; its number, and what became of the rows.
pub(super) async fn write_files(
    source: Source<'_>,
    session: &Session,
    sql: &Sql,
    files: &[StagedFile],
    fix: u32,
) -> Result<(i64, Written), StepError> {
    let Source { app, job, id, .. } = source;
    let load = begin_load(session, job, id, fix).await?;
    let load = load.ok_or_else(|| {
        StepError::Broken(format!("chunk {id} of job {} is in rowproof.loads alone", id.job))
    })?;
    let mut all = Written::default();
    for file in files {
        let rows = staged(app, &names::staged(id, &file.sha256), file.rows).await?;
        // A corrected row of a file that was shown before deletes nothing.
        if fix == 0 && sql.plan().sink.delete_missing.is_some() {
            keep_keys(session, sql, &rows.bytes).await?;
        }
        let origin = Origin { facts: &job.facts, id, fix, load };
        all.add(Write::new(session, sql, origin, rows.bytes.into(), rows.rows).run().await?);
    }
    Ok((load, all))
}

/// The numbers of all rows in staged files that the table did not refuse.
pub(super) async fn landed_rows(
    source: Source<'_>,
    sql: &Sql,
    files: &[StagedFile],
    refused: &BTreeMap<u64, Refusal>,
) -> Result<HashSet<u64>, StepError> {
    let mut landed = HashSet::new();
    for file in files {
        let key = names::staged(source.id, &file.sha256);
        let rows = staged(source.app, &key, file.rows).await?;
        landed.extend(tuples(&rows.bytes, sql.plan().keys()).map(|tuple| tuple.row));
    }
    landed.retain(|row| !refused.contains_key(row));
    Ok(landed)
}

/// The outcome's archive without rows that are in the table now.
pub(super) async fn archive_without(
    source: Source<'_>,
    outcome: &mut ChunkOutcome,
    landed: &HashSet<u64>,
) -> Result<(), StepError> {
    let Source { app, job, ready, plan, id } = source;
    let rows = match &outcome.failures {
        Some(file) => archived_rows(app, file).await?,
        None => vec![],
    };
    let setup = ChunkSetup {
        facts: job.facts.clone(),
        chunk: id.to_string(),
        fix: outcome.fix,
        start: outcome.start,
        first_row: outcome.first_row,
        layout: plan.layout.clone().into(),
        limits: app.limits.clone(),
    };
    let has_landed =
        |number: i64| u64::try_from(number).is_ok_and(|number| landed.contains(&number));
    let stays: Vec<_> = rows.into_iter().filter(|row| !has_landed(row.row_number)).collect();
    let ready = ready.clone();
    let kept = tokio::task::spawn_blocking(move || {
        let mut archive = Replayer::new(&ready.pipeline, &ready.contract, &setup)?;
        for row in stays {
            archive.row(Candidate::Stays(row))?;
        }
        archive.finish()
    });
    let kept = joined(kept.await)?.map_err(refuse_engine)?;
    outcome.failures = write_rejects(app, job, id, outcome.fix, kept.failures).await?;
    outcome.counts.rejected = outcome.failures.as_ref().map_or(0, |file| file.rows);
    outcome.reasons = kept.reasons;
    Ok(())
}

/// Removes the archive file of an outcome that the table has corrected: whoever lists the folder would
/// find its rows twice.
pub(crate) async fn remove_stale_archive(
    app: &App,
    before: &OutcomeRef,
    after: &OutcomeRef,
) -> Result<(), StepError> {
    if before == after {
        return Ok(());
    }
    let before: ChunkOutcome = app.document(&before.key, "chunk outcome").await?;
    let after: ChunkOutcome = app.document(&after.key, "chunk outcome").await?;
    let Some(file) = before.failures.filter(|_| before.fix == after.fix) else { return Ok(()) };
    if after.failures.is_none_or(|kept| kept.key != file.key) {
        app.store.delete(&app.settings.failures_bucket, &[file.key]).await?;
    }
    Ok(())
}
