//! The reconciler: compares what is stored with what the ledger knows. It finds uploads whose event
//! never came, and files that nobody needs any more.
//!
//! It only sends messages and removes leftovers, so any number may run at once, and one that ends
//! early loses nothing but time: the next one goes on behind it.

mod leftovers;
mod tables;
mod uploads;

use bytes::Bytes;
use rowproof_core::time::EpochSeconds;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;

/// What a pass found and did. The keys are a contract: more may come, none is renamed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Objects of the input bucket that a pipeline matches.
    pub objects: u64,
    /// Objects that no pipeline matches.
    pub unmatched: u64,
    /// Objects that a pipeline matches, and whose names say that they are no data.
    pub skipped: u64,
    /// Objects whose version the ledger did not know: each is observed now.
    pub unobserved: u64,
    /// Working files of jobs that are over, removed.
    pub working_removed: u64,
    /// Published files of replaced versions or of workers that were cut off, removed.
    pub published_removed: u64,
    /// Things that could not be judged, and are left alone; the log says why.
    pub doubtful: u64,
    /// Everything was looked at.
    pub complete: bool,
}

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Uploads,
    Staging,
    Plans,
    Tables,
}

/// Where a pass stands: behind this key of this part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    part: Part,
    after: String,
}

impl Place {
    fn start(part: Part) -> Place {
        Place { part, after: String::new() }
    }
}

/// How a look at one part ended.
enum Ended {
    Complete,
    /// Out of time, behind this key.
    Early(String),
}

/// What a pass is to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Uploads stored since then, and nothing else.
    Since(EpochSeconds),
    /// All uploads and all leftovers.
    Everything,
}

/// Looks at everything in scope from its beginning.
///
/// # Errors
/// AWS does not answer. What was done until then stands.
pub async fn reconcile(
    app: &App,
    scope: Scope,
    deadline: Deadline,
) -> Result<Reconciled, StepError> {
    let (reconciled, _) = pass(app, scope, Place::start(Part::Uploads), deadline).await?;
    Ok(reconciled)
}

/// Goes on where the last call with this scope stopped for want of time; else from the beginning.
///
/// # Errors
/// As [`reconcile`].
pub async fn reconcile_on(
    app: &App,
    scope: Scope,
    deadline: Deadline,
) -> Result<Reconciled, StepError> {
    // Only a hint of where to begin: lost or overwritten by another pass, it costs time.
    let key = match scope {
        Scope::Since(_) => "_reconcile/recent.json",
        Scope::Everything => "_reconcile/all.json",
    };
    let bucket = &app.settings.output_bucket;
    let kept = app.store.get(bucket, key).await?;
    let place: Option<Place> = kept.and_then(|text| serde_json::from_slice(&text).ok()).flatten();
    let was_begun = place.is_some();
    let place = place.unwrap_or(Place::start(Part::Uploads));
    let (reconciled, next) = pass(app, scope, place, deadline).await?;
    if was_begun || next.is_some() {
        let text = serde_json::to_vec(&next).unwrap_or_default();
        app.store.put(bucket, key, Bytes::from(text)).await?;
    }
    Ok(reconciled)
}

async fn pass(
    app: &App,
    scope: Scope,
    from: Place,
    deadline: Deadline,
) -> Result<(Reconciled, Option<Place>), StepError> {
    let mut found = Reconciled::default();
    let mut next = Some(from);
    while let Some(Place { part, after }) = next {
        let (ended, behind) = match part {
            Part::Uploads => {
                let behind = match scope {
                    Scope::Since(_) => None,
                    Scope::Everything => Some(Part::Staging),
                };
                (uploads::look(app, scope, after, deadline, &mut found).await?, behind)
            }
            Part::Staging => {
                let ended = leftovers::look(app, "_staging/", after, deadline, &mut found).await?;
                (ended, Some(Part::Plans))
            }
            Part::Plans => {
                let ended = leftovers::look(app, "_plans/", after, deadline, &mut found).await?;
                (ended, Some(Part::Tables))
            }
            Part::Tables => (tables::look(app, after, deadline, &mut found).await?, None),
        };
        match ended {
            Ended::Complete => next = behind.map(Place::start),
            Ended::Early(after) => {
                report(&found);
                return Ok((found, Some(Place { part, after })));
            }
        }
    }
    found.complete = true;
    report(&found);
    Ok((found, None))
}

/// Something that cannot be judged is left alone; only a service that does not answer ends the pass.
fn doubt(found: &mut Reconciled, what: &str, error: StepError) -> Result<(), StepError> {
    match error {
        StepError::Aws(_) | StepError::Sink(_) | StepError::Postgres(_) => Err(error),
        StepError::BadItem(_)
        | StepError::BadDocument { .. }
        | StepError::SourceChanged { .. }
        | StepError::Object(_)
        | StepError::Fenced { .. }
        | StepError::Pipeline(_)
        | StepError::Broken(_) => {
            warn!(what, %error, "not reconciled");
            found.doubtful += 1;
            Ok(())
        }
    }
}

fn report(found: &Reconciled) {
    info!(
        objects = found.objects,
        unobserved = found.unobserved,
        working_removed = found.working_removed,
        published_removed = found.published_removed,
        doubtful = found.doubtful,
        complete = found.complete,
        "reconciled"
    );
    crate::telemetry::duty(
        "reconcile",
        &[
            ("UploadsUnobserved", "Count", found.unobserved),
            ("OrphansRemoved", "Count", found.working_removed + found.published_removed),
            ("ReconcileDoubtful", "Count", found.doubtful),
        ],
    );
}
