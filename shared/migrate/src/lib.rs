//! Data migrations of Postgres that survive a kill, hold no lock for long, and can be taken back.
//!
//! A migration is a [`folder`](folder::Folder): `migration.toml` and one SQL file a phase. The
//! [`Engine`](engine::Engine) takes it from wherever the database says it stands to its end, in as many calls
//! as that takes. Its state is in the database that it changes, in schema `rowproof_migrate`.

pub mod adopt;
mod batch;
pub mod canary;
mod catalog;
pub mod change;
pub mod config;
mod contract;
pub mod drive;
mod effect;
pub mod engine;
pub mod error;
pub mod folder;
mod gates;
pub mod generate;
mod index;
mod lease;
mod link;
#[cfg(feature = "lint")]
pub mod lint;
mod locked;
pub mod locks;
mod measure;
mod online;
mod pace;
pub mod phase;
mod phases;
pub mod plan;
mod progress;
mod queries;
pub mod rehearse;
pub mod rule;
mod run;
mod schema;
pub mod shadow;
mod signals;
pub mod state;
pub mod statements;
pub mod status;
mod target;
pub mod values;
mod verbs;
mod walk;
pub mod window;
