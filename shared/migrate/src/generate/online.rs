//! `add-fk` and `add-index`: no row changes, but every row is read.

use rowproof_core::sql::quote;

use crate::error::MigrateError;
use crate::phase::Phase;
use crate::values::TableName;

use super::draft::{Draft, check_name, check_names, check_sql, demand, list, names, phase, text};
use super::{AddForeignKey, AddIndex, Place};

pub(super) fn add_foreign_key(place: &Place, add: &AddForeignKey) -> Result<Draft, MigrateError> {
    check_name(place, "name", &add.name)?;
    check_names(place, "columns", &add.columns)?;
    check_names(place, "referenced", &add.referenced)?;
    let same = add.columns.len() == add.referenced.len();
    demand(place, same, "referenced: name as many columns as refer to them")?;
    let (table, name) = (place.table.quoted(), quote(&add.name));
    let expand = format!(
        "-- Binds rows that are written from now on; those that are there are not read yet.\n\
         ALTER TABLE {table} ADD CONSTRAINT {name}\n  FOREIGN KEY ({}) REFERENCES {} ({}) NOT VALID;\n",
        names(&add.columns, ""),
        add.references.quoted(),
        names(&add.referenced, "")
    );
    let contract = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name};\n");
    let down = format!("ALTER TABLE {table} DROP CONSTRAINT {name};\n");
    let orphans = format!(
        "name = {}\nkind = \"fk_orphans\"\ntable = {}\ncolumns = {}\nreferences = {}\nreferenced = {}",
        text(&format!("{}_orphans", add.name)),
        text(&table),
        list(&add.columns),
        text(&add.references.quoted()),
        list(&add.referenced)
    );
    let sql = vec![
        phase(Phase::Expand, &[&expand]),
        phase(Phase::Contract, &[&contract]),
        phase(Phase::Down, &[&down]),
    ];
    Ok(Draft { reversible: true, needs: None, preserve: vec![], invariants: vec![orphans], sql })
}

pub(super) fn add_index(place: &Place, add: &AddIndex) -> Result<Draft, MigrateError> {
    check_name(place, "name", &add.name)?;
    check_names(place, "columns", &add.columns)?;
    if let Some(filter) = &add.filter {
        check_sql(place, "filter", filter)?;
    }
    let index = TableName { schema: place.table.schema.clone(), name: add.name.clone() }.quoted();
    let unique = if add.unique { "UNIQUE " } else { "" };
    let filter = add.filter.as_ref().map(|one| format!("\n  WHERE {one}")).unwrap_or_default();
    let create = format!(
        "CREATE {unique}INDEX CONCURRENTLY {}\n  ON {} ({}){filter};\n",
        quote(&add.name),
        place.table.quoted(),
        names(&add.columns, "")
    );
    let valid = format!(
        "name = {}\nkind = \"index_valid\"\nindex = {}",
        text(&format!("{}_valid", add.name)),
        text(&index)
    );
    let down = format!("DROP INDEX IF EXISTS {index};\n");
    let sql = vec![phase(Phase::Online, &[&create]), phase(Phase::Down, &[&down])];
    Ok(Draft { reversible: true, needs: None, preserve: vec![], invariants: vec![valid], sql })
}
