//! What can go wrong, closed: each failure has a code that stays and an exit class.

use rowproof_io::postgres::{Fault, PostgresError};
use serde::Serialize;
use thiserror::Error;

/// Who has to act. The number is the exit code of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitClass {
    /// Nothing is left to do.
    Done = 0,
    /// A file, a key or a right is wrong: an author or an operator repairs it.
    Input = 2,
    /// It goes on at the next call: paused, out of time, or the server does not answer.
    Yielded = 10,
    /// A gate is not met.
    Gate = 20,
    /// A lock could not be had.
    Lock = 30,
    /// Data is not as it has to be.
    Validation = 40,
    /// Somebody else owns the migration now.
    Fenced = 50,
    /// Ours.
    Bug = 60,
}

impl ExitClass {
    /// The exit code of a process.
    pub fn exit_code(self) -> u8 {
        match self {
            ExitClass::Done => 0,
            ExitClass::Input => 2,
            ExitClass::Yielded => 10,
            ExitClass::Gate => 20,
            ExitClass::Lock => 30,
            ExitClass::Validation => 40,
            ExitClass::Fenced => 50,
            ExitClass::Bug => 60,
        }
    }
}

/// A session that holds a lock somebody waits for. Its query's text may hold row values and is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocker {
    /// Process id of its backend.
    pub pid: i32,
    /// `application_name` of the session.
    pub application: String,
    /// State of the session, as `pg_stat_activity` has it.
    pub state: String,
    /// Age of its transaction, in milliseconds.
    pub transaction_ms: i64,
    /// Age of its query, or of its last one, in milliseconds.
    pub query_ms: i64,
}

/// Key values of one row, in the order of the key's columns, each as text.
pub type Key = Vec<String>;

