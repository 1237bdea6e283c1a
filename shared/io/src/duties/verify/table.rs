//! A receipt against the rows of a table.

use std::sync::Arc;

use rowproof_core::ids::sha256_hex;
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::receipt::Manifest;

use super::{Finding, judged, receipt, unchecked};
use crate::app::App;
use crate::error::StepError;
use crate::pipelines::Ready;
use crate::sinks::postgres::{TableHeld, read_back};

/// The receipt and the rows of a job whose sink is the table of this name.
pub(super) async fn check(
    app: &App,
    job: &Job,
    ready: &Arc<Ready>,
    manifest: &Manifest,
    (name, text): (&str, &[u8]),
) -> Result<Vec<Finding>, StepError> {
    if job.state == JobState::Held {
        let waits = unchecked("data", "its rows are not in the table before it is approved".into());
        return Ok(vec![receipt(job, manifest, text), waits]);
    }
    Ok(match read_back(app, job, ready).await {
        Ok(held) => vec![named(&held, job, manifest, text), rows(&held, manifest, name)],
        Err(error) => {
            let why = |check| unchecked(check, format!("{name} cannot be read: {error}"));
            vec![why("receipt"), why("data")]
        }
    })
}

/// The document is the one that the rows' own transaction names.
fn named(held: &TableHeld, job: &Job, manifest: &Manifest, text: &[u8]) -> Finding {
    let Some(named) = &held.receipt else {
        return unchecked("receipt", "a later file has the slot in the table".into());
    };
    let mut problems = vec![];
    if named.sha256 != sha256_hex(text) {
        problems.push("the receipt is not the one that was committed with the rows".to_owned());
    }
    if manifest.job != job.facts {
        problems.push("the receipt is of another job".to_owned());
    }
    judged("receipt", &problems, "it is the one that was committed with the rows".into())
}

fn rows(held: &TableHeld, manifest: &Manifest, name: &str) -> Finding {
    let loaded = manifest.totals.counts.loaded;
    if held.other_form.is_none() && held.digest != held.written {
        let problem = format!("rows of {name} were changed since: they have another digest");
        return judged("data", &[problem], String::new());
    }
    if held.rows > loaded {
        let problem = format!("{name} holds {} rows of it, and {loaded} were loaded", held.rows);
        return judged("data", &[problem], String::new());
    }
    if held.rows < loaded {
        return unchecked(
            "data",
            format!(
                "{} of {loaded} rows are its own in {name} still, and are as they were written; the \
                 others were replaced or deleted since",
                held.rows
            ),
        );
    }
    if held.written != manifest.totals.loaded_digest {
        let problem = format!("the rows of {name} have another digest than when loaded");
        return judged("data", &[problem], String::new());
    }
    match &held.other_form {
        Some(why) => unchecked("data", format!("{loaded} rows in {name} by their hashes; {why}")),
        None => {
            let ok = format!("{loaded} rows in {name}, digest {}", held.digest);
            judged("data", &[], ok)
        }
    }
}
