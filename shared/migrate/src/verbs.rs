//! What operators ask of a migration beside going on with it.

use rowproof_core::sql::quote_text;
use rowproof_io::clock::Deadline;
use serde_json::{Value, json};

use crate::batch::json_text;
use crate::change::ThrottleChange;
use crate::drive::{Drive, Pause};
use crate::engine::Engine;
use crate::error::MigrateError;
use crate::gates;
use crate::lease;
use crate::link::Link;
use crate::run::{Limits, event, settings};
use crate::schema;
use crate::state::{Record, State};

/// An operator's statement waits for a batch to end, not longer.
const LIMITS: Limits = Limits { lock_ms: 5_000, statement_ms: 5_000 };

impl Engine {
    /// Makes a running migration stop at its next batch, and others not begin, until `resume`.
    ///
    /// # Errors
    /// The migration is not known here, or nothing is left of it to pause.
    pub async fn pause(&self, by: &str, reason: &str) -> Result<(), MigrateError> {
        let (mut link, record) = self.known().await?;
        if record.state.is_settled() {
            return self.wrong_state(record.state, "nothing is left to pause");
        }
        let sql = format!(
            "UPDATE rowproof_migrate.control SET paused = {}, paused_by = {} WHERE migration_id = {}; {}",
            quote_text(reason),
            quote_text(by),
            quote_text(self.id()),
            event(self.id(), "paused", &json!({ "by": by, "reason": reason }))
        );
        self.write(&mut link, &sql).await
    }

    /// Gives the lease back after a call that was dropped in its middle, so that the next runner does not
    /// have to wait for its end. Another runner's lease stays: it has another owner.
    ///
    /// # Errors
    /// The migration is not known here.
    pub async fn let_go(&self) -> Result<(), MigrateError> {
        let (mut link, _) = self.known().await?;
        let sql = format!(
            "UPDATE rowproof_migrate.migration SET lease_until = clock_timestamp() \
             WHERE id = {} AND owner = {} AND lease_until > clock_timestamp(); {}",
            quote_text(self.id()),
            quote_text(&self.options.owner),
            event(self.id(), "interrupted", &json!({ "owner": self.options.owner }))
        );
        self.write(&mut link, &sql).await
    }

    /// Takes a pause back. A migration that was rolled back begins anew, with the folder as it is now.
    ///
    /// # Errors
    /// The migration is not known here.
    pub async fn resume(&self, by: &str) -> Result<(), MigrateError> {
        let (mut link, record) = self.known().await?;
        if matches!(record.state, State::Done | State::Adopted) {
            return self.wrong_state(record.state, "nothing is left to resume");
        }
        let id = quote_text(self.id());
        let mut sql = format!(
            "UPDATE rowproof_migrate.control SET paused = NULL, paused_by = NULL WHERE migration_id = {id}; {}",
            event(self.id(), "resumed", &json!({ "by": by, "state": record.state }))
        );
        if record.state == State::RolledBack {
            sql = format!(
                "{sql}; DELETE FROM rowproof_migrate.step WHERE migration_id = {id}; \
                 DELETE FROM rowproof_migrate.measure WHERE migration_id = {id} AND name = 'health'; \
                 DELETE FROM rowproof_migrate.backfill WHERE migration_id = {id}; \
                 UPDATE rowproof_migrate.migration SET state = 'pending', epoch = epoch + 1, \
                 checksum = '{}', error = NULL WHERE id = {id} AND state = 'rolled_back'",
                self.checksum()
            );
        }
        self.write(&mut link, &sql).await
    }

