//! The actions of SQS, from a request's JSON to the answer's.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::queue::{MESSAGE_BYTES_MAX, ReceiptError, Redrive, Settings};
use super::wire::SqsError;
use super::{Message, Queue, QueueOptions, Queues, arn, md5_hex};
use crate::ACCOUNT;

type Answer = Result<Value, SqsError>;

/// Longest visibility timeout, in seconds.
const VISIBILITY_SECONDS_MAX: u64 = 43_200;
/// Longest delay, in seconds.
const DELAY_SECONDS_MAX: u64 = 900;
/// Longest long poll, in seconds.
const WAIT_SECONDS_MAX: u64 = 20;
/// Most entries of a batch, and most messages of a receive.
const BATCH_MAX: usize = 10;

pub(crate) async fn run(queues: &Queues, action: &str, input: &Value, base: &str) -> Answer {
    match action {
        "CreateQueue" => create(queues, input, base),
        "DeleteQueue" => {
            let queue = queue_of(queues, input)?;
            queues.remove(&queue.name);
            Ok(json!({}))
        }
        "GetQueueUrl" => {
            let name = text(input, "QueueName")?;
            let queue = queues.get(name).ok_or_else(|| SqsError::no_queue(name))?;
            Ok(json!({ "QueueUrl": url(base, &queue.name) }))
        }
        "ListQueues" => {
            let prefix = input["QueueNamePrefix"].as_str().unwrap_or_default();
            let names = queues.names().into_iter().filter(|name| name.starts_with(prefix));
            let urls: Vec<String> = names.map(|name| url(base, &name)).collect();
            Ok(json!({ "QueueUrls": urls }))
        }
        "GetQueueAttributes" => Ok(attributes(&*queue_of(queues, input)?, input)),
        "SetQueueAttributes" => {
            let queue = queue_of(queues, input)?;
            let mut settings = queue.settings();
            set_attributes(&mut settings, input)?;
            queue.change_settings(|current| *current = settings);
            Ok(json!({}))
        }
        "SendMessage" => send(queues, &*queue_of(queues, input)?, input),
        "SendMessageBatch" => {
            let queue = queue_of(queues, input)?;
            check_batch_size(input)?;
            batch(input, |entry| send(queues, &queue, entry))
        }
        "ReceiveMessage" => receive(queues, &*queue_of(queues, input)?, input).await,
        "DeleteMessage" => delete(queues, &*queue_of(queues, input)?, input),
        "DeleteMessageBatch" => {
            let queue = queue_of(queues, input)?;
            batch(input, |entry| delete(queues, &queue, entry))
        }
        "ChangeMessageVisibility" => change_visibility(&*queue_of(queues, input)?, input),
        "ChangeMessageVisibilityBatch" => {
            let queue = queue_of(queues, input)?;
            batch(input, |entry| change_visibility(&queue, entry))
        }
        "PurgeQueue" => {
            queue_of(queues, input)?.drain();
            queues.note_change();
            Ok(json!({}))
        }
        "StartMessageMoveTask" => move_back(queues, input),
        "ListDeadLetterSourceQueues" => {
            let target = queue_of(queues, input)?;
            let feeds = |name: &String| {
                let redrive = queues.get(name).and_then(|queue| queue.settings().redrive);
                redrive.is_some_and(|redrive| redrive.queue == target.name)
            };
            let urls: Vec<_> =
                queues.names().into_iter().filter(feeds).map(|name| url(base, &name)).collect();
            Ok(json!({ "queueUrls": urls }))
        }
        _ => Err(SqsError::new(
            "UnsupportedOperation",
            format!("the local SQS does not know the action {action}"),
        )),
    }
}

fn url(base: &str, name: &str) -> String {
    format!("{base}/{ACCOUNT}/{name}")
}

fn text<'a>(input: &'a Value, name: &str) -> Result<&'a str, SqsError> {
    input[name].as_str().ok_or_else(|| {
        SqsError::new("MissingParameter", format!("The request must contain the parameter {name}."))
    })
}

/// A number that some clients send as text.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn seconds(input: &Value, name: &str, max: u64) -> Result<Option<Duration>, SqsError> {
    if input[name].is_null() {
        return Ok(None);
    }
    match number(&input[name]).filter(|value| *value <= max) {
        Some(value) => Ok(Some(Duration::from_secs(value))),
        None => Err(SqsError::new(
            "InvalidParameterValue",
            format!(
                "Value {} for parameter {name} is invalid. Reason: Must be between 0 and {max}.",
                input[name]
            ),
        )),
    }
}

