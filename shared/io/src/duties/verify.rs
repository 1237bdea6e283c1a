//! A job's receipt against what is stored: the books, the data files, the failure archive, the source.

mod source;
mod table;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use rowproof_core::block::Digest;
use rowproof_core::digest;
use rowproof_core::ids::sha256_hex;
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::names;
use rowproof_core::receipt::{Manifest, PublishedFile};
use rowproof_core::table::{TableError, read, with_partition};

use crate::app::App;
use crate::error::StepError;
use crate::error::joined;
use crate::pipelines::Ready;

/// Files read at a time.
const IN_FLIGHT: usize = 2;
/// Problems of one kind that are named.
const NAMED_MAX: usize = 5;

/// What came of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Ok,
    /// It does not.
    Failed,
    /// What it takes is not there any more, for a reason that is no fault.
    Unchecked,
}

/// One check of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was checked: `receipt`, `books`, `data`, `failures`, `source`.
    pub check: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// In words, with figures.
    pub detail: String,
}

/// A receipt and what is still true of it.
#[derive(Debug, Clone)]
pub struct Verification {
    /// The receipt.
    pub manifest: Manifest,
    /// Every check, in order.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// Nothing that could be checked has failed.
    pub fn verified(&self) -> bool {
        self.findings.iter().all(|finding| finding.outcome != Outcome::Failed)
    }
}

/// The figures of one or more data files.
#[derive(Default)]
struct Held {
    rows: u64,
    digest: Digest,
}

/// Checks a committed job, or a held one by its staged files. `None`: the job has no receipt.
///
/// # Errors
/// When AWS does not answer.
pub async fn verify_job(app: &App, job: &Job) -> Result<Option<Verification>, StepError> {
    // The rows of a replay are in the receipt of the job that it replayed.
    if job.facts.replay.is_some() {
        return Ok(None);
    }
    let key = match job.state {
        JobState::Committed => job.manifest.clone(),
        JobState::Held => job.hold.as_ref().map(|hold| names::intent(&job.facts, &hold.shown)),
        JobState::Planning
        | JobState::Running
        | JobState::Blocked
        | JobState::Committing
        | JobState::Superseded
        | JobState::Failed => None,
    };
    let Some(key) = key else { return Ok(None) };
    let text = app.store.get(&app.settings.output_bucket, &key).await?;
    let Some(text) = text else {
        // A job that is held for its header has not come to a receipt.
        return if job.state == JobState::Held { Ok(None) } else { Err(gone(key)) };
    };
    let manifest: Manifest = app.document(&key, "manifest").await?;
    let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await;
    let mut findings = vec![];
    match (&ready, &manifest.table) {
        (Ok(ready), Some(name)) => {
            findings.extend(table::check(app, job, ready, &manifest, (name, &text)).await?);
        }
        _ => findings.push(receipt(job, &manifest, &text)),
    }
    findings.push(books(&manifest));
    match &ready {
        Ok(_) if manifest.table.is_some() => {}
        Ok(ready) => findings.push(data(app, job, ready, &manifest).await?),
        Err(error) => findings.push(unchecked("data", error.to_string())),
    }
    findings.push(failures(app, &manifest).await?);
    match &ready {
        Ok(ready) => findings.push(source::check(app, job, ready, &manifest).await?),
        Err(error) => findings.push(unchecked("source", error.to_string())),
    }
    Ok(Some(Verification { manifest, findings }))
}

fn gone(key: String) -> StepError {
    StepError::BadDocument { key, what: "manifest", message: "it is not there".into() }
}

/// `1 file`, `4 files`.
fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn unchecked(check: &'static str, detail: String) -> Finding {
    Finding { check, outcome: Outcome::Unchecked, detail }
}

/// `ok` when there is no problem, else the first few.
fn judged(check: &'static str, problems: &[String], ok: String) -> Finding {
    let shown: Vec<_> = problems.iter().take(NAMED_MAX).map(String::as_str).collect();
    let (outcome, detail) = match problems.len() {
        0 => (Outcome::Ok, ok),
        found if found > NAMED_MAX => {
            (Outcome::Failed, format!("{}; and {} more", shown.join("; "), found - NAMED_MAX))
        }
        _ => (Outcome::Failed, shown.join("; ")),
    };
    Finding { check, outcome, detail }
}

/// The document is the one whose hash the ledger keeps.
fn receipt(job: &Job, manifest: &Manifest, text: &[u8]) -> Finding {
    let frozen = match job.state == JobState::Held {
        true => job.hold.as_ref().map(|hold| hold.shown.as_str()),
        false => job.intent.as_ref().map(|intent| intent.sha256.as_str()),
    };
    let mut problems = vec![];
    if frozen != Some(sha256_hex(text).as_str()) {
        problems.push("the receipt is not the one that the ledger froze".to_owned());
    }
    if manifest.job != job.facts {
        problems.push("the receipt is of another job".to_owned());
    }
    judged("receipt", &problems, "it is the one that the ledger froze".into())
}

