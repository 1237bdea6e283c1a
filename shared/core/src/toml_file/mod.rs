//! TOML files with the place of every value, for messages that name file, line and key.

pub(crate) mod problem;
pub(crate) mod section;
pub(crate) mod tree;

pub use problem::{Problem, Problems};
pub(crate) use problem::{nearest, quoted, ticked, toml_key, toml_string};
