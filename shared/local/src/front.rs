//! The common port: looks at a request's headers and gives it to S3, SQS or DynamoDB.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::Body as HttpBody;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::chunked::{ChunkedBody, Trailers};
use crate::dynamodb::Tables;
use crate::faults::{self, Faults};
use crate::sqs::{self, Queues};

/// Size to which a connection's read buffer may grow: fewer, larger slices of an upload.
const READ_BUFFER_BYTES: usize = 1 << 20;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Body = BoxBody<Bytes, BoxError>;

/// What serves one connection.
#[derive(Clone)]
pub(crate) struct Front {
    pub(crate) s3: S3Service,
    pub(crate) queues: Queues,
    pub(crate) dynamodb: Tables,
    /// The URL of this server.
    pub(crate) url: Arc<str>,
    /// What goes wrong on purpose.
    pub(crate) faults: Option<Faults>,
}

/// Accepts connections until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    front: Front,
    stop: CancellationToken,
    connections: TaskTracker,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, _)) => {
                connections.spawn(connection(socket, front.clone(), stop.clone()));
            }
            // Out of file handles, or a client that left at once.
            Err(error) => {
                tracing::warn!(%error, "the local AWS could not accept a connection");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, front: Front, stop: CancellationToken) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "no delay could not be set");
    }
    let service = service_fn(move |request| {
        let front = front.clone();
        async move {
            match front.faults.clone().filter(|_| faults::concerns(&request)) {
                Some(faults) => faults::answer(front, &faults, request).await,
                None => front.answer(request).await,
            }
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(READ_BUFFER_BYTES)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
}

impl Front {
    /// An answer, or an error when the connection is to be closed without one.
    pub(crate) async fn answer<B>(self, request: Request<B>) -> Result<Response<Body>, io::Error>
    where
        B: HttpBody<Data = Bytes> + Unpin + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        let target = request.headers().get("x-amz-target").map(HeaderValue::as_bytes);
        match target {
            _ if !is_signed(&request) => {
                Ok(refused(StatusCode::FORBIDDEN, "AccessDenied", UNSIGNED))
            }
            Some(target) if target.starts_with(b"DynamoDB") => {
                Ok(self.dynamodb.send(request).await.map(full))
            }
            Some(target) if target.starts_with(b"AmazonSQS.") => {
                Ok(sqs::serve(self.queues, request, &self.url).await.map(full))
            }
            _ => {
                let request = match prepare(request) {
                    Ok(request) => request,
                    Err(error) => {
                        return Ok(refused(
                            StatusCode::BAD_REQUEST,
                            "InvalidRequest",
                            &error.to_string(),
                        ));
                    }
                };
                let response = self.s3.call(request).await.map_err(broken)?;
                Ok(response.map(BodyExt::boxed))
            }
        }
    }
}

/// The protocol crate could not make an answer: the connection is closed.
fn broken(error: s3s::HttpError) -> io::Error {
    io::Error::other(BoxError::from(error))
}

pub(crate) fn full(body: Full<Bytes>) -> Body {
    body.map_err(|never: Infallible| match never {}).boxed()
}

/// Signatures are not computed again, that would cost a hash over every upload and prove nothing
/// on loopback. But there has to be one: no web page can make a browser send it. (In the URL a page
/// could put one, so not for POST, the one writing method that a page may use unasked.)
fn is_signed<B>(request: &Request<B>) -> bool {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.and_then(|value| value.to_str().ok());
    let in_url = request.uri().query().is_some_and(|query| query.contains("Signature="));
    header.is_some_and(|value| value.contains("Credential="))
        || (in_url && request.method() != Method::POST)
}

/// What a presigned URL adds to the query, in either version of the signature.
fn belongs_to_signature(pair: &str) -> bool {
    ["X-Amz-", "AWSAccessKeyId=", "Signature=", "Expires="]
        .iter()
        .any(|name| pair.starts_with(name))
}

const UNSIGNED: &str = "the request is not signed: use any AWS client, with any access key";

fn refused(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(full(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response
}

/// Takes the signature and the `aws-chunked` framing off a request, for the protocol crate would
/// check the one and collect each chunk of the other before it hands it on.
fn prepare<B>(request: Request<B>) -> Result<Request<s3s::Body>, BoxError>
where
    B: HttpBody<Data = Bytes> + Unpin + Send + Sync + 'static,
    B::Error: Into<BoxError>,
{
    let (mut head, body) = request.into_parts();
    head.headers.remove(AUTHORIZATION);
    if let Some(query) = head.uri.query().filter(|query| query.contains("Signature=")) {
        let kept = query.split('&').filter(|pair| !belongs_to_signature(pair));
        let kept = kept.collect::<Vec<_>>().join("&");
        head.uri = format!("{}?{kept}", head.uri.path()).parse()?;
    }
    let framed = head
        .headers
        .get("x-amz-content-sha256")
        .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"));
    head.headers.remove("x-amz-content-sha256");
    if !framed {
        let body = body.map_err(Into::<BoxError>::into);
        return Ok(Request::from_parts(head, s3s::Body::http_body(body)));
    }
    let length = head.headers.remove("x-amz-decoded-content-length");
    let length = length.ok_or("a framed body needs x-amz-decoded-content-length")?;
    let bytes: u64 = length.to_str()?.trim().parse()?;
    head.headers.insert(CONTENT_LENGTH, length);
    head.headers.remove(hyper::header::TRANSFER_ENCODING);
    let encodings = head.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let encodings: Vec<&str> = encodings
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|encoding| *encoding != "aws-chunked" && !encoding.is_empty())
        .collect();
    let encodings = encodings.join(",");
    head.headers.remove(CONTENT_ENCODING);
    if !encodings.is_empty() {
        head.headers.insert(CONTENT_ENCODING, encodings.parse()?);
    }
    let trailers = Trailers::default();
    head.extensions.insert(trailers.clone());
    let body = ChunkedBody::new(body, bytes, trailers);
    Ok(Request::from_parts(head, s3s::Body::http_body(body)))
}
