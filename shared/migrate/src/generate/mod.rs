//! Whole folders for the changes that come up most, each in the form that stops nobody.
//!
//! Expressions are SQL over the row `t` of the target; names are given as Postgres stores them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::MigrateError;
use crate::phase::Phase;
use crate::values::TableName;

mod bulk;
mod column;
mod draft;
mod online;
mod replace;

pub use self::bulk::UNDO_COLUMN;

/// Where a migration takes place.
#[derive(Debug, Clone)]
pub struct Place {
    /// Name of the migration and its folder, such as `20240115_add_customer_tier`.
    pub id: String,
    /// The table.
    pub table: TableName,
    /// Columns that its rows are walked by: not null, and unique together.
    pub key: Vec<String>,
}

/// What is to be changed.
#[derive(Debug, Clone)]
pub enum Change {
    /// A new column.
    AddColumn(AddColumn),
    /// Another name for a column.
    Rename(Rename),
    /// Another type for a column.
    ChangeType(ChangeType),
    /// A foreign key.
    AddForeignKey(AddForeignKey),
    /// An index.
    AddIndex(AddIndex),
    /// Other values in rows.
    BulkUpdate(BulkUpdate),
    /// Fewer rows.
    BulkDelete(BulkDelete),
}

/// A new column.
#[derive(Debug, Clone)]
pub struct AddColumn {
    /// Its name.
    pub column: String,
    /// Its type, as SQL.
    pub data_type: String,
    /// What rows hold in it.
    pub fill: Fill,
    /// Whether every row has to have a value in the end.
    pub not_null: bool,
}

/// What rows hold in a new column.
#[derive(Debug, Clone)]
pub enum Fill {
    /// Nothing, until an application writes it.
    Nothing,
    /// One value for all rows of before and after. Postgres stores it once: no row is written.
    Constant(String),
    /// An expression over each row. Rows of before get it by the backfill, others by a trigger.
    Computed(String),
}

/// Another name for a column, while applications use both.
#[derive(Debug, Clone)]
pub struct Rename {
    /// Name of before.
    pub from: String,
    /// Name of after.
    pub to: String,
    /// Its type, as SQL.
    pub data_type: String,
    /// Its default, as SQL.
    pub default: Option<String>,
    /// Whether it is NOT NULL.
    pub not_null: bool,
}

/// Another type for a column of the same name.
#[derive(Debug, Clone)]
pub struct ChangeType {
    /// Its name.
    pub column: String,
    /// The new type, as SQL.
    pub data_type: String,
    /// The value in the new type, such as `t.amount::bigint`.
    pub using: String,
    /// Its default in the new type, as SQL.
    pub default: Option<String>,
    /// Whether it is NOT NULL.
    pub not_null: bool,
}

/// A foreign key of the target.
#[derive(Debug, Clone)]
pub struct AddForeignKey {
    /// Its name.
    pub name: String,
    /// Columns that refer.
    pub columns: Vec<String>,
    /// Table referred to.
    pub references: TableName,
    /// Its columns, in the same order.
    pub referenced: Vec<String>,
}

/// An index of the target.
#[derive(Debug, Clone)]
pub struct AddIndex {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Whether no two rows may have the same values.
    pub unique: bool,
    /// Which rows it holds, without `t`; all when it is not given.
    pub filter: Option<String>,
}

/// Other values in columns that are there.
#[derive(Debug, Clone)]
pub struct BulkUpdate {
    /// Column and expression.
    pub set: Vec<(String, String)>,
    /// Which rows; all when it is not given.
    pub filter: Option<String>,
}

/// Rows that go. Nothing brings them back.
#[derive(Debug, Clone)]
pub struct BulkDelete {
    /// Which.
    pub filter: String,
}

/// Names and texts of the files of a migration's folder.
///
/// # Errors
/// An input is missing, too long, or no expression.
pub fn files(place: &Place, change: &Change) -> Result<Vec<(&'static str, String)>, MigrateError> {
    draft::check_place(place)?;
    let draft = match change {
        Change::AddColumn(add) => column::add(place, add),
        Change::Rename(rename) => replace::rename(place, rename),
        Change::ChangeType(change) => replace::change_type(place, change),
        Change::AddForeignKey(add) => online::add_foreign_key(place, add),
        Change::AddIndex(add) => online::add_index(place, add),
        Change::BulkUpdate(update) => bulk::update(place, update),
        Change::BulkDelete(delete) => bulk::delete(place, delete),
    }?;
    Ok(draft.files(place))
}

/// Writes a migration's folder into another one, and gives its path.
///
/// # Errors
/// As [`files`]; the folder is there already, or cannot be written.
pub fn write(parent: &Path, place: &Place, change: &Change) -> Result<PathBuf, MigrateError> {
    let files = files(place, change)?;
    let path = parent.join(&place.id);
    let refuse = |file: &Path, error: std::io::Error| MigrateError::Folder {
        file: file.display().to_string(),
        line: 0,
        what: error.to_string(),
    };
    fs::create_dir_all(parent).map_err(|error| refuse(parent, error))?;
    fs::create_dir(&path).map_err(|error| refuse(&path, error))?;
    for (name, text) in files {
        let file = path.join(name);
        fs::write(&file, text).map_err(|error| refuse(&file, error))?;
    }
    Ok(path)
}

/// A file of SQL in the making.
type Sql = (Phase, String);
