//! What readers see: the manifests that the pointers name, with every file they name in place.

use futures_util::{StreamExt, TryStreamExt, stream};
use rowproof_core::ids::SlotId;
use rowproof_core::names;
use rowproof_core::receipt::{Current, Manifest};

use crate::app::App;
use crate::error::StepError;

/// Requests in flight.
const IN_FLIGHT: usize = 8;

/// Reads of one pointer while newer versions keep replacing what it names.
const READ_TRIES: u32 = 8;

/// The manifest of every slot that a pipeline has rows of, in the order of their jobs.
///
/// # Errors
/// AWS does not answer, a document does not parse, or a file that the newest manifest names is gone.
pub async fn current_manifests(app: &App, pipeline: &str) -> Result<Vec<Manifest>, StepError> {
    let pointers = app.store.list(&app.settings.output_bucket, names::CURRENT).await?;
    let read: Vec<_> = pointers.iter().map(|key| current_manifest(app, key, pipeline)).collect();
    let found: Vec<_> = stream::iter(read).buffered(IN_FLIGHT).try_collect().await?;
    let mut manifests: Vec<Manifest> = found.into_iter().flatten().collect();
    manifests.sort_by(|a, b| {
        let order = |m: &Manifest| (m.job.created_at, m.job.object.key.clone(), m.job.generation);
        order(a).cmp(&order(b))
    });
    Ok(manifests)
}

/// `None` when the slot is another pipeline's. A file that is gone means that a newer version was
/// published meanwhile: the pointer is read again.
async fn current_manifest(
    app: &App,
    pointer: &str,
    pipeline: &str,
) -> Result<Option<Manifest>, StepError> {
    let mut before: Option<Current> = None;
    for attempt in 0..READ_TRIES {
        let current: Current = app.document(pointer, "pointer to a manifest").await?;
        let manifest: Manifest = app.document(&current.manifest, "manifest").await?;
        if manifest.job.pipeline != pipeline {
            return Ok(None);
        }
        let Some(gone) = missing_file(app, &manifest).await? else { return Ok(Some(manifest)) };
        if before.as_ref() == Some(&current) {
            return Err(StepError::Broken(format!(
                "{gone} is gone, which {} names: load the file again by `rowproof rerun {}`",
                current.manifest, current.job
            )));
        }
        before = Some(current);
        crate::aws::retry::pause(app.clock, attempt).await;
    }
    Err(StepError::Broken(format!("{pointer} kept changing while it was read")))
}

/// Key of a data file that is not there.
async fn missing_file(app: &App, manifest: &Manifest) -> Result<Option<String>, StepError> {
    let bucket = &app.settings.output_bucket;
    let look = |key: String| async move {
        let head = app.store.head(bucket, &key).await?;
        Ok::<_, StepError>(head.is_none().then_some(key))
    };
    let looks: Vec<_> = manifest.files.iter().map(|file| look(file.key.clone())).collect();
    let gone: Vec<_> = stream::iter(looks).buffered(IN_FLIGHT).try_collect().await?;
    Ok(gone.into_iter().flatten().next())
}

/// The generation that readers see in a slot, 0 when there is none.
pub(crate) async fn generation_shown(app: &App, slot: &SlotId) -> Result<i64, StepError> {
    let current = read_current(app, &names::current(slot)).await?;
    Ok(current.map_or(0, |(current, _)| current.generation))
}

pub(crate) async fn read_current(
    app: &App,
    key: &str,
) -> Result<Option<(Current, String)>, StepError> {
    let found = app.store.get_tagged(&app.settings.output_bucket, key).await?;
    let Some((bytes, etag)) = found else { return Ok(None) };
    let bad = |error: serde_json::Error| StepError::BadDocument {
        key: key.to_owned(),
        what: "pointer to a manifest",
        message: error.to_string(),
    };
    Ok(Some((serde_json::from_slice(&bytes).map_err(bad)?, etag)))
}
