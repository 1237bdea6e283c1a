//! How far a call of the engine came.

use crate::error::ExitClass;
use crate::state::State;
use serde::{Deserialize, Serialize};
use std::time::Duration;
/// How a call ended that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Drive {
    /// Nothing is left to do.
    Done {
        /// Where it ended.
        state: State,
    },
    /// Call again.
    Yield {
        /// Not before this time.
        after: Duration,
        /// Why it is not done.
        reason: Pause,
    },
}

/// Why a migration waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum Pause {
    /// The next step does not fit the time that the call has left.
    OutOfTime,
    /// Another runner works on it.
    LeaseHeld {
        /// Which.
        owner: String,
    },
    /// Somebody asked for it.
    Asked {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// It is not the time for changes.
    WindowClosed {
        /// Seconds until it is.
        opens_in_s: u64,
    },
    /// The database is busy.
    Throttled {
        /// The signal that says so.
        signal: String,
    },
    /// The application has to be well for a time (`gates.health`).
    Soaking {
        /// Whether it was at the last look.
        well: bool,
        /// Seconds until it was for long enough.
        left_s: u64,
    },
    /// What is to be dropped is kept for a time (`gates.grace`).
    Grace {
        /// Seconds until it is over.
        left_s: u64,
    },
    /// A statement of an earlier runner still runs.
    StillRunning {
        /// Process id of its backend.
        pid: i32,
    },
    /// The server does not answer, or not in time.
    Unavailable {
        /// What it says.
        what: String,
    },
}

impl Drive {
    pub(crate) fn soon(seconds: u64, reason: Pause) -> Drive {
        Drive::Yield { after: Duration::from_secs(seconds), reason }
    }

    /// Exit class of a process that ends with it.
    pub fn class(&self) -> ExitClass {
        match self {
            Drive::Done { .. } => ExitClass::Done,
            Drive::Yield { .. } => ExitClass::Yielded,
        }
    }
}
