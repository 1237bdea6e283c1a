//! SQS in memory: standard queues, spoken to over the AWS JSON protocol or directly in process.

mod actions;
mod input;
mod messages;
mod queue;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use s3s::crypto::{Checksum as _, Md5};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

pub(crate) use self::messages::system_attributes;
pub use self::queue::Depth;
pub(crate) use self::queue::{Message, Queue};
use self::queue::{Redrive, Settings};
pub(crate) use self::wire::serve;
use crate::clock::Clock;
use crate::faults::{Class, Faults};
use crate::{ACCOUNT, REGION};

/// How to make a queue. The defaults are those of AWS.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// How long a received message stays hidden.
    pub visibility: Duration,
    /// How long a new message stays hidden.
    pub delay: Duration,
    /// Dead-letter queue and the deliveries after which a message goes there.
    pub redrive: Option<(String, u32)>,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self { visibility: Duration::from_secs(30), delay: Duration::ZERO, redrive: None }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Queues(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    clock: Clock,
    faults: Option<Faults>,
    queues: RwLock<HashMap<String, Arc<Queue>>>,
    /// Grows with every send: tells whether anything came while one looked.
    sends: AtomicU64,
    /// Woken when a message went away or was sent.
    changed: Notify,
}

impl Queues {
    pub(crate) fn new(clock: Clock, faults: Option<Faults>) -> Self {
        Self(Arc::new(Inner { clock, faults, ..Inner::default() }))
    }

    fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    /// Makes a queue, or leaves the one there is as it is.
    pub(crate) fn create(&self, name: &str, options: &QueueOptions) -> Arc<Queue> {
        let redrive = options.redrive.as_ref().map(|(queue, receives_max)| Redrive {
            queue: queue.clone(),
            receives_max: *receives_max,
        });
        let mut attributes = BTreeMap::new();
        if let Some(redrive) = &redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": arn(&redrive.queue),
                "maxReceiveCount": redrive.receives_max,
            });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
        }
        let settings = Settings {
            visibility: options.visibility,
            delay: options.delay,
            redrive,
            attributes,
            ..Settings::aws()
        };
        let mut queues = self.0.queues.write().unwrap_or_else(PoisonError::into_inner);
        let queue = queues.entry(name.to_owned());
        Arc::clone(queue.or_insert_with(|| Arc::new(Queue::new(name, settings, self.clock()))))
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Queue>> {
        self.0.queues.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn remove(&self, name: &str) -> Option<Arc<Queue>> {
        self.0.queues.write().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    fn names(&self) -> Vec<String> {
        let queues = self.0.queues.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = queues.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Sends a body; `false` if there is no such queue. `about` names what the message is about, the
    /// same in every run.
    pub(crate) fn send(&self, queue: &str, body: String, about: &str) -> bool {
        let Some(queue) = self.get(queue) else {
            return false;
        };
        self.deliver(&queue, Message::new(body, serde_json::Map::new()), None, about);
        true
    }

    /// Takes a new message in, unless a fault has it otherwise.
    pub(crate) fn deliver(
        &self,
        queue: &Queue,
        message: Message,
        delay: Option<Duration>,
        about: &str,
    ) {
        let fault = self.0.faults.as_ref().and_then(|faults| faults.of_message(&queue.name, about));
        let later = fault.map(|fault| delay.unwrap_or_default() + fault.delay);
        match fault.map(|fault| fault.class) {
            Some(Class::MessageLost) => {}
            Some(Class::MessageLate) => self.push(queue, message, later),
            Some(Class::MessageTwice) => {
                self.push(queue, message.again(), later);
                self.push(queue, message, delay);
            }
            Some(_) | None => self.push(queue, message, delay),
        }
    }

    pub(crate) fn push(&self, queue: &Queue, message: Message, delay: Option<Duration>) {
        self.0.sends.fetch_add(1, Ordering::AcqRel);
        queue.push(message, delay);
        self.0.changed.notify_waiters();
    }

    pub(crate) fn sends(&self) -> u64 {
        self.0.sends.load(Ordering::Acquire)
    }

    /// To be called when messages were deleted or an invocation ended.
    pub(crate) fn note_change(&self) {
        self.0.changed.notify_waiters();
    }

    pub(crate) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.changed.notified()
    }

    /// Takes messages; those delivered too often go to the dead-letter queue on the way.
    pub(crate) fn take(
        &self,
        queue: &Queue,
        max: usize,
        visibility: Option<Duration>,
    ) -> queue::Batch {
        let mut batch = queue.take(max, visibility);
        if batch.dead.is_empty() {
            return batch;
        }
        let target = queue.settings().redrive.and_then(|redrive| self.get(&redrive.queue));
        for mut message in std::mem::take(&mut batch.dead) {
            let Some(target) = &target else { continue };
            message.moved_from = Some(queue.name.clone());
            self.push(target, message, Some(Duration::ZERO));
        }
        self.note_change();
        batch
    }

    /// Receives up to `max` messages, waiting up to `wait` for the first.
    pub(crate) async fn receive(
        &self,
        queue: &Queue,
        max: usize,
        visibility: Option<Duration>,
        wait: Duration,
    ) -> Vec<Message> {
        let deadline = Instant::now() + wait;
        loop {
            let mut woken = std::pin::pin!(queue.woken());
            woken.as_mut().enable();
            let batch = self.take(queue, max, visibility);
            let now = Instant::now();
            if !batch.messages.is_empty() || now >= deadline {
                return batch.messages;
            }
            let next = batch.next.map_or(Duration::MAX, Duration::from_millis);
            // Woken or timed out: look again either way.
            timeout(next.min(deadline - now), woken).await.ok();
        }
    }
}

pub(crate) fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

pub(crate) fn md5_hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Md5::checksum(bytes))
}

/// A field of a JSON object; null if there is none.
pub(crate) fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// Sets a field of a JSON object.
pub(crate) fn set(value: &mut Value, name: &str, to: impl Into<Value>) {
    if let Some(map) = value.as_object_mut() {
        map.insert(name.to_owned(), to.into());
    }
}
