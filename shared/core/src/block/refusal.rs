//! Rows that a sink does not take.

/// Why a sink refuses a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The contract column at fault, where one is.
    pub column: Option<usize>,
    /// In our own words: no value of the row.
    pub reason: String,
}
