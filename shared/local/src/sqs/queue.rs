//! One queue in memory. Messages are ordered by the time they can be received.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::md5_hex;
use crate::clock::Clock;

/// Most bytes of a message: body and attributes.
pub(crate) const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// When a message can be received, in milliseconds of [`Clock::steady_ms`], and a number that keeps
/// equal times in the order of sending.
type Place = (u64, u64);

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: String,
    pub(crate) md5: String,
    /// As the sender gave them.
    pub(crate) attributes: Map<String, Value>,
    /// Milliseconds since 1970; 0 before it is in a queue.
    pub(crate) sent: u64,
    /// Milliseconds since 1970; 0 before the first delivery.
    pub(crate) first_received: u64,
    pub(crate) receives: u32,
    /// The queue whose redrive policy moved it here.
    pub(crate) moved_from: Option<String>,
}

impl Message {
    pub(crate) fn new(body: String, attributes: Map<String, Value>) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            md5: md5_hex(body.as_bytes()),
            body,
            attributes,
            sent: 0,
            first_received: 0,
            receives: 0,
            moved_from: None,
        }
    }

    /// The same message under another id, as a second delivery looks to a receiver.
    pub(crate) fn again(&self) -> Self {
        Self { id: uuid::Uuid::new_v4().to_string(), ..self.clone() }
    }

    /// Valid until the message is received again.
    pub(crate) fn receipt(&self) -> String {
        format!("{}.{}", self.id, self.receives)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Redrive {
    pub(crate) queue: String,
    pub(crate) receives_max: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) visibility: Duration,
    pub(crate) delay: Duration,
    pub(crate) retention: Duration,
    pub(crate) wait: Duration,
    pub(crate) redrive: Option<Redrive>,
    /// What was set and is only given back.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub(crate) created: u64,
}

impl Settings {
    /// The defaults of AWS.
    pub(crate) fn aws() -> Self {
        Self {
            visibility: Duration::from_secs(30),
            delay: Duration::ZERO,
            retention: Duration::from_secs(345_600),
            wait: Duration::ZERO,
            redrive: None,
            attributes: BTreeMap::new(),
            created: 0,
        }
    }
}

#[derive(Debug)]
struct State {
    settings: Settings,
    messages: BTreeMap<Place, Message>,
    /// By message id.
    places: HashMap<String, Place>,
    next: u64,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) name: String,
    state: Mutex<State>,
    clock: Clock,
    /// Woken when a message may have become receivable.
    wake: Notify,
}

/// Messages there are: receivable now, in flight, and delayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Can be received now.
    pub visible: usize,
    /// Received and neither deleted nor visible again.
    pub in_flight: usize,
    /// Sent with a delay that has not passed.
    pub delayed: usize,
}

impl Depth {
    /// All messages of the queue.
    #[must_use]
    pub fn total(self) -> usize {
        self.visible + self.in_flight + self.delayed
    }
}

/// What a receive found.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<Message>,
    /// Messages that have been received too often, for the dead-letter queue.
    pub(crate) dead: Vec<Message>,
    /// When the next message becomes receivable, if nothing is sent before, in milliseconds from now.
    pub(crate) next: Option<u64>,
}

/// Why a receipt could not be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReceiptError {
    Unknown,
    NotInFlight,
}

impl Queue {
    pub(crate) fn new(name: &str, settings: Settings, clock: Clock) -> Self {
        let settings = Settings { created: clock.now_ms(), ..settings };
        let state = State { settings, messages: BTreeMap::new(), places: HashMap::new(), next: 0 };
        Self { name: name.to_owned(), state: Mutex::new(state), clock, wake: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.state().settings);
    }

    /// Adds a message; `delay` replaces the queue's own.
    pub(crate) fn push(&self, mut message: Message, delay: Option<Duration>) {
        if message.sent == 0 {
            message.sent = self.clock.now_ms();
        }
        let mut state = self.state();
        let delay = delay.unwrap_or(state.settings.delay);
        state.place(message, self.clock.steady_ms() + millis(delay));
        drop(state);
        self.wake.notify_waiters();
    }

