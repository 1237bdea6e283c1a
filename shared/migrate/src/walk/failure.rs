//! What becomes of a batch that failed: smaller, later, around it, or not at all.

use rowproof_io::postgres::{Fault, PostgresError};
use serde_json::json;

use super::Walk;
use crate::batch::Range;
use crate::config::OnRowError;
use crate::error::{Key, MigrateError};
use crate::link::is_lock;
use crate::run::Run;

/// Tries for a batch of the smallest size whose rows others hold, in the walk over all rows. Sweeps take
/// as many as `locks.attempts`.
const LOCK_TRIES: u32 = 3;

impl Walk<'_> {
    /// A batch that failed: smaller, later, around it, or not at all.
    pub(super) async fn after_failure(
        &mut self,
        run: &mut Run<'_>,
        range: &Range,
        error: PostgresError,
    ) -> Result<(), MigrateError> {
        let size = self.progress.batch_size;
        let waits = is_lock(&error) || matches!(error.state(), Some("40001" | "57014"));
        if waits && size > run.backfill.min {
            self.progress.batch_size = (size / 2).max(run.backfill.min);
            return Ok(());
        }
        if waits {
            self.lock_tries += 1;
            let sweeps = self.progress.pass > 0;
            let tries = if sweeps { run.folder.config.locks.attempts } else { LOCK_TRIES };
            if self.lock_tries < tries {
                run.jitter(run.limits().lock_ms).await;
                return Ok(());
            }
            if !is_lock(&error) {
                return Err(self.refused_for_good(error));
            }
            return self.step_over(run, range).await;
        }
        if error.fault == Fault::Row && size > 1 {
            self.progress.batch_size = size / 2;
            return Ok(());
        }
        if error.fault == Fault::Row {
            return self.row_failed(run, range, error).await;
        }
        Err(self.refused(error))
    }

    fn refused_for_good(&self, source: PostgresError) -> MigrateError {
        let file = self.rule.phase.file().to_owned();
        MigrateError::Statement { file, line: self.rule.line, source }
    }

    /// The last key of the next rows, read without their locks.
    async fn peek(
        &self,
        run: &mut Run<'_>,
        range: &Range,
        rows: u32,
    ) -> Result<Option<Key>, MigrateError> {
        let sql = self.batches(run).step_over(range, rows);
        run.link.run("look at the next keys", &sql).await?.json()
    }

    /// Leaves a range that others hold locked to the next sweep.
    async fn step_over(&mut self, run: &mut Run<'_>, range: &Range) -> Result<(), MigrateError> {
        run.begin(run.limits()).await?;
        let last = match self.peek(run, range, self.progress.batch_size).await {
            Ok(last) => last,
            Err(error) => return run.end(Err(error)).await,
        };
        let mut next = self.progress.clone();
        let mut skipped = None;
        if let Some(upto) = last.clone() {
            let range = Range { after: range.after.clone(), upto };
            skipped = Some(json!({ "range": range, "pass": next.pass }));
            next.skipped.push(range);
        }
        next.advance(last);
        self.lock_tries = 0;
        self.write(run, next, skipped.map(|detail| ("range_skipped", detail))).await
    }

    /// The rule fails on one row: it ends the run, or is put aside.
    async fn row_failed(
        &mut self,
        run: &mut Run<'_>,
        range: &Range,
        source: PostgresError,
    ) -> Result<(), MigrateError> {
        run.begin(run.limits()).await?;
        let found = self.peek(run, range, 1).await;
        let Some(key) = (match found {
            Ok(key) => key,
            Err(error) => return run.end(Err(error)).await,
        }) else {
            // Somebody deleted it just now.
            return run.end(Ok(())).await;
        };
        let file = self.rule.phase.file().to_owned();
        let backfill = &run.folder.config.backfill;
        let max = backfill.quarantine_max;
        let is_full = self.progress.quarantined.len() >= usize::try_from(max).unwrap_or(usize::MAX);
        let refused = match backfill.on_row_error {
            OnRowError::Abort => {
                Some(MigrateError::RowFailed { file, key: key.clone(), source: source.clone() })
            }
            OnRowError::Quarantine if is_full => {
                Some(MigrateError::QuarantineFull { file, max, key: key.clone() })
            }
            OnRowError::Quarantine => None,
        };
        if let Some(error) = refused {
            return run.end(Err(error)).await;
        }
        let detail = json!({ "key": key, "sqlstate": source.state(), "what": source.what });
        let mut next = self.progress.clone();
        next.quarantined.push(key.clone());
        next.advance(Some(key));
        self.write(run, next, Some(("quarantined", detail))).await
    }
}
