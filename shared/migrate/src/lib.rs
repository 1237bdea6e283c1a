//! Data migrations of Postgres that survive a kill, hold no lock for long, and can be taken back.
//!
//! A migration is a [`folder`](folder::Folder): `migration.toml` and one SQL file a phase.

pub mod config;
pub mod error;
pub mod folder;
pub mod rule;
pub mod statements;
pub mod values;
pub mod window;
