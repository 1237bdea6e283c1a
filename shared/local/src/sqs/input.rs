//! What a request says, and the errors of one that says it wrongly.

use std::time::Duration;

use serde_json::Value;

use super::field;

/// An error in the words of SQS.
#[derive(Debug)]
pub(crate) struct SqsError {
    /// Shape name, as in the JSON protocol.
    pub(crate) code: &'static str,
    /// The name of the older query protocol, where it differs.
    pub(crate) query_code: &'static str,
    pub(crate) message: String,
}

impl SqsError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, query_code: code, message: message.into() }
    }

    pub(crate) fn no_queue(name: &str) -> Self {
        Self {
            code: "QueueDoesNotExist",
            query_code: "AWS.SimpleQueueService.NonExistentQueue",
            message: format!("The specified queue does not exist: {name}"),
        }
    }
}

pub(super) type Answer = Result<Value, SqsError>;

/// Longest visibility timeout, in seconds.
pub(super) const VISIBILITY_SECONDS_MAX: u64 = 43_200;

/// Longest delay, in seconds.
pub(super) const DELAY_SECONDS_MAX: u64 = 900;

/// Longest long poll, in seconds.
pub(super) const WAIT_SECONDS_MAX: u64 = 20;

pub(super) fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, SqsError> {
    field(input, name).as_str().ok_or_else(|| {
        SqsError::new("MissingParameter", format!("The request must contain the parameter {name}."))
    })
}

/// A number that some clients send as text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

pub(super) fn seconds(input: &Value, name: &str, max: u64) -> Result<Option<Duration>, SqsError> {
    if field(input, name).is_null() {
        return Ok(None);
    }
    match number(field(input, name)).filter(|value| *value <= max) {
        Some(value) => Ok(Some(Duration::from_secs(value))),
        None => Err(SqsError::new(
            "InvalidParameterValue",
            format!(
                "Value {} for parameter {name} is invalid. Reason: Must be between 0 and {max}.",
                field(input, name)
            ),
        )),
    }
}

/// The texts of the lists of these names.
pub(super) fn names<'a>(input: &'a Value, lists: &[&str]) -> Vec<&'a str> {
    let lists = lists.iter().filter_map(|list| field(input, list).as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}
