//! The end of a pass: whether all is done, or what a sweep has to look at once more.

use serde_json::json;

use super::Walk;
use crate::batch::Range;
use crate::error::{Key, MigrateError};
use crate::progress::Direction;
use crate::run::Run;

/// Sweeps until the run says that they lead nowhere.
const SWEEPS_MAX: u32 = 3;

impl Walk<'_> {
    /// All ranges of a pass are walked: whether that was all. Otherwise the next sweep is set up.
    pub(super) async fn end_pass(&mut self, run: &mut Run<'_>) -> Result<bool, MigrateError> {
        let progress = &self.progress;
        let forward = progress.direction == Direction::Forward;
        let has_needs = forward && run.folder.config.backfill.needs.is_some();
        let found_some = has_needs && (progress.pass == 0 || progress.pass_found > 0);
        let detail = json!({ "direction": progress.direction, "pass": progress.pass,
            "found": progress.pass_found, "skipped": progress.skipped.len(), "rows_seen": progress.rows_seen,
            "rows_changed": progress.rows_changed, "quarantined": progress.quarantined });
        if progress.skipped.is_empty() && !(found_some && progress.key_hi.is_some()) {
            run.note("walked", &detail).await?;
            return Ok(true);
        }
        let mut next = progress.clone();
        let all =
            next.key_hi.iter().map(|upto| Range { after: None, upto: upto.clone() }).collect();
        let skipped = std::mem::take(&mut next.skipped);
        let locked = skipped.clone();
        next.ranges = if has_needs { all } else { skipped };
        next.cursor = None;
        next.pass_found = 0;
        let is_last = progress.pass >= SWEEPS_MAX;
        // After this many the next call makes a fresh start of them.
        next.pass = if is_last { 1 } else { progress.pass + 1 };
        let mut sample = vec![];
        if is_last {
            sample = self.sample(run, &locked, true).await?;
            if sample.is_empty() {
                sample = self.sample(run, &next.ranges, false).await?;
            }
        }
        self.progress = next;
        self.save(run, Some(("pass_ended", detail))).await?;
        if is_last && !(has_needs && sample.is_empty()) {
            return Err(MigrateError::NotConverging { sweeps: SWEEPS_MAX, sample });
        }
        Ok(false)
    }

    /// Keys of some rows that are still to be done.
    async fn sample(
        &self,
        run: &mut Run<'_>,
        ranges: &[Range],
        only_locked: bool,
    ) -> Result<Vec<Key>, MigrateError> {
        let mut sample: Vec<Key> = vec![];
        run.begin(run.long_limits()).await?;
        for range in ranges {
            let sql = self.batches(run).left_over(range, only_locked);
            match run.link.run("look for rows that are left", &sql).await {
                Ok(answer) => sample.extend(answer.jsons::<Key>()?),
                Err(error) => return run.end(Err(error.into())).await,
            }
            if sample.len() >= 5 {
                break;
            }
        }
        sample.truncate(5);
        run.end(Ok(sample)).await
    }
}
