//! A runner that has the lease: its transactions, each of which begins by showing that it still has it.

use std::time::Duration;

use rowproof_core::sql::quote_text;
use rowproof_io::clock::{Clock, Deadline};
use rowproof_io::postgres::Server;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::info;

use crate::batch::json_text;
use crate::change::{ThrottleChange, in_force};
use crate::config::{Backfill, Throttle};
use crate::drive::{Drive, Pause};
use crate::error::MigrateError;
use crate::folder::Folder;
use crate::lease;
use crate::link::{Answer, Link};
use crate::schema;
use crate::state::State;

/// A transaction that nobody goes on with ends after this time, and its locks with it.
pub(crate) const IDLE_MS: u64 = 15_000;

/// Limits of a transaction's statements, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) lock_ms: u64,
    pub(crate) statement_ms: u64,
}

/// What others ask of the runner while it works.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Control {
    pub(crate) paused: Option<String>,
    pub(crate) paused_by: Option<String>,
    pub(crate) throttle: Option<ThrottleChange>,
}

/// What comes after a step.
pub(crate) enum Turn {
    /// The state is another one: look again.
    Next,
    /// This call is over.
    End(Drive),
}

/// The engine at work on one migration.
pub(crate) struct Run<'a> {
    pub(crate) folder: &'a Folder,
    /// The session that does everything that is fenced.
    pub(crate) link: Link,
    /// A second one: it looks who blocks, and keeps the lease while a statement runs for long.
    pub(crate) side: Link,
    pub(crate) server: Server,
    pub(crate) epoch: i64,
    pub(crate) clock: Clock,
    pub(crate) deadline: Deadline,
    /// Kept free at the end of a call, in milliseconds.
    pub(crate) margin_ms: u64,
    pub(crate) control: Control,
    /// In force: the folder's, with what an operator changed.
    pub(crate) backfill: Backfill,
    /// In force: the folder's, with what an operator changed.
    pub(crate) throttle: Throttle,
    /// Gates and windows count; a rehearsal has none.
    pub(crate) gated: bool,
    /// Something was committed since it was last asked.
    pub(crate) progressed: bool,
    /// A step of this call is through.
    pub(crate) worked: bool,
}

