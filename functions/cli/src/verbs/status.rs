//! `rowproof status`: every job at a glance.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use clap::Args as ClapArgs;
use futures_util::{StreamExt, TryStreamExt, stream};
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::time::EpochSeconds;
use rowproof_io::app::App;
use rowproof_io::clock::Clock;
use serde::Serialize;

use crate::exit::{INTERRUPTED, OK};
use crate::local::wait::is_disconnect;
use crate::local::world::World;
use crate::options::Out;
use crate::show::jobs;
use crate::show::jobs::Tally;
use crate::show::outcome::load_manifest;
use crate::show::report::{grouped, line};
use crate::show::skipped::skipped;

/// Jobs looked at at a time.
const IN_FLIGHT: usize = 16;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) out: Out,
    /// Look again every second until every job has settled
    #[arg(long)]
    pub(crate) follow: bool,
    /// Print one JSON object a line for each job; with --follow, again for each that changed
    #[arg(long)]
    pub(crate) json: bool,
}

/// One job. The keys are a contract: more may come, none is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    job: String,
    state: JobState,
    pipeline: String,
    file: String,
    rows_read: Option<u64>,
    rows_loaded: Option<u64>,
    rows_rejected: Option<u64>,
    /// Whether its rows are in their place now, or those of a later file; `None` when it published none.
    current: Option<bool>,
    chunks_done: u32,
    chunks: Option<u32>,
    created_at: String,
    updated_at: String,
    #[serde(skip)]
    created: EpochSeconds,
    #[serde(skip)]
    generation: i64,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    tokio::select! {
        result = look(&args) => result,
        _ = tokio::signal::ctrl_c() => Ok(INTERRUPTED),
    }
}

