//! The work queue: process one chunk, commit the job when it was the last.

use rowproof_core::message::Message;
use rowproof_io::app::App;
use rowproof_io::batch::{EventFailed, each_message};
use rowproof_io::clock::Deadline;
use rowproof_io::duties::arrive::take_on;
use rowproof_io::error::StepError;
use serde_json::Value;

/// Handles one SQS batch of Rowproof's own messages.
pub async fn handle(app: &App, event: &Value, deadline: Deadline) -> Result<Value, EventFailed> {
    each_message(event, |body| handle_message(app, body, deadline)).await
}

async fn handle_message(app: &App, body: Value, deadline: Deadline) -> Result<(), StepError> {
    let message = Message::from_json(&body);
    let message = message.ok_or_else(|| {
        StepError::Pipeline("the work queue holds a message that is not Rowproof's".into())
    })?;
    take_on(app, message.task, deadline).await
}
