//! The bytes of failed records: from the archive where it has them, from the source where it does not.

use std::sync::Arc;

use rowproof_core::archive::{ArchivedRow, record_bytes};
use rowproof_core::ledger::Job;
use rowproof_core::plan::{Plan, PlanKind};

use crate::app::App;
use crate::error::StepError;
use crate::error::joined;
use crate::pipelines::Ready;
use crate::text::source::TextSource;

/// Records with no more bytes between them are read by one request.
const GAP_BYTES_MAX: u64 = 64 << 10;

/// Where a record is in the plain text, and which row it is.
struct Place {
    index: usize,
    start: u64,
    end: u64,
}

/// The record of each wanted row; `None` for rows that are not wanted, and for those whose source is
/// gone or overwritten.
pub(super) async fn records(
    app: &App,
    parent: &Job,
    ready: &Arc<Ready>,
    plan: &Plan,
    rows: &[ArchivedRow],
    wanted: &[bool],
) -> Result<Vec<Option<Vec<u8>>>, StepError> {
    let mut records = vec![];
    let mut missing = vec![];
    for (index, (row, wanted)) in rows.iter().zip(wanted).enumerate() {
        let known = wanted.then(|| record_bytes(&ready.pipeline, row)).flatten();
        if *wanted && known.is_none() {
            let place = |number: i64| u64::try_from(number).unwrap_or(0);
            let (start, end) = (place(row.byte_start), place(row.byte_end));
            // A record over the limit is left where it is: it is rejected for its length anyway.
            if end.saturating_sub(start) <= app.limits.record_bytes_max as u64 {
                missing.push(Place { index, start, end });
            }
        }
        records.push(known.map(std::borrow::Cow::into_owned));
    }
    missing.sort_by_key(|place| place.start);
    match read_source(app, parent, ready, plan, &missing, &mut records).await {
        Ok(()) | Err(StepError::SourceChanged { .. }) => Ok(records),
        Err(error) => Err(error),
    }
}

async fn read_source(
    app: &App,
    parent: &Job,
    ready: &Arc<Ready>,
    plan: &Plan,
    places: &[Place],
    records: &mut [Option<Vec<u8>>],
) -> Result<(), StepError> {
    let close = |a: &Place, b: &Place| b.start <= a.end.saturating_add(GAP_BYTES_MAX);
    let groups: Vec<&[Place]> = match plan.kind {
        PlanKind::Ranges => places.chunk_by(close).collect(),
        // A packed object is entered once, and read up to the last record.
        PlanKind::Chain if places.is_empty() => vec![],
        PlanKind::Chain => vec![places],
    };
    for group in groups {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (start, end) = (first.start, last.end);
        let (facts, pipeline) = (&parent.facts, &ready.pipeline);
        let mut text = TextSource::planned(app, facts, pipeline, plan, start, Some(end)).await?;
        let lengths: Vec<_> = group.iter().map(|place| (place.start, place.end)).collect();
        let read =
            joined(tokio::task::spawn_blocking(move || cut(&mut text, start, &lengths)).await)??;
        for (place, record) in group.iter().zip(read) {
            if let Some(slot) = records.get_mut(place.index) {
                *slot = Some(record);
            }
        }
    }
    Ok(())
}

/// Cuts records out of a text that begins at byte `start`, in order.
fn cut(
    text: &mut TextSource,
    start: u64,
    places: &[(u64, u64)],
) -> Result<Vec<Vec<u8>>, StepError> {
    const PIECE_BYTES: usize = 1 << 20;
    let mut position = start;
    let mut window: Vec<u8> = Vec::new();
    let mut ended = false;
    let mut records = vec![];
    for (from, to) in places {
        loop {
            // Bytes before the record are dropped as soon as they are passed.
            let before = usize::try_from(from.saturating_sub(position)).unwrap_or(usize::MAX);
            let drop = before.min(window.len());
            window.drain(..drop);
            position += drop as u64;
            let length = usize::try_from(to - from).unwrap_or(usize::MAX);
            if position == *from && window.len() >= length {
                records.push(window.get(..length).unwrap_or_default().to_vec());
                break;
            }
            if ended {
                return Err(StepError::Broken(format!("the source ends before byte {to}")));
            }
            let want = window.len().saturating_add(PIECE_BYTES);
            ended = text.fill(&mut window, want)?;
        }
    }
    Ok(records)
}
