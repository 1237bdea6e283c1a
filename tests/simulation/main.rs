//! The functions' handlers under the real SDK clients, in a world where time, requests, messages and
//! crashes come as a seed has it. One seed is one run, to the last request.
//!
//! A plain `cargo test` runs a small part. All of it, with `cargo test --release --test simulation -- --nocapture`
//! and these variables:
//!
//! | variable | what |
//! |---|---|
//! | `ROWPROOF_SIM_SEEDS=10000` | so many seeds |
//! | `ROWPROOF_SIM_FIRST=1` | the first of them |
//! | `ROWPROOF_SIM_SEED=7` | only this one, with all that happens in it |
//! | `ROWPROOF_SIM_CRASH=all` | every crash point, and every pair of the three smallest scenarios; or so many |
//! | `ROWPROOF_SIM_VERBOSE=1` | print all that happens in other tests as well |
//!
//! `TMPDIR` on a memory file system makes it faster.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod check;
mod crash;
mod directed;
mod names;
mod net;
mod operator;
mod plan;
mod seeds;
mod setup;
mod sim;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the end-to-end tests use the rest")]
mod support;
mod watch;
