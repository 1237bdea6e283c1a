//! What can be known of a migration before it runs. Each level says what it did not check.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use rowproof_migrate::folder::Folder;
use rowproof_migrate::lint::lint as look;
use rowproof_migrate::plan::{PlanReport, plan as ask};
use rowproof_migrate::shadow::{Scratch, clone_schema};
use serde_json::json;

use super::{Target, server};
use crate::exit::{FAILED, OK};
use crate::show::report::{counted, grouped, line};

#[derive(Debug, ClapArgs)]
pub(crate) struct Lint {
    /// Folders of migrations
    #[arg(required = true)]
    folders: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Plan {
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Shadow {
    #[command(flatten)]
    target: Target,
    /// An empty database to fill and throw away, as a superuser: env:VARIABLE or secret:NAME
    #[arg(long, value_name = "DSN")]
    scratch: String,
    /// `pg_dump` of the target's major version or a newer one
    #[arg(long, value_name = "PROGRAM", default_value = "pg_dump")]
    pg_dump: PathBuf,
}

pub(super) async fn shadow(args: &Shadow, as_json: bool) -> anyhow::Result<u8> {
    let folder = Folder::load(&args.target.folder)?;
    let source = args.target.at.server().await?;
    let mut scratch = Scratch::open(&server(&args.scratch, "--scratch").await?).await?;
    let wait = folder.config.locks.lock_timeout.as_ms();
    clone_schema(&args.pg_dump, &source, wait, &scratch).await?;
    let report = scratch.shadow(&folder).await?;
    if as_json {
        line(&serde_json::to_string(&report)?);
        return Ok(OK);
    }
    line(&format!("on Postgres {}:", report.server));
    for verdict in &report.verdicts {
        let mut parts = vec![];
        parts.extend(verdict.locks.iter().map(|(table, mode)| format!("{mode:?} on {table}")));
        parts.extend(verdict.rewrites.iter().map(|table| format!("REWRITES {table}")));
        parts.extend(verdict.scans.then(|| "reads all rows".to_owned()));
        let who = match (verdict.blocks_reads(), verdict.blocks_writes()) {
            (true, _) => "readers and writers wait",
            (false, true) => "writers wait",
            (false, false) => "nobody waits",
        };
        parts.insert(0, who.to_owned());
        line(&format!("  {}:{}: {}", verdict.file, verdict.line, parts.join("; ")));
    }
    report.not_checked.iter().for_each(|what| line(&format!("not checked: {what}")));
    Ok(OK)
}

pub(super) fn lint(args: &Lint, as_json: bool) -> anyhow::Result<u8> {
    let mut all = 0;
    for folder in &args.folders {
        let findings = look(folder)?;
        all += findings.len();
        for found in &findings {
            if as_json {
                line(&json!({ "folder": folder, "finding": found }).to_string());
                continue;
            }
            let at = if found.line > 0 { format!(":{}", found.line) } else { String::new() };
            line(&format!("{}/{}{at}: {}", folder.display(), found.file, found.code));
            line(&format!("  {}", found.what));
            line(&format!("  instead: {}", found.instead));
        }
    }
    if !as_json {
        match all {
            0 => line("nothing found"),
            _ => line(&counted(u64::try_from(all).unwrap_or(u64::MAX), "finding")),
        }
        line(
            "not checked: the table, its rows and size, and what functions and triggers do inside",
        );
    }
    Ok(if all == 0 { OK } else { FAILED })
}

pub(super) async fn plan(args: &Plan, as_json: bool) -> anyhow::Result<u8> {
    let folder = Folder::load(&args.target.folder)?;
    let report = ask(&args.target.at.server().await?, &folder).await?;
    let unsafe_plan = report.planned.iter().any(|planned| planned.reads_all)
        || !report.prechecks.is_empty()
        || !report.missing_rights.is_empty();
    match as_json {
        true => line(&serde_json::to_string(&report)?),
        false => print_plan(&folder, &report),
    }
    Ok(if unsafe_plan { FAILED } else { OK })
}

fn print_plan(folder: &Folder, report: &PlanReport) {
    let bytes = |bytes: i64| format!("{} MiB", bytes.max(0) >> 20);
    let rows = report.rows_estimate.map_or("unknown".to_owned(), |rows| format!("about {rows:.0}"));
    line(&format!(
        "{}: {rows} rows, {} ({} with indexes)",
        folder.config.target.table.quoted(),
        bytes(report.table_bytes),
        bytes(report.total_bytes)
    ));
    for planned in &report.planned {
        let how = if planned.reads_all { "READS ALL of the table" } else { "by index" };
        line(&format!("  {:<6} {how} {}", planned.query, planned.indexes.join(", ")));
    }
    for open in &report.long_transactions {
        let age = grouped(u64::try_from(open.age_s).unwrap_or(0));
        line(&format!("  open for {age} s: backend {} ({})", open.pid, open.application));
    }
    for name in &report.triggers {
        line(&format!("  trigger that fires on each changed row: {name}"));
    }
    if report.row_security {
        line("  row security is on: it hides rows from roles without BYPASSRLS");
    }
    for name in &report.publications {
        line(&format!("  each changed row is sent by publication {name}"));
    }
    for replica in &report.replicas {
        let lag = replica.lag_ms.map_or("unknown".to_owned(), |lag| format!("{lag} ms"));
        line(&format!("  replica {} is {}, lag {lag}", replica.application, replica.state));
    }
    for (at, what) in &report.prechecks {
        line(&format!("  STOPS AT precheck.sql:{at}: {what}"));
    }
    for right in &report.missing_rights {
        line(&format!("  THE ROLE LACKS: {right}"));
    }
    for what in &report.not_checked {
        line(&format!("not checked: {what}"));
    }
}
