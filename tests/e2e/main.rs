//! The whole program on small files: every promise as a user would check it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod rows;
#[path = "../support/mod.rs"]
mod support;
