#![doc = include_str!("../../ARCHITECTURE.md")]

pub mod app;
pub mod aws;
pub mod batch;
pub mod clock;
pub mod documents;
pub mod duties;
pub mod error;
pub mod ledger;
pub mod pipelines;
pub mod postgres;
pub mod settings;
pub mod sinks;
pub mod steps;
pub mod telemetry;
mod text;
