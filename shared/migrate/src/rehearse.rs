//! A rehearsal on a restored copy: forth to the end of validation, back, and forth again to the end. What it
//! measures is the evidence for the real run.

use rowproof_io::clock::Deadline;
use serde::Serialize;

use crate::catalog::{differences, objects};
use crate::drive::Drive;
use crate::engine::Engine;
use crate::error::MigrateError;
use crate::link::Link;
use crate::state::State;

/// What a rehearsal showed; as JSON the evidence for the gates `staging_run` and `rollback_rehearsed`.
#[derive(Debug, Clone, Serialize)]
pub struct Rehearsal {
    /// Of the files that were rehearsed, hexadecimal.
    pub checksum: String,
    /// `down.sql` and `undo_backfill.sql` brought the schema back; not tried when not reversible.
    pub rolled_back: bool,
    /// Of the last run, from its first statement to its last, in milliseconds.
    pub duration_ms: u64,
    /// Log written meanwhile, in bytes.
    pub wal_bytes: i64,
    /// Rows that the rule changed.
    pub rows_changed: u64,
    /// Slowest of the last batches but one in a hundred, in milliseconds.
    pub p99_ms: f64,
    /// When it ended, RFC 3339.
    pub taken_at: String,
}

impl Engine {
    /// Rehearses the migration on this engine's database, which must be a copy: it is migrated in the end.
    /// Gates and windows do not count.
    ///
    /// # Errors
    /// A phase fails, the schema is not as it was after undoing, or the time is not enough.
    pub async fn rehearse(&self, deadline: Deadline) -> Result<Rehearsal, MigrateError> {
        let engine = Engine { gated: false, ..self.clone() };
        let mut link = Link::new(self.server.clone());
        let reversible = self.folder.config.reversible;
        if reversible {
            engine.there_and_back(&mut link, deadline).await?;
        }
        let wal = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::numeric(20)";
        let start: i64 = link.run("read the log's end", wal).await?.number(0, 0).unwrap_or(0);
        let began_ms = self.clock.now_ms();
        engine.drive_through(deadline).await?;
        let end: i64 = link.run("read the log's end", wal).await?.number(0, 0).unwrap_or(0);
        let backfill = engine.status().await?.backfill;
        Ok(Rehearsal {
            checksum: self.checksum().to_string(),
            rolled_back: reversible,
            duration_ms: self.clock.now_ms().saturating_sub(began_ms),
            wal_bytes: end.saturating_sub(start),
            rows_changed: backfill.as_ref().map_or(0, |walk| walk.rows_changed),
            p99_ms: backfill.map_or(0.0, |walk| walk.p99_ms),
            taken_at: self.clock.now_rfc3339(),
        })
    }

    /// Up to the contract phase and back, with a look at the schema before and after.
    async fn there_and_back(
        &self,
        link: &mut Link,
        deadline: Deadline,
    ) -> Result<(), MigrateError> {
        let before = objects(link).await?;
        let mut folder = self.folder.clone();
        folder.config.gates.approvals = u32::MAX;
        folder.config.gates.window = None;
        // A gate that nobody can meet stops it where undoing still works.
        let held = Engine { gated: true, folder, ..self.clone() };
        match held.drive_through(deadline).await {
            Err(MigrateError::GateUnmet { .. }) => {}
            Ok(()) => {
                let what = "the copy was migrated before: restore it anew".to_owned();
                let (id, state) = (self.id().to_owned(), State::Done.to_string());
                return Err(MigrateError::WrongState { id, state, what });
            }
            Err(error) => return Err(error),
        }
        let back = self.rollback("rehearse", "a rehearsal", deadline).await?;
        if back != (Drive::Done { state: State::RolledBack }) {
            return Err(self.not_in_time(&back));
        }
        let found = differences(&before, &objects(link).await?);
        if !found.is_empty() {
            return Err(MigrateError::SchemaDiffers { differences: found });
        }
        self.resume("rehearse").await
    }

    async fn drive_through(&self, deadline: Deadline) -> Result<(), MigrateError> {
        match self.drive(deadline).await? {
            Drive::Done { .. } => Ok(()),
            waits @ Drive::Yield { .. } => Err(self.not_in_time(&waits)),
        }
    }

    fn not_in_time(&self, drive: &Drive) -> MigrateError {
        let what = serde_json::to_string(drive).unwrap_or_default();
        MigrateError::WrongState {
            id: self.id().to_owned(),
            state: "not through".into(),
            what: format!("the rehearsal stopped at {what}; give it more time, or an idle copy"),
        }
    }
}
