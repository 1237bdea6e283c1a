//! Statements outside of any transaction. No row can fence them, so what is about to run is written down
//! first, with its backend; whoever comes later waits for that backend and then asks the catalog.

use std::time::Duration;

use rowproof_core::sql::quote_text;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use crate::drive::{Drive, Pause};
use crate::error::MigrateError;
use crate::index::{IndexBuild, built};
use crate::lease;
use crate::link::{Answer, Link, is_lock};
use crate::locked::refused;
use crate::phase::Phase;
use crate::run::{Limits, Run, event};
use crate::statements::Statement;

/// Between two renewals of the lease while a statement runs.
const RENEW: Duration = Duration::from_secs(10);
/// What a server reads and sorts in a second at least, in pages of 8 KiB; for estimates.
const PAGES_A_SECOND: u64 = 4_000;
/// Longest wait of a question that a pooler may not answer at all.
const PROOF: Duration = Duration::from_secs(5);
/// The server's largest limit, 2^31 - 1 milliseconds.
const STATEMENT_MAX_MS: u64 = 2_147_483_647;

/// What is known of a statement from before.
#[derive(Debug, Deserialize)]
struct Step {
    state: String,
    pid: Option<i32>,
    /// The backend that it was given to still works on it.
    runs: bool,
}

impl Run<'_> {
    /// `online.sql`, one statement after the other.
    pub(crate) async fn online_statements(&mut self) -> Result<Option<Drive>, MigrateError> {
        let folder = self.folder;
        let mut is_proven = false;
        for (ord, statement) in (0..).zip(folder.statements(Phase::Online)) {
            let known = self.known_step(Phase::Online, ord).await?;
            if known.as_ref().is_some_and(|step| step.state == "done") {
                continue;
            }
            if let Some(end) = self.must_end(0)? {
                return Ok(Some(end));
            }
            if let Some(Step { runs: true, pid: Some(pid), .. }) = known {
                return Ok(Some(Drive::soon(5, Pause::StillRunning { pid })));
            }
            if !is_proven {
                self.prove_direct().await?;
                is_proven = true;
            }
            self.online_statement(ord, statement).await?;
        }
        Ok(None)
    }

    async fn known_step(&mut self, phase: Phase, ord: u32) -> Result<Option<Step>, MigrateError> {
        let sql = format!(
            "SELECT jsonb_build_object('state', s.state, 'pid', s.backend_pid, 'runs', EXISTS (SELECT FROM \
             pg_stat_activity a WHERE a.pid = s.backend_pid AND a.backend_start = s.backend_start \
             AND a.pid <> pg_backend_pid() AND a.state <> 'idle')) \
             FROM rowproof_migrate.step s WHERE migration_id = {} AND file = '{}' AND ord = {ord}",
            self.sql_id(),
            phase.file()
        );
        self.link.run("look at the step", &sql).await?.json()
    }

    async fn online_statement(
        &mut self,
        ord: u32,
        statement: &Statement,
    ) -> Result<(), MigrateError> {
        let build = IndexBuild::read(statement);
        let mut tries = 0;
        loop {
            if let Some(build) = &build {
                match built(&mut self.link, build).await? {
                    Some(true) => return self.finish_step(ord, statement).await,
                    // What an interrupted build left behind would count as there, and helps nobody.
                    Some(false) => self.autocommit(ord, statement, &build.drop_it()).await?,
                    None => {}
                }
            }
            self.fits_estimate(statement).await?;
            match self.autocommit(ord, statement, &statement.text).await {
                Ok(()) if build.is_none() => return self.finish_step(ord, statement).await,
                Ok(()) => {}
                Err(MigrateError::Statement { source, file, line }) if is_lock(&source) => {
                    tries += 1;
                    if tries >= self.folder.config.locks.attempts {
                        let place = format!("{file}:{line}");
                        return Err(MigrateError::LockTimeout {
                            place,
                            attempts: tries,
                            blockers: vec![],
                        });
                    }
                    self.jitter(self.limits().lock_ms.saturating_mul(2)).await;
                }
                Err(error) => {
                    // A failed build leaves an index that is not valid.
                    if let Some(build) = &build
                        && !matches!(error, MigrateError::Fenced { .. } | MigrateError::Database(_))
                        && built(&mut self.link, build).await? == Some(false)
                    {
                        self.autocommit(ord, statement, &build.drop_it()).await?;
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Writes down what is about to run, and on which backend; then runs it there.
    async fn autocommit(
        &mut self,
        ord: u32,
        statement: &Statement,
        sql: &str,
    ) -> Result<(), MigrateError> {
        self.begin(self.limits()).await?;
        let intent = format!(
            "{} SELECT {}, '{}', {ord}, {}, encode(sha256(convert_to({}, 'UTF8')), 'hex'), 'running', \
             a.pid, a.backend_start FROM pg_stat_activity a WHERE a.pid = pg_backend_pid() \
             ON CONFLICT (migration_id, file, ord) DO UPDATE SET state = 'running', \
             attempts = rowproof_migrate.step.attempts + 1, backend_pid = excluded.backend_pid, \
             backend_start = excluded.backend_start, at = clock_timestamp(); {}; \
             SELECT pg_backend_pid()",
            "INSERT INTO rowproof_migrate.step (migration_id, file, ord, line, sql_sha256, state, backend_pid, \
             backend_start)",
            self.sql_id(),
            Phase::Online.file(),
            statement.line,
            quote_text(&statement.text),
            event(
                self.id(),
                "online",
                &json!({ "line": statement.line, "runs": first_words(sql) })
            ),
        );
        let pid = self.commit(&intent).await?.number::<i32>(0, 0).unwrap_or(0);
        // CONCURRENTLY waits for others without keeping anybody waiting itself.
        let waits = statement.has(&["concurrently"]) || statement.begins(&["vacuum"]);
        let limits = self.long_limits();
        let lock_ms = if waits { 0 } else { limits.lock_ms };
        let limits = Limits { lock_ms, ..limits };
        self.session_limits(limits).await?;
        self.link.wait_for(Some(Duration::from_millis(limits.statement_ms.saturating_add(15_000))));
        let done = self.kept("run the statement", sql).await;
        self.link.wait_for(None);
        if matches!(done, Err(MigrateError::Fenced { .. })) {
            let cancel = format!("SELECT pg_cancel_backend({pid})");
            if let Err(error) = self.side.run("cancel the statement", &cancel).await {
                warn!(migration = self.id(), %error, pid, "a statement may still run");
            }
            self.link.close();
        }
        match done {
            Ok(_) => self.session_limits(Limits { lock_ms: 0, statement_ms: 0 }).await,
            Err(MigrateError::Database(source)) => Err(refused_online(statement, source)),
            Err(error) => Err(error),
        }
    }

    /// Limits of the session: only on a connection that was shown to be ours alone.
    async fn session_limits(&mut self, limits: Limits) -> Result<(), MigrateError> {
        let statement_ms = limits.statement_ms.min(STATEMENT_MAX_MS);
        let sql = format!(
            "SET lock_timeout = {}; SET statement_timeout = {statement_ms}",
            limits.lock_ms
        );
        self.link.run("set the limits", &sql).await?;
        Ok(())
    }

    async fn finish_step(&mut self, ord: u32, statement: &Statement) -> Result<(), MigrateError> {
        self.begin(self.limits()).await?;
        let sql = format!(
            "INSERT INTO rowproof_migrate.step (migration_id, file, ord, line, sql_sha256, state) \
             VALUES ({}, '{}', {ord}, {}, encode(sha256(convert_to({}, 'UTF8')), 'hex'), 'done') \
             ON CONFLICT (migration_id, file, ord) DO UPDATE SET state = 'done', at = clock_timestamp()",
            self.sql_id(),
            Phase::Online.file(),
            statement.line,
            quote_text(&statement.text)
        );
        self.commit(&sql).await?;
        self.worked = true;
        Ok(())
    }

    /// Runs a statement of the first session while the second keeps the lease.
    pub(crate) async fn kept(&mut self, doing: &str, sql: &str) -> Result<Answer, MigrateError> {
        let (id, epoch) = (self.folder.config.id.clone(), self.epoch);
        let beat = lease::heartbeat(&id, epoch);
        let mut call = Box::pin(self.link.run(doing, sql));
        loop {
            tokio::select! {
                done = &mut call => return Ok(done?),
                () = tokio::time::sleep(RENEW) => match self.side.run("keep the lease", &beat).await {
                    Ok(answer) if answer.rows.is_empty() => {
                        return Err(MigrateError::Fenced { id, epoch });
                    }
                    Ok(_) => {}
                    Err(error) => warn!(migration = id, %error, "the lease is not kept"),
                },
            }
        }
    }

    /// Refuses to begin what cannot be cut in pieces and will not end in time.
    pub(crate) async fn fits_estimate(
        &mut self,
        statement: &Statement,
    ) -> Result<(), MigrateError> {
        let scans = statement.has(&["concurrently"]) || statement.has(&["validate"]);
        if !scans {
            return Ok(());
        }
        let table = self.folder.config.target.table.quoted();
        let sql = format!("SELECT pg_table_size(to_regclass({})) / 8192", quote_text(&table));
        let pages: u64 = self.link.run("estimate", &sql).await?.number(0, 0).unwrap_or(0);
        let estimate_s = pages / PAGES_A_SECOND;
        if self.fits(estimate_s.saturating_mul(1_000)) {
            return Ok(());
        }
        let place = format!("line {} (`{}`)", statement.line, first_words(&statement.text));
        let remaining_s = self.deadline.remaining_ms() / 1_000;
        Err(MigrateError::NeedsLongRunner { place, estimate_s, remaining_s })
    }

    /// Shows that the first session keeps its backend while another session works in between.
    async fn prove_direct(&mut self) -> Result<(), MigrateError> {
        let unsafe_as = |what: &str| Err(MigrateError::PoolerUnsafe { what: what.to_owned() });
        let mark = format!("{:016x}", fastrand::u64(..));
        let set =
            format!("SELECT pg_backend_pid(), set_config('rowproof.session', '{mark}', false)");
        let look = "SELECT pg_backend_pid(), current_setting('rowproof.session', true)";
        let mut other = Link::new(self.server.clone());
        other.wait_for(Some(PROOF));
        self.link.wait_for(Some(PROOF));
        let pid = self.link.run("mark the session", &set).await?.text(0, 0).map(str::to_owned);
        // A pooler hands this session the backend that the first one has just left.
        let seen = other.run("look from another session", &format!("BEGIN; {look}")).await;
        let again = self.link.run("look at the session", look).await;
        other.roll_back().await;
        self.link.wait_for(None);
        let Ok(seen) = seen else { return unsafe_as("a second session was not answered") };
        let Ok(again) = again else {
            return unsafe_as("the session was not answered while another one worked");
        };
        if seen.text(0, 0) == pid.as_deref() {
            return unsafe_as("two sessions share a backend");
        }
        if again.text(0, 0) != pid.as_deref() || again.text(0, 1) != Some(mark.as_str()) {
            return unsafe_as("the session changes its backend");
        }
        Ok(())
    }
}

fn refused_online(
    statement: &Statement,
    source: rowproof_io::postgres::PostgresError,
) -> MigrateError {
    if is_lock(&source) {
        let file = Phase::Online.file().to_owned();
        return MigrateError::Statement { file, line: statement.line, source };
    }
    refused(Phase::Online, statement, source)
}

/// Enough of a statement to know it by; literals stand further back.
fn first_words(sql: &str) -> Value {
    json!(sql.split_whitespace().take(5).collect::<Vec<_>>().join(" "))
}
