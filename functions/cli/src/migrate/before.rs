//! What can be known of a migration before it runs. Each level says what it did not check.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use rowproof_migrate::folder::Folder;
use rowproof_migrate::lint::lint as look;
use rowproof_migrate::plan::{PlanReport, plan as ask};
use serde_json::json;

use super::Target;
use crate::report::{counted, grouped, line};
use crate::{FAILED, OK};

#[derive(Debug, ClapArgs)]
pub(crate) struct Lint {
    /// Folders of migrations
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Print one JSON object a line for each finding
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(super) target: Target,
}

pub(super) fn lint(args: &Lint) -> anyhow::Result<u8> {
    let mut all = 0;
    for folder in &args.folders {
        let findings = look(folder)?;
        all += findings.len();
        for found in &findings {
            if args.json {
                line(&json!({ "folder": folder, "finding": found }).to_string());
                continue;
            }
            let at = if found.line > 0 { format!(":{}", found.line) } else { String::new() };
            line(&format!("{}/{}{at}: {}", folder.display(), found.file, found.code));
            line(&format!("  {}", found.what));
            line(&format!("  instead: {}", found.instead));
        }
    }
    if !args.json {
        match all {
            0 => line("nothing found"),
            _ => line(&counted(u64::try_from(all).unwrap_or(u64::MAX), "finding")),
        }
        line("not checked: the table, its rows and size, and what functions and triggers do inside");
    }
    Ok(if all == 0 { OK } else { FAILED })
}

pub(super) async fn plan(args: &Plan) -> anyhow::Result<u8> {
    let folder = Folder::load(&args.target.folder)?;
    let client = args.target.at.server().await?.connect().await?;
    let report = ask(&client, &folder).await?;
    let unsafe_plan = report.planned.iter().any(|planned| planned.reads_all);
    match args.target.json {
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
    for what in &report.not_checked {
        line(&format!("not checked: {what}"));
    }
}