fn books(manifest: &Manifest) -> Finding {
    let chunks = counted(manifest.chunks.len(), "chunk");
    let bytes = manifest.totals.bytes_read;
    let ok = format!("{chunks} for all {bytes} bytes, without gap or overlap; every sum agrees");
    judged("books", &manifest.recheck(), ok)
}

/// Every data file, its hash, its rows and the digest of its typed rows.
async fn data(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    manifest: &Manifest,
) -> Result<Finding, StepError> {
    let slot = app.ledger.slot(&job.facts.slot).await?;
    if let Some(slot) = slot.filter(|slot| slot.committed_generation > job.facts.generation) {
        let newer = slot.committed_job.map(|job| format!(" by job {job}")).unwrap_or_default();
        return Ok(unchecked("data", format!("its rows were replaced{newer} since")));
    }
    let staged = job.state == JobState::Held;
    let read: Vec<_> =
        manifest.files.iter().map(|file| data_file(app, ready, file, staged)).collect();
    let found: Vec<_> = stream::iter(read).buffered(IN_FLIGHT).try_collect().await?;
    let mut problems = vec![];
    let mut sums: Vec<Held> = manifest.chunks.iter().map(|_| Held::default()).collect();
    let mut all = Held::default();
    for (file, found) in manifest.files.iter().zip(found) {
        let held = match found {
            Ok(held) => held,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        if held.rows != file.rows {
            problems.push(format!("{} holds {} rows, not {}", file.key, held.rows, file.rows));
        }
        let sum = manifest.chunks.iter().position(|line| line.chunk == file.chunk);
        if let Some(sum) = sum.and_then(|index| sums.get_mut(index)) {
            sum.digest += held.digest;
        }
        all.rows += held.rows;
        all.digest += held.digest;
    }
    if problems.is_empty() {
        let wrong = manifest.chunks.iter().zip(&sums);
        let wrong = wrong.filter(|(line, sum)| line.loaded_digest != sum.digest);
        problems.extend(wrong.map(|(line, _)| {
            format!("the rows of chunk {} have another digest than when loaded", line.chunk)
        }));
    }
    let files = counted(manifest.files.len(), "file");
    let ok = format!("{files} with {} rows, digest {}", all.rows, all.digest);
    Ok(judged("data", &problems, ok))
}

/// The inner error is a problem of the file.
async fn data_file(
    app: &App,
    ready: &Arc<Ready>,
    file: &PublishedFile,
    staged: bool,
) -> Result<Result<Held, String>, StepError> {
    let key = if staged { &file.staged } else { &file.key };
    let bytes = match stored(app, &app.settings.output_bucket, key, &file.sha256).await? {
        Ok(bytes) => bytes,
        Err(problem) => return Ok(Err(problem)),
    };
    let (ready, partition) = (ready.clone(), file.partition.clone());
    let held = tokio::task::spawn_blocking(move || typed_rows(&ready, bytes, &partition));
    Ok(joined(held.await)?.map_err(|error| format!("{key}: {error}")))
}

fn typed_rows(
    ready: &Ready,
    bytes: Bytes,
    partition: &[(String, String)],
) -> Result<Held, TableError> {
    let mut held = Held::default();
    for batch in read(bytes)? {
        let batch = with_partition(&batch?, ready.contract.schema(), partition)?;
        held.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        held.digest += digest::rows(ready.contract.width(), &batch)?;
    }
    Ok(held)
}

/// The bytes of a stored file, if they are the ones that were written.
async fn stored(
    app: &App,
    bucket: &str,
    key: &str,
    sha256: &str,
) -> Result<Result<Bytes, String>, StepError> {
    Ok(match app.store.get(bucket, key).await? {
        None => Err(format!("{key} is missing")),
        Some(bytes) if sha256_hex(&bytes) != sha256 => {
            Err(format!("{key} is not as it was written: its SHA-256 differs"))
        }
        Some(bytes) => Ok(bytes),
    })
}

async fn failures(app: &App, manifest: &Manifest) -> Result<Finding, StepError> {
    let mut problems = vec![];
    let mut all = 0;
    for file in &manifest.failures {
        let bucket = &app.settings.failures_bucket;
        let bytes = match stored(app, bucket, &file.key, &file.sha256).await? {
            Ok(bytes) => bytes,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match joined(tokio::task::spawn_blocking(move || count(bytes)).await)? {
            Ok(rows) if rows == file.rows => all += rows,
            Ok(rows) => problems.push(format!("{} holds {rows} rows, not {}", file.key, file.rows)),
            Err(error) => problems.push(format!("{}: {error}", file.key)),
        }
    }
    let ok = format!("{} with {all} rejected rows", counted(manifest.failures.len(), "file"));
    Ok(judged("failures", &problems, ok))
}

fn count(bytes: Bytes) -> Result<u64, TableError> {
    let mut rows = 0;
    for batch in read(bytes)? {
        rows += u64::try_from(batch?.num_rows()).unwrap_or(u64::MAX);
    }
    Ok(rows)
}
