//! Good rows to Parquet files, one for each partition, and back.
//!
//! A partition's folders are `<column>=<value>` for a column and `<column>_<part>=<value>` for a part of
//! one (`created_at_day=2026-11-23`). A partition column of the contract is not repeated in the file.
//! Values are percent-encoded where a path or a reader could mistake them; NULL is
//! `__HIVE_DEFAULT_PARTITION__` and empty text is an empty value (`country=`), so that every value has
//! a folder of its own and can be read back. A `text()` level is `<column>_text=v-<value>`, or `none` for
//! NULL; its column stays in the files.
//!
//! The same batches give the same bytes: nothing here depends on time, order of hashing or machine.

mod encoding;
mod file;
mod origin;
mod partition;
mod read;
mod stored;
mod value;
mod writer;

#[cfg(test)]
mod tests;

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

pub(crate) use self::encoding::base_properties;
pub(crate) use self::file::options;
pub use self::origin::Origin;
pub(crate) use self::read::pipeline_of;
pub use self::read::{read, with_partition};
pub(crate) use self::stored::{file_schema, stored_type};
pub(crate) use self::value::folder_text;
pub use self::writer::{Refused, TableWriter};

/// One finished Parquet file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// Folder names and encoded values in path order; empty when the table has no partitions.
    pub partition: Vec<(String, String)>,
    /// The file.
    pub bytes: Vec<u8>,
    /// Rows in it, at least 1.
    pub rows: u64,
    /// SHA-256 of the bytes, 64 hex digits.
    pub sha256: String,
}

/// Why rows could not be written or read back.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The sink's `partition_by` does not fit the contract.
    #[error("partition_by {column}: {message}")]
    PartitionBy {
        /// The column or folder.
        column: String,
        /// What is wrong.
        message: String,
    },
    /// A file or partition that does not have the contract's columns.
    #[error("column {column}: {message}")]
    Column {
        /// The column.
        column: String,
        /// What is wrong.
        message: String,
    },
    /// Arrow refused.
    #[error("rows could not be arranged")]
    Arrow(#[from] ArrowError),
    /// The Parquet encoder or decoder refused.
    #[error("parquet file could not be written or read")]
    Parquet(#[from] ParquetError),
}
