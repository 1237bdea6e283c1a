//! Rows that Postgres refuses, found among those that it takes.
//!
//! A constraint that failed is asked of all staged rows at once. What cannot be asked so (a trigger, a
//! unique index, a value that its type cannot hold) is found row by row: a counter that no rollback sets
//! back tells how far a statement came. What is checked at a statement's end is found by halves.

use std::collections::BTreeMap;

use rowproof_core::block::Refusal;
use rowproof_core::copy::Sql;
use rowproof_core::sql::quote;
use tokio_postgres::types::Type;

use super::origin::Origin;
use crate::postgres::error::{Fault, PostgresError};
use crate::postgres::session::{Param, Session};

const SAVE: &str = "SAVEPOINT rowproof";
const BACK: &str = "ROLLBACK TO SAVEPOINT rowproof";
const KEEP: &str = "RELEASE SAVEPOINT rowproof";
/// Constraints that are asked one after the other before rows are looked for one by one.
const ASKED_MAX: usize = 20;
/// Rows that are tried together where one of all is known to be bad: a failure undoes no more.
const TOGETHER: usize = 2048;
const DOING: &str = "write rows";
/// Staged rows are read by their index: a sort would read all that is left for every row.
const BY_INDEX: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off; \
                        SET LOCAL enable_bitmapscan = off";
const AS_USUAL: &str = "SET LOCAL enable_sort = on; SET LOCAL enable_seqscan = on; \
                        SET LOCAL enable_bitmapscan = on";

/// Rows that are staged in the session, on their way into the table.
pub(super) struct Staged<'a> {
    pub(super) session: &'a Session,
    pub(super) sql: &'a Sql,
    pub(super) origin: Origin<'a>,
    /// The table holds none of the staged keys.
    pub(super) fresh: bool,
    pub(super) refused: BTreeMap<u64, Refusal>,
}

impl Staged<'_> {
    /// The statement that takes staged rows into the table.
    fn apply(&self, rows: Option<(u64, u64)>) -> String {
        self.sql.apply(self.origin.load, self.fresh, rows)
    }

    /// The table may hold staged keys after all: somebody else writes to it.
    fn is_not_fresh(&mut self) -> bool {
        std::mem::replace(&mut self.fresh, false)
    }
}

/// Takes the staged rows into the table, without those that it refuses.
pub(super) async fn apply(staged: &mut Staged<'_>) -> Result<(), PostgresError> {
    if let Some([delete, drop_staged]) = staged.sql.delete_marked() {
        // A row that says "delete" has its effect; it counts as loaded.
        attempt(staged, &delete).await?;
        staged.session.numbers(DOING, &drop_staged).await?;
    }
    for _ in 0..ASKED_MAX {
        let error = match attempt(staged, &staged.apply(None)).await {
            Ok(()) => return Ok(()),
            Err(error) if error.fault == Fault::Row => error,
            Err(error) => return Err(error),
        };
        if error.state() == Some("23505") && staged.is_not_fresh() {
            continue;
        }
        let found = violating(staged, &error).await?;
        if found.is_empty() {
            break;
        }
        let refusal = refusal(staged, &error);
        drop_rows(staged, found.iter().map(|row| (*row, refusal.clone())).collect()).await?;
    }
    one_by_one(staged, &|staged, first, last| staged.apply(Some((first, last)))).await
}

