//! `add-column`.

use rowproof_core::sql::quote;

use crate::error::MigrateError;
use crate::phase::Phase;

use super::draft::{
    Draft, Sync, check_name, check_sql, demand, nothing, of_new_row, phase, set_not_null,
    update_rule, zero_rows,
};
use super::{AddColumn, Fill, Place};

pub(super) fn add(place: &Place, add: &AddColumn) -> Result<Draft, MigrateError> {
    check_name(place, "column", &add.column)?;
    check_sql(place, "type", &add.data_type)?;
    let (table, column) = (place.table.quoted(), quote(&add.column));
    let declared = format!("ALTER TABLE {table} ADD COLUMN {column} {}", add.data_type);
    let down = format!("ALTER TABLE {table} DROP COLUMN {column};\n");
    let expand = match &add.fill {
        Fill::Nothing => {
            let what = "not_null: rows of before have no value; give a constant or an expression";
            demand(place, !add.not_null, what)?;
            format!("{declared};\n")
        }
        Fill::Constant(value) => {
            check_sql(place, "constant", value)?;
            let not_null = if add.not_null { " NOT NULL" } else { "" };
            format!(
                "-- A constant is stored once for all rows that are there: nothing is rewritten.\n\
                 {declared} DEFAULT {value}{not_null};\n"
            )
        }
        Fill::Computed(expression) => return computed(place, add, expression, &declared, &down),
    };
    let sql = vec![phase(Phase::Expand, &[&expand]), phase(Phase::Down, &[&down])];
    Ok(Draft { reversible: true, needs: None, preserve: vec![], invariants: vec![], sql })
}

fn computed(
    place: &Place,
    add: &AddColumn,
    expression: &str,
    declared: &str,
    down: &str,
) -> Result<Draft, MigrateError> {
    check_sql(place, "expression", expression)?;
    let column = quote(&add.column);
    let sync = Sync::new(place, &add.column)?;
    // An application that writes the column itself is believed; for the others the value follows its row.
    let body = format!(
        "  IF (TG_OP = 'INSERT' AND NEW.{column} IS NULL)\n    \
         OR (TG_OP = 'UPDATE' AND NEW.{column} IS NOT DISTINCT FROM OLD.{column}) THEN\n    \
         NEW.{column} := {};\n  END IF;",
        of_new_row(expression)
    );
    let missing = format!("t.{column} IS NULL AND ({expression}) IS NOT NULL");
    let (mut contract, mut wrong) = (String::new(), missing.clone());
    if add.not_null {
        contract = set_not_null(place, &add.column)?;
        wrong = format!("t.{column} IS NULL");
    }
    let rule = update_rule(
        place,
        &format!("{column} = {expression}"),
        Some(&format!("t.{column} IS NULL")),
    );
    let undo = nothing(place, &add.column);
    let sql = vec![
        phase(Phase::Expand, &[&format!("{declared};\n"), &sync.create(&body)]),
        phase(Phase::Backfill, &[&rule]),
        phase(Phase::Contract, &[&contract, &sync.drop()]),
        phase(Phase::Down, &[&sync.drop(), down]),
        phase(Phase::UndoBackfill, &[&undo]),
    ];
    let invariants = vec![zero_rows(place, &format!("{}_filled", add.column), &wrong)];
    Ok(Draft { reversible: true, needs: Some(missing), preserve: vec![], invariants, sql })
}