/// A migration that cannot go on. Messages hold names and keys, never other values of rows.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A file of the folder is missing, or something in it cannot be.
    #[error("{file}{}: {what}", at(*.line))]
    Folder {
        /// Name of the file within the migration's folder.
        file: String,
        /// Line, counted from 1; 0 when the whole file is meant.
        line: u32,
        /// What is wrong, and what to write.
        what: String,
    },
    /// Postgres refuses a statement of the author's.
    #[error("{file}{}: {source}", at(*.line))]
    Statement {
        /// Name of the file within the migration's folder.
        file: String,
        /// Line of the statement's first word, counted from 1.
        line: u32,
        /// What Postgres says.
        #[source]
        source: PostgresError,
    },
    /// Something that the engine asks of Postgres fails.
    #[error(transparent)]
    Database(#[from] PostgresError),
    /// The folder is not the one that was begun with.
    #[error(
        "{id} was begun with checksum {stored} and the folder now has {found}: restore its files; to go on with \
         others, roll back with those it was begun with, and `resume` begins anew with the files as they then are"
    )]
    ChecksumMismatch {
        /// The migration.
        id: String,
        /// Checksum in the database, hexadecimal.
        stored: String,
        /// Checksum of the folder, hexadecimal.
        found: String,
    },
    /// A verb that does not fit the state.
    #[error("{id} is {state}: {what}")]
    WrongState {
        /// The migration.
        id: String,
        /// State that it is in.
        state: String,
        /// What is not possible, and what is.
        what: String,
    },
    /// Another runner took the lease.
    #[error(
        "{id}: epoch {epoch} is over, another runner owns the migration; nothing of this one's last transaction remains"
    )]
    Fenced {
        /// The migration.
        id: String,
        /// The epoch that this runner had.
        epoch: i64,
    },
    /// A lock could not be had in all attempts.
    #[error("{place}: no lock after {attempts} attempts; {}", named(.blockers))]
    LockTimeout {
        /// What waited: file and line.
        place: String,
        /// Attempts made.
        attempts: u32,
        /// Who held it at the last attempt.
        blockers: Vec<Blocker>,
    },
    /// `online.sql` needs a session of its own and gets none.
    #[error(
        "online.sql needs a direct connection: {what}; connect to the server itself, not to a pooler"
    )]
    PoolerUnsafe {
        /// What showed it.
        what: String,
    },
    /// No order to walk the table in.
    #[error(
        "{table}: {what}; set target.key to columns that are NOT NULL and have a unique index of their own"
    )]
    NoUsableKey {
        /// The target.
        table: String,
        /// Why there is none.
        what: String,
    },
    /// A target that the engine cannot walk.
    #[error("{table}: {what}")]
    UnsupportedTable {
        /// The target.
        table: String,
        /// What it is, and what to do.
        what: String,
    },
    /// Policies hide rows from the role.
    #[error(
        "{table} has row security that hides rows from this role: run as the table's owner or with BYPASSRLS"
    )]
    RowSecurity {
        /// The target.
        table: String,
    },
    /// Fewer rows than `target.expect_rows`.
    #[error("{table} has fewer than {min} rows: is this the right database? (target.expect_rows)")]
    EmptyTable {
        /// The target.
        table: String,
        /// Rows expected at least.
        min: u64,
    },
    /// A statement of `precheck.sql` gave rows.
    #[error("precheck.sql:{line}: {rows} rows where there should be none; first keys: {sample:?}")]
    PrecheckFailed {
        /// Line of the statement.
        line: u32,
        /// Rows found, at most as many as the statement lets through.
        rows: u64,
        /// First column of the first rows.
        sample: Vec<Key>,
    },
    /// The planner would read the whole target for every batch.
    #[error(
        "{file}: a batch reads all of {table}: join rowproof_batch by the key's columns ({key})"
    )]
    PlanUnsafe {
        /// `backfill.sql` or `undo_backfill.sql`.
        file: String,
        /// The target or a partition of it.
        table: String,
        /// The key's columns.
        key: String,
    },
    /// Rows still need the rule after all sweeps.
    #[error(
        "{sweeps} sweeps and rows still need the rule, or are locked; keys of some: {sample:?}"
    )]
    NotConverging {
        /// Sweeps made.
        sweeps: u32,
        /// Keys of some of them.
        sample: Vec<Key>,
    },
    /// The rule fails on a row.
    #[error("{file}: the rule fails on the row with key {key:?}: {source}")]
    RowFailed {
        /// `backfill.sql` or `undo_backfill.sql`.
        file: String,
        /// Its key.
        key: Key,
        /// What Postgres says.
        #[source]
        source: PostgresError,
    },
    /// More rows fail than may be put aside.
    #[error(
        "{file}: more than {max} rows fail (backfill.quarantine_max); the last has key {key:?}"
    )]
    QuarantineFull {
        /// `backfill.sql` or `undo_backfill.sql`.
        file: String,
        /// Rows that may fail.
        max: u32,
        /// Key of the row that is one too many.
        key: Key,
    },
    /// The rule changes columns that it has to leave alone.
    #[error(
        "the rule changes one of the columns of backfill.preserve on {rows} rows of a batch; keys of some: {sample:?}"
    )]
    PreserveViolated {
        /// Rows of the batch that differ.
        rows: u64,
        /// Keys of some of them.
        sample: Vec<Key>,
    },
    /// A signal kept the backfill from going on for too long.
    #[error("paused for more than {limit_s} s: {reason}; see throttle.max_pause")]
    ThrottledTooLong {
        /// The signal.
        reason: String,
        /// The limit, in seconds.
        limit_s: u64,
    },
    /// An invariant does not hold.
    #[error("invariant {name} does not hold: {what}; keys of some rows: {sample:?}")]
    InvariantFailed {
        /// Its name, or `validate.sql:line`.
        name: String,
        /// In numbers.
        what: String,
        /// Keys of some rows.
        sample: Vec<Key>,
    },
    /// A step cannot be cut in pieces and does not fit the time that a call has.
    #[error(
        "{place} takes about {estimate_s} s and {remaining_s} s remain: give the call more time, or run this step \
         from a machine without a limit"
    )]
    NeedsLongRunner {
        /// File and line.
        place: String,
        /// Estimate, in seconds.
        estimate_s: u64,
        /// What is left of the call, in seconds.
        remaining_s: u64,
    },
    /// A condition for the contract phase does not hold.
    #[error("gate {gate} is not met: {what}")]
    GateUnmet {
        /// Its name.
        gate: String,
        /// What is missing, and how to bring it.
        what: String,
    },
    /// What was dropped does not come back.
    #[error("{id} is past the point of no return: write a forward migration, or restore a backup")]
    PointOfNoReturn {
        /// The migration.
        id: String,
    },
    /// Undoing left something behind.
    #[error("the schema after down.sql differs from the one before expand.sql: {}", .differences.join("; "))]
    SchemaDiffers {
        /// What differs, object by object.
        differences: Vec<String>,
    },
    /// An assumption of ours does not hold.
    #[error("this is a bug in the engine: {what}")]
    Bug {
        /// Which.
        what: String,
    },
}

