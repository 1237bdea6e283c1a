//! The walk over the target's rows, batch by batch. A batch, the checkpoint after it and the proof of the
//! lease are one transaction, so a batch that was cut off anywhere either happened with its checkpoint or
//! did not happen.

mod failure;
mod sweep;

use std::time::Instant;

use rowproof_io::postgres::{Fault, PostgresError};
use serde_json::json;
use tracing::info;

use crate::batch::{Batches, Outcome, Range, explain, last_key, whole_reads};
use crate::drive::{Drive, Pause};
use crate::error::{Key, MigrateError};
use crate::link::passes;
use crate::pace::{Pace, wait_after, worst_ms};
use crate::progress::{Direction, Progress};
use crate::rule::Rule;
use crate::run::{Run, event};
use crate::signals::Signals;
use crate::target::Target;

/// Time between two looks at a busy database, in milliseconds.
const LOOK_AGAIN_MS: u64 = 1_000;

/// What the planner is kept from, the first that does. Joins by a sorted or hashed key are fine between other
/// tables, so they are only taken away when one of them reads all of the target.
const PLANNERS: [&str; 3] = [
    "SET LOCAL enable_seqscan = off",
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_mergejoin = off",
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_hashjoin = off",
];

/// A walk at work.
pub(crate) struct Walk<'a> {
    pub(crate) target: Target,
    rule: &'a Rule,
    /// One of `PLANNERS`.
    planner: &'static str,
    pub(crate) progress: Progress,
    pace: Pace,
    signals: Signals,
    /// End of the last batch of this call.
    last_end: Option<Instant>,
    /// Tries for the next batch that a lock made fail.
    lock_tries: u32,
    /// Batches since the last look at the signals.
    unlooked: u32,
}

/// What became of a try.
enum Tried {
    Done(Outcome),
    Failed(PostgresError),
}

