//! `rename` and `change-type`: a second column beside the first, filled, and put in its place.

use rowproof_core::sql::quote;

use crate::error::MigrateError;
use crate::phase::Phase;

use super::draft::{
    Draft, Sync, check_name, check_sql, demand, losses, nothing, of_new_row, phase, set_not_null,
    update_rule, zero_rows,
};
use super::{ChangeType, Place, Rename};

pub(super) fn rename(place: &Place, rename: &Rename) -> Result<Draft, MigrateError> {
    check_name(place, "from", &rename.from)?;
    check_name(place, "to", &rename.to)?;
    check_sql(place, "type", &rename.data_type)?;
    demand(place, rename.from != rename.to, "to: it is the name that the column has")?;
    demand(place, !place.key.contains(&rename.from), "from: a column of the key cannot be moved")?;
    let (table, from, to) = (place.table.quoted(), quote(&rename.from), quote(&rename.to));
    let sync = Sync::new(place, &rename.to)?;
    let body = format!(
        "  -- Whoever writes one of the two writes both; the new name wins where a statement sets both.\n  \
         IF TG_OP = 'INSERT' THEN\n    \
         IF NEW.{to} IS NULL THEN NEW.{to} := NEW.{from}; ELSE NEW.{from} := NEW.{to}; END IF;\n  \
         ELSIF NEW.{to} IS DISTINCT FROM OLD.{to} THEN NEW.{from} := NEW.{to};\n  \
         ELSE NEW.{to} := NEW.{from};\n  END IF;"
    );
    let differs = format!("t.{to} IS DISTINCT FROM t.{from}");
    let add = format!(
        "-- No default yet: the trigger tells by it which of the two names an INSERT uses.\n\
         ALTER TABLE {table} ADD COLUMN {to} {};\n",
        rename.data_type
    );
    let not_null = match rename.not_null {
        true => set_not_null(place, &rename.to)?,
        false => String::new(),
    };
    let default = default(place, &rename.to, rename.default.as_deref())?;
    let last = format!(
        "-- In one go: without the trigger, what is written to the old column would be lost.\n\
         DO $rowproof$\nBEGIN\n  DROP TRIGGER {} ON {table};\n  DROP FUNCTION {}();\n  \
         ALTER TABLE {table} DROP COLUMN {from};\nEND\n$rowproof$;\n",
        sync.name(),
        sync.function()
    );
    let drop = format!("ALTER TABLE {table} DROP COLUMN {to};\n");
    let lost = losses(place, &rename.from, rename.not_null, rename.default.is_some());
    let sql = vec![
        phase(Phase::Precheck, &[&lost]),
        phase(Phase::Expand, &[&add, &sync.create(&body)]),
        phase(Phase::Backfill, &[&update_rule(place, &format!("{to} = t.{from}"), None)]),
        phase(Phase::Contract, &[&not_null, &default, &last]),
        phase(Phase::Down, &[&sync.drop(), &drop]),
        phase(Phase::UndoBackfill, &[&nothing(place, &rename.to)]),
    ];
    let invariants = vec![zero_rows(place, &format!("{}_in_step", rename.to), &differs)];
    let preserve = vec![rename.from.clone()];
    Ok(Draft { reversible: true, needs: Some(differs), preserve, invariants, sql })
}

fn default(place: &Place, column: &str, value: Option<&str>) -> Result<String, MigrateError> {
    let Some(value) = value else { return Ok(String::new()) };
    check_sql(place, "default", value)?;
    let (table, column) = (place.table.quoted(), quote(column));
    Ok(format!("ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {value};\n"))
}

pub(super) fn change_type(place: &Place, change: &ChangeType) -> Result<Draft, MigrateError> {
    check_name(place, "column", &change.column)?;
    check_sql(place, "type", &change.data_type)?;
    check_sql(place, "using", &change.using)?;
    demand(place, !place.key.contains(&change.column), "column: it is one of the key's")?;
    let (new_name, old_name) = (format!("{}_new", change.column), format!("{}_old", change.column));
    check_name(place, "the column beside it", &new_name)?;
    let table = place.table.quoted();
    let (column, new, old) = (quote(&change.column), quote(&new_name), quote(&old_name));
    let sync = Sync::new(place, &new_name)?;
    let body = format!("  NEW.{new} := {};", of_new_row(&change.using));
    let differs = format!("t.{new} IS DISTINCT FROM ({})", change.using);
    let add = format!("ALTER TABLE {table} ADD COLUMN {new} {};\n", change.data_type);
    let not_null = match change.not_null {
        true => set_not_null(place, &new_name)?,
        false => String::new(),
    };
    let default = default(place, &new_name, change.default.as_deref())?;
    let swap = format!(
        "-- One statement is one transaction: nobody sees the table without a column of this name.\n\
         -- What else hangs on the old column (indexes, views, foreign keys) has to be made for the new one first.\n\
         DO $rowproof$\nBEGIN\n  \
         DROP TRIGGER {trigger} ON {table};\n  \
         ALTER TABLE {table} RENAME COLUMN {column} TO {old};\n  \
         ALTER TABLE {table} RENAME COLUMN {new} TO {column};\nEND\n$rowproof$;\n",
        trigger = sync.name()
    );
    let last =
        format!("DROP FUNCTION {}();\nALTER TABLE {table} DROP COLUMN {old};\n", sync.function());
    let drop = format!("ALTER TABLE {table} DROP COLUMN {new};\n");
    let rule = update_rule(place, &format!("{new} = {}", change.using), None);
    let lost = losses(place, &change.column, change.not_null, change.default.is_some());
    let sql = vec![
        phase(Phase::Precheck, &[&lost]),
        phase(Phase::Expand, &[&add, &sync.create(&body)]),
        phase(Phase::Backfill, &[&rule]),
        phase(Phase::Contract, &[&not_null, &default, &swap, &last]),
        phase(Phase::Down, &[&sync.drop(), &drop]),
        phase(Phase::UndoBackfill, &[&nothing(place, &new_name)]),
    ];
    let invariants = vec![zero_rows(place, &format!("{new_name}_in_step"), &differs)];
    let preserve = vec![change.column.clone()];
    Ok(Draft { reversible: true, needs: Some(differs), preserve, invariants, sql })
}