fn queue_of(queues: &Queues, input: &Value) -> Result<Arc<Queue>, SqsError> {
    let url = text(input, "QueueUrl")?;
    let name = url.rsplit('/').next().unwrap_or_default();
    queues.get(name).ok_or_else(|| SqsError::no_queue(name))
}

fn create(queues: &Queues, input: &Value, base: &str) -> Answer {
    let name = text(input, "QueueName")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > 80 || !name.bytes().all(plain) {
        return Err(SqsError::new(
            "InvalidParameterValue",
            "A queue name has 1 to 80 letters, digits, hyphens and underscores (standard queues only)",
        ));
    }
    let there = queues.get(name);
    let queue = there.clone().unwrap_or_else(|| Arc::new(Queue::new(name, Settings::aws())));
    let mut settings = queue.settings();
    set_attributes(&mut settings, input)?;
    match there {
        Some(_) if settings.attributes != queue.settings().attributes => {
            return Err(SqsError {
                code: "QueueNameExists",
                query_code: "QueueAlreadyExists",
                message: format!(
                    "A queue already exists with the same name and a different value: {name}"
                ),
            });
        }
        Some(_) => {}
        None => {
            let queue = queues.create(name, &QueueOptions::default());
            queue.change_settings(|current| *current = settings);
        }
    }
    Ok(json!({ "QueueUrl": url(base, name) }))
}

fn set_attributes(settings: &mut Settings, input: &Value) -> Result<(), SqsError> {
    for (name, value) in input["Attributes"].as_object().into_iter().flatten() {
        let one = json!({ name.as_str(): value });
        match name.as_str() {
            "VisibilityTimeout" => {
                settings.visibility =
                    seconds(&one, name, VISIBILITY_SECONDS_MAX)?.unwrap_or_default();
            }
            "DelaySeconds" => {
                settings.delay = seconds(&one, name, DELAY_SECONDS_MAX)?.unwrap_or_default()
            }
            "MessageRetentionPeriod" => {
                settings.retention = seconds(&one, name, 1_209_600)?.unwrap_or_default();
            }
            "ReceiveMessageWaitTimeSeconds" => {
                settings.wait = seconds(&one, name, WAIT_SECONDS_MAX)?.unwrap_or_default();
            }
            "RedrivePolicy" => settings.redrive = redrive(value.as_str().unwrap_or_default())?,
            _ => {}
        }
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        settings.attributes.insert(name.clone(), value);
    }
    Ok(())
}

fn redrive(policy: &str) -> Result<Option<Redrive>, SqsError> {
    if policy.is_empty() {
        return Ok(None);
    }
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let queue = policy["deadLetterTargetArn"].as_str().and_then(|arn| arn.rsplit(':').next());
    let receives = number(&policy["maxReceiveCount"]).and_then(|count| u32::try_from(count).ok());
    match (queue, receives) {
        (Some(queue), Some(receives_max)) if receives_max > 0 => {
            Ok(Some(Redrive { queue: queue.to_owned(), receives_max }))
        }
        _ => Err(SqsError::new(
            "InvalidParameterValue",
            "Value for parameter RedrivePolicy is invalid: it needs deadLetterTargetArn and maxReceiveCount",
        )),
    }
}

fn attributes(queue: &Queue, input: &Value) -> Value {
    let (settings, depth) = (queue.settings(), queue.depth());
    let mut all: Map<String, Value> = settings
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    for (name, value) in [
        ("ApproximateNumberOfMessages", depth.visible as u64),
        ("ApproximateNumberOfMessagesNotVisible", depth.in_flight as u64),
        ("ApproximateNumberOfMessagesDelayed", depth.delayed as u64),
        ("VisibilityTimeout", settings.visibility.as_secs()),
        ("DelaySeconds", settings.delay.as_secs()),
        ("MessageRetentionPeriod", settings.retention.as_secs()),
        ("ReceiveMessageWaitTimeSeconds", settings.wait.as_secs()),
        ("MaximumMessageSize", MESSAGE_BYTES_MAX as u64),
        ("CreatedTimestamp", settings.created / 1000),
        ("LastModifiedTimestamp", settings.created / 1000),
    ] {
        all.insert(name.to_owned(), value.to_string().into());
    }
    all.insert("QueueArn".to_owned(), arn(&queue.name).into());
    let wanted = names(input, &["AttributeNames"]);
    all.retain(|name, _| wanted.iter().any(|wanted| *wanted == "All" || wanted == name));
    json!({ "Attributes": all })
}

