//! Documents in the output bucket.

pub mod current;
pub(crate) mod outcome;