impl<'a> Walk<'a> {
    fn batches<'b>(&'b self, run: &'b Run<'_>) -> Batches<'b> {
        let backfill = &run.folder.config.backfill;
        let forward = self.progress.direction == Direction::Forward;
        Batches {
            target: &self.target,
            rule: self.rule,
            needs: backfill.needs.as_deref().filter(|_| forward),
            preserve: &backfill.preserve,
            quarantined: self.progress.quarantined.clone(),
        }
    }

    /// Goes on with a walk that the database knows.
    pub(crate) async fn resume(
        run: &mut Run<'_>,
        rule: &'a Rule,
        direction: Direction,
    ) -> Result<Walk<'a>, MigrateError> {
        let target = Target::find(&mut run.link, &run.folder.config.target).await?;
        let id = run.id().to_owned();
        let Some(progress) = Progress::read(&mut run.link, &id, direction).await? else {
            return Err(MigrateError::Bug { what: "the walk's row is missing".into() });
        };
        let names: Vec<&String> = target.key.iter().map(|column| &column.name).collect();
        if !names.iter().copied().eq(progress.key_columns.iter()) {
            let what = format!("the walk began by ({})", progress.key_columns.join(", "));
            return Err(MigrateError::NoUsableKey { table: target.table.to_string(), what });
        }
        Ok(Walk {
            target,
            rule,
            planner: PLANNERS[0],
            progress,
            pace: Pace::default(),
            signals: Signals::default(),
            last_end: None,
            lock_tries: 0,
            unlooked: u32::MAX,
        })
    }

    /// Walks until all rows are done (nothing), or the call has to end.
    pub(crate) async fn go(&mut self, run: &mut Run<'_>) -> Result<Option<Drive>, MigrateError> {
        self.guard_plan(run).await?;
        loop {
            let Some(range) = self.progress.next_range() else {
                if self.end_pass(run).await? {
                    return Ok(None);
                }
                continue;
            };
            if let Some(end) = run.must_end(worst_ms(&self.progress))? {
                return Ok(Some(end));
            }
            if let Some(end) = self.hold_back(run).await? {
                return Ok(Some(end));
            }
            self.batch(run, &range).await?;
        }
    }

    /// Chooses what the planner may do, so that no batch reads the whole target, small or large; refuses a
    /// rule for which there is nothing.
    async fn guard_plan(&mut self, run: &mut Run<'_>) -> Result<(), MigrateError> {
        let Some(range) = self.progress.next_range() else { return Ok(()) };
        let mut read_whole = None;
        for planner in PLANNERS {
            let small = self.whole_read(run, &range, self.progress.batch_size, planner).await?;
            let large = self.whole_read(run, &range, run.backfill.max, planner).await?;
            read_whole = small.or(large);
            if read_whole.is_none() {
                self.planner = planner;
                return Ok(());
            }
        }
        match read_whole {
            Some(table) => {
                let (file, key) = (self.rule.phase.file().to_owned(), self.target.key_names());
                Err(MigrateError::PlanUnsafe { file, table, key })
            }
            None => Ok(()),
        }
    }

    /// Which relation of the target a batch of this size would read as a whole, if any.
    async fn whole_read(
        &self,
        run: &mut Run<'_>,
        range: &Range,
        rows: u32,
        planner: &str,
    ) -> Result<Option<String>, MigrateError> {
        let statement = self.batches(run).statement(range, rows);
        run.begin(run.limits()).await?;
        let sql = format!("{planner}; {}", explain(&statement));
        let explained = run.link.run("plan a batch", &sql).await;
        run.link.roll_back().await;
        let answer = explained.map_err(|error| self.refused(error))?;
        let lines: Vec<&str> =
            (0..answer.rows.len()).filter_map(|row| answer.text(row, 0)).collect();
        let plan = serde_json::from_str(&lines.join("\n")).map_err(|error| MigrateError::Bug {
            what: format!("a plan cannot be read: {error}"),
        })?;
        Ok(whole_reads(&plan, &self.target).into_iter().next())
    }

    fn refused(&self, source: PostgresError) -> MigrateError {
        if passes(&source) {
            return MigrateError::Database(source);
        }
        let file = self.rule.phase.file().to_owned();
        MigrateError::Statement { file, line: self.rule.line, source }
    }

    /// Waits while a signal says so: nothing once none does, or the end of the call.
    async fn hold_back(&mut self, run: &mut Run<'_>) -> Result<Option<Drive>, MigrateError> {
        if self.unlooked < 2 {
            return Ok(None);
        }
        let began = Instant::now();
        loop {
            let sign = self.signals.look(&mut run.link, &run.throttle, &self.target).await;
            if sign != self.progress.pause_reason {
                self.progress.pause_reason.clone_from(&sign);
                let kind = if sign.is_some() { "throttled" } else { "unthrottled" };
                self.save(run, Some((kind, json!({ "signal": sign })))).await?;
            }
            let Some(signal) = sign else {
                self.unlooked = 0;
                return Ok(None);
            };
            let limit = run.throttle.max_pause.0;
            if began.elapsed() >= limit {
                let limit_s = limit.as_secs();
                return Err(MigrateError::ThrottledTooLong { reason: signal, limit_s });
            }
            if !run.fits(2 * LOOK_AGAIN_MS) {
                return Ok(Some(Drive::soon(5, Pause::Throttled { signal })));
            }
            run.clock.sleep(std::time::Duration::from_millis(LOOK_AGAIN_MS)).await;
            // The lease is kept, and new limits and requests are heard.
            self.save(run, None).await?;
            if let Some(end) = run.must_end(0)? {
                return Ok(Some(end));
            }
        }
    }

    /// One batch of a range, with all that may come of it.
    async fn batch(&mut self, run: &mut Run<'_>, range: &Range) -> Result<(), MigrateError> {
        self.unlooked = self.unlooked.saturating_add(1);
        let began = Instant::now();
        let before = self.progress.clone();
        run.begin(run.limits()).await?;
        let outcome = match self.try_batch(run, range).await {
            Tried::Done(outcome) => outcome,
            Tried::Failed(error) => {
                run.link.roll_back().await;
                return self.after_failure(run, range, error).await;
            }
        };
        if outcome.spoiled > 0 {
            run.link.roll_back().await;
            let sample = outcome.sample.unwrap_or_default();
            return Err(MigrateError::PreserveViolated { rows: outcome.spoiled, sample });
        }
        self.count(run, &outcome, began);
        let checkpoint = self.progress.update(run.id());
        if let Err(error) = run.commit(&checkpoint).await {
            // It may be done or not: whoever goes on reads where it stands.
            self.progress = before;
            return Err(error);
        }
        run.worked = true;
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        run.clock.sleep(wait_after(&run.backfill, ms)).await;
        Ok(())
    }

    async fn try_batch(&self, run: &mut Run<'_>, range: &Range) -> Tried {
        let statement = self.batches(run).statement(range, self.progress.batch_size);
        // Compiling a statement for each batch of some milliseconds costs more than it brings.
        let sql = format!("SET LOCAL jit = off; {}; {statement}", self.planner);
        let answer = match run.link.run("run a batch", &sql).await {
            Ok(answer) => answer,
            Err(error) => return Tried::Failed(error),
        };
        match answer.json() {
            Ok(Some(outcome)) => Tried::Done(outcome),
            Ok(None) | Err(_) => {
                let what = "it gave no count";
                Tried::Failed(PostgresError::new(Fault::Setup, "run a batch", what))
            }
        }
    }

    /// Takes a batch's numbers in, before they are committed with it.
    fn count(&mut self, run: &Run<'_>, outcome: &Outcome, began: Instant) {
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        let progress = &mut self.progress;
        // A sweep by `needs` goes over rows that were seen before.
        let again = progress.pass > 0 && run.folder.config.backfill.needs.is_some();
        progress.rows_seen += if again { 0 } else { outcome.seen };
        progress.rows_matched += outcome.matched;
        progress.rows_changed += outcome.changed;
        progress.pass_found += outcome.matched;
        progress.batches += 1;
        self.pace.take(progress, &run.backfill, ms);
        if let Some(last_end) = self.last_end {
            Pace::rate(progress, outcome.seen, last_end.elapsed());
        }
        self.last_end = Some(Instant::now());
        self.lock_tries = 0;
        progress.advance(outcome.last.clone());
    }

    /// Within a transaction: writes the walk down, with an event, and commits.
    async fn write(
        &mut self,
        run: &mut Run<'_>,
        next: Progress,
        note: Option<(&str, serde_json::Value)>,
    ) -> Result<(), MigrateError> {
        let mut sql = next.update(run.id());
        if let Some((kind, detail)) = note {
            info!(migration = run.id(), kind, %detail, "the backfill");
            sql = format!("{sql}; {}", event(run.id(), kind, &detail));
        }
        run.commit(&sql).await?;
        self.progress = next;
        Ok(())
    }

    async fn save(
        &mut self,
        run: &mut Run<'_>,
        note: Option<(&str, serde_json::Value)>,
    ) -> Result<(), MigrateError> {
        run.begin(run.limits()).await?;
        let next = self.progress.clone();
        self.write(run, next, note).await
    }
}

/// Within a transaction: freezes the end of a walk over all rows and writes it down.
pub(crate) async fn begin_walk(
    run: &mut Run<'_>,
    target: &Target,
    direction: Direction,
) -> Result<(), MigrateError> {
    let key_hi = run.link.run("freeze the last key", &last_key(target)).await?.json::<Key>()?;
    let names = target.key.iter().map(|column| column.name.clone()).collect();
    let size = run.backfill.start.min(run.backfill.max);
    let progress = Progress::new(direction, names, key_hi, size, target.est_rows);
    let insert = progress.insert(run.id());
    run.link.run("write the walk down", &insert).await?;
    Ok(())
}