/// Refuses staged rows whose key is not a value of the table's type: they cannot be compared.
pub(super) async fn unreadable_keys(staged: &mut Staged<'_>) -> Result<(), PostgresError> {
    let Some(all) = staged.sql.read_keys(None) else { return Ok(()) };
    match attempt(staged, &all).await {
        Ok(()) => Ok(()),
        Err(error) if error.fault == Fault::Row => {
            let test = |staged: &Staged<'_>, first, last| {
                staged.sql.read_keys(Some((first, last))).unwrap_or_default()
            };
            let before = staged.refused.len();
            one_by_one(staged, &test).await?;
            tracing::debug!(rows = staged.refused.len() - before, "keys of another type");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Runs a statement; when it fails the transaction is as before it.
async fn attempt(staged: &Staged<'_>, sql: &str) -> Result<(), PostgresError> {
    // In one message: it may be sent for every row.
    match staged.session.run(DOING, &format!("{SAVE}; {sql}; {KEEP}")).await {
        Ok(()) => Ok(()),
        Err(error) => {
            if error.fault == Fault::Row {
                staged.session.run(DOING, BACK).await?;
            }
            Err(error)
        }
    }
}

/// Every staged row that breaks the constraint which the error names; none when that cannot be asked.
async fn violating(staged: &Staged<'_>, error: &PostgresError) -> Result<Vec<u64>, PostgresError> {
    let query = match (error.state(), error.column(), error.constraint()) {
        (Some("23502"), Some(column), _) if is_staged(staged, column) => staged.sql.without(column),
        (Some("23514"), _, Some(name)) => match check_of(staged, name).await? {
            Some(condition) => staged.sql.violating(&condition),
            None => return Ok(vec![]),
        },
        (Some("23503"), _, Some(name)) => match reference_of(staged, name).await? {
            Some((other, pairs)) => staged.sql.dangling(&other, &pairs),
            None => return Ok(vec![]),
        },
        _ => return Ok(vec![]),
    };
    // The question may not fit the staged types, or fail on a value: then the rows are found one by one.
    staged.session.run(DOING, SAVE).await?;
    match staged.session.numbers(DOING, &query).await {
        Ok(rows) => {
            staged.session.run(DOING, KEEP).await?;
            Ok(rows)
        }
        Err(error) if error.fault == Fault::Passing => Err(error),
        Err(_) => {
            staged.session.run(DOING, BACK).await?;
            Ok(vec![])
        }
    }
}

fn is_staged(staged: &Staged<'_>, column: &str) -> bool {
    staged.sql.plan().columns.iter().any(|known| known.name == column)
}

async fn check_of(staged: &Staged<'_>, name: &str) -> Result<Option<String>, PostgresError> {
    let query = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint \
                 WHERE conname = $1 AND conrelid = to_regclass($2) AND contype = 'c'";
    let target = staged.sql.target();
    let params: [Param<'_>; 2] = [(&name, Type::TEXT), (&target, Type::TEXT)];
    let rows = staged.session.rows("read a constraint", query, &params).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()))
}

type Reference = (String, Vec<(String, String)>);

async fn reference_of(staged: &Staged<'_>, name: &str) -> Result<Option<Reference>, PostgresError> {
    let query = "SELECT n.nspname::text, o.relname::text, h.attname::text, t.attname::text \
        FROM pg_constraint c JOIN pg_class o ON o.oid = c.confrelid \
        JOIN pg_namespace n ON n.oid = o.relnamespace \
        CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k(here, there) \
        JOIN pg_attribute h ON h.attrelid = c.conrelid AND h.attnum = k.here \
        JOIN pg_attribute t ON t.attrelid = c.confrelid AND t.attnum = k.there \
        WHERE c.conname = $1 AND c.conrelid = to_regclass($2) AND c.contype = 'f'";
    let target = staged.sql.target();
    let params: [Param<'_>; 2] = [(&name, Type::TEXT), (&target, Type::TEXT)];
    let rows = staged.session.rows("read a constraint", query, &params).await?;
    let text = |row: &tokio_postgres::Row, at| row.try_get::<_, String>(at).unwrap_or_default();
    let Some(first) = rows.first() else { return Ok(None) };
    let other = format!("{}.{}", quote(&text(first, 0)), quote(&text(first, 1)));
    Ok(Some((other, rows.iter().map(|row| (text(row, 2), text(row, 3))).collect())))
}

/// What the archive says of a row that was refused with this error.
fn refusal(staged: &Staged<'_>, error: &PostgresError) -> Refusal {
    let named = error.column();
    let column =
        staged.sql.plan().columns.iter().find(|column| Some(column.name.as_str()) == named);
    Refusal {
        column: column.map(|column| column.index),
        reason: format!("Postgres refuses the row: {}", error.what),
    }
}

async fn drop_rows(
    staged: &mut Staged<'_>,
    refused: BTreeMap<u64, Refusal>,
) -> Result<(), PostgresError> {
    let rows: Vec<i64> = refused.keys().filter_map(|row| i64::try_from(*row).ok()).collect();
    let sql = staged.sql.drop_rows();
    staged.session.rows(DOING, &sql, &[(&rows, Type::INT8_ARRAY)]).await?;
    staged.refused.extend(refused);
    Ok(())
}

/// Runs `statement` over all staged rows in ranges that succeed; the rows at which it fails are refused
/// and no longer staged.
async fn one_by_one(
    staged: &mut Staged<'_>,
    statement: &(dyn Fn(&Staged<'_>, u64, u64) -> String + Sync),
) -> Result<(), PostgresError> {
    let [index, list] = staged.sql.number_rows();
    let [make, set_back, read, end] = staged.sql.counter();
    staged.session.run(DOING, &format!("{index}; {make}; {BY_INDEX}")).await?;
    let rows = staged.session.numbers(DOING, &list).await?;
    let mut refused = BTreeMap::new();
    let mut ranges: Vec<_> = rows.chunks(TOGETHER).rev().collect();
    while let Some(range) = ranges.pop() {
        let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
        staged.session.run(DOING, &set_back).await?;
        let error = match attempt(staged, &statement(staged, *first, *last)).await {
            Ok(()) => continue,
            Err(error) if error.fault == Fault::Row => error,
            Err(error) => return Err(error),
        };
        let found = staged.session.numbers(DOING, &read).await?;
        let come = found.first().and_then(|come| usize::try_from(*come).ok()).unwrap_or(0);
        let (before, behind) = match range.split_at(come.saturating_sub(1).min(range.len() - 1)) {
            (before, [row, behind @ ..])
                if range.len() == 1 || (1..range.len()).contains(&come) =>
            {
                refused.insert(*row, refusal(staged, &error));
                (before, behind)
            }
            // All rows were there: what is checked at a statement's end has no place.
            _ => range.split_at(range.len() / 2),
        };
        // The earlier part first: rows go in as they stand in the file.
        ranges.extend([behind, before]);
    }
    staged.session.run(DOING, &format!("{end}; {AS_USUAL}")).await?;
    drop_rows(staged, refused).await
}
