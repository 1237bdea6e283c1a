//! Rows that the newest file does not have, where a file is the whole table.

use rowproof_core::copy::{Sql, tuples};
use rowproof_core::ledger::JobFacts;
use rowproof_core::receipt::{Manifest, over_missing};

use super::error::{Fault, PostgresError};
use super::landed::staged;
use super::session::{Session, pieces};
use super::table::open_table;
use crate::app::App;
use crate::error::StepError;
use crate::pipelines::Ready;

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
    keep_keys(app, &session, &sql, frozen).await?;
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

/// Deletes them, once the file's own rows are written; how many.
pub(super) async fn delete_missing(
    app: &App,
    session: &Session,
    sql: &Sql,
    frozen: &Manifest,
) -> Result<u64, StepError> {
    if sql.plan().sink.delete_missing.is_none() {
        return Ok(0);
    }
    keep_keys(app, session, sql, frozen).await?;
    Ok(session.execute("delete missing rows", &sql.delete_missing(&frozen.job)).await?)
}

/// Sends the keys of all rows that were staged.
async fn keep_keys(
    app: &App,
    session: &Session,
    sql: &Sql,
    frozen: &Manifest,
) -> Result<(), StepError> {
    session.run(DOING, &sql.create_kept()).await?;
    let keys = sql.plan().keys();
    for file in &frozen.staged {
        let rows = staged(app, &file.staged, file.rows).await?;
        let mut kept = Vec::new();
        tuples(&rows.bytes, keys).for_each(|tuple| tuple.put_probe(keys + 2, &mut kept));
        session.copy(&sql.copy_kept(), pieces(kept.into())).await?;
    }
    Ok(())
}
