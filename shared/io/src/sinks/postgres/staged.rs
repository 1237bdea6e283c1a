//! Staged rows as they wait in the output bucket.

use rowproof_core::copy::CopyRows;

use crate::app::App;
use crate::error::{StepError, joined};

/// The rows in a staged file.
pub(super) async fn staged(app: &App, key: &str, rows: u64) -> Result<CopyRows, StepError> {
    let what = "file of staged rows";
    let bad = |message: String| StepError::BadDocument { key: key.to_owned(), what, message };
    let file = app.store.get(&app.settings.output_bucket, key).await?;
    let file = file.ok_or_else(|| bad("it is not there".into()))?;
    let unpacked = tokio::task::spawn_blocking(move || CopyRows::unpack(&file, rows)).await;
    joined(unpacked)?.map_err(|error| bad(error.to_string()))
}
