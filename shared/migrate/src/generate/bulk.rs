//! `bulk-update` and `bulk-delete`.

use rowproof_core::sql::quote;

use crate::error::MigrateError;
use crate::phase::Phase;

use super::draft::{
    Draft, Sync, check_name, check_sql, demand, in_batch, phase, update_rule, zero_rows,
};
use super::{BulkDelete, BulkUpdate, Place};

/// What a row was, until the migration is contracted: it marks the rows that had the rule. A column that an
/// application has written since is not in it any more.
pub const UNDO_COLUMN: &str = "rowproof_undo";

pub(super) fn update(place: &Place, update: &BulkUpdate) -> Result<Draft, MigrateError> {
    demand(place, !update.set.is_empty(), "set: name at least one column and its value")?;
    for (column, expression) in &update.set {
        check_name(place, "set", column)?;
        check_sql(place, "set", expression)?;
        demand(place, !place.key.contains(column), "set: rows are walked by the key, so it stays")?;
    }
    if let Some(filter) = &update.filter {
        check_sql(place, "filter", filter)?;
    }
    let (table, undo) = (place.table.quoted(), quote(UNDO_COLUMN));
    let mut needs = format!("t.{undo} IS NULL");
    if let Some(filter) = &update.filter {
        needs = format!("{needs} AND ({filter})");
    }
    let keeper = Keeper::new(place, update)?;
    let taken_back = format!(
        "-- A value that an application has written since is kept.\n{}",
        update_rule(place, &keeper.back(), Some(&format!("t.{undo} IS NOT NULL")))
    );
    let add = format!("ALTER TABLE {table} ADD COLUMN {undo} jsonb;\n");
    let drop = keeper.drop();
    let sql = vec![
        phase(Phase::Expand, &[&add, &keeper.create()]),
        phase(Phase::Backfill, &[&update_rule(place, &keeper.set(), Some(&needs))]),
        phase(Phase::Contract, &[&drop]),
        phase(Phase::Down, &[&drop]),
        phase(Phase::UndoBackfill, &[&taken_back]),
    ];
    Ok(Draft { reversible: true, needs: Some(needs), preserve: vec![], invariants: vec![], sql })
}

/// What keeps the values of before: as the texts that their types have, which every type can read again.
struct Keeper<'a> {
    update: &'a BulkUpdate,
    table: String,
    sync: Sync,
    /// For each column, the function that reads its type's text.
    readers: Vec<String>,
}

impl<'a> Keeper<'a> {
    fn new(place: &Place, update: &'a BulkUpdate) -> Result<Keeper<'a>, MigrateError> {
        let mut readers = vec![];
        for (column, _) in &update.set {
            let name = format!("{}_{column}_undo", place.table.name);
            check_name(place, "the function that reads a value of before", &name)?;
            readers.push(format!("{}.{}", quote(&place.table.schema), quote(&name)));
        }
        let sync = Sync::new(place, UNDO_COLUMN)?;
        Ok(Keeper { update, table: place.table.quoted(), sync, readers })
    }

    fn each(&self, between: &str, one: impl Fn(&str, &str, &str) -> String) -> String {
        let parts = self.update.set.iter().zip(&self.readers);
        let parts = parts.map(|((column, sql), reader)| one(column, sql, reader));
        parts.collect::<Vec<_>>().join(between)
    }

    /// The rule: the new values, and what they were.
    fn set(&self) -> String {
        let sets = self.each(",\n    ", |column, sql, _| format!("{} = {sql}", quote(column)));
        let before = self
            .each(", ", |column, _, _| format!("{}, t.{}::text", literal(column), quote(column)));
        format!("{sets},\n    {} = jsonb_build_object({before})", quote(UNDO_COLUMN))
    }

    fn back(&self) -> String {
        let undo = quote(UNDO_COLUMN);
        let sets = self.each(",\n    ", |column, _, reader| {
            let (name, text) = (quote(column), literal(column));
            format!(
                "{name} = CASE WHEN t.{undo} ? {text} THEN {reader}(t.{undo} ->> {text}) ELSE t.{name} END"
            )
        });
        format!("{sets},\n    {undo} = NULL")
    }

    fn create(&self) -> String {
        let undo = quote(UNDO_COLUMN);
        let body = self.each("\n", |column, _, _| {
            let name = quote(column);
            format!(
                "    IF NEW.{name}::text IS DISTINCT FROM OLD.{name}::text THEN\n      \
                 NEW.{undo} := NEW.{undo} - {};\n    END IF;",
                literal(column)
            )
        });
        let body = format!(
            "  -- The rule writes both. Whoever writes only the value owns it from then on.\n  \
             IF TG_OP = 'UPDATE' AND NEW.{undo} IS NOT DISTINCT FROM OLD.{undo} THEN\n{body}\n  END IF;"
        );
        let readers = self.each("\n", |column, _, reader| {
            format!(
                "CREATE FUNCTION {reader}(text) RETURNS {}.{}%TYPE LANGUAGE plpgsql AS $rowproof$\n\
                 BEGIN\n  RETURN $1;\nEND\n$rowproof$;\n",
                self.table,
                quote(column)
            )
        });
        format!("{readers}\n{}", self.sync.create(&body))
    }

    fn drop(&self) -> String {
        let readers = self.each("", |_, _, reader| format!("DROP FUNCTION {reader}(text);\n"));
        let undo = quote(UNDO_COLUMN);
        format!("{}{readers}ALTER TABLE {} DROP COLUMN {undo};\n", self.sync.drop(), self.table)
    }
}

/// A name as a text of SQL.
fn literal(name: &str) -> String {
    rowproof_core::sql::quote_text(name)
}

pub(super) fn delete(place: &Place, delete: &BulkDelete) -> Result<Draft, MigrateError> {
    check_sql(place, "filter", &delete.filter)?;
    let rule = format!(
        "DELETE FROM {} t\nUSING rowproof_batch b\nWHERE {}\n  AND ({});\n",
        place.table.quoted(),
        in_batch(place),
        delete.filter
    );
    let sql = vec![phase(Phase::Backfill, &[&rule])];
    let invariants = vec![zero_rows(place, "rows_gone", &delete.filter)];
    let needs = Some(delete.filter.clone());
    Ok(Draft { reversible: false, needs, preserve: vec![], invariants, sql })
}
