//! Statements that wait for a lock: never for long, again and again, and with an eye on who holds it.

use std::time::Duration;

use rowproof_io::postgres::PostgresError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::drive::Drive;
use crate::error::{Blocker, MigrateError};
use crate::link::{Answer, Link, is_lock, passes};
use crate::phase::Phase;
use crate::run::{Limits, Run};
use crate::statements::Statement;

/// Longest wait between two tries, in milliseconds.
const WAIT_MAX_MS: u64 = 5_000;

/// Why a try did not end well.
pub(crate) enum Failed {
    /// A lock, or a time limit while waiting: the next try may have more luck.
    Lock { place: String, blockers: Vec<Blocker>, source: PostgresError },
    /// The rest.
    Other(MigrateError),
}

impl From<MigrateError> for Failed {
    fn from(error: MigrateError) -> Failed {
        Failed::Other(error)
    }
}

impl From<PostgresError> for Failed {
    fn from(error: PostgresError) -> Failed {
        Failed::Other(error.into())
    }
}

/// Counts the tries of one step.
#[derive(Debug, Default)]
pub(crate) struct Tries {
    made: u32,
}

impl Run<'_> {
    /// Within a transaction: a statement of the author's, watched while it waits.
    pub(crate) async fn statement(
        &mut self,
        phase: Phase,
        statement: &Statement,
    ) -> Result<Answer, Failed> {
        let place = format!("{}:{}", phase.file(), statement.line);
        let pid = self.link.run("ask for the process id", "SELECT pg_backend_pid()").await?;
        let pid = pid.number(0, 0).unwrap_or(0);
        let every = Duration::from_millis((self.limits().lock_ms / 4).clamp(10, 1_000));
        let (done, blockers) =
            watched(&mut self.link, &mut self.side, pid, every, &statement.text).await;
        done.map_err(|source| {
            let timed_out = source.state() == Some("57014");
            if is_lock(&source) || (timed_out && !blockers.is_empty()) {
                return Failed::Lock { place, blockers, source };
            }
            Failed::Other(refused(phase, statement, source))
        })
    }

    /// After a failed try: waits for the next, or says how the step ends.
    pub(crate) async fn again(
        &mut self,
        tries: &mut Tries,
        failed: Failed,
    ) -> Result<Option<Drive>, MigrateError> {
        self.link.roll_back().await;
        let (place, blockers, source) = match failed {
            Failed::Lock { place, blockers, source } => (place, blockers, source),
            Failed::Other(error) => return Err(error),
        };
        tries.made += 1;
        let detail = json!({ "place": place, "attempt": tries.made, "blockers": blockers,
            "sqlstate": source.state() });
        self.note("lock_not_had", &detail).await?;
        if tries.made >= self.folder.config.locks.attempts {
            return Err(MigrateError::LockTimeout { place, attempts: tries.made, blockers });
        }
        let limits = self.limits();
        let limit = limits.lock_ms.saturating_mul(1 << tries.made.min(10)).min(WAIT_MAX_MS);
        self.jitter(limit).await;
        self.must_end(limits.lock_ms.saturating_add(limits.statement_ms))
    }
}

/// What an error of the author's statement means to the run.
pub(crate) fn refused(phase: Phase, statement: &Statement, source: PostgresError) -> MigrateError {
    // Its own time limit would end it again.
    if passes(&source) && source.state() != Some("57014") {
        return MigrateError::Database(source);
    }
    MigrateError::Statement { file: phase.file().to_owned(), line: statement.line, source }
}

/// Runs a statement; meanwhile the side session looks who it waits for. The last ones seen are kept.
async fn watched(
    link: &mut Link,
    side: &mut Link,
    pid: i32,
    every: Duration,
    sql: &str,
) -> (Result<Answer, PostgresError>, Vec<Blocker>) {
    let mut blockers = vec![];
    let mut call = Box::pin(link.run("run the statement", sql));
    loop {
        tokio::select! {
            done = &mut call => return (done, blockers),
            () = tokio::time::sleep(every) => {
                let seen = who_blocks(side, pid).await.unwrap_or_default();
                if !seen.is_empty() {
                    blockers = seen;
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Seen {
    pid: i32,
    application: Option<String>,
    state: Option<String>,
    transaction_ms: Option<f64>,
    query_ms: Option<f64>,
}

async fn who_blocks(side: &mut Link, pid: i32) -> Result<Vec<Blocker>, MigrateError> {
    let sql = format!(
        "SELECT jsonb_build_object('pid', a.pid, 'application', a.application_name, 'state', a.state, \
         'transaction_ms', extract(epoch FROM clock_timestamp() - a.xact_start) * 1000, \
         'query_ms', extract(epoch FROM clock_timestamp() - a.query_start) * 1000) \
         FROM unnest(pg_blocking_pids({pid})) b (pid) JOIN pg_stat_activity a ON a.pid = b.pid"
    );
    let seen: Vec<Seen> = side.run("look who blocks", &sql).await?.jsons()?;
    let whole = |ms: Option<f64>| {
        let ms = Duration::try_from_secs_f64(ms.unwrap_or(0.0) / 1000.0).unwrap_or_default();
        i64::try_from(ms.as_millis()).unwrap_or(i64::MAX)
    };
    let blockers = seen.into_iter().map(|one| Blocker {
        pid: one.pid,
        application: one.application.unwrap_or_default(),
        state: one.state.unwrap_or_default(),
        transaction_ms: whole(one.transaction_ms),
        query_ms: whole(one.query_ms),
    });
    Ok(blockers.collect())
}

impl Run<'_> {
    /// All statements of a phase in one transaction that ends with a change of the state.
    pub(crate) async fn one_transaction(
        &mut self,
        phase: Phase,
        from: crate::state::State,
        to: crate::state::State,
        detail: &Value,
    ) -> Result<Option<Drive>, MigrateError> {
        let limits = self.limits();
        let mut tries = Tries::default();
        loop {
            if let Some(end) = self.must_end(limits.lock_ms.saturating_add(limits.statement_ms))? {
                return Ok(Some(end));
            }
            let failed = match self.try_all(phase, limits, from, to, detail).await {
                Ok(()) => return Ok(None),
                Err(failed) => failed,
            };
            if let Some(end) = self.again(&mut tries, failed).await? {
                return Ok(Some(end));
            }
        }
    }

    async fn try_all(
        &mut self,
        phase: Phase,
        limits: Limits,
        from: crate::state::State,
        to: crate::state::State,
        detail: &Value,
    ) -> Result<(), Failed> {
        self.begin(limits).await?;
        let folder = self.folder;
        for statement in folder.statements(phase) {
            self.statement(phase, statement).await?;
        }
        self.advance(from, to, detail.clone()).await?;
        self.commit("").await?;
        Ok(())
    }
}
