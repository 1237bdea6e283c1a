//! A batch of messages: each gets its own verdict, and one that fails never takes another along.

use futures_util::StreamExt;
use rowproof_core::event::{self, Message};
use serde_json::{Value, json};
use tracing::error;

use crate::error::StepError;

/// Messages worked on at a time.
const IN_FLIGHT: usize = 4;

/// A single event (no batch) that failed: Lambda retries it as a whole.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct EventFailed(String);

impl From<StepError> for EventFailed {
    fn from(error: StepError) -> EventFailed {
        EventFailed(error.to_string())
    }
}

/// Runs `handle` on every message of an event. For an SQS batch the answer names the messages to
/// deliver again; an event that is no batch fails as a whole.
pub async fn each_message<F, R>(event: &Value, handle: F) -> Result<Value, EventFailed>
where
    F: Fn(Value) -> R,
    R: Future<Output = Result<(), StepError>>,
{
    let messages = event::messages(event).into_iter();
    let handled: Vec<_> = messages.map(|message| one(message, &handle)).collect();
    let results: Vec<_> =
        futures_util::stream::iter(handled).buffer_unordered(IN_FLIGHT).collect().await;
    let mut failures = vec![];
    for (id, result) in results {
        let Err(text) = result else { continue };
        match id {
            Some(id) => failures.push(json!({ "itemIdentifier": id })),
            None => return Err(EventFailed(text)),
        }
    }
    Ok(json!({ "batchItemFailures": failures }))
}

async fn one<F, R>(message: Message, handle: &F) -> (Option<String>, Result<(), String>)
where
    F: Fn(Value) -> R,
    R: Future<Output = Result<(), StepError>>,
{
    let result = match message.body {
        Ok(body) => handle(body).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(text) = &result {
        error!(message_id = message.id, error = text, "message failed; it will come back");
    }
    (message.id, result)
}
