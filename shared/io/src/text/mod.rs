//! Bytes of an object to text.

pub(crate) mod chunk;
pub(crate) mod source;
