//! The files of a migration, and what each is for.

use std::fmt;

use serde::Serialize;

/// One of the SQL files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Each query gives no row, or nothing begins.
    Precheck,
    /// What the applications of before and after both bear.
    Expand,
    /// What cannot run in a transaction.
    Online,
    /// The rule for rows.
    Backfill,
    /// Each query gives no row, or nothing is dropped.
    Validate,
    /// What only the applications of after bear.
    Contract,
    /// Undoes expand and online.
    Down,
    /// Undoes the rule for rows.
    UndoBackfill,
}

impl Phase {
    /// All, in the order in which they come; the undoing ones last.
    pub const ALL: [Phase; 8] = [
        Phase::Precheck,
        Phase::Expand,
        Phase::Online,
        Phase::Backfill,
        Phase::Validate,
        Phase::Contract,
        Phase::Down,
        Phase::UndoBackfill,
    ];

    /// Name of its file.
    pub fn file(self) -> &'static str {
        match self {
            Phase::Precheck => "precheck.sql",
            Phase::Expand => "expand.sql",
            Phase::Online => "online.sql",
            Phase::Backfill => "backfill.sql",
            Phase::Validate => "validate.sql",
            Phase::Contract => "contract.sql",
            Phase::Down => "down.sql",
            Phase::UndoBackfill => "undo_backfill.sql",
        }
    }

    /// How its statements run.
    pub fn mode(self) -> Mode {
        match self {
            Phase::Precheck | Phase::Validate => Mode::ReadOnly,
            Phase::Expand | Phase::Down => Mode::OneTransaction,
            Phase::Online => Mode::Autocommit,
            Phase::Backfill | Phase::UndoBackfill => Mode::Rule,
            Phase::Contract => Mode::TransactionEach,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.file().trim_end_matches(".sql"))
    }
}

/// How the statements of a file run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// In one transaction that cannot write.
    ReadOnly,
    /// All in one transaction, tried again as a whole.
    OneTransaction,
    /// Each by itself, outside any transaction.
    Autocommit,
    /// One rule, for a batch of rows after the other.
    Rule,
    /// Each in a transaction of its own.
    TransactionEach,
}
