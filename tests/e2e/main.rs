//! The whole program on small files: every promise as a user would check it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::wildcard_enum_match_arm,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod again;
mod bad_inputs;
mod crash;
mod faults;
mod first_use;
mod fixing;
mod interrupt;
mod kills;
mod layout;
mod marks;
mod nothing;
mod ops;
mod ops_verbs;
mod poison;
mod postgres;
mod postgres_dumps;
mod postgres_faults;
mod postgres_replay;
mod postgres_rows;
mod postgres_secret;
mod postgres_tls;
mod processes;
mod replay;
mod rows;
mod secrecy;
mod starts;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the simulation uses the rest")]
mod support;
mod verbs_a;
mod verbs_b;
mod zombie;
