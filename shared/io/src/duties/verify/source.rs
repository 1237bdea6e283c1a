//! The source of a job against its receipt.

use std::sync::Arc;

use rowproof_core::block::{BlockCounts, Digest};
use rowproof_core::decode::{Budget, Decoder};
use rowproof_core::ledger::Job;
use rowproof_core::plan::Plan;
use rowproof_core::receipt::Manifest;

use super::{Finding, judged, unchecked};
use crate::app::App;
use crate::documents::job::load_plan;
use crate::error::StepError;
use crate::error::joined;
use crate::pipelines::Ready;
use crate::text::source::TextSource;

/// The object itself, decoded once more, if it is still the version that the job read.
pub(super) async fn check(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    manifest: &Manifest,
) -> Result<Finding, StepError> {
    let object = &job.facts.object;
    let uri = object.uri();
    match app.store.head(&object.bucket, &object.key).await? {
        None => return Ok(unchecked("source", format!("{uri} is not there any more"))),
        Some(head) if head.object.identity() != object.identity() => {
            return Ok(unchecked("source", format!("{uri} was overwritten since")));
        }
        Some(_) => {}
    }
    let plan = match load_plan(app, job).await {
        Ok(plan) => plan,
        Err(error @ StepError::BadDocument { .. }) => {
            return Ok(unchecked("source", error.to_string()));
        }
        Err(error) => return Err(error),
    };
    let decoded = match decoded(app, job, ready, plan).await {
        Ok(decoded) => decoded,
        Err(StepError::SourceChanged { .. }) => {
            return Ok(unchecked("source", format!("{uri} was overwritten meanwhile")));
        }
        Err(error @ (StepError::Object(_) | StepError::Broken(_))) => {
            return Ok(judged("source", &[error.to_string()], String::new()));
        }
        Err(error) => return Err(error),
    };
    let (counts, digest) = decoded;
    let totals = &manifest.totals;
    let mut problems = vec![];
    for (found, stated, what) in [
        (counts.records, totals.counts.read, "rows"),
        (counts.blank_lines, totals.blank_lines, "blank lines"),
    ] {
        if found != stated {
            problems.push(format!("{uri} holds {found} {what}, the receipt says {stated}"));
        }
    }
    if digest != totals.source_digest {
        problems.push(format!("the records of {uri} have another digest than when read"));
    }
    let ok = format!("{uri} with {} rows, digest {digest}", counts.records);
    Ok(judged("source", &problems, ok))
}

/// Cuts the object into records again: what they are and the sum of their hashes.
async fn decoded(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    plan: Plan,
) -> Result<(BlockCounts, Digest), StepError> {
    let (facts, limits) = (&job.facts, app.limits.clone());
    let (pipeline, start) = (&ready.pipeline, plan.data_start);
    let mut text = TextSource::planned(app, facts, pipeline, &plan, start, None).await?;
    let ready = ready.clone();
    let thread = tokio::task::spawn_blocking(move || {
        let mut block = vec![];
        let mut decoder = Decoder::new(&ready.pipeline, Arc::new(plan.layout), &limits);
        let (mut counts, mut digest) = (BlockCounts::default(), Digest::default());
        let mut want = limits.block_bytes;
        loop {
            let ended = text.fill(&mut block, want)?;
            let decoded = decoder.decode(std::mem::take(&mut block), ended, Budget::UNLIMITED);
            let used = decoded.counts.bytes;
            counts.bytes += used;
            counts.records += decoded.counts.records;
            counts.blank_lines += decoded.counts.blank_lines;
            digest += decoded.source_digest;
            block = decoded.buffer;
            block.truncate(decoded.block_len);
            block.drain(..usize::try_from(used).unwrap_or(usize::MAX).min(decoded.block_len));
            // A record longer than a block needs more bytes at once.
            want = if used > 0 { limits.block_bytes } else { want.saturating_mul(2) };
            want = want.max(block.len().saturating_add(1));
            if ended && block.is_empty() {
                return Ok((counts, digest));
            }
        }
    });
    joined(thread.await)?
}
