//! Rows that Postgres refuses, found among those that it takes.
//!
//! A constraint that failed is asked of all staged rows at once. What cannot be asked so (a trigger, a
//! unique index, a value that is none of its type) is found row by row: a counter that no rollback sets
//! back tells how far a statement came. What is checked at a statement's end is found by halves.

use std::collections::BTreeMap;

use rowproof_core::copy::quote;
use rowproof_core::sink::Refusal;
use tokio_postgres::types::Type;

use super::write::Write;
use crate::postgres::error::{Fault, PostgresError};
use crate::postgres::session::Param;

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

/// Takes the staged rows into the table, without those that it refuses.
pub(super) async fn apply(write: &mut Write<'_>) -> Result<(), PostgresError> {
    if write.is_over() {
        return Ok(());
    }
    if let Some([delete, drop_staged]) = write.sql.delete_marked() {
        // A row that says "delete" has its effect; it counts as loaded.
        attempt(write, &delete).await?;
        write.session.numbers(DOING, &drop_staged).await?;
    }
    for _ in 0..ASKED_MAX {
        let error = match attempt(write, &write.apply(None)).await {
            Ok(()) => return Ok(()),
            Err(error) if error.fault == Fault::Row => error,
            Err(error) => return Err(error),
        };
        if error.state() == Some("23505") && write.is_not_fresh() {
            continue;
        }
        let found = violating(write, &error).await?;
        if found.is_empty() {
            break;
        }
        let refusal = refusal(write, &error);
        drop_rows(write, found.iter().map(|row| (*row, refusal.clone())).collect()).await?;
    }
    one_by_one(write, &|write, first, last| write.apply(Some((first, last)))).await
}