impl Run<'_> {
    pub(crate) fn id(&self) -> &str {
        &self.folder.config.id
    }

    /// The id as SQL.
    pub(crate) fn sql_id(&self) -> String {
        quote_text(self.id())
    }

    /// Limits of a statement that takes locks.
    pub(crate) fn limits(&self) -> Limits {
        let locks = &self.folder.config.locks;
        Limits {
            lock_ms: locks.lock_timeout.as_ms(),
            statement_ms: locks.statement_timeout.as_ms(),
        }
    }

    /// Limits of a statement that may run until the call ends.
    pub(crate) fn long_limits(&self) -> Limits {
        let left = self.deadline.remaining_ms().saturating_sub(self.margin_ms);
        // The server's largest limit is 2^31 - 1 milliseconds.
        Limits { statement_ms: left.clamp(1_000, 2_000_000_000), ..self.limits() }
    }

    /// Whether the call has this time left, and its margin.
    pub(crate) fn fits(&self, ms: u64) -> bool {
        self.deadline.remaining_ms() >= ms.saturating_add(self.margin_ms)
    }

    /// Begins a transaction and shows in it that the lease is ours; without it nothing was begun.
    pub(crate) async fn begin(&mut self, limits: Limits) -> Result<(), MigrateError> {
        let sql = format!(
            "BEGIN; {} {}",
            settings(limits, self.id(), self.epoch),
            lease::heartbeat(self.id(), self.epoch)
        );
        self.link.wait_for(Some(Duration::from_millis(limits.statement_ms.saturating_add(15_000))));
        let answer = match self.link.run("begin", &sql).await {
            Ok(answer) => answer,
            Err(error) => {
                self.link.roll_back().await;
                return Err(schema::gone(error).into());
            }
        };
        if answer.rows.is_empty() {
            self.link.roll_back().await;
            return Err(MigrateError::Fenced { id: self.id().to_owned(), epoch: self.epoch });
        }
        self.control = answer.json()?.unwrap_or_default();
        self.apply_control();
        Ok(())
    }

    fn apply_control(&mut self) {
        let config = &self.folder.config;
        (self.backfill, self.throttle) = in_force(config, self.control.throttle.as_ref());
    }

    /// Sends last statements and commits. After an error nobody knows whether it did: look again.
    pub(crate) async fn commit(&mut self, last: &str) -> Result<Answer, MigrateError> {
        let separator = if last.is_empty() { "" } else { "; " };
        let ended = self.link.run("commit", &format!("{last}{separator}COMMIT")).await;
        self.link.wait_for(None);
        match ended {
            Ok(answer) => {
                self.progressed = true;
                Ok(answer)
            }
            Err(error) => {
                self.link.roll_back().await;
                Err(error.into())
            }
        }
    }

    /// The end of a transaction in which `done` was done: commits it, or rolls it back with its error.
    pub(crate) async fn end<T>(
        &mut self,
        done: Result<T, MigrateError>,
    ) -> Result<T, MigrateError> {
        match done {
            Ok(value) => {
                self.commit("").await?;
                Ok(value)
            }
            Err(error) => {
                self.link.roll_back().await;
                Err(error)
            }
        }
    }

    /// Within a transaction: the only way from one state to the next.
    pub(crate) async fn advance(
        &mut self,
        from: State,
        to: State,
        detail: Value,
    ) -> Result<(), MigrateError> {
        let sql = format!(
            "UPDATE rowproof_migrate.migration SET state = '{}', error = NULL, updated_at = clock_timestamp() \
             WHERE id = {} AND epoch = {} AND state = '{}'",
            to.name(),
            self.sql_id(),
            self.epoch,
            from.name()
        );
        let answer = self.link.run("change the state", &sql).await?;
        if answer.counts.first() != Some(&1) {
            return Err(MigrateError::Fenced { id: self.id().to_owned(), epoch: self.epoch });
        }
        self.worked = true;
        let detail = json!({ "from": from, "to": to, "epoch": self.epoch, "detail": detail });
        let event = event(self.id(), "state", &detail);
        self.link.run("write the event", &event).await?;
        info!(migration = self.id(), %from, %to, "the state changed");
        Ok(())
    }

    /// One transaction that only changes the state.
    pub(crate) async fn move_on(
        &mut self,
        from: State,
        to: State,
        detail: Value,
    ) -> Result<Turn, MigrateError> {
        self.begin(self.limits()).await?;
        let done = self.advance(from, to, detail).await;
        self.end(done).await?;
        Ok(Turn::Next)
    }

    /// One transaction that only writes an event.
    pub(crate) async fn note(&mut self, kind: &str, detail: &Value) -> Result<(), MigrateError> {
        self.begin(self.limits()).await?;
        let sql = event(self.id(), kind, detail);
        self.commit(&sql).await?;
        Ok(())
    }

    /// Why the call is to end now, if it is: asked to pause, out of its window, or out of time.
    /// A step that does not fit a call of its own never will.
    pub(crate) fn must_end(&self, step_ms: u64) -> Result<Option<Drive>, MigrateError> {
        if let Some(reason) = &self.control.paused {
            let by = self.control.paused_by.clone().unwrap_or_default();
            return Ok(Some(Drive::soon(30, Pause::Asked { by, reason: reason.clone() })));
        }
        if let Some(window) = self.folder.config.gates.window.as_ref().filter(|_| self.gated) {
            let opens_in_s = window.opens_in(self.clock.now_ms());
            if opens_in_s > 0 {
                return Ok(Some(Drive::soon(opens_in_s, Pause::WindowClosed { opens_in_s })));
            }
        }
        if self.fits(step_ms) {
            return Ok(None);
        }
        if self.worked {
            return Ok(Some(Drive::soon(0, Pause::OutOfTime)));
        }
        let estimate_s = step_ms.saturating_add(self.margin_ms).div_ceil(1_000);
        let remaining_s = self.deadline.remaining_ms() / 1_000;
        let place = "the next step, with the time that stays free at a call's end,".to_owned();
        Err(MigrateError::NeedsLongRunner { place, estimate_s, remaining_s })
    }

    /// Waits a random time up to a limit, so that many do not come back at once.
    pub(crate) async fn jitter(&self, limit_ms: u64) {
        self.clock.sleep(Duration::from_millis(fastrand::u64(0..=limit_ms))).await;
    }
}

/// Settings that end with the transaction.
pub(crate) fn settings(limits: Limits, id: &str, epoch: i64) -> String {
    let mut noticed = String::new();
    if limits.statement_ms > IDLE_MS {
        // The server notices within this time that nobody waits for a long statement any more; before version 16
        // it only can on Linux. No row comes of it.
        noticed = format!(
            " SELECT WHERE CASE WHEN version() LIKE '%linux%' THEN \
             set_config('client_connection_check_interval', '{IDLE_MS}', true) IS NULL ELSE false END;"
        );
    }
    format!(
        "SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}; \
         SET LOCAL idle_in_transaction_session_timeout = {IDLE_MS}; \
         SET LOCAL application_name = 'rowproof_migrate/{id}/{epoch}'; SET LOCAL DateStyle = 'ISO, YMD';{noticed}",
        limits.lock_ms, limits.statement_ms
    )
}

/// The statement that writes an event.
pub(crate) fn event(id: &str, kind: &str, detail: &Value) -> String {
    format!(
        "INSERT INTO rowproof_migrate.event (migration_id, kind, detail) VALUES ({}, {}, {})",
        quote_text(id),
        quote_text(kind),
        json_text(detail)
    )
}
