//! Rows that the newest file does not have, where a file is the whole table.

use rowproof_core::copy::{Sql, tuples};
use rowproof_core::ledger::JobFacts;
use rowproof_core::receipt::{Manifest, over_missing};

use super::staged::staged;
use super::table::open_table;
use crate::app::App;
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::postgres::error::{Fault, PostgresError};
use crate::postgres::session::{Session, pieces};

const DOING: &str = "look for missing rows";

/// Why the job is to be HELD before rows are deleted that its file does not have.
pub(crate) async fn guard_missing(
    app: &App,
    ready: &Ready,
    frozen: &Manifest,
) -> Result<Option<String>, StepError> {
    let Some(max) = ready.pipeline.sink.postgres().and_then(|sink| sink.delete_missing) else {
        return Ok(None);
    };
    let (session, sql) = open_table(app, ready).await?;
    begin(&session, &sql).await?;
    for file in &frozen.staged {
        let rows = staged(app, &file.staged, file.rows).await?;
        keep_keys(&session, &sql, &rows.bytes).await?;
    }
    let counted = count(&session, &sql, &frozen.job).await;
    match counted {
        Ok([held, missing]) => {
            session.roll_back().await?;
            Ok(over_missing(max, held, missing, frozen.totals.counts.rejected))
        }
        // A key is no value of the table's type: its row will be refused.
        Err(error) if error.fault == Fault::Row => {
            Ok(Some(format!("which rows of the table are missing cannot be told: {}", error.what)))
        }
        Err(error) => Err(error.into()),
    }
}

async fn count(session: &Session, sql: &Sql, facts: &JobFacts) -> Result<[u64; 2], PostgresError> {
    let mut counts = [0; 2];
    for (count, query) in counts.iter_mut().zip(sql.count_missing(facts)) {
        *count = session.numbers(DOING, &query).await?.into_iter().sum();
    }
    Ok(counts)
}

/// Makes room for the keys that stay, where missing ones go.
pub(super) async fn begin(session: &Session, sql: &Sql) -> Result<(), PostgresError> {
    match sql.plan().sink.delete_missing {
        Some(_) => session.run(DOING, &sql.create_kept()).await,
        None => Ok(()),
    }
}

/// Sends the keys of staged rows.
pub(super) async fn keep_keys(
    session: &Session,
    sql: &Sql,
    rows: &[u8],
) -> Result<(), PostgresError> {
    let keys = sql.plan().keys();
    let mut kept = Vec::new();
    tuples(rows, keys).for_each(|tuple| tuple.put_probe(keys + 2, &mut kept));
    session.copy(&sql.copy_kept(), pieces(kept.into())).await
}

/// Deletes the others, once the file's own rows are written and their keys are sent; how many.
pub(super) async fn delete_missing(
    session: &Session,
    sql: &Sql,
    facts: &JobFacts,
) -> Result<u64, PostgresError> {
    match sql.plan().sink.delete_missing {
        Some(_) => session.execute("delete missing rows", &sql.delete_missing(facts)).await,
        None => Ok(0),
    }
}
