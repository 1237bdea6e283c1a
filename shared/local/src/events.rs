//! S3 event notifications: a message to a queue after each object that was created.

use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};

use crate::clock;
use crate::sqs::Queues;
use crate::{ACCOUNT, REGION};

/// The form of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventShape {
    /// `Object Created` as EventBridge delivers it: the key as it is.
    EventBridge,
    /// `Records[]` as a bucket notification delivers it: the key form-encoded.
    S3,
}

/// Sends a message to `queue` for each object created below `prefix` in `bucket`.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Bucket name.
    pub bucket: String,
    /// What the key begins with; empty for every key.
    pub prefix: String,
    /// Queue name.
    pub queue: String,
    /// Form of the message.
    pub shape: EventShape,
}

/// An object that has just been made visible.
#[derive(Debug)]
pub(crate) struct Created<'a> {
    pub(crate) bucket: &'a str,
    pub(crate) key: &'a str,
    pub(crate) size: u64,
    pub(crate) etag: &'a str,
    pub(crate) version: Option<&'a str>,
    pub(crate) sequencer: &'a str,
    pub(crate) at_ms: u64,
    /// `PutObject`, `PostObject`, `CopyObject` or `CompleteMultipartUpload`.
    pub(crate) reason: &'static str,
}

#[derive(Debug, Clone)]
pub(crate) struct Events {
    queues: Queues,
    notifications: Arc<RwLock<Vec<Notification>>>,
}

impl Events {
    pub(crate) fn new(queues: Queues) -> Self {
        Self { queues, notifications: Arc::default() }
    }

    pub(crate) fn add(&self, notification: Notification) {
        self.notifications.write().unwrap_or_else(PoisonError::into_inner).push(notification);
    }

    pub(crate) fn created(&self, created: &Created<'_>) {
        let all = self.notifications.read().unwrap_or_else(PoisonError::into_inner);
        let hit =
            |n: &&Notification| n.bucket == created.bucket && created.key.starts_with(&n.prefix);
        for notification in all.iter().filter(hit) {
            let body = match notification.shape {
                EventShape::EventBridge => created.event_bridge(),
                EventShape::S3 => created.records(),
            };
            if !self.queues.send(&notification.queue, body.to_string(), created.key) {
                tracing::warn!(queue = notification.queue, "no queue for the events of a bucket");
            }
        }
    }
}

impl Created<'_> {
    fn event_bridge(&self) -> Value {
        let mut object = json!({
            "key": self.key,
            "size": self.size,
            "etag": self.etag,
            "sequencer": self.sequencer,
        });
        if let (Some(version), Some(object)) = (self.version, object.as_object_mut()) {
            object.insert("version-id".to_owned(), version.into());
        }
        let seconds = clock::iso8601(self.at_ms / 1000 * 1000).replace(".000Z", "Z");
        json!({
            "version": "0",
            "id": uuid::Uuid::new_v4().to_string(),
            "detail-type": "Object Created",
            "source": "aws.s3",
            "account": ACCOUNT,
            "time": seconds,
            "region": REGION,
            "resources": [format!("arn:aws:s3:::{}", self.bucket)],
            "detail": {
                "version": "0",
                "bucket": { "name": self.bucket },
                "object": object,
                "request-id": uuid::Uuid::new_v4().simple().to_string(),
                "requester": ACCOUNT,
                "source-ip-address": "127.0.0.1",
                "reason": self.reason,
            }
        })
    }

    fn records(&self) -> Value {
        let name = match self.reason {
            "CopyObject" => "Copy",
            "PostObject" => "Post",
            "CompleteMultipartUpload" => "CompleteMultipartUpload",
            _ => "Put",
        };
        let mut object = json!({
            "key": percent_encode(self.key, "/").replace("%20", "+"),
            "size": self.size,
            "eTag": self.etag,
            "sequencer": self.sequencer,
        });
        if let (Some(version), Some(object)) = (self.version, object.as_object_mut()) {
            object.insert("versionId".to_owned(), version.into());
        }
        json!({ "Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": clock::iso8601(self.at_ms),
            "eventName": format!("ObjectCreated:{name}"),
            "userIdentity": { "principalId": ACCOUNT },
            "requestParameters": { "sourceIPAddress": "127.0.0.1" },
            "responseElements": {},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "rowproof",
                "bucket": {
                    "name": self.bucket,
                    "ownerIdentity": { "principalId": ACCOUNT },
                    "arn": format!("arn:aws:s3:::{}", self.bucket),
                },
                "object": object,
            }
        }] })
    }
}

/// Percent-encodes all but letters, digits, `-._~` and the characters of `keep`.
pub(crate) fn percent_encode(text: &str, keep: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_alphanumeric()
            || "-._~".contains(character)
            || keep.contains(character)
        {
            encoded.push(character);
            continue;
        }
        for byte in character.encode_utf8(&mut [0; 4]).bytes() {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Undoes percent-encoding; `+` stays.
pub(crate) fn percent_decode(text: &str) -> Result<String, std::string::FromUtf8Error> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.filter(|_| byte == b'%').and_then(|d| u8::from_str_radix(d, 16).ok());
        decoded.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created() -> Created<'static> {
        Created {
            bucket: "input",
            key: "in/a+b ü&%.csv",
            size: 3,
            etag: "e",
            version: Some("v1"),
            sequencer: "01",
            at_ms: 0,
            reason: "PutObject",
        }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let text = "in/a+b ü&%.csv";
        assert_eq!(percent_decode(&percent_encode(text, "/")).unwrap(), text);
        assert_eq!(percent_decode("100%+%2").unwrap(), "100%+%2");
        assert!(percent_decode("%ff").is_err());
    }

    #[test]
    fn event_bridge_gives_the_key_as_it_is() {
        let event = created().event_bridge();
        assert_eq!(event["detail"]["object"]["key"], "in/a+b ü&%.csv");
        assert_eq!(event["detail"]["object"]["version-id"], "v1");
        assert_eq!(event["detail"]["reason"], "PutObject");
        assert_eq!(event["time"], "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_bucket_notification_gives_the_key_form_encoded() {
        let event = created().records();
        let record = &event["Records"][0];
        assert_eq!(record["s3"]["object"]["key"], "in/a%2Bb+%C3%BC%26%25.csv");
        assert_eq!(record["s3"]["object"]["versionId"], "v1");
        assert_eq!(record["eventName"], "ObjectCreated:Put");
    }
}
