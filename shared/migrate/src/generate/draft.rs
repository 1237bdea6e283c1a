//! What all generators share: names as SQL, checks of the input, and `migration.toml`.

use std::fmt::Write as _;

use rowproof_core::sql::{quote, quote_text};

use crate::error::MigrateError;
use crate::folder::{ID_MAX, is_name};
use crate::phase::Phase;
use crate::statements::split;

use super::{Place, Sql};

/// Bytes of a name that Postgres keeps; it cuts off the rest.
const NAME_BYTES_MAX: usize = 63;

/// A folder in the making.
pub(super) struct Draft {
    pub(super) reversible: bool,
    /// `backfill.needs`: which rows need the rule.
    pub(super) needs: Option<String>,
    /// `backfill.preserve`: columns that the rule leaves alone.
    pub(super) preserve: Vec<String>,
    /// Each the lines below `[[invariant]]`.
    pub(super) invariants: Vec<String>,
    pub(super) sql: Vec<Sql>,
}

impl Draft {
    /// Name and text of each file.
    pub(super) fn files(self, place: &Place) -> Vec<(&'static str, String)> {
        let mut toml = format!("id = {}\n", text(&place.id));
        writeln!(toml, "reversible = {}", self.reversible).ok();
        let (table, key) = (text(&place.table.quoted()), list(&place.key));
        writeln!(toml, "target = {{ table = {table}, key = {key} }}").ok();
        if let Some(needs) = &self.needs {
            writeln!(toml, "\n[backfill]\nneeds = {}", text(needs)).ok();
            if !self.preserve.is_empty() {
                writeln!(toml, "preserve = {}", list(&self.preserve)).ok();
            }
        }
        let drops = |(phase, sql): &Sql| *phase == Phase::Contract && sql.contains("DROP ");
        let why = match self.reversible {
            true => "# What contract.sql drops does not come back: somebody says so first.",
            false => "# What is deleted does not come back: somebody says so first.",
        };
        if self.sql.iter().any(drops) || !self.reversible {
            writeln!(toml, "\n{why}\n[gates]\napprovals = 1").ok();
        }
        for invariant in &self.invariants {
            writeln!(toml, "\n[[invariant]]\n{invariant}").ok();
        }
        let mut files = vec![("migration.toml", toml)];
        files.extend(self.sql.into_iter().map(|(phase, sql)| (phase.file(), sql)));
        files
    }
}

/// A text of TOML.
pub(super) fn text(value: &str) -> String {
    toml::Value::from(value).to_string()
}

/// A list of texts of TOML.
pub(super) fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| text(value)).collect();
    format!("[{}]", values.join(", "))
}

/// A `zero_rows` invariant: the keys of rows that are wrong.
pub(super) fn zero_rows(place: &Place, name: &str, wrong: &str) -> String {
    let sql = format!(
        "SELECT {} FROM {} t WHERE {wrong} LIMIT 5",
        names(&place.key, "t."),
        place.table.quoted()
    );
    format!("name = {}\nkind = \"zero_rows\"\nsql = {}", text(name), text(&sql))
}

/// Names with a comma between, each behind a prefix.
pub(super) fn names(columns: &[String], prefix: &str) -> String {
    let quoted: Vec<String> =
        columns.iter().map(|name| format!("{prefix}{}", quote(name))).collect();
    quoted.join(", ")
}

/// The condition that a row is one of the batch.
pub(super) fn in_batch(place: &Place) -> String {
    let pairs = place.key.iter().map(|name| quote(name));
    let pairs: Vec<String> = pairs.map(|name| format!("t.{name} = b.{name}")).collect();
    pairs.join(" AND ")
}

/// The rule for the rows of a batch.
pub(super) fn update_rule(place: &Place, set: &str, filter: Option<&str>) -> String {
    let filter = filter.map(|filter| format!("\n  AND ({filter})")).unwrap_or_default();
    format!(
        "UPDATE {} t\nSET {set}\nFROM rowproof_batch b\nWHERE {}{filter};\n",
        place.table.quoted(),
        in_batch(place)
    )
}

/// The rule that undoes nothing, for a column that `down.sql` drops: to write each row once more would be of no use.
pub(super) fn nothing(place: &Place, column: &str) -> String {
    let column = quote(column);
    format!(
        "-- down.sql drops the column with all its values, so each row stays as it is.\n{}",
        update_rule(place, &format!("{column} = t.{column}"), Some("false"))
    )
}

/// A trigger that fills the row before it is written, and its function.
pub(super) struct Sync {
    table: String,
    name: String,
    function: String,
}

impl Sync {
    pub(super) fn new(place: &Place, column: &str) -> Result<Sync, MigrateError> {
        let name = format!("{}_{column}_sync", place.table.name);
        check_name(place, "the trigger that keeps the columns in step", &name)?;
        let function = format!("{}.{}", quote(&place.table.schema), quote(&name));
        Ok(Sync { table: place.table.quoted(), name: quote(&name), function })
    }

