//! The AWS JSON 1.0 protocol of SQS: one POST an action, named by `X-Amz-Target`.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::{Request, Response, StatusCode};
use serde_json::{Value, json};

use super::Queues;
use super::actions;
use super::input::SqsError;

/// A batch of ten messages of the greatest size, escaped, with room to spare.
const REQUEST_BYTES_MAX: usize = 24 << 20;

/// Answers a request. `base` is the URL this server has for its clients.
pub(crate) async fn serve<B>(
    queues: Queues,
    request: Request<B>,
    base: &str,
) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let action = target.and_then(|target| target.strip_prefix("AmazonSQS.")).unwrap_or_default();
    let action = action.to_owned();
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await;
    let input = match body.map(http_body_util::Collected::to_bytes) {
        Ok(bytes) if bytes.is_empty() => Ok(json!({})),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| SqsError::new("SerializationException", error.to_string())),
        Err(error) => Err(SqsError::new("InvalidParameterValue", error.to_string())),
    };
    match input {
        Ok(input) => answer(actions::run(&queues, &action, &input, base).await),
        Err(error) => answer(Err(error)),
    }
}

fn answer(result: Result<Value, SqsError>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    if let Ok(id) = uuid::Uuid::new_v4().to_string().parse() {
        headers.insert("x-amzn-requestid", id);
    }
    let body = match result {
        Ok(value) => value,
        Err(error) => {
            if let Ok(code) = format!("{};Sender", error.query_code).parse() {
                headers.insert("x-amzn-query-error", code);
            }
            *response.status_mut() = StatusCode::BAD_REQUEST;
            let kind = format!("com.amazonaws.sqs#{}", error.code);
            json!({ "__type": kind, "message": error.message })
        }
    };
    *response.body_mut() = Full::new(Bytes::from(body.to_string()));
    response
}
