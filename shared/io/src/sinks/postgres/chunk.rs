//! `commit = "chunk"`: a chunk's rows are written by the worker that made them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use rowproof_core::block::Refusal;
use rowproof_core::copy::CopyRows;
use rowproof_core::engine::ChunkProduct;
use rowproof_core::ledger::{ChunkId, Job, OutcomeRef};
use rowproof_core::plan::Plan;
use serde::de::DeserializeOwned;
use tokio_postgres::types::Type;
use tracing::{info, warn};

use super::origin::Origin;
use super::table::open_table;
use super::write::Write;
use crate::app::App;
use crate::documents::outcome::{store_outcome, write_rejects};
use crate::error::StepError;
use crate::error::joined;
use crate::pipelines::Ready;
use crate::postgres::error::{Fault, PostgresError};
use crate::postgres::session::{Param, Session};
use crate::text::chunk::{Work, Worked, work_through};

/// A transaction that a passing fault broke is run again so often at once.
const TRIES: u32 = 3;

/// What is known of a chunk that rows come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) app: &'a App,
    pub(super) job: &'a Job,
    pub(super) ready: &'a Arc<Ready>,
    pub(super) plan: &'a Plan,
    pub(super) id: &'a ChunkId,
}

/// Writes a chunk's rows and stores its outcome, or finds that done; the outcome that stands.
pub(crate) async fn load_chunk(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    plan: &Plan,
    id: &ChunkId,
    worked: &mut Worked,
) -> Result<OutcomeRef, StepError> {
    let CopyRows { bytes, rows } = worked.product.table.take().unwrap_or_default();
    let rows = (Bytes::from(bytes), rows);
    let source = Source { app, job, ready, plan, id };
    // Every try begins with what the chunk was made of: one that was cut off leaves nothing behind.
    let product = worked.product.clone();
    let mut tries = 0;
    loop {
        worked.product = product.clone();
        match try_load(source, worked, &rows).await {
            Ok(outcome) => return Ok(outcome),
            Err(error) => run_again(app, error, &mut tries).await?,
        }
    }
}

/// Waits before the transaction is run again, when what broke it passes and it was not run too often.
pub(super) async fn run_again(
    app: &App,
    error: StepError,
    tries: &mut u32,
) -> Result<(), StepError> {
    *tries += 1;
    let passes = matches!(&error, StepError::Postgres(error) if error.fault == Fault::Passing);
    if !passes || *tries == TRIES {
        return Err(error);
    }
    warn!(%error, "the transaction is run again");
    crate::aws::retry::pause(app.clock, *tries).await;
    Ok(())
}

async fn try_load(
    source: Source<'_>,
    worked: &mut Worked,
    (bytes, rows): &(Bytes, u64),
) -> Result<OutcomeRef, StepError> {
    let Source { app, job, ready, id, .. } = source;
    let (session, sql) = open_table(app, ready).await?;
    lock_table(&session, sql.target()).await?;
    if !take_head(&session, job).await? {
        session.roll_back().await?;
        check_ledger(app, job, None).await?;
        let (uri, job) = (job.facts.object.uri(), job.facts.job.clone());
        return Err(StepError::SourceChanged { uri, job });
    }
    let Some(load) = begin_load(&session, job, id, 0).await? else {
        let stored = stored_outcome(&session, job, id).await?;
        session.roll_back().await?;
        info!("the rows are there already: their outcome is taken over");
        return Ok(stored);
    };
    let origin = Origin { facts: &job.facts, id, fix: 0, load };
    let written = Write::new(&session, &sql, origin, bytes.clone(), *rows).run().await?;
    if !written.refused.is_empty() {
        worked.product = rework(source, written.refused.clone()).await?;
    }
    let product = &mut worked.product;
    written.tell(&mut product.counts);
    product.loaded_digest = written.loaded_digest;
    let failures = write_rejects(app, job, id, 0, product.failures.take()).await?;
    let outcome = store_outcome(app, id, worked, vec![], failures).await?;
    end_load(&session, load, &serde_json::to_string(&outcome).unwrap_or_default()).await?;
    session.commit().await?;
    Ok(outcome)
}

/// Writers of one table go in turn.
pub(super) async fn lock_table(session: &Session, target: &str) -> Result<(), PostgresError> {
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))";
    session.rows("wait for other writers", sql, &[(&target, Type::TEXT)]).await?;
    Ok(())
}

