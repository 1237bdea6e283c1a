//! The input bucket against the slots: an upload that no event told of.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use rowproof_core::ids::{ObjectVersion, slot_id};
use rowproof_core::ledger::{self, Observed};
use rowproof_core::message::{Message, Restart, Task};
use rowproof_core::pipeline::Replaces;

use super::{Ended, Reconciled, Scope, doubt};
use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;
use crate::pipelines::{Matched, Ready};

/// Objects looked at at a time.
const IN_FLIGHT: usize = 16;

/// What an object of the bucket is to the ledger.
enum Seen {
    Unmatched,
    /// Its name says that it is no data.
    Skipped,
    Known,
    /// It is observed now.
    New,
}

pub(super) async fn look(
    app: &App,
    scope: Scope,
    mut after: String,
    deadline: Deadline,
    found: &mut Reconciled,
) -> Result<Ended, StepError> {
    let bucket = &app.settings.input_bucket;
    loop {
        if deadline.is_near(app.settings.deadline_margin_ms) {
            return Ok(Ended::Early(after));
        }
        let page = app.store.page(bucket, "", &after).await?;
        if let Some(last) = page.objects.last() {
            after.clone_from(&last.key);
        }
        let in_scope = |object: &&ObjectVersion| match scope {
            Scope::Since(since) => object.last_modified >= since,
            Scope::Everything => true,
        };
        // A key that ends in a slash is a folder as some tools draw it.
        let objects = page.objects.iter().filter(|object| !object.key.ends_with('/'));
        let looks: Vec<_> = objects.filter(in_scope).map(|object| examine(app, object)).collect();
        let mut looked = stream::iter(looks).buffered(IN_FLIGHT);
        while let Some((key, seen)) = looked.next().await {
            match seen {
                Ok(Seen::Unmatched) => found.unmatched += 1,
                Ok(Seen::Skipped) => found.skipped += 1,
                Ok(Seen::Known) => found.objects += 1,
                Ok(Seen::New) => {
                    found.objects += 1;
                    found.unobserved += 1;
                }
                Err(error) => doubt(found, key, error)?,
            }
        }
        if !page.more {
            return Ok(Ended::Complete);
        }
    }
}

async fn examine<'a>(app: &App, object: &'a ObjectVersion) -> (&'a str, Result<Seen, StepError>) {
    (&object.key, try_examine(app, object).await)
}

async fn try_examine(app: &App, object: &ObjectVersion) -> Result<Seen, StepError> {
    let (ready, captures) = match app.pipelines.matching(&object.key).await? {
        Matched::One(ready, captures) => (ready, captures),
        Matched::None => return Ok(Seen::Unmatched),
        Matched::Skipped { .. } => return Ok(Seen::Skipped),
    };
    if is_known(app, &ready, &captures, object).await? {
        return Ok(Seen::Known);
    }
    let (bucket, key) = (object.bucket.clone(), object.key.clone());
    let message = Message::new(Task::Observe { bucket, key, restart: Restart::No });
    app.queue.send(&app.settings.work_queue_url, &message, 0).await?;
    Ok(Seen::New)
}

/// Whether there is nothing to load of this version that the ledger does not know of already.
async fn is_known(
    app: &App,
    ready: &Ready,
    captures: &BTreeMap<String, String>,
    listed: &ObjectVersion,
) -> Result<bool, StepError> {
    let mut object = listed.clone();
    if ready.pipeline.source.replaces == Replaces::Nothing {
        // The version is part of the slot's name, and a listing does not tell it.
        match app.store.head(&object.bucket, &object.key).await? {
            Some(head) => object = head.object,
            None => return Ok(true),
        }
    }
    let id = slot_id(&ready.pipeline, &object, captures);
    let slot = app.ledger.slot(&id).await?;
    Ok(match ledger::observe(&id, slot.as_ref(), &object, app.clock.now(), 0) {
        Observed::NewHead { .. } => false,
        // A head without a job is the sweeper's to find.
        Observed::IsHead { .. } | Observed::Older | Observed::Reverted => true,
    })
}
