//! Event source mappings: messages of a queue become invocations of a function.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::REGION;
use crate::sqs::{Message, Queue, Queues, arn, field, set, system_attributes};

/// Calls a function with an event and gives what it returns.
pub type Invoke =
    Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, InvokeError>> + Send + Sync>;

/// Why an invocation gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct InvokeError {
    /// As Lambda names it: `Runtime.ExitError`, `Sandbox.Timedout`, or the function's own type.
    pub kind: String,
    /// What went wrong.
    pub message: String,
}

/// A queue, and how its messages are handed to a function.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Queue name.
    pub queue: String,
    /// Most messages of one invocation.
    pub batch_size: usize,
    /// Most invocations at once.
    pub concurrency_max: usize,
    /// How long the messages stay hidden while they are worked on.
    pub visibility: Duration,
}

/// The first wait before a failed message is seen again; it doubles with every delivery, up to the
/// mapping's visibility. Without it a message that fails at once would be gone in milliseconds.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// How long one poll waits.
const POLL: Duration = Duration::from_secs(20);

/// The mappings of one local AWS.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    pub(crate) in_flight: Arc<AtomicUsize>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

struct Poller {
    queues: Queues,
    queue: Arc<Queue>,
    mapping: Mapping,
    invoke: Invoke,
    in_flight: Arc<AtomicUsize>,
}

impl Mappings {
    pub(crate) fn start(
        &self,
        queues: Queues,
        queue: Arc<Queue>,
        mapping: Mapping,
        invoke: Invoke,
    ) {
        let in_flight = Arc::clone(&self.in_flight);
        let poller = Arc::new(Poller { queues, queue, mapping, invoke, in_flight });
        let (stop, tasks) = (self.stop.clone(), self.tasks.clone());
        self.tasks.spawn(async move {
            stop.run_until_cancelled(poller.poll(&tasks)).await;
        });
    }
}

impl Poller {
    async fn poll(self: &Arc<Self>, tasks: &TaskTracker) {
        let free = Arc::new(Semaphore::new(self.mapping.concurrency_max.max(1)));
        // The semaphore is never closed.
        while let Ok(permit) = Arc::clone(&free).acquire_owned().await {
            let (max, visibility) = (self.mapping.batch_size.max(1), self.mapping.visibility);
            let messages = self.queues.receive(&self.queue, max, Some(visibility), POLL).await;
            if messages.is_empty() {
                continue;
            }
            self.in_flight.fetch_add(1, Ordering::AcqRel);
            let this = Arc::clone(self);
            tasks.spawn(async move {
                this.run(messages).await;
                drop(permit);
                this.in_flight.fetch_sub(1, Ordering::AcqRel);
                this.queues.note_change();
            });
        }
    }

    async fn run(&self, messages: Vec<Message>) {
        // In a task of its own: a handler that panics fails its batch, not the mapping.
        let invocation = tokio::spawn((self.invoke)(event(&self.queue.name, &messages)));
        let retried = match invocation.await {
            Ok(Ok(answer)) => failures(&answer, &messages),
            Ok(Err(error)) => {
                tracing::warn!(queue = self.queue.name, %error, "an invocation failed");
                Retried::All
            }
            Err(error) => {
                tracing::error!(queue = self.queue.name, %error, "a handler panicked");
                Retried::All
            }
        };
        settle(&self.queue, &messages, &retried, self.mapping.visibility);
    }
}

/// Deletes what was done; the rest is seen again, soon at first.
fn settle(queue: &Queue, messages: &[Message], retried: &Retried, visibility: Duration) {
    for message in messages {
        let receipt = message.receipt();
        let done = if retried.holds(&message.id) {
            let doublings = message.receives.saturating_sub(1).min(16);
            let wait = RETRY_FIRST.saturating_mul(1 << doublings).min(visibility);
            queue.change_visibility(&receipt, wait)
        } else {
            queue.delete(&receipt)
        };
        if let Err(error) = done {
            tracing::debug!(queue = queue.name, id = message.id, ?error, "late receipt");
        }
    }
}

/// Messages that were taken from a queue by hand, for a caller that is its own mapping.
#[derive(Debug)]
pub struct Taken {
    queue: Arc<Queue>,
    messages: Vec<Message>,
    visibility: Duration,
}

