//! Sending, receiving and deleting messages.

use serde_json::{Map, Value, json};

use super::input::SqsError;
use super::input::{
    Answer, DELAY_SECONDS_MAX, VISIBILITY_SECONDS_MAX, WAIT_SECONDS_MAX, names, number, seconds,
    text,
};
use super::queue::{MESSAGE_BYTES_MAX, ReceiptError};
use super::{Message, Queue, Queues, arn, field, md5_hex, set};
use crate::ACCOUNT;

/// Most entries of a batch, and most messages of a receive.
const BATCH_MAX: usize = 10;

fn message_bytes(entry: &Value) -> usize {
    let attributes = entry["MessageAttributes"].as_object();
    let attributes = attributes.into_iter().flatten().map(|(name, value)| {
        let texts = ["DataType", "StringValue", "BinaryValue"];
        name.len()
            + texts
                .iter()
                .filter_map(|text| field(value, text).as_str())
                .map(str::len)
                .sum::<usize>()
    });
    entry["MessageBody"].as_str().map_or(0, str::len) + attributes.sum::<usize>()
}

pub(super) fn too_long() -> SqsError {
    SqsError::new(
        "InvalidParameterValue",
        format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {MESSAGE_BYTES_MAX} bytes."
        ),
    )
}

pub(super) fn send(queues: &Queues, queue: &Queue, entry: &Value) -> Answer {
    let body = text(entry, "MessageBody")?;
    if body.is_empty() {
        return Err(SqsError::new(
            "MissingParameter",
            "The request must contain the parameter MessageBody.",
        ));
    }
    if message_bytes(entry) > MESSAGE_BYTES_MAX {
        return Err(too_long());
    }
    let allowed = |c: char| match c {
        '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'.. => true,
        '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => false,
    };
    if !body.chars().all(allowed) {
        return Err(SqsError::new(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | \
             #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        ));
    }
    let delay = seconds(entry, "DelaySeconds", DELAY_SECONDS_MAX)?;
    let attributes = entry["MessageAttributes"].as_object().cloned().unwrap_or_default();
    let message = Message::new(body.to_owned(), attributes);
    let mut answer = json!({ "MessageId": message.id, "MD5OfMessageBody": message.md5 });
    if !message.attributes.is_empty() {
        set(&mut answer, "MD5OfMessageAttributes", attributes_md5(&message.attributes));
    }
    queues.deliver(queue, message, delay, body);
    Ok(answer)
}

/// Length-prefixed name, type and value of each attribute in the order of names, as SDKs check it.
fn attributes_md5(attributes: &Map<String, Value>) -> String {
    let mut sorted: Vec<_> = attributes.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    let mut bytes = Vec::new();
    let mut put = |part: &[u8], marker: Option<u8>| {
        bytes.extend(marker);
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    for (name, value) in sorted {
        put(name.as_bytes(), None);
        put(value["DataType"].as_str().unwrap_or_default().as_bytes(), None);
        match value["BinaryValue"].as_str() {
            Some(binary) => {
                let raw = data_encoding::BASE64.decode(binary.as_bytes()).unwrap_or_default();
                put(&raw, Some(2));
            }
            None => put(value["StringValue"].as_str().unwrap_or_default().as_bytes(), Some(1)),
        }
    }
    md5_hex(&bytes)
}

pub(super) fn check_batch_size(input: &Value) -> Result<(), SqsError> {
    let entries = input["Entries"].as_array().into_iter().flatten();
    if entries.map(message_bytes).sum::<usize>() > MESSAGE_BYTES_MAX {
        return Err(SqsError {
            code: "BatchRequestTooLong",
            query_code: "AWS.SimpleQueueService.BatchRequestTooLong",
            message: format!("Batch requests cannot be longer than {MESSAGE_BYTES_MAX} bytes."),
        });
    }
    Ok(())
}

/// Runs one action for each entry; an entry that fails is reported and stops no other.
pub(super) fn batch(input: &Value, run: impl Fn(&Value) -> Answer) -> Answer {
    let entries = input["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let error = |code, query_code, message: &str| {
        Err(SqsError { code, query_code, message: message.to_owned() })
    };
    if entries.is_empty() {
        return error(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        );
    }
    if entries.len() > BATCH_MAX {
        return error(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "Maximum number of entries per request are 10.",
        );
    }
    let mut ids: Vec<&str> = entries.iter().filter_map(|entry| entry["Id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() != entries.len() {
        return error(
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            "Two or more batch entries in the request have the same Id.",
        );
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match run(entry) {
            Ok(mut answer) => {
                set(&mut answer, "Id", entry["Id"].clone());
                successful.push(answer);
            }
            Err(error) => failed.push(json!({
                "Id": entry["Id"],
                "SenderFault": true,
                "Code": error.query_code,
                "Message": error.message,
            })),
        }
    }
    Ok(json!({ "Successful": successful, "Failed": failed }))
}

pub(super) async fn receive(queues: &Queues, queue: &Queue, input: &Value) -> Answer {
    let max = field(input, "MaxNumberOfMessages");
    let max = if max.is_null() { Some(1) } else { number(max) };
    let max = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(0);
    if !(1..=BATCH_MAX).contains(&max) {
        return Err(SqsError::new(
            "InvalidParameterValue",
            format!(
                "Value {max} for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10."
            ),
        ));
    }
    let visibility = seconds(input, "VisibilityTimeout", VISIBILITY_SECONDS_MAX)?;
    let wait = seconds(input, "WaitTimeSeconds", WAIT_SECONDS_MAX)?;
    let wait = wait.unwrap_or_else(|| queue.settings().wait);
    let messages = queues.receive(queue, max, visibility, wait).await;
    if messages.is_empty() {
        return Ok(json!({}));
    }
    let system = names(input, &["AttributeNames", "MessageSystemAttributeNames"]);
    let custom = names(input, &["MessageAttributeNames"]);
    let messages: Vec<Value> =
        messages.iter().map(|message| delivered(message, &system, &custom)).collect();
    Ok(json!({ "Messages": messages }))
}

fn delivered(message: &Message, system: &[&str], custom: &[&str]) -> Value {
    let mut answer = json!({
        "MessageId": message.id,
        "ReceiptHandle": message.receipt(),
        "MD5OfBody": message.md5,
        "Body": message.body,
    });
    let mut attributes = system_attributes(message);
    attributes.retain(|name, _| system.iter().any(|wanted| *wanted == "All" || wanted == name));
    if !attributes.is_empty() {
        set(&mut answer, "Attributes", attributes);
    }
    let mut own = message.attributes.clone();
    own.retain(|name, _| {
        custom.iter().any(|wanted| {
            let prefix = wanted.strip_suffix(".*");
            *wanted == "All" || wanted == name || prefix.is_some_and(|text| name.starts_with(text))
        })
    });
    if !own.is_empty() {
        set(&mut answer, "MD5OfMessageAttributes", attributes_md5(&own));
        set(&mut answer, "MessageAttributes", own);
    }
    answer
}

/// `ApproximateReceiveCount` and its like, as texts.
pub(crate) fn system_attributes(message: &Message) -> Map<String, Value> {
    let mut attributes = Map::new();
    for (name, value) in [
        ("ApproximateReceiveCount", u64::from(message.receives)),
        ("SentTimestamp", message.sent),
        ("ApproximateFirstReceiveTimestamp", message.first_received),
    ] {
        attributes.insert(name.to_owned(), value.to_string().into());
    }
    attributes.insert("SenderId".to_owned(), ACCOUNT.into());
    if let Some(source) = &message.moved_from {
        attributes.insert("DeadLetterQueueSourceArn".to_owned(), arn(source).into());
    }
    attributes
}

fn receipt_error(error: &ReceiptError, receipt: &str) -> SqsError {
    match error {
        ReceiptError::Unknown => SqsError::new(
            "ReceiptHandleIsInvalid",
            format!("The input receipt handle \"{receipt}\" is not a valid receipt handle."),
        ),
        ReceiptError::NotInFlight => SqsError {
            code: "MessageNotInflight",
            query_code: "AWS.SimpleQueueService.MessageNotInflight",
            message: "The message referred to is not in flight.".to_owned(),
        },
    }
}

pub(super) fn delete(queues: &Queues, queue: &Queue, input: &Value) -> Answer {
    let receipt = text(input, "ReceiptHandle")?;
    queue.delete(receipt).map_err(|error| receipt_error(&error, receipt))?;
    queues.note_change();
    Ok(json!({}))
}

pub(super) fn change_visibility(queue: &Queue, input: &Value) -> Answer {
    let receipt = text(input, "ReceiptHandle")?;
    let visibility =
        seconds(input, "VisibilityTimeout", VISIBILITY_SECONDS_MAX)?.unwrap_or_default();
    queue.change_visibility(receipt, visibility).map_err(|error| receipt_error(&error, receipt))?;
    Ok(json!({}))
}
