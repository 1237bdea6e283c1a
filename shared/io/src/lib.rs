#![doc = include_str!("../../ARCHITECTURE.md")]

pub mod advance;
pub mod app;
pub mod arrive;
mod backoff;
pub mod batch;
pub mod clients;
pub mod clock;
pub mod commit;
pub mod current;
pub mod error;
mod lease;
pub mod ledger;
pub mod observe;
pub mod pipelines;
pub mod plan;
pub mod process;
pub mod queue;
pub mod settings;
mod sink;
mod source;
pub mod store;
pub mod telemetry;
pub mod verify;
