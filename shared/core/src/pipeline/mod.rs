//! What a feed looks like, which rows are good, and where they go.
//!
//! A [`Pipeline`] cannot be wrong: [`crate::pipeline_file::parse`] makes it. [`Router`] finds the pipeline of
//! an object by its key.

mod canonical;
mod capture_format;
mod dialect;
mod key_pattern;
mod marker;
mod pattern_error;
mod reading;
mod route;
mod sink_types;
mod types;

pub use canonical::CanonicalError;
pub use dialect::*;
pub use key_pattern::{KEY_BYTES_MAX, KeyPattern};
pub use marker::{has_marker_name, skipped_by_name};
pub use pattern_error::PatternError;
pub use reading::{Formats, LocalTime, Negative, Reading};
pub use route::{Overlap, Route, Router, overlaps, route};
pub use sink_types::*;
pub use types::*;
