//! What a request asks for, in words that do not change from run to run.

use std::fmt;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Request};
use serde_json::Value;

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Objects.
    S3,
    /// Items.
    DynamoDb,
    /// Queues.
    Sqs,
}

/// A request: its service, operation and the thing it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The service.
    pub service: Service,
    /// As AWS names it.
    pub operation: String,
    /// Object, item or queue.
    pub key: String,
    /// Whether it changes anything.
    pub is_write: bool,
    /// Whether it downloads an object.
    pub is_download: bool,
    /// Whether it stores an object under a condition.
    pub is_conditional_put: bool,
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.operation, self.key)
    }
}

impl Call {
    /// Reads a request.
    #[must_use]
    pub fn of(request: &Request<Bytes>) -> Self {
        let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
        match target.and_then(|target| target.split_once('.')) {
            Some((service, operation)) => Self::of_target(service, operation, request.body()),
            None => Self::of_s3(request),
        }
    }

    fn of_target(service: &str, operation: &str, body: &Bytes) -> Self {
        let input: Value = serde_json::from_slice(body).unwrap_or_default();
        let service = match service.starts_with("DynamoDB") {
            true => Service::DynamoDb,
            false => Service::Sqs,
        };
        let key = match service {
            Service::DynamoDb => item_key(&input),
            Service::Sqs | Service::S3 => {
                let url = text(&input, "QueueUrl");
                let queue = url.rsplit('/').next().unwrap_or_default();
                format!("{queue} {}", text(&input, "MessageBody"))
            }
        };
        let reads = ["Get", "Query", "Scan", "Describe", "List", "BatchGet", "Receive"];
        let is_write = !reads.iter().any(|verb| operation.starts_with(verb));
        let operation = operation.to_owned();
        Self { service, operation, key, is_write, is_download: false, is_conditional_put: false }
    }

    fn of_s3(request: &Request<Bytes>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let has = |name: &str| {
            query.split('&').any(|pair| pair.split('=').next().is_some_and(|found| found == name))
        };
        let headers = request.headers();
        let operation = match *request.method() {
            Method::PUT if headers.contains_key("x-amz-copy-source") => "CopyObject",
            Method::PUT if has("partNumber") => "UploadPart",
            Method::PUT => "PutObject",
            Method::POST if has("delete") => "DeleteObjects",
            Method::POST if has("uploads") => "CreateMultipartUpload",
            Method::POST => "CompleteMultipartUpload",
            Method::DELETE => "DeleteObject",
            Method::HEAD => "HeadObject",
            _ if has("list-type") => "ListObjectsV2",
            _ => "GetObject",
        };
        let key = match operation {
            "ListObjectsV2" => format!("{}?{query}", request.uri().path()),
            _ => format!("{}{}", request.uri().path(), header(headers, "range")),
        };
        let conditional = headers.contains_key("if-none-match") || headers.contains_key("if-match");
        let is_write = !matches!(operation, "HeadObject" | "ListObjectsV2" | "GetObject");
        Self {
            service: Service::S3,
            operation: operation.to_owned(),
            key,
            is_write,
            is_download: operation == "GetObject",
            is_conditional_put: conditional && is_write,
        }
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.map(|value| format!(" {value}")).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The key of an item, or what a query asks for.
fn item_key(input: &Value) -> String {
    let values = input.get("Key").or_else(|| input.get("ExpressionAttributeValues"));
    let mut parts: Vec<_> = values
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}={}", text(value, "S")))
        .collect();
    parts.sort_unstable();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_by_what_it_asks_for() {
        let request = Request::put("http://h/output/a").header("if-none-match", "*");
        let call = Call::of(&request.body(Bytes::new()).unwrap());
        assert_eq!(call.to_string(), "PutObject /output/a");
        assert!(call.is_write && call.is_conditional_put && !call.is_download);

        let body = r#"{"TableName":"t","Key":{"sk":{"S":"J"},"pk":{"S":"J#1"}}}"#;
        let request =
            Request::post("http://h/").header("x-amz-target", "DynamoDB_20120810.GetItem");
        let call = Call::of(&request.body(Bytes::from(body)).unwrap());
        assert_eq!(call.to_string(), "GetItem pk=J#1 sk=J");
        assert!(!call.is_write);

        let request = Request::get("http://h/input/a").header("range", "bytes=0-9");
        let call = Call::of(&request.body(Bytes::new()).unwrap());
        assert_eq!(call.to_string(), "GetObject /input/a bytes=0-9");
        assert!(call.is_download);
    }
}
