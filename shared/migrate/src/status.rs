//! How far a migration is, and what became of it.

use rowproof_core::sql::quote_text;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::change::{ThrottleChange, in_force};
use crate::engine::Engine;
use crate::error::{Key, MigrateError};
use crate::link::Link;
use crate::progress::{Direction, Progress};
use crate::schema;
use crate::state::State;

/// Batches until an estimate says something.
const BATCHES_MIN: u64 = 20;

/// A migration as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The migration.
    pub id: String,
    /// Where it stands; none when this database has not seen it.
    pub state: Option<State>,
    /// Checksum that it was begun with.
    pub checksum: Option<String>,
    /// Whether the folder is the one that it was begun with.
    pub same_folder: bool,
    /// Who works on it now.
    pub owner: Option<String>,
    /// How often a runner took it.
    pub epoch: i64,
    /// What somebody who paused it says.
    pub paused: Option<String>,
    /// The last failure: code and message.
    pub error: Option<Value>,
    /// What it waits for, as the last event has it: a lock (place, attempt, who holds it), or why a call ended.
    pub waits_for: Option<Value>,
    /// Limits in force: the folder's, with what an operator changed.
    pub limits: ThrottleChange,
    /// The walk over rows, or the one that takes it back.
    pub backfill: Option<BackfillStatus>,
}

/// How far the walk over rows is.
#[derive(Debug, Clone, Serialize)]
pub struct BackfillStatus {
    /// `forward` or `undo`.
    pub direction: &'static str,
    /// 0 is the walk over all rows; sweeps follow.
    pub pass: u32,
    /// Rows walked over; sweeps that go over them again do not count.
    pub rows_seen: u64,
    /// Rows that needed the rule.
    pub rows_matched: u64,
    /// Rows that the rule changed.
    pub rows_changed: u64,
    /// Rows of the table, as the planner estimates; none before its first ANALYZE.
    pub est_rows: Option<i64>,
    /// Transactions so far.
    pub batches: u64,
    /// Rows of the next batch.
    pub batch_size: u32,
    /// Moving average of a batch, in milliseconds.
    pub batch_ms: f64,
    /// Slowest of the last 50 batches but one in a hundred, in milliseconds.
    pub p99_ms: f64,
    /// Moving average of rows a second, waits included.
    pub rows_per_second: f64,
    /// When the walk over all rows ends.
    pub eta: Eta,
    /// The signal that makes it wait.
    pub pause_reason: Option<String>,
    /// Ranges of the key that others held locked.
    pub ranges_skipped: usize,
    /// Keys of rows that the rule fails on.
    pub quarantined: Vec<Key>,
}

/// Seconds until the end, between two bounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Eta {
    /// Too few batches, no estimate of the rows, or in a sweep.
    Unknown,
    /// By the rate of late.
    Seconds {
        /// If it goes on as fast as it went at its best of late.
        low: f64,
        /// As it goes on average.
        expected: f64,
        /// If it goes on as slow as it went at its worst of late.
        high: f64,
    },
}

/// An entry of the history.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Event {
    /// Grows with every event of the database.
    pub seq: i64,
    /// The migration.
    pub migration_id: String,
    /// When, RFC 3339.
    pub at: String,
    /// What.
    pub kind: String,
    /// Names, keys and numbers; never other values of rows.
    pub detail: Value,
}

