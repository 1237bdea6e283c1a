//! Rejected records of many archive files into one file for people and tools.

use std::io::{self, Write};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use parquet::arrow::ArrowWriter;

use super::rows::Rows;
use super::{ArchiveContext, ArchiveError, ArchivedRow, COLUMNS, read, rows};
use crate::table::{TableError, options};

/// What stands before the name of a record's field in the header of a CSV file.
pub(crate) const FIELD_PREFIX: &str = "field.";

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The Parquet encoder refused.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// An archive file is not what it should be.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The destination.
    #[error("the export could not be written: {0}")]
    Io(#[from] io::Error),
}

/// One file with the rejected records of many: CSV for spreadsheets, or Parquet.
#[allow(missing_debug_implementations, reason = "the Parquet writer has none")]
pub struct Export<W: Write + Send> {
    format: Format<W>,
}

enum Format<W: Write + Send> {
    Csv { to: W, fields: usize },
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> Export<W> {
    /// CSV with a header: the archive's columns, then these fields of the records. Text that a
    /// spreadsheet would run as a formula gets a `'` in front.
    ///
    /// # Errors
    /// When `to` cannot be written.
    pub fn csv(mut to: W, fields: &[String]) -> Result<Export<W>, ExportError> {
        let names = fields.iter().map(|name| field(&format!("{FIELD_PREFIX}{name}")));
        let header: Vec<_> = COLUMNS.iter().map(|name| (*name).to_owned()).chain(names).collect();
        writeln!(to, "{}", header.join(","))?;
        Ok(Export { format: Format::Csv { to, fields: fields.len() } })
    }

    /// Parquet with the archive's columns.
    ///
    /// # Errors
    /// When `to` cannot be written.
    pub fn parquet(to: W) -> Result<Export<W>, ExportError> {
        let options = options(rows::properties(None));
        let writer = ArrowWriter::try_new_with_options(to, schema()?, options);
        let writer = writer.map_err(ArchiveError::Parquet)?;
        Ok(Export { format: Format::Parquet(Box::new(writer)) })
    }

    /// Adds the records of a batch as [`read()`](super::read()) gives them; `fields` gives the texts of
    /// the fields that a CSV file names.
    ///
    /// # Errors
    /// When the destination cannot be written or the batch is of no archive.
    pub fn append(
        &mut self,
        batch: &RecordBatch,
        fields: &dyn Fn(&ArchivedRow) -> Vec<Option<String>>,
    ) -> Result<(), ExportError> {
        match &mut self.format {
            Format::Csv { to, fields: count } => {
                for row in read::rows(batch)? {
                    let mut texts = fields(&row);
                    texts.resize(*count, None);
                    to.write_all(csv_line(&row, texts).as_bytes())?;
                }
            }
            Format::Parquet(writer) => {
                let batch = batch.clone().with_schema(schema()?).map_err(ArchiveError::Arrow)?;
                writer.write(&batch).map_err(ArchiveError::Parquet)?;
            }
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When the destination cannot be written.
    pub fn finish(self) -> Result<W, ExportError> {
        match self.format {
            Format::Csv { mut to, .. } => {
                to.flush()?;
                Ok(to)
            }
            Format::Parquet(writer) => Ok(writer.into_inner().map_err(ArchiveError::Parquet)?),
        }
    }
}

fn schema() -> Result<arrow_schema::SchemaRef, ArchiveError> {
    let batch: Result<RecordBatch, ArrowError> = Rows::default().batch(&ArchiveContext::default());
    Ok(batch?.schema())
}

fn csv_line(row: &ArchivedRow, fields: Vec<Option<String>>) -> String {
    let texts = row.texts().into_iter().map(|(_, text)| text).chain(fields);
    let texts = texts.map(|text| text.map_or_else(String::new, |text| field(&text)));
    let mut line = texts.collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}

/// Whether a spreadsheet would run the text. One that looks guarded already counts, so that every guard
/// can be told from a text's own apostrophes.
pub(crate) fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// A field of an export without the guard that stands before formulas.
pub(crate) fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(text)
}

/// Quoted where CSV needs it, and never the start of a formula.
pub(crate) fn field(text: &str) -> String {
    let guard = if is_formula(text) { "'" } else { "" };
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{guard}{}\"", text.replace('"', "\"\""));
    }
    format!("{guard}{text}")
}

#[cfg(test)]
mod tests {
    use super::{field, unguarded};

    #[test]
    fn no_field_starts_a_formula() {
        for (text, expected) in [
            ("plain", "plain"),
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            ("=a,\"b\"", "\"'=a,\"\"b\"\"\""),
            ("a,b", "\"a,b\""),
            ("'=1", "''=1"),
            ("'s Gravenhage", "'s Gravenhage"),
        ] {
            assert_eq!(field(text), expected, "{text:?}");
            if !expected.starts_with('"') {
                assert_eq!(unguarded(expected), text, "{text:?}");
            }
        }
    }
}