    /// Changes limits of a running or paused migration. What was changed before and is not given stays.
    ///
    /// # Errors
    /// The migration is not known here, or a limit cannot be.
    pub async fn throttle(&self, by: &str, change: &ThrottleChange) -> Result<(), MigrateError> {
        if let Some(what) = change.problem() {
            let (file, what) = ("throttle".to_owned(), what.to_owned());
            return Err(MigrateError::Folder { file, line: 0, what });
        }
        let (mut link, record) = self.known().await?;
        if record.state.is_settled() {
            return self.wrong_state(record.state, "nothing is left to throttle");
        }
        let sql = format!(
            "UPDATE rowproof_migrate.control SET throttle = coalesce(throttle, '{{}}') || {}::jsonb \
             WHERE migration_id = {}; {}",
            json_text(change),
            quote_text(self.id()),
            event(self.id(), "throttle_changed", &json!({ "by": by, "change": change }))
        );
        self.write(&mut link, &sql).await
    }

    /// Takes everything back: rows batch by batch, then the schema. Goes on from there as `drive` does.
    ///
    /// # Errors
    /// The contract phase dropped something, the migration is not reversible, or undoing fails.
    pub async fn rollback(
        &self,
        by: &str,
        reason: &str,
        deadline: Deadline,
    ) -> Result<Drive, MigrateError> {
        let (mut link, record) = self.known().await?;
        let state = record.state;
        match state {
            State::RolledBack => return Ok(Drive::Done { state }),
            State::RollingBack => return self.drive(deadline).await,
            State::Adopted => return self.wrong_state(state, "another tool ran it, and undoes it"),
            State::Pending
            | State::Prechecked
            | State::Expanded
            | State::Backfilling
            | State::Swept
            | State::Validated
            | State::Contracting
            // Where nothing was dropped there is a way back.
            | State::Done => {}
        }
        let found = self.checksum().to_string();
        if record.checksum != found {
            let (id, stored) = (self.id().to_owned(), record.checksum);
            return Err(MigrateError::ChecksumMismatch { id, stored, found });
        }
        if !self.folder.config.reversible {
            return self.wrong_state(state, "its folder says reversible = false");
        }
        let Some(epoch) = lease::take(&mut link, self.id(), &self.options.owner).await? else {
            let owner = record.owner.unwrap_or_default();
            return Ok(Drive::soon(fastrand::u64(1..=5), Pause::LeaseHeld { owner }));
        };
        let mut run = self.run(link, epoch, deadline);
        let turned = run.turn_back(by, reason).await;
        let left = turned.map(|()| Drive::soon(0, Pause::OutOfTime));
        run.leave(&left).await;
        left?;
        self.drive(deadline).await
    }

    /// Records evidence for a gate: `staging_run` and `rollback_rehearsed` (as `rehearse` gives it, with its
    /// `checksum`), `backup` (with `taken_at`) or `approval`.
    ///
    /// # Errors
    /// The migration is not known here, or the evidence says it is of other files.
    pub async fn record_evidence(
        &self,
        name: &str,
        evidence: &Value,
        by: &str,
    ) -> Result<(), MigrateError> {
        const KNOWN: [&str; 4] = ["staging_run", "rollback_rehearsed", "backup", "approval"];
        if !KNOWN.contains(&name) {
            let what = format!("no gate takes it; write one of {}", KNOWN.join(", "));
            return Err(MigrateError::Folder { file: format!("evidence {name}"), line: 0, what });
        }
        let own = self.checksum().to_string();
        let told = evidence.get("checksum").and_then(Value::as_str);
        let is_of_files = ["staging_run", "rollback_rehearsed"].contains(&name);
        if is_of_files && told != Some(own.as_str()) {
            let what =
                "the evidence is of other files: its checksum is not the folder's".to_owned();
            return Err(MigrateError::GateUnmet { gate: name.to_owned(), what });
        }
        if name == "backup" {
            self.check_backup(evidence)?;
        }
        self.put_evidence(name, evidence, by).await
    }

