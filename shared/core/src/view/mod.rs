//! SQL over exactly the data files of a table, for the engines that people query it with.
//!
//! A table can have files of several pipeline files: a column came, went, or changed its type. So nothing
//! is left to what an engine makes of many files at once. Files that were written under one layout are
//! read together, with the types that this layout has; what they lack is NULL, what has another type now
//! is cast, and the view has the columns and types of the pipeline file of today, in its order. Values
//! that only the folders' names have get their type from the layout as well, never by a guess.

mod athena;
mod clickhouse;
mod duckdb;
mod spark;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};

use crate::check::Contract;
use crate::pipeline::{ParquetSink, PartitionBy};
use crate::table::{file_schema, folder_text};

/// Who is to read the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// `DuckDB`.
    Duckdb,
    /// Spark SQL.
    Spark,
    /// `ClickHouse`, its server, its command line or chDB.
    Clickhouse,
    /// Amazon Athena.
    Athena,
}

/// A table as a pipeline file describes it.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// Its columns.
    pub contract: &'a Contract,
    /// Where they go.
    pub sink: &'a ParquetSink,
}

/// A data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewFile {
    /// Where the engine finds it.
    pub path: String,
    /// Folder names and encoded values.
    pub partition: Vec<(String, String)>,
}

/// Files and the pipeline file that they were written under.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// The table of that time.
    pub table: Table<'a>,
    /// The files.
    pub files: Vec<ViewFile>,
}

/// The statement that lets `engine` read the table: `table` as it is today, from the files of all
/// `sources`. `bucket` is where the output is, for engines that read a whole folder.
pub fn sql(
    engine: Engine,
    name: &str,
    table: Table<'_>,
    sources: &[Source<'_>],
    bucket: &str,
) -> String {
    let groups = grouped(sources);
    match engine {
        Engine::Duckdb => duckdb::view(name, table, &groups),
        Engine::Spark => by_literals(&spark::Spark, name, table, &groups),
        Engine::Clickhouse => by_literals(&clickhouse::Clickhouse, name, table, &groups),
        Engine::Athena => athena::table(name, table, bucket),
    }
}

/// Files that were written under one layout.
struct Group<'a> {
    /// The columns of the files.
    fields: Fields,
    levels: &'a [PartitionBy],
    /// The columns of the contract of that time, for those in folders.
    contract: &'a Contract,
    files: Vec<&'a ViewFile>,
}

/// Where the files of a group have a column, and its type there.
enum Place<'a> {
    File(&'a DataType),
    Folder(&'a DataType),
    Nowhere,
}

impl Group<'_> {
    fn place(&self, name: &str) -> Place<'_> {
        if let Some((_, field)) = self.fields.find(name) {
            return Place::File(field.data_type());
        }
        let in_folder = |level: &PartitionBy| matches!(level, PartitionBy::Column(c) if c == name);
        let known = self.contract.schema().column_with_name(name);
        match known.filter(|_| self.levels.iter().any(in_folder)) {
            Some((_, field)) => Place::Folder(field.data_type()),
            None => Place::Nowhere,
        }
    }

    /// Whether a NULL may stand in a column.
    fn may_be_null(&self, name: &str) -> bool {
        let known = self.contract.schema().column_with_name(name);
        known.is_none_or(|(_, field)| field.is_nullable())
    }

    /// The files by the values that only their folders have.
    fn by_folder(&self) -> BTreeMap<Vec<(&str, Option<String>)>, Vec<&str>> {
        let mut found: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for file in &self.files {
            let columns = self.levels.iter().filter_map(|level| match level {
                PartitionBy::Column(name) => Some(name.as_str()),
                PartitionBy::Part { .. } | PartitionBy::Text(_) => None,
            });
            let value = |name: &str| {
                let folder = file.partition.iter().find(|(folder, _)| folder == name);
                folder.and_then(|(_, value)| folder_text(value))
            };
            let values = columns.map(|name| (name, value(name))).collect();
            found.entry(values).or_default().push(&file.path);
        }
        found
    }
}

fn grouped<'a>(sources: &'a [Source<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = vec![];
    for source in sources {
        let Table { contract, sink } = source.table;
        let fields = file_schema(contract, sink).fields().clone();
        let levels = sink.partition_by.as_slice();
        let folder_types = |contract: &Contract| -> Vec<DataType> {
            let named = levels
                .iter()
                .filter_map(|level| contract.schema().column_with_name(level.column()));
            named.map(|(_, field)| field.data_type().clone()).collect()
        };
        let same = groups.iter_mut().find(|group| {
            alike(&group.fields, &fields)
                && group.levels == levels
                && folder_types(group.contract) == folder_types(contract)
        });
        match same {
            Some(group) => group.files.extend(&source.files),
            None => {
                let files = source.files.iter().collect();
                groups.push(Group { fields, levels, contract, files });
            }
        }
    }
    groups.retain(|group| !group.files.is_empty());
    groups
}

