//! What people ask of a migration that runs, or decide about it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args as ClapArgs;
use rowproof_migrate::change::ThrottleChange;
use rowproof_migrate::values::Span;
use serde_json::{Value, json};

use super::{At, By, Target, Who, span};
use crate::exit::{OK, Usage};
use crate::show::report::{counted, line};

#[derive(Debug, ClapArgs)]
pub(crate) struct Pause {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    by: By,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Resume {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Throttle {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    who: Who,
    /// How long a batch is to take, in milliseconds
    #[arg(long)]
    target_ms: Option<u32>,
    /// Most rows of a batch
    #[arg(long)]
    max: Option<u32>,
    /// Share of the time in which a batch runs, above 0 and at most 1
    #[arg(long)]
    duty: Option<f64>,
    /// Replay lag over which it waits, such as 2s
    #[arg(long, value_parser = span)]
    max_replica_lag: Option<Span>,
    /// Sessions waiting for a lock on the table over which it waits
    #[arg(long)]
    max_lock_waiters: Option<u32>,
    /// Whether it waits while the table is vacuumed
    #[arg(long)]
    pause_on_autovacuum: Option<bool>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Evidence {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    who: Who,
    /// What for: `staging_run`, `rollback_rehearsed`, `backup` or `approval`
    #[arg(long)]
    gate: String,
    /// File with the evidence, as `rowproof migrate rehearse --json` prints it
    #[arg(long, value_name = "FILE", conflicts_with = "taken_at")]
    file: Option<PathBuf>,
    /// For `backup`: when it was taken, RFC 3339
    #[arg(long, value_name = "TIME")]
    taken_at: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Adopt {
    #[command(flatten)]
    at: At,
}

fn done(as_json: bool, what: &str) -> u8 {
    match as_json {
        true => line(&json!({ "done": what }).to_string()),
        false => line(what),
    }
    OK
}

pub(super) async fn pause(args: &Pause, as_json: bool) -> anyhow::Result<u8> {
    args.target.engine().await?.pause(&args.by.who.by, &args.by.reason).await?;
    Ok(done(as_json, "paused: it stops at its next batch, and nobody begins"))
}

pub(super) async fn resume(args: &Resume, as_json: bool) -> anyhow::Result<u8> {
    args.target.engine().await?.resume(&args.who.by).await?;
    Ok(done(as_json, "resumed: `rowproof migrate run` goes on"))
}

pub(super) async fn throttle(args: &Throttle, as_json: bool) -> anyhow::Result<u8> {
    let change = ThrottleChange {
        target_ms: args.target_ms,
        max: args.max,
        duty: args.duty,
        max_replica_lag: args.max_replica_lag,
        max_lock_waiters: args.max_lock_waiters,
        pause_on_autovacuum: args.pause_on_autovacuum,
        ..ThrottleChange::default()
    };
    if serde_json::to_value(&change)? == json!({}) {
        return Err(Usage("name at least one limit; see --help".into()).into());
    }
    args.target.engine().await?.throttle(&args.who.by, &change).await?;
    Ok(done(as_json, "changed: it counts from the next batch on"))
}

pub(super) async fn evidence(args: &Evidence, as_json: bool) -> anyhow::Result<u8> {
    let evidence = match (&args.file, &args.taken_at) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            serde_json::from_str(&text)
                .map_err(|error| Usage(format!("{}: no JSON: {error}", file.display())))?
        }
        (None, Some(at)) => json!({ "taken_at": at }),
        (None, None) if args.gate == "approval" => Value::Null,
        (None, None) => {
            let what = "give the evidence of staging_run and rollback_rehearsed by --file, of backup by --taken-at";
            return Err(Usage(what.into()).into());
        }
    };
    args.target.engine().await?.record_evidence(&args.gate, &evidence, &args.who.by).await?;
    Ok(done(as_json, "recorded, for the files as they are now"))
}

pub(super) async fn adopt(args: &Adopt, as_json: bool) -> anyhow::Result<u8> {
    let taken = rowproof_migrate::adopt::adopt(&args.at.server().await?).await?;
    if as_json {
        line(&serde_json::to_string(&taken)?);
        return Ok(OK);
    }
    if taken.is_empty() {
        line("this database has no history of sqlx, refinery or sqitch");
    }
    for (history, new) in taken {
        line(&format!("{history:?}: {} new, as adopted", counted(new, "migration")));
    }
    Ok(OK)
}