    /// Takes up to `max` messages that can be received now; they reappear after `visibility`.
    pub(crate) fn take(&self, max: usize, visibility: Option<Duration>) -> Batch {
        let now = self.clock.steady_ms();
        let mut state = self.state();
        let visible_at = now + millis(visibility.unwrap_or(state.settings.visibility));
        let retention = u64::try_from(state.settings.retention.as_millis()).unwrap_or(u64::MAX);
        let expired = self.clock.now_ms().saturating_sub(retention);
        let limit = state.settings.redrive.as_ref().map(|redrive| redrive.receives_max);
        let mut batch = Batch::default();
        while batch.messages.len() < max {
            let Some(entry) = state.messages.first_entry() else {
                break;
            };
            if entry.key().0 > now {
                break;
            }
            let mut message = entry.remove();
            state.places.remove(&message.id);
            if message.sent < expired {
                continue;
            }
            if limit.is_some_and(|limit| message.receives >= limit) {
                batch.dead.push(message);
                continue;
            }
            message.receives += 1;
            if message.first_received == 0 {
                message.first_received = self.clock.now_ms();
            }
            batch.messages.push(message.clone());
            state.place(message, visible_at);
        }
        batch.next = state.messages.first_key_value().map(|((at, _), _)| at.saturating_sub(now));
        batch
    }

    /// When the first message becomes receivable, in milliseconds from now.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        let now = self.clock.steady_ms();
        self.state().messages.first_key_value().map(|((at, _), _)| at.saturating_sub(now))
    }

    /// A future that ends when a message may have become receivable. Make it before looking.
    pub(crate) fn woken(&self) -> tokio::sync::futures::Notified<'_> {
        self.wake.notified()
    }

    /// Deletes by receipt. A receipt that a later delivery has replaced deletes nothing.
    pub(crate) fn delete(&self, receipt: &str) -> Result<(), ReceiptError> {
        let (id, receives) = parse_receipt(receipt)?;
        let mut state = self.state();
        let Some(place) = state.places.get(id).copied() else {
            return Ok(());
        };
        if state.messages.get(&place).is_some_and(|message| message.receives == receives) {
            state.messages.remove(&place);
            state.places.remove(id);
        }
        Ok(())
    }

    /// Lets a message in flight reappear after `visibility` from now.
    pub(crate) fn change_visibility(
        &self,
        receipt: &str,
        visibility: Duration,
    ) -> Result<(), ReceiptError> {
        let (id, receives) = parse_receipt(receipt)?;
        let now = self.clock.steady_ms();
        let mut state = self.state();
        let place = state.places.get(id).copied().ok_or(ReceiptError::NotInFlight)?;
        let held = state.messages.get(&place).is_some_and(|m| m.receives == receives);
        if place.0 <= now || !held {
            return Err(ReceiptError::NotInFlight);
        }
        if let Some(message) = state.messages.remove(&place) {
            state.place(message, now + millis(visibility));
        }
        drop(state);
        self.wake.notify_waiters();
        Ok(())
    }

    /// Removes every message and returns them.
    pub(crate) fn drain(&self) -> Vec<Message> {
        let mut state = self.state();
        state.places.clear();
        std::mem::take(&mut state.messages).into_values().collect()
    }

    pub(crate) fn depth(&self) -> Depth {
        let now = self.clock.steady_ms();
        let mut depth = Depth::default();
        for ((at, _), message) in &self.state().messages {
            match (*at <= now, message.receives) {
                (true, _) => depth.visible += 1,
                (false, 0) => depth.delayed += 1,
                (false, _) => depth.in_flight += 1,
            }
        }
        depth
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state().messages.is_empty()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl State {
    fn place(&mut self, message: Message, at: u64) {
        let place = (at, self.next);
        self.next += 1;
        self.places.insert(message.id.clone(), place);
        self.messages.insert(place, message);
    }
}

fn parse_receipt(receipt: &str) -> Result<(&str, u32), ReceiptError> {
    let (id, receives) = receipt.rsplit_once('.').ok_or(ReceiptError::Unknown)?;
    let receives = receives.parse().map_err(|_| ReceiptError::Unknown)?;
    if uuid::Uuid::try_parse(id).is_err() {
        return Err(ReceiptError::Unknown);
    }
    Ok((id, receives))
}
