//! Faults at the common port: what the plan says happens to requests that come over a socket.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::{Request, Response};

use super::call::Call;
use super::{Class, FAULTED_ACCESS_KEY, Fault, Faults, answers};
use crate::front::{Body, Front, full};

/// Whether faults happen to this request.
pub(crate) fn concerns<B>(request: &Request<B>) -> bool {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.is_some_and(|value| value.contains(&format!("Credential={FAULTED_ACCESS_KEY}/")))
}

/// Answers a request as the plan has it. An error closes the connection without an answer.
pub(crate) async fn answer(
    front: Front,
    faults: &Faults,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let request = Request::from_parts(head, body);
    let call = Call::of(&request);
    let Some(fault) = faults.of_call(&call) else { return pass(front, request).await };
    match fault.class {
        Class::Refuse => Err(lost(fault)),
        Class::Unavailable => Ok(answers::unavailable(&call).map(Full::new).map(full)),
        Class::Throttle => Ok(answers::throttled(&call).map(Full::new).map(full)),
        Class::Conflict => Ok(answers::conflict(&call).map(Full::new).map(full)),
        Class::Lose => {
            pass(front, request).await?;
            Err(lost(fault))
        }
        Class::Late => {
            tokio::spawn(async move {
                tokio::time::sleep(fault.delay).await;
                pass(front, request).await.ok();
            });
            Err(lost(fault))
        }
        Class::Twice => {
            pass(front.clone(), request.clone()).await?;
            pass(front, request).await
        }
        Class::Slow => {
            tokio::time::sleep(fault.delay).await;
            pass(front, request).await
        }
        Class::Truncate => truncated(pass(front, request).await?, fault).await,
        Class::MessageTwice | Class::MessageLate | Class::MessageLost => pass(front, request).await,
    }
}

async fn pass(front: Front, request: Request<Bytes>) -> io::Result<Response<Body>> {
    front.answer(request.map(Full::new)).await
}

fn lost(fault: Fault) -> io::Error {
    io::Error::other(format!("injected: {}", fault.class))
}

/// The headers promise the whole body; the connection breaks somewhere in it.
async fn truncated(response: Response<Body>, fault: Fault) -> io::Result<Response<Body>> {
    let (mut head, body) = response.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if bytes.is_empty() {
        return Ok(Response::from_parts(head, full(Full::new(bytes))));
    }
    head.headers.insert("content-length", bytes.len().into());
    let whole = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let kept = usize::try_from(fault.chance % whole).unwrap_or(0);
    let frames = [Ok(Frame::data(bytes.slice(..kept))), Err(lost(fault).into())];
    let body = BodyExt::boxed(StreamBody::new(stream::iter(frames)));
    Ok(Response::from_parts(head, body))
}
