//! `rowproof-io` does: every call to AWS, and the order of the protocol's steps.

pub mod backoff;
pub mod clients;
pub mod clock;
pub mod error;
pub mod ledger;
pub mod queue;
pub mod settings;
pub mod store;
