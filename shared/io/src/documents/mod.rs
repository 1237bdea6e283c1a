//! Documents in the output bucket.

pub mod current;
pub mod job;
pub(crate) mod outcome;
