//! How failed records are corrected before they go through their pipeline again.
//!
//! A patch is a TOML file with one `[[fix]]` for each thing to do. Fixes are applied in the order of the
//! file; each sees what the ones before it left. A record that no fix changes is not loaded again.
//!
//! ```toml
//! version = 1
//! pipeline = "orders"                  # records of other pipelines are refused
//!
//! [[fix]]
//! where = "error_code = 'type' AND column = 'amount'"   # which of the selected records; all when absent
//! column = "amount"                    # its field in the record is changed
//! matching = '^[0-9.]+,[0-9]{2}$'      # only where the field's text matches; every text when absent
//! cast = { decimal = ",", thousands = "." }
//! ```
//!
//! `where` is a [`Predicate`] over the columns of the failure archive. `column` is a column of the
//! pipeline, `matching` a regular expression on its text. Every fix has exactly one operation:
//!
//! | operation | example | what it does |
//! |---|---|---|
//! | `replace` | `{ pattern = "^EUR ", with = "" }` | every match in the text; `${1}` is the first group |
//! | `set` | `"EUR"` | the value, also where there was none |
//! | `set_null` | `true` | no value; the column must be nullable or have a default |
//! | `trim` | `true`, `" \u00a0"` | drops blanks of any kind at both ends, or these characters |
//! | `cast` | `{ decimal = ",", thousands = "." }` | a number written otherwise: `1.234,56` becomes `1234.56` |
//! | `cast` | `{ date = "%d.%m.%Y" }` | a date written otherwise, to what the column's type reads |
//! | `cast` | `{ timestamp = "%d.%m.%Y %H:%M" }` | the same for a timestamp |
//! | `rename` | `{ from = "Betrag", to = "amount" }` | the name of a JSON field; no `column` |
//! | `raw` | `{ pattern = ",$", with = "" }` | every match in the whole record, also a broken one; no `column` |
//!
//! `infra/patches` holds examples of all of them. What an operation cannot read, it leaves as it is: a cast
//! never guesses.
//!
//! Fields that are not changed keep their bytes, and so do the order and the blanks of a JSON object. A CSV
//! field that is changed is put in quotes when it was, or when its new text needs them. An unquoted text
//! that the pipeline reads as NULL stays so under `replace` and `trim`; `set` writes a value that is read
//! as such.
//!
//! [`Fixed`] is the other way to correct records: an export of the archive, edited by hand. [`Judge`] tells
//! what became of corrected records, and [`Survey`] proposes patches.

mod amend;
mod apply;
mod candidates;
mod check;
mod csv;
mod fields;
mod fixed;
mod fixed_file;
mod json;
mod judge;
mod measure;
mod moment;
mod nothing;
mod operation;
mod proposal;
mod propose;
mod read;
mod record;
mod render;
mod restore;
mod search;
mod shape;
#[cfg(test)]
mod tests;
mod text;
mod trouble;

pub use self::amend::{Amended, Fate, amend};
pub use self::apply::PatchError;
pub use self::fields::{NamedField, column_texts, named_fields};
pub use self::fixed::Fixed;
pub use self::judge::{Judge, Refusal};
pub use self::measure::{Coverage, Measure, Measured};
pub use self::nothing::NullWords;
pub use self::operation::{Operation, Pattern, Replacement};
pub use self::proposal::{Feed, Proposal, ShapeCount};
pub use self::propose::Survey;
pub use self::shape::{field_text, shape};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::archive::Predicate;
use crate::pipeline::Pipeline;
use crate::toml_file::Problems;

/// A patch file.
#[derive(Debug, Clone)]
pub struct Patch {
    /// Name of the file, for messages.
    file: String,
    /// The pipeline that it is for.
    pub pipeline: String,
    /// In the order in which they are applied; at least one.
    pub fixes: Vec<Fix>,
}

/// One thing to do.
#[derive(Debug, Clone)]
pub struct Fix {
    /// Which of the selected records.
    pub condition: Option<Predicate>,
    /// The pipeline's column; `None` for operations on the whole record.
    pub column: Option<String>,
    /// Which texts of the column.
    pub matching: Option<Pattern>,
    /// What to do.
    pub operation: Operation,
    /// Where it stands in the file, from 1.
    line: usize,
}

impl Patch {
    /// Reads a patch file; `name` is how messages call it.
    ///
    /// # Errors
    /// Everything that is wrong, at once, each with its line and what to write instead.
    pub fn parse(name: &str, text: &str) -> Result<Patch, Problems> {
        read::read(name, text)
    }

    /// Whether the patch can be applied to records of this pipeline.
    ///
    /// # Errors
    /// Everything that does not fit: another pipeline, columns that it does not have, operations that its
    /// types or its format do not know.
    pub fn check(&self, pipeline: &Pipeline) -> Result<(), Problems> {
        check::check(self, pipeline)
    }

    /// The canonical text: a patch file that reads as this patch, without comments.
    pub fn to_toml(&self) -> String {
        render::patch(self)
    }

    /// SHA-256 of the canonical text in lower-case hex.
    pub fn sha256(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.to_toml()))
    }
}

impl Fix {
    /// A fix that no file holds.
    pub(crate) fn new(condition: Predicate, column: Option<&str>, operation: Operation) -> Fix {
        let column = column.map(str::to_owned);
        Fix { condition: Some(condition), column, matching: None, operation, line: 0 }
    }

    /// The fix as a `[[fix]]` table of a patch file.
    pub fn to_toml(&self) -> String {
        render::fix(self)
    }
}
