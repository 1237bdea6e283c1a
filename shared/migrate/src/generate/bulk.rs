//! `bulk-update` and `bulk-delete`.

use rowproof_core::copy::quote;

use crate::error::MigrateError;
use crate::folder::Phase;

use super::draft::{Draft, check_name, check_sql, demand, in_batch, phase, update_rule, zero_rows};
use super::{BulkDelete, BulkUpdate, Place};

/// What a row was and became, until the migration is contracted: it marks the rows that had the rule, and
/// tells what an application has changed since.
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
    let each = |one: &dyn Fn(&str, &str) -> String| {
        let parts = update.set.iter().map(|(column, expression)| one(column, expression));
        parts.collect::<Vec<_>>().join(",\n    ")
    };
    let before = each(&|column, _| format!("{}, t.{}", literal(column), quote(column)));
    let after = each(&|column, expression| format!("{}, {expression}", literal(column)));
    let sets = each(&|column, expression| format!("{} = {expression}", quote(column)));
    let set = format!(
        "{sets},\n    {undo} = jsonb_build_object(\n    'before', jsonb_build_object({before}),\n    \
         'after', jsonb_build_object({after}))"
    );
    let of = |when: &str, column: &str| {
        format!("(jsonb_populate_record(t, t.{undo} -> '{when}')).{}", quote(column))
    };
    let back = each(&|column, _| {
        let name = quote(column);
        format!(
            "{name} = CASE WHEN t.{name} IS NOT DISTINCT FROM {} THEN {} ELSE t.{name} END",
            of("after", column),
            of("before", column)
        )
    });
    let mut needs = format!("t.{undo} IS NULL");
    if let Some(filter) = &update.filter {
        needs = format!("{needs} AND ({filter})");
    }
    let add = format!("ALTER TABLE {table} ADD COLUMN {undo} jsonb;\n");
    let drop = format!("ALTER TABLE {table} DROP COLUMN {undo};\n");
    let taken_back = format!(
        "-- A value that an application has written since is kept.\n{}",
        update_rule(
            place,
            &format!("{back},\n    {undo} = NULL"),
            Some(&format!("t.{undo} IS NOT NULL"))
        )
    );
    let sql = vec![
        phase(Phase::Expand, &[&add]),
        phase(Phase::Backfill, &[&update_rule(place, &set, Some(&needs))]),
        phase(Phase::Contract, &[&drop]),
        phase(Phase::Down, &[&drop]),
        phase(Phase::UndoBackfill, &[&taken_back]),
    ];
    Ok(Draft { reversible: true, needs: Some(needs), preserve: vec![], invariants: vec![], sql })
}

/// A name as a text of SQL.
fn literal(name: &str) -> String {
    rowproof_core::copy::quote_text(name)
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
