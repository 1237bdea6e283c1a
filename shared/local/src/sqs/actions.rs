//! The actions of SQS, from a request's JSON to the answer's.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::input::{
    Answer, DELAY_SECONDS_MAX, SqsError, VISIBILITY_SECONDS_MAX, WAIT_SECONDS_MAX, names, number,
    seconds, text,
};
use super::messages::{batch, change_visibility, check_batch_size, delete, receive, send};
use super::queue::{MESSAGE_BYTES_MAX, Redrive, Settings};
use super::{Queue, QueueOptions, Queues, arn, field};
use crate::ACCOUNT;

pub(crate) async fn run(queues: &Queues, action: &str, input: &Value, base: &str) -> Answer {
    match action {
        "CreateQueue" => create(queues, input, base),
        "DeleteQueue" => {
            let queue = queue_of(queues, input)?;
            queues.remove(&queue.name);
            Ok(json!({}))
        }
        "GetQueueUrl" => queue_url(queues, input, base),
        "ListQueues" => Ok(list(queues, input, base)),
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
        _ => Err(SqsError::new(
            "UnsupportedOperation",
            format!("the local SQS does not know the action {action}"),
        )),
    }
}

fn queue_url(queues: &Queues, input: &Value, base: &str) -> Answer {
    let name = text(input, "QueueName")?;
    let queue = queues.get(name).ok_or_else(|| SqsError::no_queue(name))?;
    Ok(json!({ "QueueUrl": url(base, &queue.name) }))
}

fn list(queues: &Queues, input: &Value, base: &str) -> Value {
    let prefix = input["QueueNamePrefix"].as_str().unwrap_or_default();
    let names = queues.names().into_iter().filter(|name| name.starts_with(prefix));
    let urls: Vec<String> = names.map(|name| url(base, &name)).collect();
    json!({ "QueueUrls": urls })
}

fn url(base: &str, name: &str) -> String {
    format!("{base}/{ACCOUNT}/{name}")
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
    let queue = there
        .clone()
        .unwrap_or_else(|| Arc::new(Queue::new(name, Settings::aws(), queues.clock())));
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
    let queue =
        field(&policy, "deadLetterTargetArn").as_str().and_then(|arn| arn.rsplit(':').next());
    let receives =
        number(field(&policy, "maxReceiveCount")).and_then(|count| u32::try_from(count).ok());
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

/// Moves the messages of a dead-letter queue back where they came from, or to the given queue.
fn move_back(queues: &Queues, input: &Value) -> Answer {
    let by_arn = |name: &str| {
        let queue = field(input, name).as_str()?.rsplit(':').next()?.to_owned();
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
