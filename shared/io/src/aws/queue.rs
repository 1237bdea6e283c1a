//! SQS: messages are hints. Losing or repeating any of them costs time, never rows.

use aws_sdk_sqs::Client;
use rowproof_core::ledger::ChunkId;
use rowproof_core::message::{Message, Task};

use crate::error::AwsError;

/// Sends messages.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
}

impl Queue {
    /// Over this client.
    pub fn new(client: Client) -> Queue {
        Queue { client }
    }

    /// Sends one message, after `delay_seconds` (0 to 900).
    pub async fn send(
        &self,
        queue_url: &str,
        message: &Message,
        delay_seconds: i32,
    ) -> Result<(), AwsError> {
        let answer = self
            .client
            .send_message()
            .queue_url(queue_url)
            .message_body(message.to_json())
            .delay_seconds(delay_seconds.clamp(0, 900))
            .send()
            .await;
        answer.map(drop).map_err(|error| AwsError::of(format!("SendMessage {queue_url}"), error))
    }
}

/// Names a chunk or job that failed for good on the failed queue. The ledger has it already; the
/// message is a doorbell.
pub(crate) async fn announce(
    app: &crate::app::App,
    job: &rowproof_core::ids::JobId,
    chunk: Option<&ChunkId>,
    code: &str,
) -> Result<(), AwsError> {
    let part = chunk.map(|id| id.part.clone()).unwrap_or_default();
    let chunk = chunk.map(|id| id.chunk);
    let task = Task::Failed { job: job.clone(), chunk, part, code: code.to_owned() };
    app.queue.send(&app.settings.failed_queue_url, &Message::new(task), 0).await
}
