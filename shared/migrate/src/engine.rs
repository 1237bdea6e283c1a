//! The engine: one call takes the lease, goes on from wherever the database says, and gives the lease back.

use std::time::Duration;

use rowproof_core::sql::quote_text;
use rowproof_io::clock::{Clock, Deadline};
use rowproof_io::postgres::Server;
use serde_json::json;
use tracing::{info, warn};

use crate::batch::json_text;
use crate::drive::{Drive, Pause};
use crate::error::MigrateError;
use crate::folder::{Checksum, Folder};
use crate::lease;
use crate::link::{Link, passes};
use crate::run::{Control, Run, Turn, event};
use crate::schema;
use crate::state::{Record, State};

/// Failures that pass by themselves, one after the other, until the call gives up.
const PASSING_MAX: u32 = 8;

/// How the engine runs, beside what the folder says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of this runner in the lease and in the history; no other has it.
    pub owner: String,
    /// Time that stays free at the end of a call.
    pub margin: Duration,
}

impl Default for Options {
    fn default() -> Options {
        // No other runner has this name, wherever it runs: one that finds its own lease goes on.
        let owner = format!("pid {}, {:08x}", std::process::id(), fastrand::u32(..));
        Options { owner, margin: Duration::from_secs(10) }
    }
}

/// One migration and the database it is for.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) folder: Folder,
    pub(crate) server: Server,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
    /// Gates and windows count; a rehearsal has none.
    pub(crate) gated: bool,
}

impl Engine {
    /// Nothing is connected yet.
    pub fn new(folder: Folder, server: Server, clock: Clock, options: Options) -> Engine {
        Engine { folder, server, clock, options, gated: true }
    }

    /// Name of the migration.
    pub fn id(&self) -> &str {
        &self.folder.config.id
    }

    /// Of the folder's files.
    pub fn checksum(&self) -> Checksum {
        self.folder.checksum
    }

    /// Goes on until the migration is through or the call has to end. Safe to call at any time, as often
    /// as anybody likes, and by several at once: the database says what is left.
    ///
    /// # Errors
    /// The migration cannot go on by itself.
    pub async fn drive(&self, deadline: Deadline) -> Result<Drive, MigrateError> {
        match self.try_drive(deadline).await {
            Err(MigrateError::Database(error)) if passes(&error) => {
                Ok(Drive::soon(5, Pause::Unavailable { what: error.to_string() }))
            }
            other => other,
        }
    }

    async fn try_drive(&self, deadline: Deadline) -> Result<Drive, MigrateError> {
        let mut link = Link::new(self.server.clone());
        let record = self.enter(&mut link).await?;
        if record.state.is_settled() {
            return Ok(Drive::Done { state: record.state });
        }
        if let Some(reason) = record.paused {
            let by = record.paused_by.unwrap_or_default();
            return Ok(Drive::soon(30, Pause::Asked { by, reason }));
        }
        let Some(epoch) = lease::take(&mut link, self.id(), &self.options.owner).await? else {
            let owner = record.owner.unwrap_or_default();
            return Ok(Drive::soon(fastrand::u64(1..=5), Pause::LeaseHeld { owner }));
        };
        let mut run = self.run(link, epoch, deadline);
        let outcome = run.go(&self.options.owner).await;
        run.leave(&outcome).await;
        outcome
    }

    pub(crate) fn run(&self, link: Link, epoch: i64, deadline: Deadline) -> Run<'_> {
        Run {
            folder: &self.folder,
            link,
            side: Link::new(self.server.clone()),
            server: self.server.clone(),
            epoch,
            clock: self.clock,
            deadline,
            margin_ms: u64::try_from(self.options.margin.as_millis()).unwrap_or(u64::MAX),
            control: Control::default(),
            backfill: self.folder.config.backfill.clone(),
            throttle: self.folder.config.throttle.clone(),
            gated: self.gated,
            progressed: false,
            worked: false,
        }
    }

    /// The migration's row, made if it is missing, after a look at the checksum.
    pub(crate) async fn enter(&self, link: &mut Link) -> Result<Record, MigrateError> {
        schema::ensure(link).await?;
        let (id, found) = (quote_text(self.id()), self.checksum().to_string());
        let insert = format!(
            "INSERT INTO rowproof_migrate.migration (id, checksum, state, tool_version) \
             VALUES ({id}, '{found}', 'pending', '{}') ON CONFLICT (id) DO NOTHING; \
             INSERT INTO rowproof_migrate.control (migration_id) VALUES ({id}) ON CONFLICT DO NOTHING",
            env!("CARGO_PKG_VERSION")
        );
        let mut record = self.read(link).await?;
        if record.is_none() {
            link.run("register the migration", &insert).await?;
            record = self.read(link).await?;
        }
        let Some(mut record) = record else {
            return Err(MigrateError::Bug { what: "the migration's row is missing".into() });
        };
        // Before anything was done the folder may still be written, while nobody works on it.
        let untouched = matches!(record.state, State::Pending | State::Prechecked);
        if record.checksum != found && untouched && record.lease_s.is_none() {
            let sql = format!(
                "UPDATE rowproof_migrate.migration SET checksum = '{found}', state = 'pending', \
                 epoch = epoch + 1, error = NULL WHERE id = {id} AND epoch = {} \
                 AND state IN ('pending', 'prechecked')",
                record.epoch
            );
            link.run("register the migration", &sql).await?;
            if let Some(now) = self.read(link).await? {
                record = now;
            }
        }
        if record.checksum != found && record.state != State::Adopted {
            let (id, stored) = (self.id().to_owned(), record.checksum);
            return Err(MigrateError::ChecksumMismatch { id, stored, found });
        }
        Ok(record)
    }

    pub(crate) async fn read(&self, link: &mut Link) -> Result<Option<Record>, MigrateError> {
        let sql = format!(
            "SELECT to_jsonb(m) || to_jsonb(c) || jsonb_build_object('lease_s', \
             CASE WHEN m.lease_until > clock_timestamp() THEN \
             extract(epoch FROM m.lease_until - clock_timestamp()) END) \
             FROM rowproof_migrate.migration m \
             LEFT JOIN rowproof_migrate.control c ON c.migration_id = m.id WHERE m.id = {}",
            quote_text(self.id())
        );
        link.run("read the migration's row", &sql).await?.json()
    }
}

