//! A first pipeline file for an unknown input: types, nullability and a key, guessed from its values.
//!
//! A guess that could be wrong says so in a comment of the file it produces. Memory does not grow with
//! the input: few values are kept, and hashes of values only up to a limit.

mod column;
mod delimiter;
mod guess;
mod moment;
mod number;
mod render;

pub use delimiter::guess_delimiter;

use std::collections::HashMap;

use crate::pipeline::Format;
use column::ColumnStats;

/// Hashes kept over all columns to find a key: at most about 40 MB.
const HASHES_MAX: usize = 1 << 21;

/// Most columns that are looked at; a contract cannot hold more.
const COLUMNS_MAX: usize = 10_000;

/// Why there is nothing to guess from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// No named column was seen.
    #[error("the input names no column")]
    NoColumns,
}

/// What has been seen of an input.
#[derive(Debug)]
pub struct Inference {
    file_name: String,
    format: Format,
    columns: Vec<ColumnStats>,
    /// First column of each name.
    index: HashMap<String, usize>,
    rows: u64,
    /// Fields beyond the header's.
    extra_fields: u64,
    hashes_left: usize,
}

impl Inference {
    /// Starts with the header's names, in order. For JSON Lines start with none and ask
    /// [`Inference::column`] for each field. `file_name` names the pipeline.
    pub fn new(file_name: &str, format: Format, header: &[String]) -> Inference {
        let header = header.get(..COLUMNS_MAX).unwrap_or(header);
        let named = header.iter().enumerate().rev();
        Inference {
            file_name: file_name.to_owned(),
            format,
            columns: header.iter().map(|name| ColumnStats::new(name)).collect(),
            index: named.map(|(i, name)| (name.clone(), i)).collect(),
            rows: 0,
            extra_fields: 0,
            hashes_left: HASHES_MAX,
        }
    }

    /// The index of the column with this name, a new one if there is none yet.
    pub fn column(&mut self, name: &str) -> usize {
        if let Some(known) = self.index.get(name) {
            return *known;
        }
        // Over the limit the index is of no column, and what is observed there counts as extra.
        let new = self.columns.len();
        if new < COLUMNS_MAX {
            self.columns.push(ColumnStats::new(name));
            self.index.insert(name.to_owned(), new);
        }
        new
    }

    /// Looks at one field of the current row. `text` is unquoted and unescaped; `quoted` text is never
    /// NULL. A field that a row lacks is not observed, and neither is a JSON null.
    pub fn observe(&mut self, column: usize, text: &[u8], quoted: bool) {
        let is_null = match &self.format {
            Format::Csv(csv) => !quoted && csv.null.iter().any(|null| null.as_bytes() == text),
            Format::Jsonl(_) => false,
        };
        match self.columns.get_mut(column) {
            Some(_) if is_null => {}
            Some(stats) => stats.observe(text, quoted, &mut self.hashes_left),
            None => self.extra_fields += 1,
        }
    }

    /// Ends the current row.
    pub fn end_row(&mut self) {
        self.rows += 1;
    }

    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The pipeline file. It parses.
    ///
    /// # Errors
    /// No named column was seen.
    pub fn finish(&self) -> Result<String, InferError> {
        render::render(self)
    }
}

#[cfg(test)]
mod tests;
