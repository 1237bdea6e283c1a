//! What a chunk leaves behind: staged data files, its part of the failure archive, its outcome.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rowproof_core::archive::ArchiveFile;
use rowproof_core::copy::CopyRows;
use rowproof_core::ids::sha256_hex;
use rowproof_core::ledger::{ChainStart, ChunkId, Job, OutcomeRef};
use rowproof_core::names;
use rowproof_core::receipt::{ArchivedFile, ChunkOutcome, StagedFile};
use rowproof_core::table::TableFile;
use serde::Serialize;

use crate::app::App;
use crate::error::StepError;
use crate::error::joined;
use crate::text::chunk::Worked;

/// Files written at a time.
const IN_FLIGHT: usize = 4;

/// The files that rows leave: those of their table, or the rows for one in a database, packed.
pub(crate) async fn files_of(
    files: &mut Vec<TableFile>,
    table: &mut Option<CopyRows>,
) -> Result<Vec<TableFile>, StepError> {
    let Some(rows) = table.take().filter(|rows| rows.rows > 0) else {
        return Ok(std::mem::take(files));
    };
    let packed = joined(tokio::task::spawn_blocking(move || rows.pack()).await)?;
    let packed = packed.map_err(|error| StepError::Broken(format!("rows are not packed: {error}")));
    Ok(vec![packed?])
}

/// Step e: data files under names that contain their hash. Nothing reads them before the commit.
pub(crate) async fn stage_chunk(
    app: &App,
    id: &ChunkId,
    files: Vec<TableFile>,
) -> Result<Vec<StagedFile>, StepError> {
    let stored: Vec<_> = files.into_iter().map(|file| stage_one(app, id, file)).collect();
    stream::iter(stored).buffered(IN_FLIGHT).try_collect().await
}

async fn stage_one(app: &App, id: &ChunkId, file: TableFile) -> Result<StagedFile, StepError> {
    let key = names::staged(id, &file.sha256);
    let size = u64::try_from(file.bytes.len()).unwrap_or(u64::MAX);
    let bytes = Bytes::from(file.bytes);
    app.store.put_new(&app.settings.output_bucket, &key, bytes, &id.job.0).await?;
    Ok(StagedFile { partition: file.partition, sha256: file.sha256, rows: file.rows, bytes: size })
}

/// Step f: the chunk's part of the failure archive.
pub(crate) async fn write_rejects(
    app: &App,
    job: &Job,
    id: &ChunkId,
    fix: u32,
    file: Option<ArchiveFile>,
) -> Result<Option<ArchivedFile>, StepError> {
    let Some(file) = file else { return Ok(None) };
    let key = names::archived(&job.facts, id, fix, &file.sha256);
    let bytes = Bytes::from(file.bytes);
    app.store.put_new(&app.settings.failures_bucket, &key, bytes, &id.job.0).await?;
    let (chunk, part) = (id.chunk, id.part.clone());
    Ok(Some(ArchivedFile { chunk, part, key, sha256: file.sha256, rows: file.rows }))
}

/// The outcome document, and what the ledger keeps of it.
pub(crate) async fn store_outcome(
    app: &App,
    id: &ChunkId,
    worked: &Worked,
    files: Vec<StagedFile>,
    failures: Option<ArchivedFile>,
) -> Result<OutcomeRef, StepError> {
    let product = &worked.product;
    let outcome = ChunkOutcome {
        chunk: id.chunk,
        part: id.part.clone(),
        fix: 0,
        start: product.range.start,
        end: product.range.end,
        first_row: product.range.first_row,
        counts: product.counts,
        blank_lines: product.blank_lines,
        repairs: product.repairs,
        source_digest: product.source_digest,
        loaded_digest: product.loaded_digest,
        files,
        failures,
        reasons: product.reasons.clone(),
        packed_bytes: worked.packed_bytes,
    };
    let goes_on = worked.open_end && worked.packed_bytes.is_none();
    let next =
        ChainStart { byte: product.range.end, row: product.range.first_row + product.range.rows };
    let next = goes_on.then_some(next);
    // Where a part ends was decided when its chunk was split.
    let end_of_object = worked.open_end && worked.packed_bytes.is_some();
    let stored = put_outcome(app, id, &outcome, outcome.counts.read).await?;
    Ok(OutcomeRef { next, end_of_object, ..stored })
}

/// Stores an outcome document about so many rows under its hash. What is returned names no chunk that
/// follows.
pub(crate) async fn put_outcome(
    app: &App,
    id: &ChunkId,
    outcome: &impl Serialize,
    rows: u64,
) -> Result<OutcomeRef, StepError> {
    let text = serde_json::to_vec(outcome).unwrap_or_default();
    let sha256 = sha256_hex(&text);
    let key = names::outcome(id, &sha256);
    app.store.put_new(&app.settings.output_bucket, &key, Bytes::from(text), &id.job.0).await?;
    Ok(OutcomeRef { key, sha256, rows, next: None, end_of_object: false })
}
