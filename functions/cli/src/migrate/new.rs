//! Writes the folder of a migration for a usual change.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use rowproof_io::clock::Clock;
use rowproof_migrate::folder::ID_MAX;
use rowproof_migrate::generate::{
    self, AddColumn, AddForeignKey, AddIndex, BulkDelete, BulkUpdate, Change, ChangeType, Fill,
    Place, Rename,
};
use rowproof_migrate::values::{TableName, name_in_sql};
use serde_json::json;

use crate::exit::{OK, Usage};
use crate::show::report::line;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    kind: Kind,
}

/// What every kind takes.
#[derive(Debug, Clone, ClapArgs)]
struct Common {
    /// The table, as schema.table
    #[arg(long, value_parser = table)]
    table: TableName,
    /// Columns that its rows are walked by: not null, and unique together
    #[arg(long, value_delimiter = ',', default_value = "id", value_parser = name)]
    key: Vec<String>,
    /// Name of the migration: a time and what it does. Made from them without it
    #[arg(long)]
    id: Option<String>,
    /// Folder of all migrations
    #[arg(long, value_name = "DIR", default_value = "migrations")]
    into: PathBuf,
}

/// The column that takes another one's place.
#[derive(Debug, Clone, ClapArgs)]
struct NewColumn {
    /// Its type, as SQL
    #[arg(long = "type")]
    data_type: String,
    /// Its default, as SQL
    #[arg(long, value_name = "SQL")]
    default: Option<String>,
    /// It is NOT NULL
    #[arg(long)]
    not_null: bool,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A new column
    #[command(group = clap::ArgGroup::new("fill").args(["constant", "computed"]))]
    AddColumn {
        #[command(flatten)]
        common: Common,
        /// Its name
        #[arg(long, value_parser = name)]
        column: String,
        /// Its type, as SQL
        #[arg(long = "type")]
        data_type: String,
        /// One value for all rows, as SQL; no row is written for it
        #[arg(long, value_name = "SQL")]
        constant: Option<String>,
        /// An expression over each row `t`: a backfill gives it to rows of before, a trigger to others
        #[arg(long, value_name = "SQL")]
        computed: Option<String>,
        /// Every row has to have a value in the end
        #[arg(long)]
        not_null: bool,
    },
    /// Another name for a column, while applications use both
    Rename {
        #[command(flatten)]
        common: Common,
        /// Name of before
        #[arg(long, value_parser = name)]
        from: String,
        /// Name of after
        #[arg(long, value_parser = name)]
        to: String,
        #[command(flatten)]
        column: NewColumn,
    },
    /// Another type for a column of the same name
    ChangeType {
        #[command(flatten)]
        common: Common,
        /// Its name
        #[arg(long = "column", value_parser = name)]
        name: String,
        /// The value in the new type, such as `t.amount::bigint`
        #[arg(long, value_name = "SQL")]
        using: String,
        #[command(flatten)]
        column: NewColumn,
    },
    /// A foreign key
    AddFk {
        #[command(flatten)]
        common: Common,
        /// Its name
        #[arg(long, value_parser = name)]
        name: String,
        /// Columns that refer
        #[arg(long, value_delimiter = ',', required = true, value_parser = name)]
        columns: Vec<String>,
        /// Table referred to, as schema.table
        #[arg(long, value_parser = table)]
        references: TableName,
        /// Its columns, in the same order
        #[arg(long, value_delimiter = ',', required = true, value_parser = name)]
        referenced: Vec<String>,
    },
    /// An index
    AddIndex {
        #[command(flatten)]
        common: Common,
        /// Its name
        #[arg(long, value_parser = name)]
        name: String,
        /// Its columns, in order
        #[arg(long, value_delimiter = ',', required = true, value_parser = name)]
        columns: Vec<String>,
        /// No two rows may have the same values
        #[arg(long)]
        unique: bool,
        /// Which rows it holds, as SQL
        #[arg(long = "where", value_name = "SQL")]
        filter: Option<String>,
    },
    /// Other values in rows
    BulkUpdate {
        #[command(flatten)]
        common: Common,
        /// COLUMN=SQL, an expression over the row `t`
        #[arg(long, required = true, value_name = "COLUMN=SQL")]
        set: Vec<String>,
        /// Which rows, as SQL over `t`
        #[arg(long = "where", value_name = "SQL")]
        filter: Option<String>,
    },
    /// Fewer rows; nothing brings them back
    BulkDelete {
        #[command(flatten)]
        common: Common,
        /// Which rows, as SQL over `t`
        #[arg(long = "where", value_name = "SQL")]
        filter: String,
    },
}

