//! How far a migration is, and what happened.

use clap::Args as ClapArgs;
use rowproof_migrate::change::ThrottleChange;
use rowproof_migrate::drive::Pause;
use rowproof_migrate::status::{BackfillStatus, Eta, Status as Standing};

use serde::Deserialize;

use super::Target;
use crate::exit::OK;
use crate::show::report::{grouped, line, printable};

/// Characters of an event's detail, far more than any has.
const DETAIL_MAX: usize = 10_000;

#[derive(Debug, ClapArgs)]
pub(crate) struct Status {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct History {
    #[command(flatten)]
    target: Target,
}

pub(super) async fn status(args: &Status, as_json: bool) -> anyhow::Result<u8> {
    let status = args.target.engine().await?.status().await?;
    if as_json {
        line(&serde_json::to_string(&status)?);
        return Ok(OK);
    }
    let state = status.state.map_or("not begun here", |state| state.name());
    line(&format!("{}: {state}", status.id));
    if !status.same_folder {
        line("  the folder is not the one it was begun with");
    }
    if let Some(owner) = &status.owner {
        line(&format!("  worked on by {owner}, epoch {}", status.epoch));
    }
    if let Some(paused) = &status.paused {
        line(&format!("  paused: {paused}"));
    }
    if let Some(backfill) = &status.backfill {
        line(&format!("  {}", how_far(backfill)));
        line(&format!("  {}", batches(backfill, &status.limits)));
        if backfill.ranges_skipped > 0 {
            let ranges = backfill.ranges_skipped;
            line(&format!("  {ranges} ranges of rows are locked by others: swept up later"));
        }
        for key in backfill.quarantined.iter().take(10) {
            line(&format!("  quarantined: the row with key {}", key.join(", ")));
        }
    }
    if let Some(waits) = waits(&status) {
        line(&format!("  waits: {waits}"));
    }
    if let Some(error) = &status.error {
        let text = |name: &str| error.get(name).and_then(|value| value.as_str()).unwrap_or("");
        line(&format!("  last failure: {}: {}", text("code"), text("message")));
    }
    Ok(OK)
}

pub(super) async fn history(args: &History, as_json: bool) -> anyhow::Result<u8> {
    for event in args.target.engine().await?.history().await? {
        if as_json {
            line(&serde_json::to_string(&event)?);
            continue;
        }
        let detail = printable(&event.detail.to_string(), DETAIL_MAX);
        line(&format!("{:>6} {} {:<20} {detail}", event.seq, event.at, event.kind));
    }
    Ok(OK)
}

/// `backfill: 1,200,000 of about 5,000,000 rows, 35,000 rows/s, about 2 min left (1 to 3)`
pub(super) fn how_far(backfill: &BackfillStatus) -> String {
    let of = match backfill.est_rows.and_then(|rows| u64::try_from(rows).ok()) {
        Some(rows) => format!(" of about {}", grouped(rows)),
        None => String::new(),
    };
    let pass = if backfill.pass > 0 { format!(", sweep {}", backfill.pass) } else { String::new() };
    let left = match &backfill.eta {
        Eta::Unknown => "time left unknown".to_owned(),
        Eta::Seconds { low, expected, high } => {
            format!("{} left ({} to {})", span(*expected), span(*low), span(*high))
        }
    };
    format!(
        "{}: {}{of} rows{pass}, {} changed, {:.0} rows/s, {left}",
        if backfill.direction == "undo" { "undoing" } else { "backfill" },
        grouped(backfill.rows_seen),
        grouped(backfill.rows_changed),
        backfill.rows_per_second
    )
}

/// What keeps it from going on, if anything does.
pub(super) fn waits(status: &Standing) -> Option<String> {
    if let Some(signal) = status.backfill.as_ref().and_then(|one| one.pause_reason.as_ref()) {
        return Some(format!("the database is busy: {signal}"));
    }
    let lock = status.waits_for.as_ref()?;
    if let Some(reason) = lock.get("reason") {
        let reason = Pause::deserialize(reason).ok()?;
        // Whoever calls it again ends these.
        let over =
            matches!(reason, Pause::OutOfTime | Pause::LeaseHeld { .. } | Pause::Asked { .. });
        return (!over).then(|| waits_for(&reason));
    }
    let blockers = lock.get("blockers").and_then(|value| value.as_array());
    let pids = blockers.into_iter().flatten().filter_map(|one| one.get("pid"));
    let held = pids.map(|pid| format!("backend {pid}")).collect::<Vec<_>>().join(", ");
    let held = if held.is_empty() { "somebody".to_owned() } else { held };
    let place = lock.get("place").and_then(|value| value.as_str()).unwrap_or_default();
    let attempt = lock.get("attempt").and_then(serde_json::Value::as_u64).unwrap_or(0);
    Some(format!("{place} needs a lock that {held} holds; attempt {attempt} was in vain"))
}

/// `batches of 1,300 rows: 48 ms each (120 at most of late), at most 20,000 rows, 50 ms and 50 % of the time`
fn batches(backfill: &BackfillStatus, limits: &ThrottleChange) -> String {
    format!(
        "batches of {} rows: {:.0} ms each ({:.0} at most of late); limits: {} rows, {} ms, {:.0} % of the time",
        grouped(u64::from(backfill.batch_size)),
        backfill.batch_ms,
        backfill.p99_ms,
        grouped(u64::from(limits.max.unwrap_or(0))),
        limits.target_ms.unwrap_or(0),
        limits.duty.unwrap_or(1.0) * 100.0
    )
}

pub(super) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3_600.0),
    }
}

pub(super) fn waits_for(reason: &Pause) -> String {
    match reason {
        Pause::OutOfTime => "the time is over".to_owned(),
        Pause::LeaseHeld { owner } => {
            format!("another runner works on it, or died less than half a minute ago ({owner})")
        }
        Pause::Asked { by, reason } => {
            format!("paused by {by}: {reason}; `rowproof migrate resume` takes that back")
        }
        Pause::WindowClosed { opens_in_s } => {
            format!("its window opens in {}", seconds(*opens_in_s))
        }
        Pause::Soaking { well: true, left_s } => {
            format!(
                "the application is well, and has to be for {} more (gates.health)",
                seconds(*left_s)
            )
        }
        Pause::Soaking { well: false, left_s } => {
            format!(
                "the application is not well, or does not say; it has to be for {} (gates.health)",
                seconds(*left_s)
            )
        }
        Pause::Grace { left_s } => {
            format!("what contract.sql drops is kept for {} more (gates.grace)", seconds(*left_s))
        }
        Pause::Throttled { signal } => format!("the database is busy: {signal}"),
        Pause::StillRunning { pid } => {
            format!("a statement of an earlier runner still runs (backend {pid})")
        }
        Pause::Unavailable { what } => format!("the server does not answer: {what}"),
    }
}

fn seconds(seconds: u64) -> String {
    super::show::span(f64::from(u32::try_from(seconds).unwrap_or(u32::MAX)))
}
