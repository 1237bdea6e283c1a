//! Goes on with a migration, or takes it back, until it is done or somebody is needed.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args as ClapArgs;
use indicatif::ProgressBar;
use rowproof_io::clock::{Clock, Deadline};
use rowproof_migrate::drive::{Drive, Pause};
use rowproof_migrate::engine::Engine;
use rowproof_migrate::error::{ExitClass, MigrateError};
use rowproof_migrate::state::State;
use rowproof_migrate::values::Span;
use tokio::time::sleep;

use super::show::waits_for;
use super::{By, Target, Who, span};
use crate::exit::{INTERRUPTED, Usage};
use crate::local::wait::or_interrupted;
use crate::show::report::line;

/// Seconds of one call of the engine: none is ever cut off, so it only bounds how long a statement may be
/// that cannot be cut in pieces.
const CALL_SECONDS: u64 = 7 * 24 * 3600;
/// A server that does not answer for so long ends the run; it goes on by the same command.
const SILENT_MAX: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Shortest time of a run that is told when to end.
const FOR_MIN: Duration = Duration::from_secs(20);
/// Looks without a terminal until how far it is is said again.
const SAY_AGAIN: u32 = 6;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    /// End after this time, such as 10m, at least 20s; the same command goes on
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    limit: Option<Span>,
    /// Let a gate pass that is not met, for these files: GATE=REASON, which the history keeps
    #[arg(long = "override", value_name = "GATE=REASON")]
    overrides: Vec<String>,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Rollback {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    by: By,
}

pub(super) async fn run(args: &Args, as_json: bool) -> anyhow::Result<u8> {
    if args.limit.is_some_and(|limit| limit.0 < FOR_MIN) {
        let what =
            "--for: at least 20s: the last 10 s are kept free, and a step has to fit before them";
        return Err(Usage(what.into()).into());
    }
    let engine = args.target.engine().await?;
    for text in &args.overrides {
        let (gate, reason) = text
            .split_once('=')
            .filter(|(_, reason)| !reason.trim().is_empty())
            .ok_or_else(|| Usage("--override takes GATE=REASON".into()))?;
        engine.override_gate(gate, reason, &args.who.by).await?;
        eprintln!("gate {gate} is overridden by {}: {reason}", args.who.by);
    }
    let seconds = args.limit.map_or(CALL_SECONDS, |limit| limit.0.as_secs().max(1));
    let deadline = Clock::system().deadline_in(seconds);
    Box::pin(through(as_json, &engine, deadline, None)).await
}

pub(super) async fn rollback(args: &Rollback, as_json: bool) -> anyhow::Result<u8> {
    let engine = args.target.engine().await?;
    let deadline = Clock::system().deadline_in(CALL_SECONDS);
    Box::pin(through(as_json, &engine, deadline, Some(&args.by))).await
}

/// Calls the engine until nothing is left to do, or waiting is of no use.
async fn through(
    as_json: bool,
    engine: &Engine,
    deadline: Deadline,
    back: Option<&By>,
) -> anyhow::Result<u8> {
    let bar = (!as_json && std::io::stderr().is_terminal()).then(ProgressBar::new_spinner);
    let work = Box::pin(async {
        tokio::select! {
            ended = until_over(engine, deadline, back) => Ok(ended?),
            never = watch(engine, bar.as_ref()) => match never {},
        }
    });
    let ended = or_interrupted(work).await;
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    let Some(drive) = ended? else {
        // Not a must: the lease ends by itself, within half a minute.
        engine.let_go().await.ok();
        return Ok(INTERRUPTED);
    };
    let undone = matches!(drive, Drive::Done { state: State::RolledBack }) && back.is_none();
    // Asked to run, a migration that was taken back has not: somebody has to want it again.
    let code = if undone { ExitClass::Yielded.exit_code() } else { drive.class().exit_code() };
    if as_json {
        line(&serde_json::to_string(&drive)?);
        return Ok(code);
    }
    match &drive {
        Drive::Done { state } => {
            line(&format!("{}: {state}", engine.id()));
            if undone {
                line("next: `rowproof migrate resume` begins it anew, with the files as they are");
            }
        }
        Drive::Yield { reason, .. } => {
            line(&format!("{}: not done yet: {}", engine.id(), waits_for(reason)));
            if !matches!(reason, Pause::Asked { .. }) {
                line("next: the same command goes on");
            }
        }
    }
    Ok(code)
}

async fn until_over(
    engine: &Engine,
    deadline: Deadline,
    back: Option<&By>,
) -> Result<Drive, MigrateError> {
    // A server that never answered is another one than was meant, more often than not: it is not waited for.
    engine.status().await?;
    let mut silent = Duration::ZERO;
    loop {
        let drive = match back {
            Some(By { reason, who }) => engine.rollback(&who.by, reason, deadline).await?,
            None => engine.drive(deadline).await?,
        };
        let Drive::Yield { after, reason } = &drive else { return Ok(drive) };
        match reason {
            Pause::Throttled { .. } | Pause::StillRunning { .. } | Pause::Soaking { .. } => {
                silent = Duration::ZERO;
            }
            Pause::Unavailable { .. } if silent < SILENT_MAX => silent += *after,
            Pause::Unavailable { .. }
            | Pause::OutOfTime
            | Pause::LeaseHeld { .. }
            | Pause::Asked { .. }
            | Pause::Grace { .. }
            | Pause::WindowClosed { .. } => return Ok(drive),
        }
        eprintln!("{}: {}", engine.id(), waits_for(reason));
        if deadline.remaining_ms() <= u64::try_from(after.as_millis()).unwrap_or(u64::MAX) {
            return Ok(drive);
        }
        sleep(*after).await;
    }
}

/// Shows how far it is, for as long as it is polled; without a terminal in a line when that is another, and once
/// a minute.
async fn watch(engine: &Engine, bar: Option<&ProgressBar>) -> std::convert::Infallible {
    let (mut told, mut looks) = ((None, None), 0);
    loop {
        sleep(if bar.is_some() { LOOK_EVERY } else { LOOK_EVERY * 10 }).await;
        // What cannot be read now is shown later; the run itself says why.
        let Ok(status) = engine.status().await else { continue };
        let waits = super::show::waits(&status);
        let state = status.state.map_or("pending", |state| state.name());
        let far = status.backfill.as_ref().map(super::show::how_far).unwrap_or_default();
        let now = (status.state, waits.clone());
        let waits = waits.map(|waits| format!("; waits: {waits}")).unwrap_or_default();
        let Some(bar) = bar else {
            looks += 1;
            if now != told || looks >= SAY_AGAIN {
                eprintln!("{}: {state} {far}{waits}", engine.id());
                (told, looks) = (now, 0);
            }
            continue;
        };
        bar.set_message(format!("{state} {far}{waits}"));
        bar.tick();
    }
}
