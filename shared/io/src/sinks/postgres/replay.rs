//! Corrected rows of a replay into the table, all in one transaction.

use std::sync::Arc;

use bytes::Bytes;
use rowproof_core::copy::Sql;
use rowproof_core::ids::sha256_hex;
use rowproof_core::ledger::{ChunkId, Job, OutcomeRef, PlanRef};
use rowproof_core::names;
use rowproof_core::plan::Plan;
use rowproof_core::receipt::{ChunkOutcome, StagedFile};
use rowproof_core::replay::{Change, Changes, ReplayTally};

use super::chunk::{Source, begin_load, end_load, lock_table, run_again, stored_outcome};
use super::landed::{archive_without, landed_rows, write_files};
use super::object::{show, slot_of};
use super::table::open_table;
use crate::app::App;
use crate::documents::job::load_plan;
use crate::documents::job::next_manifest;
use crate::documents::outcome::put_outcome;
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::postgres::session::Session;

/// Writes what a replay changes, `parent` being locked for it. What it came to, which differs from what
/// was frozen by what the table says of its rows; `None` when a later file has the slot there.
pub(crate) async fn publish_replay(
    app: &App,
    job: &Job,
    parent: &Job,
    frozen: &Changes,
) -> Result<Option<Changes>, StepError> {
    let ready = app.pipelines.frozen(&parent.facts.pipeline_sha).await?;
    let plan = load_plan(app, parent).await?;
    let mut tries = 0;
    loop {
        match Box::pin(try_publish(app, job, parent, frozen, (&ready, &plan))).await {
            Ok(settled) => return Ok(settled),
            Err(error) => run_again(app, error, &mut tries).await?,
        }
    }
}

async fn try_publish(
    app: &App,
    job: &Job,
    parent: &Job,
    frozen: &Changes,
    (ready, plan): (&Arc<Ready>, &Plan),
) -> Result<Option<Changes>, StepError> {
    let (session, sql) = open_table(app, ready).await?;
    lock_table(&session, sql.target()).await?;
    let slot = slot_of(&session, parent).await?;
    let own = ChunkId { job: job.facts.job.clone(), chunk: 0, part: String::new() };
    let Some(mark) = begin_load(&session, job, &own, 0).await? else {
        let stored: PlanRef = stored_outcome(&session, job, &own).await?;
        session.roll_back().await?;
        return app.document(&stored.key, "list of changes").await.map(Some);
    };
    if slot.head > parent.facts.generation {
        session.roll_back().await?;
        return Ok(None);
    }
    let mut settled = frozen.clone();
    for change in &mut settled.changes {
        let (chunk, part) = (change.chunk, change.part.clone());
        let id = ChunkId { job: parent.facts.job.clone(), chunk, part };
        let source = Source { app, job: parent, ready, plan, id: &id };
        land(source, &session, &sql, change, &mut settled.tally).await?;
    }
    if settled.manifest.is_some() {
        let text = next_manifest(app, parent, &settled).await?.to_json();
        let sha256 = sha256_hex(text.as_bytes());
        let named = PlanRef { key: names::intent(&parent.facts, &sha256), sha256 };
        store(app, job, &named, text).await?;
        show(&session, parent, &named).await?;
        let key = names::manifest(&parent.facts, settled.revision);
        settled.manifest = Some(PlanRef { key, sha256: named.sha256 });
    }
    let text = serde_json::to_string(&settled).unwrap_or_default();
    let sha256 = sha256_hex(text.as_bytes());
    let stored = PlanRef { key: names::changes(&parent.facts, &job.facts.job, &sha256), sha256 };
    store(app, job, &stored, text).await?;
    end_load(&session, mark, &serde_json::to_string(&stored).unwrap_or_default()).await?;
    session.commit().await?;
    Ok(Some(settled))
}

async fn store(app: &App, job: &Job, named: &PlanRef, text: String) -> Result<(), StepError> {
    let bucket = &app.settings.output_bucket;
    app.store.put_new(bucket, &named.key, Bytes::from(text), &job.facts.job.0).await?;
    Ok(())
}

/// Writes the corrected rows of one chunk. A row that Postgres refuses stays in the archive as it was.
async fn land(
    source: Source<'_>,
    session: &Session,
    sql: &Sql,
    change: &mut Change,
    tally: &mut ReplayTally,
) -> Result<(), StepError> {
    let Source { app, id, .. } = source;
    let before: ChunkOutcome = app.document(&change.from.key, "chunk outcome").await?;
    let mut next: ChunkOutcome = app.document(&change.to.key, "chunk outcome").await?;
    let is_new = |file: &&StagedFile| !before.files.contains(file);
    let files: Vec<_> = next.files.iter().filter(is_new).cloned().collect();
    let (load, written) = write_files(source, session, sql, &files, next.fix).await?;
    next.counts = before.counts;
    next.counts.loaded += written.loaded;
    next.counts.unchanged += written.unchanged;
    next.counts.superseded += written.superseded;
    next.counts.rejected = before.counts.rejected.saturating_sub(written.landed());
    next.loaded_digest = before.loaded_digest;
    next.loaded_digest += written.loaded_digest;
    if !written.refused.is_empty() {
        let landed = landed_rows(source, sql, &files, &written.refused).await?;
        next.failures = before.failures;
        archive_without(source, &mut next, &landed).await?;
        for refusal in written.refused.values() {
            let column = refusal.column.and_then(|index| source.ready.contract.column(index));
            tally.refuse(column.map(|column| column.name.clone()));
        }
    }
    let stored = put_outcome(app, id, &next, next.counts.read).await?;
    let OutcomeRef { next: follows, end_of_object, .. } = change.from;
    change.to = OutcomeRef { next: follows, end_of_object, ..stored };
    Ok(end_load(session, load, &serde_json::to_string(&change).unwrap_or_default()).await?)
}
