//! The books of a job: the sums over its chunks, and whether they add up.

use std::collections::BTreeMap;

use super::{ChunkOutcome, Counts, Reason, Totals};
use crate::ids::ObjectVersion;
use crate::pipeline::{HoldIf, Rejected};
use crate::plan::{Plan, PlanKind};

/// Sums the outcomes of a job.
pub(super) fn totals(plan: &Plan, outcomes: &[ChunkOutcome]) -> Totals {
    let mut totals = Totals {
        chunks: u32::try_from(outcomes.len()).unwrap_or(u32::MAX),
        header_bytes: plan.data_start,
        ..Totals::default()
    };
    let mut reasons: BTreeMap<(String, Option<String>), u64> = BTreeMap::new();
    for outcome in outcomes {
        totals.counts.add(&outcome.counts);
        totals.blank_lines += outcome.blank_lines;
        totals.repairs += outcome.repairs;
        totals.source_digest += outcome.source_digest;
        totals.loaded_digest += outcome.loaded_digest;
        for reason in &outcome.reasons {
            *reasons.entry((reason.code.clone(), reason.column.clone())).or_default() +=
                reason.rows;
        }
    }
    totals.bytes_read = match plan.kind {
        PlanKind::Ranges => {
            let lengths = outcomes.iter().map(|outcome| outcome.end.saturating_sub(outcome.start));
            plan.data_start + lengths.sum::<u64>()
        }
        PlanKind::Chain => outcomes.last().and_then(|outcome| outcome.packed_bytes).unwrap_or(0),
    };
    totals.reasons =
        reasons.into_iter().map(|((code, column), rows)| Reason { code, column, rows }).collect();
    totals.reasons.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.cmp(b)));
    totals
}

/// Every way in which the books of a job can fail to balance, in words.
pub(super) fn check_books(
    object: &ObjectVersion,
    plan: &Plan,
    outcomes: &[ChunkOutcome],
    totals: &Totals,
    in_table: bool,
) -> Vec<String> {
    let mut problems = vec![];
    let (mut byte, mut row) = (plan.data_start, 0);
    let mut before: Option<&ChunkOutcome> = None;
    for outcome in outcomes {
        let n = outcome.label();
        let expected = before.map_or(0, |before| before.chunk + 1);
        let is_part = !outcome.part.is_empty();
        let same = before.is_some_and(|before| is_part && before.chunk == outcome.chunk);
        if outcome.chunk != expected && !same {
            problems.push(format!("chunk {expected} is missing: found chunk {n} in its place"));
        }
        before = Some(outcome);
        if outcome.end < outcome.start {
            problems.push(format!("chunk {n} ends at byte {}, before it begins", outcome.end));
        }
        if outcome.start != byte {
            problems.push(format!("chunk {n} begins at byte {}, not {byte}", outcome.start));
        }
        if outcome.first_row != row {
            problems.push(format!("chunk {n} begins at row {}, not {row}", outcome.first_row));
        }
        if !outcome.counts.balance() {
            problems.push(format!("chunk {n}: its classes do not add up to its rows"));
        }
        let files: u64 = outcome.files.iter().map(|file| file.rows).sum();
        // What a table made of staged rows is in the classes alone.
        if files != outcome.counts.loaded && !in_table {
            problems.push(format!("chunk {n}: its files hold {files} rows, not the loaded ones"));
        }
        let archived = outcome.failures.as_ref().map_or(0, |file| file.rows);
        if archived != outcome.counts.rejected {
            problems
                .push(format!("chunk {n}: its archive holds {archived} rows, not the rejected"));
        }
        (byte, row) = (outcome.end, row + outcome.counts.read);
    }
    if plan.text_bytes.is_some_and(|bytes| bytes != byte) {
        problems.push(format!("the chunks end at byte {byte}, not at the end of the object"));
    }
    if plan.rows.is_some_and(|rows| rows != row) {
        problems.push(format!("the chunks hold {row} rows, not what the plan counted"));
    }
    if totals.bytes_read != object.size {
        problems.push(format!("{} bytes were read of {}", totals.bytes_read, object.size));
    }
    problems
}

/// Whether the job is held before rows are deleted that the file does not have: `missing` of the `held`
/// rows that earlier files brought, where `max` parts of a million may go. The text says why.
pub fn over_missing(max: u32, held: u64, missing: u64, rejected: u64) -> Option<String> {
    if missing == 0 {
        return None;
    }
    if rejected > 0 {
        return Some(format!(
            "{missing} of {held} rows of the table are not in the file, of which {rejected} rows were \
             rejected and may be among them; approved, the {missing} are deleted"
        ));
    }
    let over = u128::from(missing) * 1_000_000 > u128::from(max) * u128::from(held);
    over.then(|| {
        let share = f64::from(max) / 10_000.0;
        format!(
            "{missing} of {held} rows of the table are not in the file; delete_missing_max allows \
             {share} %"
        )
    })
}

/// Whether so many rejected rows hold the job; the text says why.
pub fn over_limit(hold_if: Option<&HoldIf>, counts: &Counts) -> Option<String> {
    let hold_if = hold_if?;
    if counts.read < hold_if.min_rows {
        return None;
    }
    let (over, limit) = match hold_if.rejected {
        Rejected::Rows(rows) => (counts.rejected > rows, format!("{rows} rows")),
        Rejected::PartsPerMillion(ppm) => {
            let rejected = u128::from(counts.rejected) * 1_000_000;
            let allowed = u128::from(ppm) * u128::from(counts.read);
            (rejected > allowed, format!("{} %", f64::from(ppm) / 10_000.0))
        }
    };
    over.then(|| {
        format!("{} of {} rows were rejected; hold_if allows {limit}", counts.rejected, counts.read)
    })
}
