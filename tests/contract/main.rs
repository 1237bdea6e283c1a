//! What Rowproof relies on in AWS, checked against the local AWS over sockets with the real SDKs.
//!
//! The modules that need no more than clients also run against another AWS: `ROWPROOF_TEST_AWS=1`
//! takes the account of the ordinary credentials, `ROWPROOF_TEST_ENDPOINT=URL` an emulator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

mod clients;
mod delivery;
mod dynamodb;
mod forms;
mod multipart;
mod objects;
mod power;
mod queues;
mod races;
mod raw;
mod refusals;
mod restart;
mod runtime;
mod support;
mod versions;