impl Engine {
    /// Reads how far the migration is. Takes no lock that anybody waits for.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn status(&self) -> Result<Status, MigrateError> {
        let mut link = Link::new(self.server.clone());
        let record = match schema::is_there(&mut link).await? {
            true => self.read(&mut link).await?,
            false => None,
        };
        let mut backfill = None;
        if record.is_some() {
            for direction in [Direction::Undo, Direction::Forward] {
                if backfill.is_none() {
                    backfill = Progress::read(&mut link, self.id(), direction).await?;
                }
            }
        }
        let own = self.checksum().to_string();
        let change = record.as_ref().and_then(|record| record.throttle.as_ref());
        let (limits, throttle) = in_force(&self.folder.config, change);
        let waits_for = match record {
            Some(_) => self.waited_for(&mut link).await?,
            None => None,
        };
        Ok(Status {
            id: self.id().to_owned(),
            state: record.as_ref().map(|record| record.state),
            same_folder: record.as_ref().is_none_or(|record| record.checksum == own),
            checksum: record.as_ref().map(|record| record.checksum.clone()),
            owner: record
                .as_ref()
                .filter(|one| one.lease_s.is_some())
                .and_then(|one| one.owner.clone()),
            epoch: record.as_ref().map_or(0, |record| record.epoch),
            paused: record.as_ref().and_then(|record| record.paused.clone()),
            error: record.and_then(|record| record.error),
            waits_for,
            limits: ThrottleChange::of(&limits, &throttle),
            backfill: backfill.map(|progress| BackfillStatus::of(&progress)),
        })
    }

    /// What the last event was about, if it was about waiting.
    async fn waited_for(&self, link: &mut Link) -> Result<Option<Value>, MigrateError> {
        let sql = format!(
            "SELECT CASE WHEN kind IN ('lock_not_had', 'yielded') THEN detail END FROM rowproof_migrate.event \
             WHERE migration_id = {} ORDER BY seq DESC LIMIT 1",
            quote_text(self.id())
        );
        link.run("read the last event", &sql).await?.json()
    }

    /// The migration's events, oldest first.
    ///
    /// # Errors
    /// The migration is not known here.
    pub async fn history(&self) -> Result<Vec<Event>, MigrateError> {
        let (mut link, _) = self.known().await?;
        let sql = format!(
            "SELECT to_jsonb(e) FROM rowproof_migrate.event e WHERE migration_id = {} ORDER BY seq",
            quote_text(self.id())
        );
        link.run("read the history", &sql).await?.jsons()
    }
}

impl BackfillStatus {
    fn of(progress: &Progress) -> BackfillStatus {
        BackfillStatus {
            direction: progress.direction.name(),
            pass: progress.pass,
            rows_seen: progress.rows_seen,
            rows_matched: progress.rows_matched,
            rows_changed: progress.rows_changed,
            est_rows: progress.est_rows,
            batches: progress.batches,
            batch_size: progress.batch_size,
            batch_ms: progress.batch_ms,
            p99_ms: progress.p99_ms,
            rows_per_second: progress.rate,
            eta: eta(progress),
            pause_reason: progress.pause_reason.clone(),
            ranges_skipped: progress.skipped.len(),
            quarantined: progress.quarantined.clone(),
        }
    }
}

fn eta(progress: &Progress) -> Eta {
    let seen = i64::try_from(progress.rows_seen).unwrap_or(i64::MAX);
    let left = progress.est_rows.map(|rows| rows.saturating_sub(seen).max(0));
    let left = left.map(|left| u32::try_from(left).unwrap_or(u32::MAX)).map(f64::from);
    let known = progress.pass == 0 && progress.batches >= BATCHES_MIN && progress.rate > 0.0;
    let Some(left) = left.filter(|_| known) else { return Eta::Unknown };
    let (rate, off) = (progress.rate, progress.rate_deviation);
    let slow = (rate - off).max(rate / 10.0);
    Eta::Seconds { low: left / (rate + off), expected: left / rate, high: left / slow }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_unknown_until_enough_was_seen() {
        let mut progress = Progress::new(Direction::Forward, vec![], None, 1_000, Some(10_000));
        (progress.batches, progress.rate, progress.rate_deviation) = (19, 100.0, 20.0);
        progress.rows_seen = 4_000;
        assert_eq!(eta(&progress), Eta::Unknown);
        progress.batches = 20;
        assert_eq!(eta(&progress), Eta::Seconds { low: 50.0, expected: 60.0, high: 75.0 });
        assert_eq!(eta(&Progress { pass: 1, ..progress.clone() }), Eta::Unknown);
        assert_eq!(eta(&Progress { est_rows: None, ..progress }), Eta::Unknown);
    }
}
