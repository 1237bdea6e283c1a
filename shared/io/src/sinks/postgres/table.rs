//! The table as it is, beside the contract.

use std::collections::BTreeMap;

use rowproof_core::copy::{CopyColumn, CopyPlan, Kind, OWN_TABLES, Sql};
use rowproof_core::pipeline::{Dsn, WriteMode};
use tokio_postgres::types::Type;

use crate::app::App;
use crate::pipelines::Ready;
use crate::postgres::connect::Databases;
use crate::postgres::error::{Fault, PostgresError};
use crate::postgres::session::Session;

/// Names the lock under which tables are made.
const CREATE_LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('rowproof', 0))";

/// What the table does not have as the contract wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The column, or the table.
    pub what: String,
    /// What is wrong.
    pub problem: String,
    /// A statement that mends it, where one does.
    pub sql: Option<String>,
    /// Whether rows can be written all the same.
    pub harmless: bool,
}

/// A column of the table.
struct Found {
    name: String,
    /// As `format_type` has it: `numeric(12,2)`.
    type_name: String,
    /// `S`: text.
    category: String,
    required: bool,
}

/// The plan of a pipeline with a table.
fn plan_of(ready: &Ready) -> Result<CopyPlan, PostgresError> {
    CopyPlan::new(&ready.pipeline, ready.contract.schema()).ok_or_else(|| {
        let doing = format!("pipeline {}", ready.pipeline.name);
        PostgresError::new(Fault::Setup, doing, "its sink is no table")
    })
}

/// What a table lacks for a pipeline, at this `dsn` or at the pipeline's own.
///
/// # Errors
/// The database cannot be reached.
pub async fn check_table(
    databases: &Databases,
    ready: &Ready,
    dsn: Option<&Dsn>,
) -> Result<Vec<Difference>, PostgresError> {
    let plan = plan_of(ready)?;
    let session = Session::begin(databases, dsn.unwrap_or(&plan.sink.dsn)).await?;
    let sql = Sql::new(plan.clone(), BTreeMap::new());
    let columns = columns(&session, &sql).await?;
    let mut differences = vec![];
    if columns.is_empty() {
        let made = if plan.sink.create { "; the first load creates it" } else { "" };
        differences.push(Difference {
            what: sql.target().to_owned(),
            problem: format!("the table does not exist{made}"),
            sql: Some(format!("{}\n{}", sql.create_target(), sql.create_index())),
            harmless: plan.sink.create,
        });
    } else {
        differences.extend(compare(&plan, &sql, &columns));
        differences.extend(compare_indexes(&session, &plan, &sql).await?);
    }
    if !has_own_tables(&session).await? {
        differences.push(Difference {
            what: "schema rowproof".into(),
            problem: "it does not exist; the first load creates it, if it may".into(),
            sql: Some(OWN_TABLES.into()),
            harmless: true,
        });
    }
    session.roll_back().await?;
    Ok(differences)
}

/// A transaction, and the statements for a pipeline's table, which is there and fits.
pub(super) async fn open_table(app: &App, ready: &Ready) -> Result<(Session, Sql), PostgresError> {
    let plan = plan_of(ready)?;
    let session = Session::begin(&app.databases, &plan.sink.dsn).await?;
    let sql = ready_table(&session, plan).await?;
    Ok((session, sql))
}

