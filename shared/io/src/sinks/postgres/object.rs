//! What becomes visible with the job: all rows of an object in one transaction, or the last word on
//! chunks that are there already.

use std::sync::Arc;

use bytes::Bytes;
use rowproof_core::copy::Sql;
use rowproof_core::ids::sha256_hex;
use rowproof_core::ledger::{Job, OutcomeRef, PlanRef};
use rowproof_core::names;
use rowproof_core::pipeline::WriteMode;
use rowproof_core::plan::Plan;
use rowproof_core::receipt::{ChunkOutcome, Manifest};
use rowproof_core::replay::Change;
use tokio_postgres::types::Type;

use super::chunk::{Source, check_ledger, end_load, lock_table, rework, run_again};
use super::landed::{archive_without, landed_rows, write_files};
use super::missing;
use super::table::open_table;
use crate::app::App;
use crate::documents::job::{done_chunks, load_plan, read_outcomes};
use crate::documents::outcome::{put_outcome, write_rejects};
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::postgres::error::PostgresError;
use crate::postgres::session::{Param, Session, number};

/// What the table says of a job.
pub(crate) enum Published {
    /// Its rows are the slot's, and this is its receipt; outcomes of chunks become what the table made
    /// of them.
    Shown(Box<Manifest>, Vec<Change>),
    /// A later job of the slot was first.
    Lost,
}

/// A slot's row in the database.
pub(super) struct Slot {
    /// Of the latest job that has written rows.
    pub(super) head: i64,
    generation: i64,
    job: Option<String>,
    manifest: Option<String>,
}

/// T11b of a job with a table, `frozen` being its outcome list.
pub(crate) async fn publish_object(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    frozen: &Manifest,
) -> Result<Published, StepError> {
    let mut tries = 0;
    loop {
        let published = match ready.pipeline.sink.commits_chunks() {
            true => settle_chunks(app, job, ready, frozen).await,
            false => try_publish(app, job, ready).await,
        };
        match published {
            Ok(published) => return Ok(published),
            Err(error) => run_again(app, error, &mut tries).await?,
        }
    }
}

async fn try_publish(app: &App, job: &Job, ready: &Arc<Ready>) -> Result<Published, StepError> {
    let (session, sql) = open_table(app, ready).await?;
    lock_table(&session, sql.target()).await?;
    let slot = slot_of(&session, job).await?;
    if let Some(over) = already(app, &session, job, &slot).await? {
        session.roll_back().await?;
        return Ok(over);
    }
    if sql.plan().sink.mode == WriteMode::DeleteInsert {
        session.execute("delete replaced rows", &sql.delete_replaced(&job.facts)).await?;
    }
    let missing = || StepError::Broken(format!("job {} lost a chunk", job.facts.job));
    let done = done_chunks(app, job).await?.ok_or_else(missing)?;
    let mut outcomes = read_outcomes(app, &done).await?;
    let plan = load_plan(app, job).await?;
    missing::begin(&session, &sql).await?;
    let mut changes = vec![];
    for ((id, from), outcome) in done.iter().zip(&mut outcomes) {
        let source = Source { app, job, ready, plan: &plan, id };
        changes.push(load_outcome(source, &session, &sql, outcome, from).await?);
    }
    let mut manifest = receipt(job, ready, &plan, &outcomes)?;
    manifest.deleted = missing::delete_missing(&session, &sql, &job.facts).await?;
    let text = manifest.to_json();
    let sha256 = sha256_hex(text.as_bytes());
    let stored = PlanRef { key: names::intent(&job.facts, &sha256), sha256 };
    let bucket = &app.settings.output_bucket;
    app.store.put_new(bucket, &stored.key, Bytes::from(text), &job.facts.job.0).await?;
    show(&session, job, &stored).await?;
    session.commit().await?;
    Ok(Published::Shown(Box::new(manifest), changes))
}

/// The outcomes as they are now that the table has spoken.
fn receipt(
    job: &Job,
    ready: &Ready,
    plan: &Plan,
    outcomes: &[ChunkOutcome],
) -> Result<Manifest, StepError> {
    let manifest = Manifest::build(&job.facts, &ready.pipeline, plan, outcomes, 0);
    match manifest.balanced() {
        true => Ok(manifest),
        false => Err(StepError::Broken(format!(
            "the books of job {} would not balance: {}",
            job.facts.job,
            manifest.problems.join("; ")
        ))),
    }
}

/// Writes the staged rows of one chunk, and brings its outcome in line with what became of them.
async fn load_outcome(
    source: Source<'_>,
    session: &Session,
    sql: &Sql,
    outcome: &mut ChunkOutcome,
    from: &OutcomeRef,
) -> Result<Change, StepError> {
    let Source { app, job, id, .. } = source;
    let before = outcome.clone();
    let (load, written) = write_files(source, session, sql, &before.files, 0).await?;
    if !written.refused.is_empty() {
        let mut again = rework(source, written.refused.clone()).await?;
        outcome.counts = again.counts;
        outcome.reasons = again.reasons;
        outcome.failures = write_rejects(app, job, id, before.fix, again.failures.take()).await?;
    }
    written.tell(&mut outcome.counts);
    outcome.loaded_digest = written.loaded_digest;
    if !outcome.counts.balance() {
        // Rows landed that the archive has: corrected ones, or those that were refused another time.
        let landed = landed_rows(source, sql, &before.files, &written.refused).await?;
        archive_without(source, outcome, &landed).await?;
    }
    let mut to = from.clone();
    if *outcome != before {
        let stored = put_outcome(app, id, outcome, outcome.counts.read).await?;
        to = OutcomeRef { next: from.next, end_of_object: from.end_of_object, ..stored };
    }
    let (chunk, part) = (id.chunk, id.part.clone());
    let change = Change { chunk, part, from: from.clone(), to };
    end_load(session, load, &serde_json::to_string(&change).unwrap_or_default()).await?;
    Ok(change)
}