    fn check_backup(&self, evidence: &Value) -> Result<(), MigrateError> {
        let told = evidence.get("taken_at").and_then(Value::as_str).unwrap_or_default();
        let wrong = |what: &str| MigrateError::GateUnmet {
            gate: "backup_max_age".to_owned(),
            what: format!(
                "taken_at {what}; write when the backup was taken, as 2026-11-24T10:00:00Z"
            ),
        };
        let at = chrono::DateTime::parse_from_rfc3339(told);
        let at = at.map_err(|_| wrong("is no time of RFC 3339"))?.timestamp_millis();
        if u64::try_from(at).is_ok_and(|at| at > self.clock.now_ms() + 60_000) {
            return Err(wrong("lies in the future"));
        }
        Ok(())
    }

    /// Lets a gate pass that is not met, for exactly these files. The history says who wanted it and why.
    ///
    /// # Errors
    /// The migration is not known here.
    pub async fn override_gate(
        &self,
        gate: &str,
        reason: &str,
        by: &str,
    ) -> Result<(), MigrateError> {
        if !gates::NAMES.contains(&gate) {
            let what = format!("there is no such gate; write one of {}", gates::NAMES.join(", "));
            return Err(MigrateError::Folder { file: format!("gate {gate}"), line: 0, what });
        }
        self.put_evidence(gate, &json!({ "override": reason }), by).await
    }

    async fn put_evidence(
        &self,
        name: &str,
        evidence: &Value,
        by: &str,
    ) -> Result<(), MigrateError> {
        let mut link = Link::new(self.server.clone());
        self.enter(&mut link).await?;
        let sql = gates::record(self.id(), name, &self.checksum().to_string(), evidence, by);
        self.write(&mut link, &sql).await
    }

    /// A migration that the database knows.
    pub(crate) async fn known(&self) -> Result<(Link, Record), MigrateError> {
        let mut link = Link::new(self.server.clone());
        let found = match schema::is_there(&mut link).await? {
            true => self.read(&mut link).await?,
            false => None,
        };
        match found {
            Some(record) => Ok((link, record)),
            None => Err(MigrateError::WrongState {
                id: self.id().to_owned(),
                state: "unknown".into(),
                what: "this database has not seen it; run it first".into(),
            }),
        }
    }

    fn wrong_state<T>(&self, state: State, what: &str) -> Result<T, MigrateError> {
        let (id, what) = (self.id().to_owned(), what.to_owned());
        Err(MigrateError::WrongState { id, state: state.to_string(), what })
    }

    async fn write(&self, link: &mut Link, sql: &str) -> Result<(), MigrateError> {
        let sql = format!("BEGIN; {} {sql}; COMMIT", settings(LIMITS, self.id(), 0));
        let written = link.run("write an operator's request", &sql).await;
        if written.is_err() {
            link.roll_back().await;
        }
        written?;
        Ok(())
    }
}

impl crate::run::Run<'_> {
    /// From wherever the migration stands to taking it back.
    async fn turn_back(&mut self, by: &str, reason: &str) -> Result<(), MigrateError> {
        if self.is_past_return().await? {
            return Err(MigrateError::PointOfNoReturn { id: self.id().to_owned() });
        }
        self.begin(LIMITS).await?;
        let done = self.turn_back_within(by, reason).await;
        self.end(done).await
    }

    async fn turn_back_within(&mut self, by: &str, reason: &str) -> Result<(), MigrateError> {
        let id = self.sql_id();
        let sql = format!("SELECT to_jsonb(state) FROM rowproof_migrate.migration WHERE id = {id}");
        let state = self.link.run("read the state", &sql).await?.json::<State>()?;
        let Some(from) = state else {
            return Err(MigrateError::Bug { what: "the migration's row is missing".into() });
        };
        // Before expand is committed there is nothing to undo.
        let untouched = matches!(from, State::Pending | State::Prechecked);
        let to = if untouched { State::RolledBack } else { State::RollingBack };
        self.advance(from, to, json!({ "by": by, "reason": reason })).await?;
        let sql = format!(
            "UPDATE rowproof_migrate.control SET paused = NULL, paused_by = NULL WHERE migration_id = {id}"
        );
        self.link.run("take the pause back", &sql).await?;
        Ok(())
    }
}
