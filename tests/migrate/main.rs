//! Migrations of a real Postgres: killed, frozen, crowded, locked out, taken back.
//!
//! Sizes come from the environment, for longer runs: `ROWPROOF_MIGRATE_ROWS`, `ROWPROOF_MIGRATE_KILLS`.
#![recursion_limit = "256"] // the engine's futures are deep
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on fails, and prints what it measured"
)]

mod back;
mod cli;
mod dry;
mod fixture;
mod gates;
mod generate;
mod index;
mod invariants;
mod kills;
mod lambda;
mod lint;
mod locks;
mod measure;
#[path = "../support/postgres.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod postgres;
#[path = "../support/proxy.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod proxy;
mod rows;
mod shadow;
mod shapes;
mod verdicts;
mod watch;
mod whole;
mod writers;
