//! Schedules: the sweeper takes on what nobody works on, the reconciler finds what no event told of.

use rowproof_core::time::EpochSeconds;
use rowproof_io::app::App;
use rowproof_io::batch::EventFailed;
use rowproof_io::clock::Deadline;
use rowproof_io::duties::reconcile::{Scope, reconcile, reconcile_on};
use rowproof_io::duties::sweep::{Which, sweep};
use rowproof_io::error::StepError;
use serde_json::{Value, json};

/// Handles `{"duty": "sweep"}` and `{"duty": "reconcile"}`; an event that names no duty asks for a
/// sweep. A duty may stand in the event's `detail`, too.
///
/// With `"all": true` a sweep takes on everything unfinished. With `"since_hours"`, or `"since"` and
/// an RFC 3339 time, a reconcile looks at uploads stored since then only.
///
/// # Errors
/// The duty is not known, or AWS does not answer: the event comes back, and the next one does as well.
pub async fn handle(app: &App, event: &Value, deadline: Deadline) -> Result<Value, EventFailed> {
    Ok(perform(app, event, deadline).await?)
}

async fn perform(app: &App, event: &Value, deadline: Deadline) -> Result<Value, StepError> {
    let event = event.get("detail").filter(|detail| detail.get("duty").is_some()).unwrap_or(event);
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    match text("duty") {
        None | Some("sweep") => {
            let which = match event.get("all").and_then(Value::as_bool) {
                Some(true) => Which::All,
                Some(false) | None => Which::Due,
            };
            Ok(json!(sweep(app, which, deadline).await?))
        }
        Some("reconcile") => {
            let now = app.clock.now();
            // One that an operator names a time for begins anew; the others go on behind each other.
            if let Some(text) = text("since") {
                let since = EpochSeconds::parse(text);
                let since = since.ok_or_else(|| unknown(&format!("the time {text}")))?;
                return Ok(json!(reconcile(app, Scope::Since(since), deadline).await?));
            }
            let scope = match event.get("since_hours").and_then(Value::as_i64) {
                Some(hours) => Scope::Since(now.plus(hours.saturating_mul(-3_600))),
                None => Scope::Everything,
            };
            Ok(json!(reconcile_on(app, scope, deadline).await?))
        }
        Some(other) => Err(unknown(&format!("the duty {other}"))),
    }
}

fn unknown(what: &str) -> StepError {
    StepError::Pipeline(format!("a schedule names {what}, which is not known; see its input"))
}
