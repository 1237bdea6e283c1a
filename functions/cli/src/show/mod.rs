//! What a person or a program is shown.

pub(crate) mod jobs;
pub(crate) mod outcome;
pub(crate) mod progress;
pub(crate) mod rate;
pub(crate) mod report;
pub(crate) mod skipped;
pub(crate) mod summary;