impl MigrateError {
    /// A name that stays, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            MigrateError::Folder { .. } => "Folder",
            MigrateError::Statement { .. } => "Statement",
            MigrateError::Database(_) => "Database",
            MigrateError::ChecksumMismatch { .. } => "ChecksumMismatch",
            MigrateError::WrongState { .. } => "WrongState",
            MigrateError::Fenced { .. } => "Fenced",
            MigrateError::LockTimeout { .. } => "LockTimeout",
            MigrateError::PoolerUnsafe { .. } => "PoolerUnsafe",
            MigrateError::NoUsableKey { .. } => "NoUsableKey",
            MigrateError::UnsupportedTable { .. } => "UnsupportedTable",
            MigrateError::RowSecurity { .. } => "RowSecurity",
            MigrateError::EmptyTable { .. } => "EmptyTable",
            MigrateError::PrecheckFailed { .. } => "PrecheckFailed",
            MigrateError::PlanUnsafe { .. } => "PlanUnsafe",
            MigrateError::NotConverging { .. } => "NotConverging",
            MigrateError::RowFailed { .. } => "RowFailed",
            MigrateError::QuarantineFull { .. } => "QuarantineFull",
            MigrateError::PreserveViolated { .. } => "PreserveViolated",
            MigrateError::ThrottledTooLong { .. } => "ThrottledTooLong",
            MigrateError::InvariantFailed { .. } => "InvariantFailed",
            MigrateError::NeedsLongRunner { .. } => "NeedsLongRunner",
            MigrateError::GateUnmet { .. } => "GateUnmet",
            MigrateError::PointOfNoReturn { .. } => "PointOfNoReturn",
            MigrateError::SchemaDiffers { .. } => "SchemaDiffers",
            MigrateError::Bug { .. } => "Bug",
        }
    }

    /// Who has to act.
    pub fn class(&self) -> ExitClass {
        match self {
            MigrateError::Database(error) | MigrateError::Statement { source: error, .. } => {
                match error.fault {
                    Fault::Row => ExitClass::Validation,
                    Fault::Passing => ExitClass::Yielded,
                    Fault::Setup => ExitClass::Input,
                }
            }
            MigrateError::Folder { .. }
            | MigrateError::ChecksumMismatch { .. }
            | MigrateError::WrongState { .. }
            | MigrateError::PoolerUnsafe { .. }
            | MigrateError::NoUsableKey { .. }
            | MigrateError::UnsupportedTable { .. }
            | MigrateError::RowSecurity { .. }
            | MigrateError::PlanUnsafe { .. }
            | MigrateError::NeedsLongRunner { .. }
            | MigrateError::PointOfNoReturn { .. } => ExitClass::Input,
            MigrateError::ThrottledTooLong { .. } => ExitClass::Yielded,
            MigrateError::GateUnmet { .. } => ExitClass::Gate,
            MigrateError::LockTimeout { .. } => ExitClass::Lock,
            MigrateError::EmptyTable { .. }
            | MigrateError::PrecheckFailed { .. }
            | MigrateError::NotConverging { .. }
            | MigrateError::RowFailed { .. }
            | MigrateError::QuarantineFull { .. }
            | MigrateError::PreserveViolated { .. }
            | MigrateError::InvariantFailed { .. }
            | MigrateError::SchemaDiffers { .. } => ExitClass::Validation,
            MigrateError::Fenced { .. } => ExitClass::Fenced,
            MigrateError::Bug { .. } => ExitClass::Bug,
        }
    }
}

fn at(line: u32) -> String {
    if line == 0 { String::new() } else { format!(":{line}") }
}

fn named(blockers: &[Blocker]) -> String {
    if blockers.is_empty() {
        return "nobody was seen to hold it".to_owned();
    }
    let one = |blocker: &Blocker| {
        format!(
            "pid {} ({}, {}, transaction {} ms old)",
            blocker.pid, blocker.application, blocker.state, blocker.transaction_ms
        )
    };
    format!("held by {}", blockers.iter().map(one).collect::<Vec<_>>().join(", "))
}