async fn ready_table(session: &Session, plan: CopyPlan) -> Result<Sql, PostgresError> {
    if !has_own_tables(session).await? {
        session.run("create schema rowproof", CREATE_LOCK).await?;
        session.run("create schema rowproof", OWN_TABLES).await?;
    }
    let sql = Sql::new(plan.clone(), BTreeMap::new());
    let mut found = columns(session, &sql).await?;
    if found.is_empty() && plan.sink.create {
        let doing = format!("create table {}", sql.target());
        session.run(&doing, CREATE_LOCK).await?;
        if columns(session, &sql).await?.is_empty() {
            session.run(&doing, &sql.create_target()).await?;
            session.run(&doing, &sql.create_index()).await?;
        }
        found = columns(session, &sql).await?;
    }
    let doing = format!("table {}", sql.target());
    if found.is_empty() {
        let what = "it does not exist; create it, or write create = \"if_missing\"";
        return Err(PostgresError::new(Fault::Setup, doing, what));
    }
    let wrong = compare(&plan, &sql, &found).into_iter().find(|found| !found.harmless);
    if let Some(Difference { what, problem, .. }) = wrong {
        let what = format!("{what}: {problem}; `rowproof check --dsn` shows all that differs");
        return Err(PostgresError::new(Fault::Setup, doing, what));
    }
    let casts = plan.columns.iter().filter_map(|column| {
        let found = found.iter().find(|found| found.name == column.name)?;
        let other = column.kind == Kind::Text && found.category != "S";
        other.then(|| (column.name.clone(), found.type_name.clone()))
    });
    let casts = casts.collect();
    Ok(Sql::new(plan, casts))
}

async fn has_own_tables(session: &Session) -> Result<bool, PostgresError> {
    let sql = "SELECT to_regclass('rowproof.loads') IS NOT NULL";
    let rows = session.rows("look for schema rowproof", sql, &[]).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false))
}

async fn columns(session: &Session, sql: &Sql) -> Result<Vec<Found>, PostgresError> {
    let query = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), \
        t.typcategory::text, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' \
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid \
        WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped \
        ORDER BY a.attnum";
    let target = sql.target();
    let rows = session.rows("look at the table", query, &[(&target, Type::TEXT)]).await?;
    let text = |row: &tokio_postgres::Row, index| row.try_get(index).unwrap_or_default();
    Ok(rows
        .iter()
        .map(|row| Found {
            name: text(row, 0),
            type_name: text(row, 1),
            category: text(row, 2),
            required: row.try_get(3).unwrap_or(false),
        })
        .collect())
}

fn compare(plan: &CopyPlan, sql: &Sql, found: &[Found]) -> Vec<Difference> {
    let mut differences = vec![];
    let own = [("_rowproof_load", "bigint"), ("_rowproof_hash", "uuid")];
    for (name, type_name) in own {
        let column = found.iter().find(|column| column.name == name);
        if column.is_none_or(|column| column.type_name != type_name) {
            let add = format!("ALTER TABLE {} ADD COLUMN {name} {type_name};", sql.target());
            differences.push(Difference {
                what: format!("column {name}"),
                problem: format!("a column of type {type_name} is missing: where a row comes from"),
                sql: Some(add),
                harmless: false,
            });
        }
    }
    for column in &plan.columns {
        let what = format!("column {}", column.name);
        let Some(found) = found.iter().find(|found| found.name == column.name) else {
            let (name, kind) = (column.quoted(), column.kind.sql());
            differences.push(Difference {
                what,
                problem: "the table does not have it".into(),
                sql: Some(format!("ALTER TABLE {} ADD COLUMN {name} {kind};", sql.target())),
                harmless: false,
            });
            continue;
        };
        if let Some(problem) = unfit(column, found) {
            differences.push(Difference { what, problem, sql: None, harmless: false });
        } else if column.nullable && found.required {
            let problem =
                "it may be NULL in the contract and not in the table: such rows are refused";
            let problem = problem.to_owned();
            differences.push(Difference { what, problem, sql: None, harmless: true });
        }
    }
    let known = |name: &str| plan.columns.iter().any(|column| column.name == name);
    for extra in found.iter().filter(|column| !known(&column.name)) {
        if extra.required && !own.iter().any(|(name, _)| *name == extra.name) {
            differences.push(Difference {
                what: format!("column {}", extra.name),
                problem: "the table requires it and the contract does not have it".into(),
                sql: None,
                harmless: false,
            });
        }
    }
    differences
}

