//! `migration.toml`: every key, its meaning and its default.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::values::{Span, TableName};
use crate::window::Window;

/// The whole file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the migration and of its folder.
    pub id: String,
    /// Whether `down.sql` and `undo_backfill.sql` bring everything back until the contract phase.
    pub reversible: bool,
    /// The table whose rows are changed.
    pub target: Target,
    /// Limits of statements that take locks.
    #[serde(default)]
    pub locks: Locks,
    /// How rows are walked.
    #[serde(default)]
    pub backfill: Backfill,
    /// What makes the backfill wait.
    #[serde(default)]
    pub throttle: Throttle,
    /// What has to be before the contract phase.
    #[serde(default)]
    pub gates: Gates,
    /// What follows from an invariant that does not hold.
    #[serde(default)]
    pub on_invalid: OnInvalid,
    /// What has to hold after the backfill.
    #[serde(default, rename = "invariant")]
    pub invariants: Vec<Invariant>,
}

/// The table whose rows are changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `schema.table`.
    pub table: TableName,
    /// Columns that the rows are walked by; the primary key when it is not given.
    #[serde(default)]
    pub key: Vec<String>,
    /// How many rows there have to be.
    #[serde(default)]
    pub expect_rows: Option<ExpectRows>,
}

/// A guard against the wrong database.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectRows {
    /// Rows at least.
    pub min: u64,
    /// What to do with fewer.
    #[serde(default)]
    pub on_empty: OnEmpty,
}

/// What to do with a table that has too few rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEmpty {
    /// Stop.
    #[default]
    Abort,
    /// Go on: a fresh environment has no rows to change.
    Skip,
}

/// Limits of statements that take locks.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Locks {
    /// Longest wait for a lock; others queue behind it for so long.
    pub lock_timeout: Span,
    /// Tries until the run gives up.
    pub attempts: u32,
    /// Longest run of one statement that holds a lock.
    pub statement_timeout: Span,
}

impl Default for Locks {
    fn default() -> Locks {
        Locks { lock_timeout: Span::ms(500), attempts: 40, statement_timeout: Span::seconds(5) }
    }
}

/// How rows are walked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backfill {
    /// Which rows of the target, named `t`, need the rule. Without it every row gets the rule once.
    pub needs: Option<String>,
    /// Rows of the first batch.
    pub start: u32,
    /// Fewest rows of a batch.
    pub min: u32,
    /// Most rows of a batch.
    pub max: u32,
    /// How long a batch is to take, in milliseconds: its size follows.
    pub target_ms: u32,
    /// Share of the time in which a batch runs, above 0 and at most 1.
    pub duty: f64,
    /// Columns that the rule leaves alone, which is checked in every batch.
    pub preserve: Vec<String>,
    /// What follows when the rule fails on a row.
    pub on_row_error: OnRowError,
    /// Rows at most that `quarantine` puts aside.
    pub quarantine_max: u32,
}

impl Default for Backfill {
    fn default() -> Backfill {
        Backfill {
            needs: None,
            start: 1_000,
            min: 100,
            max: 20_000,
            target_ms: 50,
            duty: 0.5,
            preserve: vec![],
            on_row_error: OnRowError::Abort,
            quarantine_max: 100,
        }
    }
}

/// What follows when the rule fails on a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRowError {
    /// The run stops and names the row's key.
    #[default]
    Abort,
    /// The row stays as it is, its key is kept, and the run goes on.
    Quarantine,
}