    /// With a body in PL/pgSQL that ends before `RETURN NEW`.
    pub(super) fn create(&self, body: &str) -> String {
        format!(
            "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $rowproof$\n\
             BEGIN\n{body}\n  RETURN NEW;\nEND\n$rowproof$;\n\n\
             CREATE TRIGGER {name} BEFORE INSERT OR UPDATE ON {table}\n  \
             FOR EACH ROW EXECUTE FUNCTION {function}();\n",
            function = self.function,
            name = self.name,
            table = self.table
        )
    }

    /// The trigger's name, as SQL.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The function's name with its schema, as SQL.
    pub(super) fn function(&self) -> &str {
        &self.function
    }

    pub(super) fn drop(&self) -> String {
        format!(
            "DROP TRIGGER {} ON {};\nDROP FUNCTION {}();\n",
            self.name, self.table, self.function
        )
    }
}

/// An expression over `t`, computed from the row that a trigger sees.
pub(super) fn of_new_row(expression: &str) -> String {
    format!("(SELECT {expression} FROM (SELECT NEW.*) AS t)")
}

/// NOT NULL for a column, without a scan under a strong lock.
pub(super) fn set_not_null(place: &Place, column: &str) -> Result<String, MigrateError> {
    let name = format!("{column}_not_null");
    check_name(place, "the check that goes before NOT NULL", &name)?;
    let (table, column, name) = (place.table.quoted(), quote(column), quote(&name));
    Ok(format!(
        "ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID;\n\
         ALTER TABLE {table} VALIDATE CONSTRAINT {name};\n\
         ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL;\n\
         ALTER TABLE {table} DROP CONSTRAINT {name};\n"
    ))
}

fn refuse(place: &Place, what: String) -> MigrateError {
    MigrateError::Folder { file: place.id.clone(), line: 0, what }
}

/// Name, length and what it is for.
pub(super) fn check_name(place: &Place, role: &str, name: &str) -> Result<(), MigrateError> {
    if name.is_empty() || name.contains('\0') || name.len() > NAME_BYTES_MAX {
        let what = format!("{role}: \"{name}\" has to have 1 to {NAME_BYTES_MAX} bytes");
        return Err(refuse(place, what));
    }
    Ok(())
}

/// Queries for what hangs on a column and would be lost with it.
pub(super) fn losses(
    place: &Place,
    column: &str,
    keeps_not_null: bool,
    keeps_default: bool,
) -> String {
    let (table, text) = (quote_text(&place.table.quoted()), quote_text(column));
    let of_column = format!("a.attrelid = {table}::regclass AND a.attname = {text}");
    let mut sql = String::from(
        "-- Each row is something that hangs on the column and would be lost with it. Where you have made it for\n\
         -- the new column, in online.sql or by hand, take its query out.\n",
    );
    let mut ask = |what: &str, from: &str| {
        writeln!(sql, "SELECT {what} AS lost FROM {from};").ok();
    };
    let attribute = format!("pg_attribute a WHERE {of_column}");
    if !keeps_not_null {
        ask("'NOT NULL: --not-null keeps it'", &format!("{attribute} AND a.attnotnull"));
    }
    if !keeps_default {
        ask("'a default: --default keeps one'", &format!("{attribute} AND a.atthasdef"));
    }
    ask(
        "'index ' || i.indexrelid::regclass",
        &format!(
            "pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE {of_column}"
        ),
    );
    // From version 18 on NOT NULL is a constraint too, of the kind n.
    ask(
        "'constraint ' || c.conname",
        &format!(
            "pg_constraint c JOIN pg_attribute a ON (a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) \
             OR (a.attrelid = c.confrelid AND a.attnum = ANY (c.confkey)) \
             WHERE {of_column} AND c.contype <> 'n'"
        ),
    );
    ask(
        "'view ' || r.ev_class::regclass",
        &format!(
            "pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid \
             JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE {of_column}"
        ),
    );
    sql
}

/// One expression or type, closed in itself.
pub(super) fn check_sql(place: &Place, role: &str, sql: &str) -> Result<(), MigrateError> {
    let is_one = split(sql).is_ok_and(|found| found.len() == 1);
    if !is_one || sql.contains("--") || sql.contains("$rowproof$") {
        let what = format!("{role}: write one expression, without a semicolon or a comment: {sql}");
        return Err(refuse(place, what));
    }
    Ok(())
}

/// At least one name.
pub(super) fn check_names(place: &Place, role: &str, names: &[String]) -> Result<(), MigrateError> {
    if names.is_empty() {
        return Err(refuse(place, format!("{role}: name at least one column")));
    }
    names.iter().try_for_each(|name| check_name(place, role, name))
}

pub(super) fn check_place(place: &Place) -> Result<(), MigrateError> {
    if !is_name(&place.id) {
        let what = format!(
            "id: write at most {ID_MAX} of a-z, 0-9 and _, such as 20240115_add_customer_tier"
        );
        return Err(refuse(place, what));
    }
    check_name(place, "table", &place.table.name)?;
    check_names(place, "key", &place.key)
}

/// Fails with words when something does not go together.
pub(super) fn demand(place: &Place, holds: bool, what: &str) -> Result<(), MigrateError> {
    if holds { Ok(()) } else { Err(refuse(place, what.to_owned())) }
}

/// SQL of a phase.
pub(super) fn phase(phase: Phase, parts: &[&str]) -> Sql {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    (phase, parts.join("\n"))
}
