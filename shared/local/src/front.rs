//! The common port: looks at a request's headers and gives it to S3, SQS or DynamoDB.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use hyper::body::Body as HttpBody;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::service::S3Service;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::dynamodb::Tables;
use crate::faults::{self, Faults};
use crate::gate;
use crate::plain::prepare;
use crate::signer::{OwnRequest, Scope, comes_from_elsewhere, is_form, is_signed};
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
        let scope = Scope::of(&request).unwrap_or_default();
        let target = request.headers().get("x-amz-target").map(HeaderValue::as_bytes);
        match target {
            _ if is_form(&request) && !is_signed(&request) => self.take_form(request).await,
            _ if !is_signed(&request) => Ok(refused(403, "AccessDenied", UNSIGNED)),
            Some(target) if target.starts_with(b"DynamoDB") => {
                Ok(self.dynamodb.send(request).await.map(full))
            }
            Some(target) if target.starts_with(b"AmazonSQS.") => {
                Ok(sqs::serve(self.queues, request, &self.url).await.map(full))
            }
            _ if !matches!(scope.service.as_str(), "" | "s3") => {
                Ok(unserved(&scope.service, &request))
            }
            _ => self.ask_s3(request, scope.is_own()).await,
        }
    }

    async fn ask_s3<B>(self, request: Request<B>, is_own: bool) -> Result<Response<Body>, io::Error>
    where
        B: HttpBody<Data = Bytes> + Unpin + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        let mut request = match prepare(request) {
            Ok(request) => request,
            Err(error) => return Ok(refused(400, "InvalidRequest", &error.to_string())),
        };
        if let Err(refusal) = gate::check(&request) {
            return Ok(refused(refusal.status, refusal.code, &refusal.message));
        }
        if is_own {
            request.extensions_mut().insert(OwnRequest);
        }
        let response = self.s3.call(request).await.map_err(broken)?;
        Ok(response.map(BodyExt::boxed))
    }

    /// A form that was posted: its policy and signature are checked by the protocol crate. As our keys
    /// are known to all, so may be a form that a page of another machine made.
    async fn take_form<B>(self, request: Request<B>) -> Result<Response<Body>, io::Error>
    where
        B: HttpBody<Data = Bytes> + Unpin + Send + Sync + 'static,
        B::Error: Into<BoxError>,
    {
        if comes_from_elsewhere(&request) {
            return Ok(refused(403, "AccessDenied", FOREIGN_FORM));
        }
        self.ask_s3(request, false).await
    }
}

/// An answer to a request of a service that is not here, in the form that its clients read.
fn unserved<B>(service: &str, request: &Request<B>) -> Response<Body> {
    let message = format!(
        "the local AWS serves s3, and by AWS JSON dynamodb and sqs: this is not {service} as it knows \
         it; give such a client another endpoint, as by AWS_ENDPOINT_URL_S3 instead of AWS_ENDPOINT_URL"
    );
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if kind.starts_with(b"application/x-www-form-urlencoded") {
        let text = format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>UnknownOperationException</Code>\
             <Message>{}</Message></Error></ErrorResponse>",
            escaped(&message)
        );
        return answered(501, "text/xml", text);
    }
    let text = serde_json::json!({
        "__type": "UnknownOperationException",
        "Type": "User",
        "message": message,
        "Message": message,
    });
    let mut response = answered(501, "application/json", text.to_string());
    let kind = HeaderValue::from_static("UnknownOperationException");
    response.headers_mut().insert("x-amzn-errortype", kind);
    response
}

/// The protocol crate could not make an answer: the connection is closed.
fn broken(error: s3s::HttpError) -> io::Error {
    io::Error::other(BoxError::from(error))
}

pub(crate) fn full(body: Full<Bytes>) -> Body {
    body.map_err(|never: Infallible| match never {}).boxed()
}

const UNSIGNED: &str = "the request is not signed: use any AWS client, with any access key";
const FOREIGN_FORM: &str = "the form was posted by a page of another machine (Origin): only pages of \
                            localhost may post to the local AWS";

fn refused(status: u16, code: &str, message: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <Error><Code>{code}</Code><Message>{}</Message></Error>",
        escaped(message)
    );
    answered(status, "application/xml", text)
}

fn answered(status: u16, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(full(Full::new(Bytes::from(text))));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_IMPLEMENTED);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