/// What makes the backfill wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// Replay lag of the slowest replica.
    pub max_replica_lag: Span,
    /// Sessions that wait for a lock on the target.
    pub max_lock_waiters: u32,
    /// Wait while the target is vacuumed.
    pub pause_on_autovacuum: bool,
    /// WAL that the slowest replication slot holds back, in mebibytes.
    pub max_slot_wal_mb: u64,
    /// Age of the oldest transaction that keeps dead rows from being removed.
    pub max_snapshot_age: Span,
    /// A query of the author's: its only number above 0 means wait.
    pub probe: Option<String>,
    /// What a signal means that cannot be read.
    pub on_signal_missing: OnSignalMissing,
    /// After so long a wait a run that has no deadline gives up.
    pub max_pause: Span,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle {
            max_replica_lag: Span::seconds(2),
            max_lock_waiters: 3,
            pause_on_autovacuum: true,
            max_slot_wal_mb: 4_096,
            max_snapshot_age: Span::seconds(3_600),
            probe: None,
            on_signal_missing: OnSignalMissing::Pause,
            max_pause: Span::seconds(3_600),
        }
    }
}

/// What a signal means that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSignalMissing {
    /// Wait: it may be bad.
    #[default]
    Pause,
    /// Go on without it.
    Ignore,
}

/// What has to be before the contract phase.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// A rehearsal of exactly these files.
    pub staging_run: Option<SameChecksum>,
    /// A rehearsal in which `down.sql` brought the schema back.
    pub rollback_rehearsed: bool,
    /// Age of the newest backup at most.
    pub backup_max_age: Option<Span>,
    /// A query for the time of the newest backup; recorded evidence when it is not given.
    pub backup_probe: Option<String>,
    /// When rows and schema may be changed, such as `Sat 02:00-06:00 UTC`.
    pub window: Option<Window>,
    /// People at least who approve of exactly these files.
    pub approvals: u32,
    /// How long the application has to be well.
    pub health: Option<Health>,
    /// Queries that have to be as fast as they were.
    pub queries: Option<QueryTimes>,
    /// Time that the contract phase keeps a column or table before it drops it.
    pub grace: Option<Span>,
}

/// How long the application has to be well.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// A query of the author's: its only number above 0 means that it is not.
    pub probe: String,
    /// For how long every look has to find it well.
    pub soak: Span,
}

/// Queries that have to be as fast after the backfill as before the migration, by their mean time.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryTimes {
    /// `queryid` of each in `pg_stat_statements`.
    pub ids: Vec<String>,
    /// How much slower they may be: 0.2 is a fifth.
    pub slower_max: f64,
    /// Calls of each since the rows were validated, at least.
    #[serde(default)]
    pub calls_min: u64,
}

/// Which rehearsal counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameChecksum {
    /// One of the same files, byte by byte.
    SameChecksum,
}

/// What follows from an invariant that does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnInvalid {
    /// The run stops; what was done stays.
    #[default]
    Pause,
    /// The run undoes what was done.
    Rollback,
}

/// What has to hold after the backfill. Unknown keys are refused by its kind, which gets all but the name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Invariant {
    /// Its name in messages.
    pub name: String,
    /// What is compared.
    #[serde(flatten)]
    pub kind: InvariantKind,
}

/// What an invariant compares.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum InvariantKind {
    /// A query gives no row. Its columns are keys: they are shown.
    ZeroRows {
        /// The query.
        sql: String,
    },
    /// Two queries for one number give the same, in one snapshot.
    Aggregate {
        /// One.
        left: String,
        /// The other.
        right: String,
        /// Difference allowed, as a share of the right one.
        #[serde(default)]
        tolerance: f64,
    },
    /// Each label has its share of the rows.
    Distribution {
        /// A query for label and count.
        sql: String,
        /// Share of each label, from 0 to 1.
        expected: BTreeMap<String, f64>,
        /// Difference allowed, as a share of all rows.
        tolerance: f64,
    },
    /// Every row refers to one that is there.
    FkOrphans {
        /// Table that refers.
        table: TableName,
        /// Its columns.
        columns: Vec<String>,
        /// Table referred to.
        references: TableName,
        /// Its columns, in the same order.
        referenced: Vec<String>,
    },
    /// A constraint is there and validated.
    ConstraintValid {
        /// Its table.
        table: TableName,
        /// Its name.
        constraint: String,
    },
    /// An index is there, valid and ready.
    IndexValid {
        /// Its name with its schema.
        index: TableName,
    },
}