/// Staged rows whose key is no value of the table's type: they could not even be compared.
pub(super) async fn keys_that_are_none(write: &mut Write<'_>) -> Result<(), PostgresError> {
    let Some(all) = write.sql.read_keys(None) else { return Ok(()) };
    match attempt(write, &all).await {
        Ok(()) => Ok(()),
        Err(error) if error.fault == Fault::Row => {
            let test = |write: &Write<'_>, first, last| {
                write.sql.read_keys(Some((first, last))).unwrap_or_default()
            };
            let before = write.refused.len();
            one_by_one(write, &test).await?;
            tracing::debug!(rows = write.refused.len() - before, "keys that are none");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Runs a statement; when it fails the transaction is as before it.
async fn attempt(write: &Write<'_>, sql: &str) -> Result<(), PostgresError> {
    // In one message: it may be sent for every row.
    match write.session.run(DOING, &format!("{SAVE}; {sql}; {KEEP}")).await {
        Ok(()) => Ok(()),
        Err(error) => {
            if error.fault == Fault::Row {
                write.session.run(DOING, BACK).await?;
            }
            Err(error)
        }
    }
}

/// Every staged row that breaks the constraint which the error names; none when that cannot be asked.
async fn violating(write: &Write<'_>, error: &PostgresError) -> Result<Vec<u64>, PostgresError> {
    let query = match (error.state(), error.column(), error.constraint()) {
        (Some("23502"), Some(column), _) if is_staged(write, column) => write.sql.without(column),
        (Some("23514"), _, Some(name)) => match check_of(write, name).await? {
            Some(condition) => write.sql.violating(&condition),
            None => return Ok(vec![]),
        },
        (Some("23503"), _, Some(name)) => match reference_of(write, name).await? {
            Some((other, pairs)) => write.sql.dangling(&other, &pairs),
            None => return Ok(vec![]),
        },
        _ => return Ok(vec![]),
    };
    // The question may not fit the staged types, or fail on a value: then the rows are found one by one.
    write.session.run(DOING, SAVE).await?;
    match write.session.numbers(DOING, &query).await {
        Ok(rows) => {
            write.session.run(DOING, KEEP).await?;
            Ok(rows)
        }
        Err(error) if error.fault == Fault::Passing => Err(error),
        Err(_) => {
            write.session.run(DOING, BACK).await?;
            Ok(vec![])
        }
    }
}

fn is_staged(write: &Write<'_>, column: &str) -> bool {
    write.sql.plan().columns.iter().any(|staged| staged.name == column)
}

async fn check_of(write: &Write<'_>, name: &str) -> Result<Option<String>, PostgresError> {
    let query = "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint \
                 WHERE conname = $1 AND conrelid = to_regclass($2) AND contype = 'c'";
    let target = write.sql.target();
    let params: [Param<'_>; 2] = [(&name, Type::TEXT), (&target, Type::TEXT)];
    let rows = write.session.rows("read a constraint", query, &params).await?;
    Ok(rows.first().and_then(|row| row.try_get(0).ok()))
}

type Reference = (String, Vec<(String, String)>);

async fn reference_of(write: &Write<'_>, name: &str) -> Result<Option<Reference>, PostgresError> {
    let query = "SELECT n.nspname::text, o.relname::text, h.attname::text, t.attname::text \
        FROM pg_constraint c JOIN pg_class o ON o.oid = c.confrelid \
        JOIN pg_namespace n ON n.oid = o.relnamespace \
        CROSS JOIN LATERAL unnest(c.conkey, c.confkey) AS k(here, there) \
        JOIN pg_attribute h ON h.attrelid = c.conrelid AND h.attnum = k.here \
        JOIN pg_attribute t ON t.attrelid = c.confrelid AND t.attnum = k.there \
        WHERE c.conname = $1 AND c.conrelid = to_regclass($2) AND c.contype = 'f'";
    let target = write.sql.target();
    let params: [Param<'_>; 2] = [(&name, Type::TEXT), (&target, Type::TEXT)];
    let rows = write.session.rows("read a constraint", query, &params).await?;
    let text = |row: &tokio_postgres::Row, at| row.try_get::<_, String>(at).unwrap_or_default();
    let Some(first) = rows.first() else { return Ok(None) };
    let other = format!("{}.{}", quote(&text(first, 0)), quote(&text(first, 1)));
    Ok(Some((other, rows.iter().map(|row| (text(row, 2), text(row, 3))).collect())))
}

/// What the archive says of a row that was refused with this error.
fn refusal(write: &Write<'_>, error: &PostgresError) -> Refusal {
    let named = error.column();
    let column = write.sql.plan().columns.iter().find(|column| Some(column.name.as_str()) == named);
    Refusal {
        column: column.map(|column| column.index),
        reason: format!("Postgres refuses the row: {}", error.what),
    }
}

async fn drop_rows(
    write: &mut Write<'_>,
    refused: BTreeMap<u64, Refusal>,
) -> Result<(), PostgresError> {
    let rows: Vec<i64> = refused.keys().filter_map(|row| i64::try_from(*row).ok()).collect();
    let sql = write.sql.drop_rows();
    write.session.rows(DOING, &sql, &[(&rows, Type::INT8_ARRAY)]).await?;
    write.refused.extend(refused);
    Ok(())
}

/// Runs `statement` over all staged rows in ranges that succeed; the rows at which it fails are refused
/// and no longer staged.
async fn one_by_one(
    write: &mut Write<'_>,
    statement: &(dyn Fn(&Write<'_>, u64, u64) -> String + Sync),
) -> Result<(), PostgresError> {
    let [index, list] = write.sql.number_rows();
    let [make, set_back, read, end] = write.sql.counter();
    write.session.run(DOING, &format!("{index}; {make}; {BY_INDEX}")).await?;
    let rows = write.session.numbers(DOING, &list).await?;
    let mut refused = BTreeMap::new();
    let mut ranges: Vec<_> = rows.chunks(TOGETHER).rev().collect();
    while let Some(range) = ranges.pop() {
        let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
        write.session.run(DOING, &set_back).await?;
        let error = match attempt(write, &statement(write, *first, *last)).await {
            Ok(()) => continue,
            Err(error) if error.fault == Fault::Row => error,
            Err(error) => return Err(error),
        };
        let found = write.session.numbers(DOING, &read).await?;
        let come = found.first().and_then(|come| usize::try_from(*come).ok()).unwrap_or(0);
        let (before, behind) = match range.split_at(come.saturating_sub(1).min(range.len() - 1)) {
            (before, [row, behind @ ..])
                if range.len() == 1 || (1..range.len()).contains(&come) =>
            {
                refused.insert(*row, refusal(write, &error));
                (before, behind)
            }
            // All rows were there: what is checked at a statement's end has no place.
            _ => range.split_at(range.len() / 2),
        };
        // The earlier part first: rows go in as they stand in the file.
        ranges.extend([behind, before]);
    }
    write.session.run(DOING, &format!("{end}; {AS_USUAL}")).await?;
    drop_rows(write, refused).await
}