async fn look(args: &Args) -> anyhow::Result<u8> {
    let mut shown: Option<Vec<Row>> = None;
    loop {
        // The folder is not held between two looks, so that a run may begin or end meanwhile.
        let world = World::open(&args.out.dir).await?;
        let runs_elsewhere = !world.is_own();
        let found = rows(&world.app).await;
        let skipped = match shown {
            None => skipped(&world.app).await,
            Some(_) => Ok(None),
        };
        world.shutdown().await;
        let rows = match found {
            // It ended just now: the next look is at the folder itself.
            Err(error) if runs_elsewhere && is_disconnect(&error) => continue,
            other => other?,
        };
        if shown.as_ref() != Some(&rows) {
            show(args, shown.as_deref().unwrap_or(&[]), &rows)?;
        }
        if let Ok(Some(text)) = skipped {
            // With --json every line of standard output is a job.
            if args.json { eprintln!("{text}") } else { line(&text) }
        }
        let is_unsettled = rows.iter().any(|row| !row.state.is_settled());
        // The first upload may be under way.
        let may_begin = rows.is_empty() && runs_elsewhere;
        shown = Some(rows);
        if !args.follow || !(is_unsettled || may_begin) {
            return Ok(OK);
        }
        if !runs_elsewhere {
            let dir = args.out.dir.display();
            eprintln!(
                "nothing runs in {dir} now, so no job will move: give the `rowproof run` command \
                 again, or start `rowproof dev --out {dir}`"
            );
            return Ok(OK);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn rows(app: &App) -> anyhow::Result<Vec<Row>> {
    let jobs = app.ledger.all_jobs().await?;
    let each: Vec<_> = jobs.iter().map(|job| row(app, job)).collect();
    let mut rows: Vec<Row> = stream::iter(each).buffered(IN_FLIGHT).try_collect().await?;
    sort(&mut rows);
    Ok(rows)
}

async fn row(app: &App, job: &Job) -> anyhow::Result<Row> {
    let totals = load_manifest(app, job).await?.map(|manifest| manifest.totals);
    // Totals are made when every chunk is done.
    let tally = match &totals {
        Some(totals) => {
            Tally { total: Some(totals.chunks), done: totals.chunks, ..Tally::default() }
        }
        None => jobs::tally(app, job).await?,
    };
    let counts = totals.map(|totals| totals.counts);
    let facts = &job.facts;
    let mut current = None;
    if job.state == JobState::Committed && facts.replay.is_none() {
        let slot = app.ledger.slot(&facts.slot).await?;
        current = slot.map(|slot| slot.committed_job.as_ref() == Some(&facts.job));
    }
    Ok(Row {
        job: facts.job.0.clone(),
        state: job.state,
        pipeline: facts.pipeline.clone(),
        file: match &facts.replay {
            Some(replay) => {
                format!("(replay of {})", replay.parent.0.chars().take(12).collect::<String>())
            }
            None => facts.object.key.clone(),
        },
        rows_read: counts.map(|counts| counts.read).or((tally.done > 0).then_some(tally.rows)),
        rows_loaded: counts.map(|counts| counts.loaded),
        rows_rejected: counts.map(|counts| counts.rejected),
        current,
        chunks_done: tally.done,
        chunks: tally.total,
        created_at: facts.created_at.rfc3339(),
        updated_at: job.updated_at.rfc3339(),
        created: facts.created_at,
        generation: facts.generation,
    })
}

/// What waits for something comes first, then the newest.
fn sort(rows: &mut [Row]) {
    let is_open = |state: JobState| {
        !state.is_settled() || state == JobState::Held || state == JobState::Blocked
    };
    rows.sort_by(|a, b| {
        let order = |row: &Row| (is_open(row.state), row.created, row.generation);
        order(b).cmp(&order(a)).then_with(|| a.job.cmp(&b.job))
    });
}

fn show(args: &Args, before: &[Row], rows: &[Row]) -> anyhow::Result<()> {
    if args.json {
        for row in rows.iter().filter(|row| !before.contains(row)) {
            line(&serde_json::to_string(row)?);
        }
        return Ok(());
    }
    if args.follow && std::io::stdout().is_terminal() {
        // Clears the screen.
        line("\x1b[2J\x1b[H");
    } else if !before.is_empty() {
        line("");
    }
    line(&table(&args.out.dir, rows, Clock::system().now()));
    Ok(())
}

/// Rows in aligned columns.
fn table(dir: &Path, rows: &[Row], now: EpochSeconds) -> String {
    if rows.is_empty() {
        let dir = dir.display();
        return format!("no jobs in {dir} yet; next: rowproof run PIPELINE FILE --out {dir}");
    }
    let heads =
        ["JOB", "STATE", "PIPELINE", "FILE", "NOW", "READ", "LOADED", "REJECTED", "CHUNKS", "AGE"];
    let number = |rows: Option<u64>| rows.map_or("-".to_owned(), grouped);
    let mut cells = vec![heads.map(str::to_owned)];
    for row in rows {
        let chunks = row.chunks.map_or("?".to_owned(), |chunks| chunks.to_string());
        cells.push([
            row.job.chars().take(12).collect(),
            row.state.as_str().to_owned(),
            row.pipeline.clone(),
            row.file.clone(),
            match row.current {
                Some(true) => "current".to_owned(),
                Some(false) => "replaced".to_owned(),
                None => "-".to_owned(),
            },
            number(row.rows_read),
            number(row.rows_loaded),
            number(row.rows_rejected),
            format!("{}/{chunks}", row.chunks_done),
            age(now.0.saturating_sub(row.created.0)),
        ]);
    }
    let width = |column: usize| {
        let widths =
            cells.iter().filter_map(|row| row.get(column)).map(|text| text.chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let lines: Vec<String> = cells.iter().map(|row| aligned(row, &widths)).collect();
    lines.join("\n")
}

fn aligned(row: &[String], widths: &[usize]) -> String {
    let parts: Vec<String> = row
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(column, (text, width))| match column {
            5.. => format!("{text:>width$}"),
            _ => format!("{text:<width$}"),
        })
        .collect();
    parts.join("  ")
}

/// So many seconds in the largest unit that fits.
pub(crate) fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(job: &str, state: JobState, created: i64) -> Row {
        let created = EpochSeconds(created);
        Row {
            job: job.into(),
            state,
            pipeline: "orders".into(),
            file: "incoming/a.csv".into(),
            rows_read: Some(1_000),
            rows_loaded: None,
            rows_rejected: None,
            current: (state == JobState::Committed).then_some(false),
            chunks_done: 1,
            chunks: None,
            created_at: created.rfc3339(),
            updated_at: created.rfc3339(),
            created,
            generation: 1,
        }
    }

    #[test]
    fn jobs_that_wait_come_before_newer_ones_that_are_over() {
        let mut rows = [
            row("old", JobState::Committed, 1),
            row("held", JobState::Held, 2),
            row("new", JobState::Committed, 9),
            row("running", JobState::Running, 3),
        ];
        sort(&mut rows);
        let order: Vec<_> = rows.iter().map(|row| row.job.as_str()).collect();
        assert_eq!(order, ["running", "held", "new", "old"]);
    }

    #[test]
    fn the_table_is_aligned_and_says_what_is_unknown() {
        let rows = [row("a", JobState::Planning, 0)];
        let text = table(Path::new("out"), &rows, EpochSeconds(120));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), lines[1].len());
        assert!(lines[1].ends_with("1,000       -         -     1/?  2 min"), "{text}");
    }

    #[test]
    fn a_job_whose_rows_were_replaced_does_not_look_like_one_that_shows_them() {
        let mut rows = [row("a", JobState::Committed, 0), row("b", JobState::Committed, 0)];
        rows[0].current = Some(true);
        let text = table(Path::new("out"), &rows, EpochSeconds(120));
        let now: Vec<_> = text.lines().map(|line| line.split_whitespace().nth(4)).collect();
        assert_eq!(now, [Some("NOW"), Some("current"), Some("replaced")], "{text}");
    }

    #[test]
    fn an_age_has_one_unit() {
        let ages = [-5, 59, 60, 3_600, 172_800].map(age);
        assert_eq!(ages, ["0 s", "59 s", "1 min", "1 h", "2 d"]);
    }
}
