//! The functions' handlers under the real SDK clients, in a world where time, requests, messages and
//! crashes come as a seed has it. One seed is one run, to the last request.
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
