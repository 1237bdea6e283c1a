//! The statements that take staged rows into their table. Names are quoted in one place; values of rows
//! are never part of a statement.

mod missing;

use std::collections::BTreeMap;

use super::age::later_than;
use super::{CopyColumn, CopyPlan, Kind};
use crate::ledger::{ChunkId, JobFacts};
use crate::pipeline::WriteMode;
use crate::sql::{quote, quote_text};

/// The staged rows of a chunk.
const STAGE: &str = "pg_temp.rowproof_stage";
/// Keys and hashes of a chunk, to be compared with the table.
const PROBE: &str = "pg_temp.rowproof_probe";

/// Counts the rows that a statement has come to.
const COUNTER: &str = "pg_temp.rowproof_at";

/// Rowproof's own tables beside the user's. `loads` has a row for every chunk that was written, in the
/// transaction of its rows; `slots` which job's rows are the current ones.
pub const OWN_TABLES: &str = "\
CREATE SCHEMA IF NOT EXISTS rowproof;
CREATE TABLE IF NOT EXISTS rowproof.slots (
  slot text PRIMARY KEY, head_generation bigint NOT NULL DEFAULT 0,
  generation bigint NOT NULL DEFAULT 0, job text, manifest text);
CREATE TABLE IF NOT EXISTS rowproof.loads (
  load bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job text NOT NULL, chunk integer NOT NULL, part text NOT NULL, fix integer NOT NULL,
  slot text NOT NULL, generation bigint NOT NULL, modified bigint NOT NULL, object text NOT NULL,
  outcome text, loaded_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (job, chunk, part, fix));
CREATE INDEX IF NOT EXISTS loads_by_slot ON rowproof.loads (slot);";

/// The statements for one sink and its table.
#[derive(Debug, Clone)]
pub struct Sql {
    plan: CopyPlan,
    target: String,
    /// Casts to the table's type, by column, where text goes into a type of its own.
    casts: BTreeMap<String, String>,
}

impl Sql {
    /// `casts`: the table's type of every text column that is of another kind there (uuid, jsonb ..).
    pub fn new(plan: CopyPlan, casts: BTreeMap<String, String>) -> Sql {
        let target = format!("{}.{}", quote(&plan.sink.schema), quote(&plan.sink.table));
        Sql { plan, target, casts }
    }

    /// The columns and the sink.
    pub fn plan(&self) -> &CopyPlan {
        &self.plan
    }

    /// The table, quoted.
    pub fn target(&self) -> &str {
        &self.target
    }

    fn keys(&self) -> impl Iterator<Item = &CopyColumn> {
        self.plan.columns.iter().filter(|column| column.key)
    }

    /// A staged column as the table has it.
    fn cast(&self, row: &str, column: &CopyColumn) -> String {
        let name = column.quoted();
        match self.casts.get(&column.name) {
            Some(kind) => format!("{row}.{name}::{kind}"),
            None => format!("{row}.{name}"),
        }
    }

    /// `t` is the row of `s`.
    fn same_key(&self) -> String {
        let pairs = self.keys().map(|key| format!("t.{} = {}", key.quoted(), self.cast("s", key)));
        pairs.collect::<Vec<_>>().join(" AND ")
    }

    /// The table, from the contract and the added columns.
    pub fn create_target(&self) -> String {
        let columns = self.ordered().map(|column| {
            let null = if column.nullable { "" } else { " NOT NULL" };
            format!("{} {}{null}", column.quoted(), column.kind.sql())
        });
        let own = ["_rowproof_load bigint NOT NULL", "_rowproof_hash uuid NOT NULL"];
        let keys: Vec<_> = self.keys().map(CopyColumn::quoted).collect();
        // Only an upsert promises one row a key.
        let upserts = self.plan.sink.mode == WriteMode::Upsert;
        let key = upserts.then(|| format!("PRIMARY KEY ({})", keys.join(", ")));
        let all: Vec<_> = columns.chain(own.map(str::to_owned)).chain(key).collect();
        format!("CREATE TABLE IF NOT EXISTS {} (\n  {});", self.target, all.join(",\n  "))
    }

