//! The words in which each service refuses.

use bytes::Bytes;
use hyper::{Response, StatusCode};

use super::call::{Call, Service};

/// Too many requests.
#[must_use]
pub fn throttled(call: &Call) -> Response<Bytes> {
    match call.service {
        Service::S3 => xml(call, StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Service::DynamoDb => {
            json(StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException")
        }
        Service::Sqs => json(StatusCode::BAD_REQUEST, "RequestThrottled"),
    }
}

/// The server has a fault of its own.
#[must_use]
pub fn unavailable(call: &Call) -> Response<Bytes> {
    match call.service {
        Service::S3 => xml(call, StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Service::DynamoDb => json(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        Service::Sqs => json(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
    }
}

/// Another conditional request for the same object is under way.
#[must_use]
pub fn conflict(call: &Call) -> Response<Bytes> {
    xml(call, StatusCode::CONFLICT, "ConditionalRequestConflict")
}

fn xml(call: &Call, status: StatusCode, code: &str) -> Response<Bytes> {
    let text = match call.operation.as_str() {
        "HeadObject" => String::new(),
        _ => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <Error><Code>{code}</Code><Message>injected</Message></Error>"
        ),
    };
    response(status, "application/xml", text)
}

fn json(status: StatusCode, code: &str) -> Response<Bytes> {
    let text = serde_json::json!({ "__type": code, "message": "injected" }).to_string();
    response(status, "application/x-amz-json-1.0", text)
}

fn response(status: StatusCode, content_type: &'static str, text: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    let value = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert("content-type", value);
    response
}
