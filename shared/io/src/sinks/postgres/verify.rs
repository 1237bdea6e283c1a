//! What a table holds of a job now.

use rowproof_core::block::Digest;
use rowproof_core::copy::TableDigest;
use rowproof_core::ledger::{Job, PlanRef};
use tokio_postgres::types::Type;

use super::table::open_table;
use crate::app::App;
use crate::pipelines::Ready;
use crate::postgres::error::{Fault, PostgresError};
use crate::postgres::session::Param;

/// The rows of a table that a job wrote and nobody replaced since.
#[derive(Debug)]
pub(crate) struct TableHeld {
    /// The receipt that the table's transaction named; `None` when the slot shows another job.
    pub(crate) receipt: Option<PlanRef>,
    pub(crate) rows: u64,
    /// Sum over the rows as they are.
    pub(crate) digest: Digest,
    /// Sum of the hashes that were written with them.
    pub(crate) written: Digest,
    /// Why the rows as they are cannot be compared with the file's.
    pub(crate) other_form: Option<String>,
}

/// Reads a job's rows back.
pub(crate) async fn read_back(
    app: &App,
    job: &Job,
    ready: &Ready,
) -> Result<TableHeld, PostgresError> {
    let (session, sql) = open_table(app, ready).await?;
    let (slot, name) = (job.facts.slot.0.as_str(), job.facts.job.0.as_str());
    let query = "SELECT manifest FROM rowproof.slots WHERE slot = $1 AND job = $2";
    let params: [Param<'_>; 2] = [(&slot, Type::TEXT), (&name, Type::TEXT)];
    let rows = session.rows("read the slot", query, &params).await?;
    let text: Option<String> = rows.first().and_then(|row| row.try_get(0).ok()).flatten();
    let receipt = text.and_then(|text| serde_json::from_str(&text).ok());
    let query = "SELECT load FROM rowproof.loads WHERE job = $1";
    let rows = session.rows("read the loads", query, &[(&name, Type::TEXT)]).await?;
    let loads: Vec<i64> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
    let width = ready.contract.width();
    let broken = |error: arrow_schema::ArrowError| {
        PostgresError::new(Fault::Setup, "read rows back", error.to_string())
    };
    let mut sum = TableDigest::new(ready.contract.schema().clone(), width).map_err(broken)?;
    if !loads.is_empty() {
        let copy = sql.read_loads(width, &loads);
        session.copy_out(&copy, |bytes| sum.push(bytes).map_err(broken)).await?;
    }
    session.roll_back().await?;
    let found = sum.finish().map_err(broken)?;
    Ok(TableHeld {
        receipt,
        rows: found.rows,
        digest: found.digest,
        written: found.written,
        other_form: sql.other_form(),
    })
}