    /// The index by which rows of a load are found.
    pub fn create_index(&self) -> String {
        format!("CREATE INDEX ON {} (_rowproof_load);", self.target)
    }

    /// The columns in the contract's order.
    fn ordered(&self) -> impl Iterator<Item = &CopyColumn> {
        let mut columns: Vec<_> = self.plan.columns.iter().collect();
        columns.sort_by_key(|column| column.index);
        columns.into_iter()
    }

    fn temporary<'a>(&self, table: &str, columns: impl Iterator<Item = &'a CopyColumn>) -> String {
        let own = ["_rowproof_row bigint", "_rowproof_hash uuid"].map(str::to_owned);
        let columns = columns.map(|column| format!("{} {}", column.quoted(), staged(column.kind)));
        let all: Vec<_> = own.into_iter().chain(columns).collect();
        let name = table.trim_start_matches("pg_temp.");
        format!(
            "CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({}) ON COMMIT DROP; TRUNCATE {table}",
            all.join(", ")
        )
    }

    /// An empty table for staged rows.
    pub fn create_stage(&self) -> String {
        self.temporary(STAGE, self.plan.columns.iter())
    }

    /// An empty table for keys and hashes.
    pub fn create_probe(&self) -> String {
        self.temporary(PROBE, self.keys())
    }

    /// Takes staged rows in.
    pub fn copy_stage(&self) -> String {
        format!("COPY {STAGE} FROM STDIN (FORMAT binary)")
    }

    /// Takes keys and hashes in.
    pub fn copy_probe(&self) -> String {
        format!("COPY {PROBE} FROM STDIN (FORMAT binary)")
    }

    /// Whether the table has no row.
    pub fn is_empty(&self) -> String {
        format!("SELECT NOT EXISTS (SELECT FROM {})", self.target)
    }

    /// Rows of the probe that the table does not have just so, whether their key is new there, and
    /// whether what it has is newer: that is decided here where no column of the row decides it.
    pub fn differing(&self, facts: &JobFacts, id: &ChunkId, fix: u32) -> String {
        let newer = match self.newest() {
            Some(_) => "false".to_owned(),
            None => format!("coalesce({}, false)", later_than(facts, id, fix)),
        };
        format!(
            "SELECT s._rowproof_row, t._rowproof_load IS NULL, {newer} FROM {PROBE} s \
             LEFT JOIN {} t ON {} LEFT JOIN rowproof.loads l ON l.load = t._rowproof_load \
             WHERE t._rowproof_hash IS DISTINCT FROM s._rowproof_hash",
            self.target,
            self.same_key()
        )
    }

    /// Whether a column of the rows decides which is newer.
    pub fn ages_by_column(&self) -> bool {
        self.newest().is_some()
    }

    /// Of staged rows with one key all but the newest go.
    pub fn drop_repeated(&self) -> String {
        let keys: Vec<_> = self.keys().map(|key| self.cast("s", key)).collect();
        let newest = self.newest().map(|column| format!("s.{column} DESC NULLS LAST, "));
        format!(
            "DELETE FROM {STAGE} d USING (SELECT s._rowproof_row AS row, row_number() OVER (\
             PARTITION BY {} ORDER BY {}s._rowproof_row DESC) AS place FROM {STAGE} s) r \
             WHERE r.place > 1 AND d._rowproof_row = r.row RETURNING d._rowproof_row",
            keys.join(", "),
            newest.unwrap_or_default()
        )
    }

    fn newest(&self) -> Option<String> {
        self.plan.sink.newest_by.as_deref().map(quote)
    }

    /// Whether staged keys are of the table's types: then any of them can be compared.
    pub fn keys_compare(&self) -> bool {
        !self.keys().any(|key| self.casts.contains_key(&key.name))
    }

    /// Reads the keys of the staged rows, all or those in `[first, last]`, as the table's types; `None`
    /// when they are that already.
    pub fn read_keys(&self, rows: Option<(u64, u64)>) -> Option<String> {
        if self.keys_compare() {
            return None;
        }
        let keys: Vec<_> =
            self.keys().map(|key| format!("count({})", self.cast("s", key))).collect();
        Some(format!("SELECT {} FROM {}", keys.join(", "), counted(rows)))
    }

    /// Staged rows that the table has just so go.
    pub fn drop_unchanged(&self) -> String {
        format!(
            "DELETE FROM {STAGE} s USING {} t WHERE {} AND t._rowproof_hash = s._rowproof_hash \
             RETURNING s._rowproof_row",
            self.target,
            self.same_key()
        )
    }

    /// Staged rows go whose row in the table is newer.
    pub fn drop_older(&self, facts: &JobFacts, id: &ChunkId, fix: u32) -> String {
        let later = later_than(facts, id, fix);
        let newer = match self.newest() {
            Some(column) => {
                format!("(t.{column} > s.{column} OR (t.{column} = s.{column} AND {later}))")
            }
            None => later,
        };
        format!(
            "DELETE FROM {STAGE} s USING {} t LEFT JOIN rowproof.loads l ON \
             l.load = t._rowproof_load WHERE {} AND {newer} RETURNING s._rowproof_row",
            self.target,
            self.same_key()
        )
    }

    /// Rows of the table go whose staged row says so; then the staged rows, whose numbers come back.
    pub fn delete_marked(&self) -> Option<[String; 2]> {
        let when = self.plan.sink.deleted_when.as_ref()?;
        let marked = format!("SELECT * FROM {STAGE} WHERE {when}");
        Some([
            format!("DELETE FROM {} t USING ({marked}) s WHERE {}", self.target, self.same_key()),
            format!("DELETE FROM {STAGE} WHERE {when} RETURNING _rowproof_row"),
        ])
    }

    /// Rows of the slot's earlier jobs go.
    pub fn delete_replaced(&self, facts: &JobFacts) -> String {
        format!(
            "DELETE FROM {} WHERE _rowproof_load IN (SELECT load FROM rowproof.loads \
             WHERE slot = {} AND job <> {})",
            self.target,
            quote_text(&facts.slot.0),
            quote_text(&facts.job.0)
        )
    }

    /// Staged rows go into the table: all, or those with numbers `[first, last]`. `fresh`: the table has
    /// none of their keys.
    pub fn apply(&self, load: i64, fresh: bool, rows: Option<(u64, u64)>) -> String {
        let names = self.plan.columns.iter().map(CopyColumn::quoted).collect::<Vec<_>>().join(", ");
        let values: Vec<_> =
            self.plan.columns.iter().map(|column| self.cast("s", column)).collect();
        let conflict = match self.plan.sink.mode {
            WriteMode::Upsert if !fresh => self.on_conflict(),
            WriteMode::Upsert | WriteMode::DeleteInsert | WriteMode::Append => String::new(),
        };
        format!(
            "INSERT INTO {} ({names}, _rowproof_load, _rowproof_hash) SELECT {}, {load}, \
             s._rowproof_hash FROM {}{conflict}",
            self.target,
            values.join(", "),
            counted(rows)
        )
    }

    fn on_conflict(&self) -> String {
        let keys: Vec<_> = self.keys().map(CopyColumn::quoted).collect();
        let chosen = self.plan.sink.update_columns.as_ref();
        let updated = self.plan.columns.iter().filter(|column| {
            let is_chosen = chosen.is_none_or(|chosen| chosen.contains(&column.name));
            // What Rowproof adds says where the row comes from.
            !column.key && (is_chosen || column.name.starts_with('_'))
        });
        let own = ["_rowproof_load", "_rowproof_hash"].map(str::to_owned);
        let set = updated.map(CopyColumn::quoted).chain(own);
        let set: Vec<_> = set.map(|name| format!("{name} = excluded.{name}")).collect();
        format!(" ON CONFLICT ({}) DO UPDATE SET {}", keys.join(", "), set.join(", "))
    }

    /// Staged rows for which a condition over the table's columns does not hold.
    pub fn violating(&self, condition: &str) -> String {
        format!("SELECT _rowproof_row FROM {STAGE} WHERE NOT ({condition})")
    }

    /// Staged rows without a value in a column.
    pub fn without(&self, column: &str) -> String {
        format!("SELECT _rowproof_row FROM {STAGE} WHERE {} IS NULL", quote(column))
    }

    /// Staged rows whose columns refer to no row of another table: pairs of names, here and there.
    pub fn dangling(&self, other: &str, pairs: &[(String, String)]) -> String {
        let column = |name: &str| {
            let column = self.plan.columns.iter().find(|column| column.name == name);
            column.map_or_else(|| "NULL".to_owned(), |column| self.cast("s", column))
        };
        let given = pairs.iter().map(|(here, _)| format!("{} IS NOT NULL", column(here)));
        let given = given.collect::<Vec<_>>().join(" AND ");
        let same =
            pairs.iter().map(|(here, there)| format!("o.{} = {}", quote(there), column(here)));
        let same = same.collect::<Vec<_>>().join(" AND ");
        format!(
            "SELECT s._rowproof_row FROM {STAGE} s WHERE {given} AND NOT EXISTS \
             (SELECT FROM {other} o WHERE {same})"
        )
    }

    /// Staged rows with these numbers go.
    pub fn drop_rows(&self) -> String {
        format!("DELETE FROM {STAGE} WHERE _rowproof_row = ANY ($1)")
    }

    /// Makes the counter of rows, sets it back, reads it, and ends it.
    pub fn counter(&self) -> [String; 4] {
        [
            "CREATE TEMPORARY SEQUENCE IF NOT EXISTS rowproof_at".to_owned(),
            format!("SELECT setval('{COUNTER}', 1, false)"),
            format!("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {COUNTER}"),
            format!("DROP SEQUENCE {COUNTER}"),
        ]
    }

    /// The numbers of the staged rows, and an index over them.
    pub fn number_rows(&self) -> [String; 2] {
        [
            "CREATE INDEX IF NOT EXISTS rowproof_stage_row ON pg_temp.rowproof_stage (_rowproof_row)".to_owned(),
            format!("SELECT _rowproof_row FROM {STAGE} ORDER BY 1"),
        ]
    }

    /// Sends the hash and the contract's columns, in its order and types, of all rows of these loads.
    pub fn read_loads(&self, width: usize, loads: &[i64]) -> String {
        let columns = self.ordered().take(width);
        let columns = columns.map(|column| format!("{}::{}", column.quoted(), column.kind.sql()));
        let columns: Vec<_> = columns.collect();
        let loads: Vec<_> = loads.iter().map(i64::to_string).collect();
        format!(
            "COPY (SELECT _rowproof_hash, {} FROM {} WHERE _rowproof_load IN ({})) TO STDOUT \
             (FORMAT binary)",
            columns.join(", "),
            self.target,
            loads.join(", ")
        )
    }

    /// Why a row of the table is not what the file had, though nobody changed it; `None` when it is.
    pub fn other_form(&self) -> Option<String> {
        if self.plan.sink.update_columns.is_some() {
            return Some("an update writes some columns only".to_owned());
        }
        let (name, kind) = self.casts.iter().next()?;
        Some(format!("column {name} is {kind} in the table, which has texts of its own"))
    }
}

/// Staged rows in order, each counted before it goes on: the counter is not set back with the
/// transaction, so it tells at which row a statement failed. OFFSET keeps the planner from counting
/// below the sort.
fn counted(rows: Option<(u64, u64)>) -> String {
    match rows {
        None => format!("{STAGE} s"),
        Some(_) => format!(
            "(SELECT s.* FROM {STAGE} s{} ORDER BY s._rowproof_row OFFSET 0) s \
             WHERE nextval('{COUNTER}') > 0",
            between(rows)
        ),
    }
}

fn between(rows: Option<(u64, u64)>) -> String {
    let range =
        rows.map(|(first, last)| format!(" WHERE s._rowproof_row BETWEEN {first} AND {last}"));
    range.unwrap_or_default()
}

/// The type of a staged column: a numeric without bounds costs nothing to check again.
fn staged(kind: Kind) -> String {
    match matches!(kind, Kind::Numeric(..) | Kind::UInt8) {
        true => "numeric".to_owned(),
        false => kind.sql(),
    }
}