/// The slot's row, locked.
pub(super) async fn slot_of(session: &Session, job: &Job) -> Result<Slot, PostgresError> {
    const DOING: &str = "lock the slot";
    let slot = job.facts.slot.0.as_str();
    let params: [Param<'_>; 1] = [(&slot, Type::TEXT)];
    let insert = "INSERT INTO rowproof.slots (slot) VALUES ($1) ON CONFLICT DO NOTHING";
    session.rows(DOING, insert, &params).await?;
    let select = "SELECT generation, job, manifest, head_generation FROM rowproof.slots \
        WHERE slot = $1 FOR UPDATE";
    let rows = session.rows(DOING, select, &params).await?;
    let row = rows.first();
    Ok(Slot {
        head: row.and_then(|row| row.try_get(3).ok()).unwrap_or(0),
        generation: row.and_then(|row| row.try_get(0).ok()).unwrap_or(0),
        job: row.and_then(|row| row.try_get(1).ok()).flatten(),
        manifest: row.and_then(|row| row.try_get(2).ok()).flatten(),
    })
}

/// The job's rows are there already, or will never be.
async fn already(
    app: &App,
    session: &Session,
    job: &Job,
    slot: &Slot,
) -> Result<Option<Published>, StepError> {
    if slot.job.as_deref() == Some(job.facts.job.0.as_str()) {
        let stored: PlanRef = serde_json::from_str(slot.manifest.as_deref().unwrap_or_default())
            .map_err(|_| {
                StepError::Broken(format!("rowproof.slots has no receipt of {}", job.facts.job))
            })?;
        let manifest: Option<Manifest> = app.document_if_there(&stored.key, "receipt").await?;
        let manifest = manifest.ok_or_else(|| StepError::BadDocument {
            message: format!(
                "it is not there, and the database has the rows of job {}: does another installation load \
                 the same file into it, or was the bucket emptied?",
                job.facts.job
            ),
            key: stored.key,
            what: "receipt",
        })?;
        let sql =
            "SELECT outcome FROM rowproof.loads WHERE job = $1 AND fix = 0 AND outcome IS NOT NULL";
        let name = job.facts.job.0.as_str();
        let rows = session.rows("read the loads", sql, &[(&name, Type::TEXT)]).await?;
        let texts = rows.iter().filter_map(|row| row.try_get::<_, String>(0).ok());
        // Of chunks that were committed one by one the ledger has the outcome already.
        let changes = texts.filter_map(|text| serde_json::from_str(&text).ok()).collect();
        return Ok(Some(Published::Shown(Box::new(manifest), changes)));
    }
    if slot.generation < job.facts.generation {
        return Ok(None);
    }
    check_ledger(app, job, Some(slot.generation)).await?;
    Ok(Some(Published::Lost))
}

/// The job's rows are the slot's from now on.
pub(super) async fn show(
    session: &Session,
    job: &Job,
    stored: &PlanRef,
) -> Result<(), PostgresError> {
    let sql = "UPDATE rowproof.slots SET generation = $2, \
        head_generation = greatest(head_generation, $2), job = $3, manifest = $4 WHERE slot = $1";
    let (slot, name) = (job.facts.slot.0.as_str(), job.facts.job.0.as_str());
    let manifest = serde_json::to_string(stored).unwrap_or_default();
    let params: [Param<'_>; 4] = [
        (&slot, Type::TEXT),
        (&job.facts.generation, Type::INT8),
        (&name, Type::TEXT),
        (&manifest, Type::TEXT),
    ];
    session.rows("show the job", sql, &params).await?;
    Ok(())
}

/// T11b of a job whose chunks were written one by one: all of them are there.
async fn settle_chunks(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    frozen: &Manifest,
) -> Result<Published, StepError> {
    // A file without rows has no chunk that has made the tables.
    let (session, _) = open_table(app, ready).await?;
    let slot = slot_of(&session, job).await?;
    if let Some(over) = already(app, &session, job, &slot).await? {
        session.roll_back().await?;
        return Ok(over);
    }
    let name = job.facts.job.0.as_str();
    let sql = "SELECT count(*) FROM rowproof.loads WHERE job = $1 AND fix = 0";
    let rows = session.rows("count loads", sql, &[(&name, Type::TEXT)]).await?;
    let found = rows.first().map_or(0, |row| number(row, 0));
    let expected = u64::try_from(frozen.chunks.len()).unwrap_or(u64::MAX);
    if found != expected {
        return Err(StepError::Broken(format!(
            "rowproof.loads has {found} of the {expected} chunks of job {name}: was the database \
             restored? `rowproof rerun {name}` loads the file again"
        )));
    }
    let text = frozen.to_json();
    let sha256 = sha256_hex(text.as_bytes());
    show(&session, job, &PlanRef { key: names::intent(&job.facts, &sha256), sha256 }).await?;
    session.commit().await?;
    Ok(Published::Shown(Box::new(frozen.clone()), vec![]))
}