impl Run<'_> {
    async fn go(&mut self, owner: &str) -> Result<Drive, MigrateError> {
        let mut failures = 0;
        let mut entered = false;
        loop {
            let turn = match entered {
                true => self.step().await,
                false => {
                    let detail = json!({ "owner": owner, "epoch": self.epoch });
                    let noted = self.note("lease_taken", &detail).await;
                    noted.map(|()| Turn::Next)
                }
            };
            entered |= turn.is_ok();
            if std::mem::take(&mut self.progressed) {
                failures = 0;
            }
            match turn {
                Ok(Turn::Next) => {}
                Ok(Turn::End(drive)) => return Ok(drive),
                Err(MigrateError::Database(error)) if passes(&error) => {
                    failures += 1;
                    warn!(migration = self.id(), %error, failures, "it is tried again");
                    if failures >= PASSING_MAX || !self.fits(5_000) {
                        let what = error.to_string();
                        return Ok(Drive::soon(5, Pause::Unavailable { what }));
                    }
                    self.jitter(100 << failures).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The next step of wherever the migration stands.
    async fn step(&mut self) -> Result<Turn, MigrateError> {
        self.begin(self.limits()).await?;
        let sql = format!(
            "SELECT to_jsonb(state) FROM rowproof_migrate.migration WHERE id = {}",
            self.sql_id()
        );
        let state = match self.link.run("read the state", &sql).await {
            Ok(answer) => answer.json::<State>(),
            Err(error) => Err(error.into()),
        };
        let Some(state) = self.end(state).await? else {
            return Err(MigrateError::Bug { what: "the migration's row is missing".into() });
        };
        if let Some(end) = self.must_end(0)?.filter(|_| !state.is_settled()) {
            return Ok(Turn::End(end));
        }
        match state {
            State::Pending => self.precheck().await,
            State::Prechecked => self.expand().await,
            State::Expanded => self.online().await,
            State::Backfilling => self.backfill().await,
            State::Swept => self.validate().await,
            State::Validated => self.pass_gates().await,
            State::Contracting => self.contract().await,
            State::RollingBack => self.roll_back().await,
            State::Done | State::RolledBack | State::Adopted => {
                Ok(Turn::End(Drive::Done { state }))
            }
        }
    }

    /// Writes down how the call ended and gives the lease back. Whoever lost the lease writes nothing.
    pub(crate) async fn leave(&mut self, outcome: &Result<Drive, MigrateError>) {
        let id = self.folder.config.id.as_str();
        let mut sql = lease::release(id, self.epoch);
        let note = match outcome {
            Ok(Drive::Done { .. }) => None,
            Ok(Drive::Yield { reason, .. }) => Some(("yielded", json!({ "reason": reason }))),
            Err(error) => {
                let detail = json!({ "code": error.code(), "message": error.to_string() });
                Some(("failed", detail))
            }
        };
        if let Some((kind, detail)) = note {
            let error = if kind == "failed" { json_text(&detail) } else { "NULL".into() };
            sql = format!(
                "{sql}; UPDATE rowproof_migrate.migration SET error = {error} WHERE id = {} AND epoch = {}; {}",
                self.sql_id(),
                self.epoch,
                event(id, kind, &detail)
            );
        }
        if matches!(outcome, Err(MigrateError::Fenced { .. })) {
            return;
        }
        self.link.roll_back().await;
        let sql =
            format!("BEGIN; {} {sql}; COMMIT", crate::run::settings(self.limits(), id, self.epoch));
        if let Err(error) = self.link.run("give the lease back", &sql).await {
            // It ends by itself.
            info!(migration = self.id(), %error, "the lease could not be given back");
            self.link.roll_back().await;
        }
    }
}