/// The database has a later generation of the slot than this job's (`None`: which one is not known): then
/// the ledger knows of it.
pub(super) async fn check_ledger(
    app: &App,
    job: &Job,
    generation: Option<i64>,
) -> Result<(), StepError> {
    let own = job.facts.generation;
    let slot = app.ledger.slot(&job.facts.slot).await?;
    let known = slot.map_or(0, |slot| slot.generation);
    if known >= generation.unwrap_or(own + 1) {
        return Ok(());
    }
    Err(StepError::Broken(format!(
        "the database has rows of a later version of {} than the ledger knows (generation {known}): \
         was the ledger lost or restored? delete the row of slot {} in rowproof.slots to let the \
         file be loaded over them",
        job.facts.object.uri(),
        job.facts.slot
    )))
}

/// The slot's head is this job's generation, unless a later one was here.
async fn take_head(session: &Session, job: &Job) -> Result<bool, PostgresError> {
    let sql = "INSERT INTO rowproof.slots AS s (slot, head_generation) VALUES ($1, $2) \
        ON CONFLICT (slot) DO UPDATE SET head_generation = excluded.head_generation \
        WHERE s.head_generation < excluded.head_generation \
        RETURNING head_generation";
    let (slot, generation) = (job.facts.slot.0.as_str(), job.facts.generation);
    let params: [Param<'_>; 2] = [(&slot, Type::TEXT), (&generation, Type::INT8)];
    if !session.rows("take the slot", sql, &params).await?.is_empty() {
        return Ok(true);
    }
    let sql = "SELECT FROM rowproof.slots WHERE slot = $1 AND head_generation = $2";
    Ok(!session.rows("look at the slot", sql, &params).await?.is_empty())
}

/// The chunk's row in `rowproof.loads`; `None` when there is one.
pub(super) async fn begin_load(
    session: &Session,
    job: &Job,
    id: &ChunkId,
    fix: u32,
) -> Result<Option<i64>, PostgresError> {
    let sql = "INSERT INTO rowproof.loads \
        (job, chunk, part, fix, slot, generation, modified, object) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING load";
    let facts = &job.facts;
    let object = format!("{}/{}", facts.object.bucket, facts.object.key);
    let (name, part, slot) = (facts.job.0.as_str(), id.part.as_str(), facts.slot.0.as_str());
    let chunk = i32::try_from(id.chunk).unwrap_or(i32::MAX);
    let fix = i32::try_from(fix).unwrap_or(i32::MAX);
    let modified = facts.object.last_modified.0;
    let params: [Param<'_>; 8] = [
        (&name, Type::TEXT),
        (&chunk, Type::INT4),
        (&part, Type::TEXT),
        (&fix, Type::INT4),
        (&slot, Type::TEXT),
        (&facts.generation, Type::INT8),
        (&modified, Type::INT8),
        (&object, Type::TEXT),
    ];
    let rows = session.rows("begin a load", sql, &params).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()))
}

/// What became of the load.
pub(super) async fn end_load(
    session: &Session,
    load: i64,
    outcome: &str,
) -> Result<(), PostgresError> {
    let sql = "UPDATE rowproof.loads SET outcome = $2 WHERE load = $1";
    session.rows("end a load", sql, &[(&load, Type::INT8), (&outcome, Type::TEXT)]).await?;
    Ok(())
}

/// What was stored when the load ended.
pub(super) async fn stored_outcome<T: DeserializeOwned>(
    session: &Session,
    job: &Job,
    id: &ChunkId,
) -> Result<T, StepError> {
    let sql = "SELECT outcome FROM rowproof.loads \
        WHERE job = $1 AND chunk = $2 AND part = $3 AND fix = 0";
    let (name, part) = (job.facts.job.0.as_str(), id.part.as_str());
    let chunk = i32::try_from(id.chunk).unwrap_or(i32::MAX);
    let params: [Param<'_>; 3] = [(&name, Type::TEXT), (&chunk, Type::INT4), (&part, Type::TEXT)];
    let rows = session.rows("read a load", sql, &params).await?;
    let text: Option<String> = rows.first().and_then(|row| row.try_get(0).ok()).flatten();
    serde_json::from_str(&text.unwrap_or_default()).map_err(|_| {
        StepError::Broken(format!("rowproof.loads has no outcome of chunk {id} of job {name}"))
    })
}

/// Works through the chunk once more: the rows that are refused go to the failure archive, with their
/// text, among the others that are there.
pub(super) async fn rework(
    source: Source<'_>,
    refused: BTreeMap<u64, Refusal>,
) -> Result<ChunkProduct, StepError> {
    let Source { app, job, ready, plan, id } = source;
    warn!(rows = refused.len(), "Postgres refuses rows: they are archived");
    let work = Work::locate(app, job, id, ready, plan).await?;
    let text = work.text(app, job).await?;
    let setup = work.setup(app, job, id);
    let again = move || work_through(&work, setup, text, refused, &AtomicBool::new(false));
    let again = joined(tokio::task::spawn_blocking(again).await)??;
    let again = again.ok_or_else(|| StepError::Broken("the chunk was given up".into()))?;
    Ok(again.product)
}
