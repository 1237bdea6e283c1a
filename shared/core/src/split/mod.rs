//! Where records begin and end: the quote rule, once, for the planner and for the decoder.
//!
//! A quote opens only at a field's start and closes only before a delimiter, a record end or the end of
//! the object. A record that breaks this ends at the first line end after its start, so a stray quote
//! costs one record. Nothing here depends on how the bytes were cut into pieces.

mod chunks;
mod index;
mod lone;
mod syntax;
mod walk;

pub use chunks::ChunkScanner;
pub(crate) use chunks::{Skipped, skip_line};
pub(crate) use index::Index;
pub use lone::{Lone, LoneScanner};
pub(crate) use walk::{Field, Splitter, Step};
