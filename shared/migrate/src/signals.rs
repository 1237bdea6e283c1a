//! Signs that the database has more to do than it can, each with a name.

use std::collections::VecDeque;
use std::time::Instant;

use crate::config::{OnSignalMissing, Throttle};
use crate::link::{Answer, Link};
use crate::queries::bare;
use crate::target::Target;

/// Positions of the log that a lag is measured by.
const KEPT: usize = 600;

/// What was seen of the log before, to tell a replica that stands still from one that is idle.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// The log's end at a moment, oldest first.
    ends: VecDeque<(Instant, u64)>,
    has_aurora: Option<bool>,
}

const REPLICAS: &str = "SELECT extract(epoch FROM max(replay_lag)) * 1000, \
    (SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::numeric(20)), \
    pg_wal_lsn_diff(min(replay_lsn), '0/0')::numeric(20), count(*), count(state) \
    FROM pg_stat_replication WHERE state IS DISTINCT FROM 'backup'";
const AURORA: &str =
    "SELECT max(replica_lag_in_msec), NULL, NULL, count(*), count(*) FROM aurora_replica_status()";
const SLOTS: &str = "SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::numeric(20) / 1048576 \
    FROM pg_replication_slots";
const SNAPSHOTS: &str = "SELECT extract(epoch FROM max(clock_timestamp() - xact_start)) * 1000 \
    FROM pg_stat_activity WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() \
    AND backend_type = 'client backend'";

/// One query for a signal: its name, the query, and the number above which it says wait.
type Question = (&'static str, String, u64);

impl Signals {
    /// The first sign that says wait; nothing when all is well.
    pub(crate) async fn look(
        &mut self,
        link: &mut Link,
        throttle: &Throttle,
        target: &Target,
    ) -> Option<String> {
        let missing = |name: &str| match throttle.on_signal_missing {
            OnSignalMissing::Pause => Some(format!("{name} (cannot be read)")),
            OnSignalMissing::Ignore => None,
        };
        let Some(lag) = self.lag_query(link).await else { return missing("replica_lag") };
        let mut questions = vec![("replica_lag", lag.to_owned(), throttle.max_replica_lag.as_ms())];
        questions.extend(load(throttle, target));
        let queries: Vec<&str> = questions.iter().map(|(_, query, _)| query.as_str()).collect();
        // All at once; one by one only to learn which of them cannot be read.
        let together = ask(link, &queries.join("\n; ")).await;
        for (at, (name, query, limit)) in questions.iter().enumerate() {
            let alone = if together.is_none() { ask(link, query).await } else { None };
            let (answer, row) = match (&together, &alone) {
                (Some(answer), _) => (Some(answer), at),
                (None, alone) => (alone.as_ref(), 0),
            };
            let value = match (answer, *name) {
                (Some(answer), "replica_lag") => self.lag_ms(answer, row),
                // No row and NULL: there is nothing that could be too much.
                (Some(answer), _) => Some(answer.number(row, 0).unwrap_or(0.0)),
                (None, _) => None,
            };
            let sign = match value {
                Some(value) => over(value, *limit).then(|| (*name).to_owned()),
                None => missing(name),
            };
            if sign.is_some() {
                return sign;
            }
        }
        None
    }

    /// How this server tells what its replicas lag behind; nothing when it does not answer.
    async fn lag_query(&mut self, link: &mut Link) -> Option<&'static str> {
        if self.has_aurora.is_none() {
            let sql = "SELECT to_regprocedure('aurora_replica_status()') IS NOT NULL";
            self.has_aurora = Some(ask(link, sql).await?.text(0, 0) == Some("t"));
        }
        Some(if self.has_aurora == Some(true) { AURORA } else { REPLICAS })
    }

    /// How far the slowest replica is behind; 0 without replicas, nothing when it cannot be told.
    fn lag_ms(&mut self, answer: &Answer, row: usize) -> Option<f64> {
        let number = |column| answer.number::<f64>(row, column);
        let (all, readable) = (number(3)?, number(4)?);
        if readable < all {
            return None;
        }
        let told = number(0).unwrap_or(0.0);
        let (end, replayed) = (answer.number::<u64>(row, 1), answer.number::<u64>(row, 2));
        let Some(end) = end else { return Some(told) };
        self.ends.push_back((Instant::now(), end));
        if self.ends.len() > KEPT {
            self.ends.pop_front();
        }
        // A replica that stands still reports no new lag: its age is that of the first end it has not reached.
        let waiting = replayed.and_then(|at| self.ends.iter().find(|(_, end)| *end > at));
        let measured = waiting.map_or(0.0, |(since, _)| since.elapsed().as_secs_f64() * 1000.0);
        Some(told.max(measured))
    }
}

/// The signals but the replicas' lag. Each gives one row; the author's probe, which may give none, is the last.
fn load(throttle: &Throttle, target: &Target) -> Vec<Question> {
    let oids = target.oids();
    let waiters =
        format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = ANY({oids})");
    let vacuums = format!("SELECT count(*) FROM pg_stat_progress_vacuum WHERE relid = ANY({oids})");
    let mut questions = vec![("lock_waiters", waiters, u64::from(throttle.max_lock_waiters))];
    if throttle.pause_on_autovacuum {
        questions.push(("autovacuum", vacuums, 0));
    }
    questions.push(("slot_wal", SLOTS.to_owned(), throttle.max_slot_wal_mb));
    questions.push(("oldest_snapshot", SNAPSHOTS.to_owned(), throttle.max_snapshot_age.as_ms()));
    if let Some(probe) = &throttle.probe {
        questions.push(("probe", bare(probe).to_owned(), 0));
    }
    questions
}

fn over(value: f64, limit: u64) -> bool {
    u32::try_from(limit).map_or(value > 4.0e9, |limit| value > f64::from(limit))
}

/// One query that may fail, in a transaction that cannot write and does not wait.
async fn ask(link: &mut Link, query: &str) -> Option<Answer> {
    let sql = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = '1s'; SET LOCAL lock_timeout = '200ms'; {query}\n; COMMIT"
    );
    let answer = link.run("read a signal", &sql).await;
    if answer.is_err() {
        link.roll_back().await;
    }
    answer.ok()
}
