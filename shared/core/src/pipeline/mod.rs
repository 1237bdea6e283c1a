//! The pipeline file: what a feed looks like, which rows are good, and where they go.
//!
//! [`Pipeline`] is the parsed form and cannot be wrong; [`parse`](self) is the only way from text to it.

mod types;

pub use types::*;