/// Equal but for metadata, which no reader of a view sees.
fn alike(left: &Fields, right: &Fields) -> bool {
    let each =
        |field: &Field| (field.name().clone(), field.data_type().clone(), field.is_nullable());
    left.iter().map(|field| each(field)).eq(right.iter().map(|field| each(field)))
}

/// An engine whose view names every folder's values itself.
trait Dialect {
    /// `CREATE ... VIEW name AS`; `holds_times` where a file has a TIME.
    fn head(&self, name: &str, holds_times: bool) -> String;
    fn identifier(&self, name: &str) -> String;
    fn literal(&self, text: &str) -> String;
    fn type_name(&self, data_type: &DataType, nullable: bool) -> String;
    /// The type that a column of the contract has in the view.
    fn shown(&self, data_type: &DataType, sink: &ParquetSink) -> DataType;
    /// An expression of one type as another.
    fn cast(&self, value: &str, from: &DataType, to: &DataType, nullable: bool) -> String;
    /// A time that files have as another type than the view shows it as; `None` leaves it to `cast`.
    fn time(&self, value: &str, from: &DataType, to: &DataType) -> Option<String>;
    /// These files, with these columns.
    fn files(&self, paths: &[&str], fields: &Fields) -> String;
}

fn by_literals(
    dialect: &dyn Dialect,
    name: &str,
    table: Table<'_>,
    groups: &[Group<'_>],
) -> String {
    let mut selects = vec![];
    for group in groups {
        for (values, paths) in group.by_folder() {
            let columns = table.contract.schema().fields().iter().map(|field| {
                let shown = dialect.shown(field.data_type(), table.sink);
                let nullable =
                    field.is_nullable() || groups.iter().any(|g| g.may_be_null(field.name()));
                let identifier = dialect.identifier(field.name());
                let value = match group.place(field.name()) {
                    Place::File(found) => {
                        let is_time = matches!(field.data_type(), DataType::Time64(_));
                        let time = is_time.then(|| dialect.time(&identifier, found, &shown));
                        let cast = || dialect.cast(&identifier, found, &shown, nullable);
                        time.flatten().unwrap_or_else(cast)
                    }
                    Place::Folder(_) => {
                        let of = values.iter().find(|(name, _)| name == field.name());
                        let text = of.and_then(|(_, text)| text.as_deref());
                        let text = text.map_or_else(|| "NULL".to_owned(), |t| dialect.literal(t));
                        format!("CAST({text} AS {})", dialect.type_name(&shown, nullable))
                    }
                    Place::Nowhere => {
                        format!("CAST(NULL AS {})", dialect.type_name(&shown, nullable))
                    }
                };
                if value == identifier { value } else { format!("{value} AS {identifier}") }
            });
            let columns: Vec<_> = columns.collect();
            let files = dialect.files(&paths, &group.fields);
            selects.push(format!("SELECT {}\nFROM {files}", columns.join(", ")));
        }
    }
    if selects.is_empty() {
        let columns = table.contract.schema().fields().iter().map(|field| {
            let shown = dialect.shown(field.data_type(), table.sink);
            let type_name = dialect.type_name(&shown, true);
            format!("CAST(NULL AS {type_name}) AS {}", dialect.identifier(field.name()))
        });
        selects.push(nothing(columns));
    }
    let is_time = |field: &Arc<Field>| matches!(field.data_type(), DataType::Time64(_));
    let holds_times = groups.iter().any(|group| group.fields.iter().any(is_time));
    format!("{}\n{};", dialect.head(name, holds_times), selects.join("\nUNION ALL\n"))
}

/// A table without rows still has its columns.
fn nothing(columns: impl Iterator<Item = String>) -> String {
    format!("SELECT {}\nWHERE false", columns.collect::<Vec<_>>().join(", "))
}

/// A pattern that fits these paths alone: `{a,b}`. What an engine would take for a part of the pattern
/// stands as `?`, which is any one character; the names of the files hold a hash, so no other fits.
fn pattern(paths: &[&str]) -> String {
    let special = |c: char| if "{}[]*?\\,".contains(c) { '?' } else { c };
    let one = |path: &&str| path.chars().map(special).collect::<String>();
    match paths {
        [path] => one(path),
        _ => {
            let shared = shared_folder(paths);
            let rest = paths.iter().map(|path| one(&path.get(shared..).unwrap_or(path)));
            let folder = paths.first().and_then(|path| path.get(..shared)).unwrap_or("");
            format!("{}{{{}}}", one(&folder), rest.collect::<Vec<_>>().join(","))
        }
    }
}

/// Bytes of the folders that all paths begin with, the last slash included.
fn shared_folder(paths: &[&str]) -> usize {
    let Some((first, rest)) = paths.split_first() else { return 0 };
    let ends = first.match_indices('/').map(|(at, _)| at + 1);
    let shared = ends.rev().find(|end| {
        first.get(..*end).is_some_and(|head| rest.iter().all(|path| path.starts_with(head)))
    });
    shared.unwrap_or(0)
}