impl Taken {
    /// Takes up to `max` messages that can be received now; `None` when there is none.
    pub(crate) fn from(
        queues: &Queues,
        queue: Arc<Queue>,
        max: usize,
        visibility: Duration,
    ) -> Option<Self> {
        let messages = queues.take(&queue, max, Some(visibility)).messages;
        (!messages.is_empty()).then_some(Self { queue, messages, visibility })
    }

    /// The event that Lambda gets.
    #[must_use]
    pub fn event(&self) -> Value {
        event(&self.queue.name, &self.messages)
    }

    /// Deletes what the answer calls done; the rest is seen again, soon at first. `None` stands for an
    /// invocation that failed. Messages that are not settled are seen again when their time is over.
    pub fn settle(self, answer: Option<&Value>) {
        let retried = answer.map_or(Retried::All, |answer| failures(answer, &self.messages));
        settle(&self.queue, &self.messages, &retried, self.visibility);
    }
}

/// The messages of a batch that are delivered again.
#[derive(Debug, PartialEq, Eq)]
enum Retried {
    All,
    These(HashSet<String>),
}

impl Retried {
    fn holds(&self, id: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(id),
        }
    }
}

/// Reads a partial batch response as Lambda does: nothing reported is all good, an id that is
/// empty or of no message of the batch is the whole batch again.
fn failures(answer: &Value, messages: &[Message]) -> Retried {
    let reported = match answer.get("batchItemFailures") {
        None | Some(Value::Null) => return Retried::These(HashSet::new()),
        Some(Value::Array(reported)) => reported,
        Some(_) => return Retried::All,
    };
    let mut ids = HashSet::new();
    for item in reported {
        let id = item["itemIdentifier"].as_str().unwrap_or_default();
        if !messages.iter().any(|message| message.id == id) {
            return Retried::All;
        }
        ids.insert(id.to_owned());
    }
    Retried::These(ids)
}

/// The event that Lambda gets.
fn event(queue: &str, messages: &[Message]) -> Value {
    let records = messages.iter().map(|message| {
        json!({
            "messageId": message.id,
            "receiptHandle": message.receipt(),
            "body": message.body,
            "attributes": system_attributes(message),
            "messageAttributes": attributes(&message.attributes),
            "md5OfBody": message.md5,
            "eventSource": "aws:sqs",
            "eventSourceARN": arn(queue),
            "awsRegion": REGION,
        })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

/// Message attributes under the names Lambda uses, which begin in lower case.
fn attributes(own: &Map<String, Value>) -> Map<String, Value> {
    let renamed = own.iter().map(|(name, value)| {
        let mut renamed = json!({
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": value["DataType"],
        });
        for (from, to) in [("StringValue", "stringValue"), ("BinaryValue", "binaryValue")] {
            if let Some(text) = field(value, from).as_str() {
                set(&mut renamed, to, text);
            }
        }
        (name.clone(), renamed)
    });
    renamed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Vec<Message> {
        (0..2).map(|n| Message::new(n.to_string(), Map::new())).collect()
    }

    #[test]
    fn nothing_reported_is_all_good() {
        for answer in [
            json!(null),
            json!({}),
            json!({"batchItemFailures": null}),
            json!({"batchItemFailures": []}),
        ] {
            assert_eq!(failures(&answer, &batch()), Retried::These(HashSet::new()));
        }
    }

    #[test]
    fn only_the_reported_messages_are_retried() {
        let messages = batch();
        let answer = json!({"batchItemFailures": [{"itemIdentifier": messages[1].id}]});
        let retried = failures(&answer, &messages);
        assert!(!retried.holds(&messages[0].id));
        assert!(retried.holds(&messages[1].id));
    }

    #[test]
    fn an_identifier_of_no_message_retries_the_whole_batch() {
        let messages = batch();
        for id in [json!(null), json!(""), json!("nobody"), json!(1)] {
            let answer = json!({"batchItemFailures": [{"itemIdentifier": messages[0].id}, {"itemIdentifier": id}]});
            assert_eq!(failures(&answer, &messages), Retried::All);
        }
        assert_eq!(failures(&json!({"batchItemFailures": "x"}), &messages), Retried::All);
    }
}
