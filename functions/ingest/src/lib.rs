//! Uploads: observe the object, plan its chunks, hand them out or do a small object at once.

use rowproof_core::event;
use rowproof_core::message::{Message, Restart};
use rowproof_io::app::App;
use rowproof_io::batch::{EventFailed, each_message};
use rowproof_io::clock::Deadline;
use rowproof_io::duties::arrive::{object_arrived, take_on};
use rowproof_io::error::StepError;
use serde_json::Value;

/// Handles one event: an SQS batch of S3 events in any wrapping, or such an event itself.
pub async fn handle(app: &App, event: &Value, deadline: Deadline) -> Result<Value, EventFailed> {
    each_message(event, |body| handle_message(app, body, deadline)).await
}

async fn handle_message(app: &App, body: Value, deadline: Deadline) -> Result<(), StepError> {
    if let Some(message) = Message::from_json(&body) {
        return take_on(app, message.task, deadline).await;
    }
    let refs = event::object_refs(&body)
        .map_err(|error| StepError::Pipeline(format!("not an upload event: {error}")))?;
    for object in &refs.objects {
        object_arrived(app, object, Restart::No, deadline).await?;
    }
    Ok(())
}
