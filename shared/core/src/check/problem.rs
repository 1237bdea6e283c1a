//! What is wrong with a column of the contract.

/// What is wrong with a column of the pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnProblem {
    /// The column's name; empty when `key` is not of a column.
    pub column: String,
    /// The key in the file: `min`, `pattern`, `format`, `timezone`.
    pub key: &'static str,
    /// What is wrong and what to write instead.
    pub message: String,
}
