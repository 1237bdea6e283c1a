//! The steps of the protocol.

pub mod commit;
pub(crate) mod doubts;
pub(crate) mod isolate;
pub(crate) mod lease;
pub(crate) mod leased;
pub mod observe;
pub(crate) mod open;
pub(crate) mod outage;
pub mod plan;
pub mod process;
pub mod replay;
pub mod revert;
pub(crate) mod send;