/// Why values of a column do not go into the table exactly. `None` when they do, or a row is refused.
fn unfit(column: &CopyColumn, found: &Found) -> Option<String> {
    let name = found.type_name.as_str();
    let integers = ["smallint", "integer", "bigint"];
    let fits = match column.kind {
        Kind::Bool => name == "boolean",
        // A number out of range is refused, never cut.
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::UInt8 => {
            integers.contains(&name) || holds_scale(name, 0)
        }
        Kind::Float4 => name == "real" || name == "double precision",
        Kind::Float8 => name == "double precision",
        Kind::Numeric(_, scale) => holds_scale(name, scale),
        // Text, or a type with a text form of its own (uuid, jsonb, an array, an enum, an address): what
        // is no value of it is refused.
        Kind::Text => name != "\"char\"" && "SUAEI".contains(&found.category),
        Kind::Date => name == "date",
        Kind::Time => name == "time without time zone",
        Kind::Timestamptz => name == "timestamp with time zone",
    };
    if fits && column.key && column.kind == Kind::Text && name.starts_with("json") {
        return Some(format!("{name} cannot be a key"));
    }
    (!fits).then(|| format!("{} does not go into {name} exactly", column.kind.sql()))
}

/// Whether a numeric keeps so many digits behind the point; without bounds it keeps all.
fn holds_scale(name: &str, scale: i8) -> bool {
    let Some(rest) = name.strip_prefix("numeric") else { return false };
    let bounds = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let Some(bounds) = bounds else { return rest.is_empty() };
    let held = bounds.split_once(',').and_then(|(_, scale)| scale.parse::<i8>().ok());
    held.unwrap_or(0) >= scale
}

async fn compare_indexes(
    session: &Session,
    plan: &CopyPlan,
    sql: &Sql,
) -> Result<Vec<Difference>, PostgresError> {
    let query = "SELECT array_agg(a.attname::text ORDER BY a.attname), i.indisunique \
        FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid \
        AND a.attnum = ANY (i.indkey) WHERE i.indrelid = to_regclass($1) AND i.indisvalid \
        AND i.indpred IS NULL AND i.indexprs IS NULL GROUP BY i.indexrelid, i.indisunique";
    let target = sql.target();
    let rows = session.rows("look at the indexes", query, &[(&target, Type::TEXT)]).await?;
    let indexes: Vec<(Vec<String>, bool)> =
        rows.iter().filter_map(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?))).collect();
    let mut differences = vec![];
    let mut keys: Vec<_> =
        plan.columns.iter().filter(|column| column.key).map(|key| key.name.clone()).collect();
    keys.sort();
    let is_key = |(columns, unique): &(Vec<String>, bool)| *unique && *columns == keys;
    if plan.sink.mode == WriteMode::Upsert && !indexes.iter().any(is_key) {
        let names: Vec<_> = plan.columns.iter().filter(|c| c.key).map(CopyColumn::quoted).collect();
        differences.push(Difference {
            what: sql.target().to_owned(),
            problem: "no unique index has just the columns of the key: an upsert needs one".into(),
            sql: Some(format!("CREATE UNIQUE INDEX ON {} ({});", sql.target(), names.join(", "))),
            harmless: false,
        });
    }
    let by_load = |(columns, _): &(Vec<String>, bool)| columns == &["_rowproof_load"];
    if !indexes.iter().any(by_load) {
        differences.push(Difference {
            what: sql.target().to_owned(),
            problem: "no index on _rowproof_load: replacing and verifying read the whole table"
                .into(),
            sql: Some(sql.create_index()),
            harmless: true,
        });
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numeric_that_would_round_does_not_fit() {
        for (name, fits) in [
            ("numeric", true),
            ("numeric(12,2)", true),
            ("numeric(12,3)", true),
            ("numeric(12,1)", false),
            ("numeric(12)", false),
            ("bigint", false),
        ] {
            assert_eq!(holds_scale(name, 2), fits, "{name}");
        }
    }
}