/// A name as SQL has it: without quotes in lower case, within double quotes as it is.
fn name(text: &str) -> Result<String, String> {
    let what = "write a name as in SQL: in double quotes where it has capitals or other characters";
    name_in_sql(text).ok_or_else(|| what.to_owned())
}

/// A name for the folder: the time and what is done, as far as it has room.
fn made_up(time: &str, what: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let name: String = format!("{time}_{what}").chars().map(plain).take(ID_MAX).collect();
    name.trim_end_matches('_').to_owned()
}

fn table(text: &str) -> Result<TableName, String> {
    TableName::parse(text).ok_or_else(|| "write schema.table, such as public.customers".to_owned())
}

pub(super) fn run(args: &Args, as_json: bool) -> anyhow::Result<u8> {
    let (common, what, change) = asked(&args.kind)?;
    // `2026-11-24T21:10:03.123Z`
    let digits: String =
        Clock::system().now_rfc3339().chars().filter(char::is_ascii_digit).take(14).collect();
    let id = common.id.clone().unwrap_or_else(|| made_up(&digits, &what));
    let place = Place { id, table: common.table.clone(), key: common.key.clone() };
    let folder = generate::write(&common.into, &place, &change)?;
    if as_json {
        line(&json!({ "folder": folder }).to_string());
        return Ok(OK);
    }
    line(&format!("written: {}", folder.display()));
    line(&format!("next: read it, then rowproof migrate lint {}", folder.display()));
    Ok(OK)
}

/// What is wanted, with a name for it.
fn asked(kind: &Kind) -> anyhow::Result<(&Common, String, Change)> {
    Ok(match kind {
        Kind::AddColumn { common, column, data_type, constant, computed, not_null } => {
            let fill = match (constant, computed) {
                (Some(sql), _) => Fill::Constant(sql.clone()),
                (None, Some(sql)) => Fill::Computed(sql.clone()),
                (None, None) => Fill::Nothing,
            };
            let (column, data_type) = (column.clone(), data_type.clone());
            let what = format!("add_{column}");
            let not_null = *not_null;
            (common, what, Change::AddColumn(AddColumn { column, data_type, fill, not_null }))
        }
        Kind::Rename { common, from, to, column } => {
            let what = format!("rename_{from}_to_{to}");
            let (from, to) = (from.clone(), to.clone());
            let NewColumn { data_type, default, not_null } = column.clone();
            (common, what, Change::Rename(Rename { from, to, data_type, default, not_null }))
        }
        Kind::ChangeType { common, name, using, column } => {
            let what = format!("change_type_of_{name}");
            let (column, using, NewColumn { data_type, default, not_null }) =
                (name.clone(), using.clone(), column.clone());
            let change = ChangeType { column, data_type, using, default, not_null };
            (common, what, Change::ChangeType(change))
        }
        Kind::AddFk { common, name, columns, references, referenced } => {
            let change = AddForeignKey {
                name: name.clone(),
                columns: columns.clone(),
                references: references.clone(),
                referenced: referenced.clone(),
            };
            (common, format!("add_{name}"), Change::AddForeignKey(change))
        }
        Kind::AddIndex { common, name, columns, unique, filter } => {
            let (columns, filter) = (columns.clone(), filter.clone());
            let change = AddIndex { name: name.clone(), columns, unique: *unique, filter };
            (common, format!("add_{name}"), Change::AddIndex(change))
        }
        Kind::BulkUpdate { common, set, filter } => {
            let pairs = set.iter().map(|text| match text.split_once('=') {
                Some((column, sql)) => {
                    let column = name(column.trim());
                    let column = column.map_err(|what| Usage(format!("--set {text}: {what}")))?;
                    Ok((column, sql.trim().to_owned()))
                }
                None => Err(Usage(format!("--set {text}: write COLUMN=SQL"))),
            });
            let set = pairs.collect::<Result<Vec<_>, _>>()?;
            let what = format!("update_{}", common.table.name);
            (common, what, Change::BulkUpdate(BulkUpdate { set, filter: filter.clone() }))
        }
        Kind::BulkDelete { common, filter } => {
            let what = format!("delete_from_{}", common.table.name);
            (common, what, Change::BulkDelete(BulkDelete { filter: filter.clone() }))
        }
    })
}
