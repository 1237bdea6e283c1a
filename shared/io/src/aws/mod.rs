//! AWS, one file a service: clients, errors, pauses between tries.

pub mod clients;
pub mod error;
pub mod queue;
pub(crate) mod retry;
pub mod store;
