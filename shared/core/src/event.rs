//! Events: which messages an invocation carries, and which objects a message is about.
//!
//! S3 reports an upload in many wrappings: directly, in an SQS body, in an SNS notification, and in
//! another shape by `EventBridge`. They are told apart by looking, so that wiring needs no setting.

mod s3;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Largest message body, in bytes: what SQS carries.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// Most wrappings around an event, e.g. SNS around `EventBridge`.
const WRAPPINGS_MAX: usize = 4;

/// An object version that an event is about. What the event does not say is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Bucket.
    pub bucket: String,
    /// Key, decoded.
    pub key: String,
    /// Version, in a versioned bucket.
    pub version_id: Option<String>,
    /// `ETag` without quotes.
    pub etag: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
    /// Orders the events of one key: hex digits, to be compared at equal length.
    pub sequencer: Option<String>,
}

/// What one message is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs {
    /// Objects that were written.
    pub objects: Vec<ObjectRef>,
    /// Deletes and expirations, skipped.
    pub deletes: u64,
    /// Folder markers (no bytes, key with a slash at its end), skipped.
    pub folder_markers: u64,
    /// Other news of an object that leave its bytes alone, such as tagging, skipped.
    pub others: u64,
}

/// Why a message cannot be understood. Never carries a value of the event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not JSON.
    #[error("the message body is not JSON")]
    NotJson,
    /// An SQS record lacks `messageId` or `body`.
    #[error("the SQS record has no {0}")]
    BadRecord(&'static str),
    /// Over [`BODY_BYTES_MAX`].
    #[error("the message body is over {BODY_BYTES_MAX} bytes")]
    TooLarge,
    /// None of the shapes that are known.
    #[error("the event has an unknown shape: {0}")]
    UnknownShape(String),
    /// A known shape without something it must have.
    #[error("the event of {shape} has no valid {field}")]
    Field {
        /// The shape.
        shape: &'static str,
        /// Path of what is missing or wrong.
        field: &'static str,
    },
    /// Wrapped too often.
    #[error("the event is wrapped more than {WRAPPINGS_MAX} times")]
    TooDeep,
}

/// A message of an invocation: the unit that fails alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// SQS message id; `None` for an event that is no batch. A record of a batch without an id has none
    /// either and carries an error: it cannot be reported alone, so the invocation must fail.
    pub id: Option<String>,
    /// What it says.
    pub body: Result<Value, EventError>,
}

/// The messages of an invocation: one for each record of an SQS batch, else the event itself.
pub fn messages(event: &Value) -> Vec<Message> {
    match event.get("Records").and_then(Value::as_array) {
        Some(records) if records.iter().any(|record| is_source(record, "aws:sqs")) => {
            records.iter().map(sqs_message).collect()
        }
        _ => vec![Message { id: None, body: Ok(event.clone()) }],
    }
}

fn sqs_message(record: &Value) -> Message {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let id = text("messageId").filter(|id| !id.is_empty()).map(str::to_owned);
    let body = match text("body") {
        _ if id.is_none() => Err(EventError::BadRecord("messageId")),
        Some(body) => parse_body(body),
        None => Err(EventError::BadRecord("body")),
    };
    Message { id, body }
}

fn parse_body(body: &str) -> Result<Value, EventError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(EventError::TooLarge);
    }
    serde_json::from_str(body).map_err(|_| EventError::NotJson)
}

/// The objects that one message body is about.
///
/// # Errors
/// The body has no known shape, lacks something its shape must have, or is too large.
pub fn object_refs(body: &Value) -> Result<Refs, EventError> {
    let mut bytes_left = BODY_BYTES_MAX;
    if !fits(body, &mut bytes_left) {
        return Err(EventError::TooLarge);
    }
    let mut refs = Refs::default();
    collect(body, WRAPPINGS_MAX, &mut refs)?;
    Ok(refs)
}

fn collect(body: &Value, wrappings_left: usize, refs: &mut Refs) -> Result<(), EventError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let unwrap = |inner: &str, refs: &mut Refs| {
        let wrappings_left = wrappings_left.checked_sub(1).ok_or(EventError::TooDeep)?;
        collect(&parse_body(inner)?, wrappings_left, refs)
    };
    if let Value::String(inner) = body {
        return unwrap(inner, refs);
    }
    if let Some(records) = body.get("Records").and_then(Value::as_array) {
        for record in records {
            if is_source(record, "aws:s3") {
                s3::add_record(record, refs)?;
            } else if let Some(inner) = wrapped(record) {
                unwrap(inner, refs)?;
            } else {
                return Err(EventError::UnknownShape(format!("a record with {}", seen(record))));
            }
        }
        return Ok(());
    }
    if text("Event") == Some("s3:TestEvent") {
        return Ok(());
    }
    if text("Type") == Some("Notification") {
        let field = EventError::Field { shape: "SNS", field: "Message" };
        return unwrap(text("Message").ok_or(field)?, refs);
    }
    if text("source") == Some("aws.s3") {
        return s3::add_event_bridge(body, refs);
    }
    Err(EventError::UnknownShape(seen(body)))
}

/// `eventSource` is what SQS and S3 write, `EventSource` what SNS writes.
fn is_source(record: &Value, source: &str) -> bool {
    let name = record.get("eventSource").or_else(|| record.get("EventSource"));
    name.and_then(Value::as_str) == Some(source)
}

/// The text inside an SQS or SNS record.
fn wrapped(record: &Value) -> Option<&str> {
    let inner = if is_source(record, "aws:sqs") {
        record.get("body")
    } else if is_source(record, "aws:sns") {
        record.get("Sns").and_then(|sns| sns.get("Message"))
    } else {
        None
    };
    inner.and_then(Value::as_str)
}

/// What a value looks like: its kind and the names of its keys, never what they hold.
fn seen(value: &Value) -> String {
    const KEYS_MAX: usize = 8;
    const KEY_CHARS_MAX: usize = 32;
    let object = match value {
        Value::Object(object) => object,
        Value::Null => return "null".to_owned(),
        Value::Bool(_) => return "true or false".to_owned(),
        Value::Number(_) => return "a number".to_owned(),
        Value::String(_) => return "text".to_owned(),
        Value::Array(_) => return "a list".to_owned(),
    };
    if object.is_empty() {
        return "no keys".to_owned();
    }
    let name = |key: &String| {
        key.chars().take(KEY_CHARS_MAX).flat_map(char::escape_debug).collect::<String>()
    };
    let names: Vec<String> = object.keys().take(KEYS_MAX).map(name).collect();
    let more = if object.len() > KEYS_MAX { " and more" } else { "" };
    format!("the keys {}{more}", names.join(", "))
}

/// Whether the value's texts and structure stay within `bytes_left`.
fn fits(value: &Value, bytes_left: &mut usize) -> bool {
    let own = match value {
        Value::String(text) => text.len() + 2,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::Array(_) | Value::Object(_) => 2,
    };
    let Some(left) = bytes_left.checked_sub(own) else {
        return false;
    };
    *bytes_left = left;
    match value {
        Value::Array(items) => items.iter().all(|item| fits(item, bytes_left)),
        Value::Object(object) => object.iter().all(|(key, item)| {
            let left = bytes_left.checked_sub(key.len() + 3);
            *bytes_left = left.unwrap_or(0);
            left.is_some() && fits(item, bytes_left)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests;
