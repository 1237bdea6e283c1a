//! A first pipeline file for an unknown input: types, nullability and a key, guessed from its values.
//!
//! A guess that could be wrong says so in a comment of the file it produces. Memory does not grow with
//! the input: few values are kept, and hashes of values only up to a limit.

mod column;
mod first;
mod footer;
mod guess;
mod line;
mod loose;
mod moment;
mod nulls;
mod number;
mod render;
mod shape;
mod sniff;
mod source_lines;
mod text;

pub use footer::LastRow;
pub use sniff::{Sniffed, sniff};

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
    /// The last rows, which may be none.
    last: Vec<LastRow>,
    /// Comments above the dialect, and above the columns.
    remarks: Vec<String>,
    column_remarks: Vec<String>,
    /// The encoding, where it is not UTF-8.
    encoding: Option<String>,
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
            last: Vec::new(),
            remarks: Vec::new(),
            column_remarks: Vec::new(),
            encoding: None,
        }
    }

    /// What the file's text is encoded in, a WHATWG label.
    pub fn set_encoding(&mut self, label: &str) {
        self.encoding = Some(label.to_owned());
    }

    /// A doubt about how the file is written, for the proposal.
    pub fn remark(&mut self, text: String) {
        self.remarks.push(text);
    }

    /// A doubt about its fields.
    pub fn column_remark(&mut self, text: String) {
        self.column_remarks.push(text);
    }

    /// Rows without a value in the column, whose text is not an empty one in quotes.
    fn empty(&self, stats: &ColumnStats) -> u64 {
        self.rows.saturating_sub(stats.values + stats.quoted_empty)
    }

    /// A field that no type reads is no column, whatever its other values are.
    pub fn leave_out(&mut self, name: &str) {
        let column = self.column(name);
        if let Some(stats) = self.columns.get_mut(column) {
            stats.left_out = true;
        }
    }

    /// Whether no field is a column.
    pub fn is_all_left_out(&self) -> bool {
        self.columns.iter().all(|stats| stats.left_out)
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

    /// One of the last rows of the file, after all others: looked at when the guess is made, for it may be
    /// a total.
    pub fn last_row(&mut self, row: LastRow) {
        self.last.push(row);
    }

    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.rows + u64::try_from(self.last.len()).unwrap_or(u64::MAX)
    }

    /// The pipeline file. It parses.
    ///
    /// # Errors
    /// No named column was seen.
    pub fn finish(mut self) -> Result<String, InferError> {
        footer::settle(&mut self);
        render::render(&self)
    }
}

#[cfg(test)]
mod tests;
