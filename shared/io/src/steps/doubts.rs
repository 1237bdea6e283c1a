//! What an operator has to decide before a job's rows become visible.

use rowproof_core::ids::SlotId;
use rowproof_core::ledger::{HoldReason, Job};
use rowproof_core::names;
use rowproof_core::plan::Plan;
use rowproof_core::receipt::{AsRead, Manifest, over_limit, over_nothing};

use crate::app::App;
use crate::documents::current::read_current;
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::sinks::postgres::guard_missing;

/// Why the job is to be HELD, all reasons in one text: an approval is one of them all.
pub(crate) async fn doubts(
    app: &App,
    job: &Job,
    ready: &Ready,
    plan: &Plan,
    manifest: &Manifest,
) -> Result<Option<(HoldReason, String)>, StepError> {
    let counts = manifest.totals.counts;
    let (headless, bytes) = (plan.headless, job.facts.object.size);
    let file = AsRead { pipeline: &ready.pipeline, headless, bytes, counts };
    let visible = match file.takes_rows_away() {
        true => visible_rows(app, &job.facts.slot).await?,
        false => 0,
    };
    let nothing = over_nothing(&file, visible);
    let rejected = over_limit(ready.pipeline.errors.hold_if.as_ref(), &counts);
    let rejected = rejected.map(|text| (HoldReason::Rejected, text));
    let missing = guard_missing(app, ready, manifest).await?;
    let missing = missing.map(|text| (HoldReason::Missing, text));
    let doubts: Vec<_> = [nothing, rejected, missing].into_iter().flatten().collect();
    let texts: Vec<_> = doubts.iter().map(|(_, text)| text.as_str()).collect();
    let text = texts.join("; ");
    Ok(doubts.first().map(|(reason, _)| (*reason, text)))
}

/// Rows that readers see in a slot: by the ledger, or by the pointer where the ledger was lost.
async fn visible_rows(app: &App, slot: &SlotId) -> Result<u64, StepError> {
    let known = app.ledger.slot(slot).await?.and_then(|slot| slot.manifest);
    let shown = match known {
        Some(key) => Some(key),
        None => {
            let current = read_current(app, &names::current(slot)).await?;
            current.map(|(current, _)| current.manifest)
        }
    };
    let Some(key) = shown else { return Ok(0) };
    let manifest: Option<Manifest> = app.document_if_there(&key, "manifest").await?;
    let counts = manifest.map(|manifest| manifest.totals.counts).unwrap_or_default();
    Ok(counts.loaded + counts.unchanged)
}
