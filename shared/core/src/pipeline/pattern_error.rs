//! What is wrong with a pattern of keys.

/// Why a `match` is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct PatternError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub write: String,
}
