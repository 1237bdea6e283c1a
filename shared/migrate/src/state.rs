//! Where a migration stands, as its row says.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::change::ThrottleChange;

/// A migration's state. The engine has one function that takes it from one to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Known, nothing done.
    Pending,
    /// `precheck.sql` gave no row; the baseline is taken.
    Prechecked,
    /// `expand.sql` is committed.
    Expanded,
    /// `online.sql` is through; rows are walked.
    Backfilling,
    /// All rows up to the frozen end have what the rule gives.
    Swept,
    /// `validate.sql` and the invariants hold.
    Validated,
    /// The gates are met; statements of `contract.sql` run.
    Contracting,
    /// Through.
    Done,
    /// `undo_backfill.sql` and `down.sql` run.
    RollingBack,
    /// The schema is as it was.
    RolledBack,
    /// Imported from another tool's history.
    Adopted,
}

impl State {
    /// As the database has it.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Prechecked => "prechecked",
            State::Expanded => "expanded",
            State::Backfilling => "backfilling",
            State::Swept => "swept",
            State::Validated => "validated",
            State::Contracting => "contracting",
            State::Done => "done",
            State::RollingBack => "rolling_back",
            State::RolledBack => "rolled_back",
            State::Adopted => "adopted",
        }
    }

    /// Whether nothing is left to do.
    pub fn is_settled(self) -> bool {
        matches!(self, State::Done | State::RolledBack | State::Adopted)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A migration's row, with what others asked of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) state: State,
    pub(crate) checksum: String,
    pub(crate) epoch: i64,
    pub(crate) owner: Option<String>,
    /// Seconds that the lease has left; none when it is over.
    pub(crate) lease_s: Option<f64>,
    pub(crate) error: Option<Value>,
    pub(crate) paused: Option<String>,
    pub(crate) paused_by: Option<String>,
    pub(crate) throttle: Option<ThrottleChange>,
}