/// The texts of the lists of these names.
fn names<'a>(input: &'a Value, lists: &[&str]) -> Vec<&'a str> {
    let lists = lists.iter().filter_map(|list| input[*list].as_array());
    lists.flatten().filter_map(Value::as_str).collect()
}

fn message_bytes(entry: &Value) -> usize {
    let attributes = entry["MessageAttributes"].as_object();
    let attributes = attributes.into_iter().flatten().map(|(name, value)| {
        let texts = ["DataType", "StringValue", "BinaryValue"];
        name.len()
            + texts.iter().filter_map(|text| value[*text].as_str()).map(str::len).sum::<usize>()
    });
    entry["MessageBody"].as_str().map_or(0, str::len) + attributes.sum::<usize>()
}

fn too_long() -> SqsError {
    SqsError::new(
        "InvalidParameterValue",
        format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {MESSAGE_BYTES_MAX} bytes."
        ),
    )
}

fn send(queues: &Queues, queue: &Queue, entry: &Value) -> Answer {
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
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
    if !body.chars().all(allowed) {
        return Err(SqsError::new(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        ));
    }
    let delay = seconds(entry, "DelaySeconds", DELAY_SECONDS_MAX)?;
    let attributes = entry["MessageAttributes"].as_object().cloned().unwrap_or_default();
    let message = Message::new(body.to_owned(), attributes);
    let mut answer = json!({ "MessageId": message.id, "MD5OfMessageBody": message.md5 });
    if !message.attributes.is_empty() {
        answer["MD5OfMessageAttributes"] = attributes_md5(&message.attributes).into();
    }
    queues.push(queue, message, delay);
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

fn check_batch_size(input: &Value) -> Result<(), SqsError> {
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
fn batch(input: &Value, run: impl Fn(&Value) -> Answer) -> Answer {
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
                answer["Id"] = entry["Id"].clone();
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

async fn receive(queues: &Queues, queue: &Queue, input: &Value) -> Answer {
    let max = match &input["MaxNumberOfMessages"] {
        Value::Null => 1,
        value => number(value).and_then(|max| usize::try_from(max).ok()).unwrap_or(0),
    };
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
        answer["Attributes"] = attributes.into();
    }
    let mut own = message.attributes.clone();
    own.retain(|name, _| {
        custom.iter().any(|wanted| {
            let prefix = wanted.strip_suffix(".*");
            *wanted == "All" || wanted == name || prefix.is_some_and(|text| name.starts_with(text))
        })
    });
    if !own.is_empty() {
        answer["MD5OfMessageAttributes"] = attributes_md5(&own).into();
        answer["MessageAttributes"] = own.into();
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

fn delete(queues: &Queues, queue: &Queue, input: &Value) -> Answer {
    let receipt = text(input, "ReceiptHandle")?;
    queue.delete(receipt).map_err(|error| receipt_error(&error, receipt))?;
    queues.note_change();
    Ok(json!({}))
}

fn change_visibility(queue: &Queue, input: &Value) -> Answer {
    let receipt = text(input, "ReceiptHandle")?;
    let visibility =
        seconds(input, "VisibilityTimeout", VISIBILITY_SECONDS_MAX)?.unwrap_or_default();
    queue.change_visibility(receipt, visibility).map_err(|error| receipt_error(&error, receipt))?;
    Ok(json!({}))
}

/// Moves the messages of a dead-letter queue back where they came from, or to the given queue.
fn move_back(queues: &Queues, input: &Value) -> Answer {
    let by_arn = |name: &str| {
        let queue = input[name].as_str()?.rsplit(':').next()?.to_owned();
        Some(queues.get(&queue).ok_or_else(|| SqsError {
            code: "ResourceNotFoundException",
            query_code: "ResourceNotFoundException",
            message: format!(
                "The resource that you specified for the {name} parameter doesn't exist."
            ),
        }))
    };
    let source = by_arn("SourceArn").ok_or_else(|| {
        SqsError::new("MissingParameter", "The request must contain the parameter SourceArn.")
    })??;
    let destination = by_arn("DestinationArn").transpose()?;
    for mut message in source.drain() {
        let origin = || message.moved_from.as_deref().and_then(|name| queues.get(name));
        let target = destination.clone().or_else(origin).unwrap_or_else(|| Arc::clone(&source));
        message.receives = 0;
        message.first_received = 0;
        message.moved_from = None;
        queues.push(&target, message, Some(Duration::ZERO));
    }
    Ok(json!({ "TaskHandle": uuid::Uuid::new_v4().to_string() }))
}
