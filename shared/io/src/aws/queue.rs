//! SQS: messages are hints. Losing or repeating any of them costs time, never rows.

use aws_sdk_sqs::Client;
use rowproof_core::message::Message;

use crate::aws::error::AwsError;

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
