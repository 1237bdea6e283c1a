//! A migration on a copy, and a few of its batches on the target.

use clap::Args as ClapArgs;
use rowproof_io::clock::Clock;

use super::Target;
use crate::exit::{INTERRUPTED, OK, Usage};
use crate::local::wait::or_interrupted;
use crate::show::report::{counted, grouped, line};

/// Seconds that a rehearsal may take.
const REHEARSAL_SECONDS: u64 = 7 * 24 * 3600;

#[derive(Debug, ClapArgs)]
pub(crate) struct Rehearse {
    #[command(flatten)]
    target: Target,
    /// The database is a copy that is migrated in the end, not the one that people use
    #[arg(long)]
    on_a_copy: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Canary {
    #[command(flatten)]
    target: Target,
    /// Batches to run
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    batches: u32,
}

pub(super) async fn rehearse(args: &Rehearse, as_json: bool) -> anyhow::Result<u8> {
    if !args.on_a_copy {
        let what = "a rehearsal migrates the database that --dsn names: restore a backup, name it there, \
                    and say --on-a-copy";
        return Err(Usage(what.into()).into());
    }
    let engine = args.target.engine().await?;
    let deadline = Clock::system().deadline_in(REHEARSAL_SECONDS);
    let work = Box::pin(async { Ok(engine.rehearse(deadline).await?) });
    let Some(rehearsal) = or_interrupted(work).await? else { return Ok(INTERRUPTED) };
    if as_json {
        line(&serde_json::to_string(&rehearsal)?);
        return Ok(OK);
    }
    let rows = counted(rehearsal.rows_changed, "row");
    let wal = u64::try_from(rehearsal.wal_bytes).unwrap_or(0);
    line(&format!(
        "{}: {rows} changed in {:.1} s, {} MiB of WAL, a slow batch {:.0} ms",
        engine.id(),
        f64::from(u32::try_from(rehearsal.duration_ms).unwrap_or(u32::MAX)) / 1_000.0,
        grouped(wal >> 20),
        rehearsal.p99_ms
    ));
    let back = match rehearsal.rolled_back {
        true => "taken back before, the schema was as it had been",
        false => "taking it back was not tried: reversible = false",
    };
    line(&format!("  {back}"));
    line(
        "as evidence it counts when it was kept: `rehearse .. --json > rehearsal.json` on a copy, then \
         `evidence --gate staging_run --file rehearsal.json`, and the same for rollback_rehearsed",
    );
    Ok(OK)
}

pub(super) async fn canary(args: &Canary, as_json: bool) -> anyhow::Result<u8> {
    let canary = args.target.engine().await?.canary(args.batches).await?;
    if as_json {
        line(&serde_json::to_string(&canary)?);
        return Ok(OK);
    }
    let times: Vec<_> = canary.batch_ms.iter().map(|ms| format!("{ms:.0}")).collect();
    line(&format!(
        "{} over {} rows, {} changed, and rolled back: {} ms",
        if canary.batches == 1 {
            "1 batch".to_owned()
        } else {
            format!("{} batches", canary.batches)
        },
        grouped(canary.rows_seen),
        grouped(canary.rows_changed),
        times.join(", ")
    ));
    if canary.cut_off {
        line("  the second that a canary has was over before they were through");
    }
    line(
        "not checked: what a whole run does to replicas and vacuum; dead rows of the batches stay behind",
    );
    Ok(OK)
}
