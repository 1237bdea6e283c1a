//! The HTTP side of the Lambda Runtime API, one server an environment.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::mapping::InvokeError;

/// Lambda takes answers of 6 MB.
const ANSWER_BYTES_MAX: usize = 6 << 20;

type Reply = Result<Value, InvokeError>;

#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) id: String,
    /// Milliseconds since 1970.
    pub(super) deadline_ms: u64,
    /// Of the function.
    pub(super) arn: String,
    /// JSON.
    pub(super) event: String,
}

#[derive(Debug, Default)]
struct Desk {
    /// Not fetched yet.
    waiting: Option<Invocation>,
    /// The invocation that is worked on, and who waits for its answer.
    open: Option<(String, oneshot::Sender<Reply>)>,
    /// The process asked for an invocation, or said that it cannot start.
    initialised: Option<Result<(), InvokeError>>,
}

#[derive(Debug, Default)]
struct Shared {
    desk: Mutex<Desk>,
    /// An invocation was laid out.
    work: Notify,
    /// `initialised` was set.
    ready: Notify,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn initialised(&self, result: Result<(), InvokeError>) {
        self.desk().initialised.get_or_insert(result);
        self.ready.notify_one();
    }

    fn answer(&self, id: &str, reply: Reply) -> StatusCode {
        let open = self.desk().open.take_if(|(open, _)| open == id);
        match open {
            // The other end may have given up: then nobody needs the answer.
            Some((_, sender)) => {
                sender.send(reply).map_or(StatusCode::GONE, |()| StatusCode::ACCEPTED)
            }
            None => StatusCode::BAD_REQUEST,
        }
    }
}

#[derive(Debug)]
pub(super) struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<io::Result<()>>,
}

impl Api {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failure))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .layer(DefaultBodyLimit::max(ANSWER_BYTES_MAX))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { address, shared, server })
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until the process asks for its first invocation.
    pub(super) async fn ready(&self) -> Result<(), InvokeError> {
        loop {
            if let Some(result) = self.shared.desk().initialised.clone() {
                return result;
            }
            self.shared.ready.notified().await;
        }
    }

    /// Lays out an invocation for the process to fetch.
    pub(super) fn give(&self, invocation: Invocation) -> oneshot::Receiver<Reply> {
        let (sender, receiver) = oneshot::channel();
        let mut desk = self.shared.desk();
        desk.open = Some((invocation.id.clone(), sender));
        desk.waiting = Some(invocation);
        drop(desk);
        self.shared.work.notify_one();
        receiver
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.initialised(Ok(()));
    let invocation = loop {
        let waiting = shared.desk().waiting.take();
        match waiting {
            Some(invocation) => break invocation,
            None => shared.work.notified().await,
        }
    };
    let trace = format!(
        "Root=1-{:08x}-{:024x};Sampled=0",
        invocation.deadline_ms / 1000,
        fastrand::u64(..)
    );
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.id),
        ("lambda-runtime-deadline-ms", invocation.deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", invocation.arn),
        ("lambda-runtime-trace-id", trace),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, invocation.event).into_response()
}

fn accepted(status: StatusCode) -> Response {
    (status, axum::Json(json!({ "status": "OK" }))).into_response()
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let reply = match body.as_ref() {
        b"" => Ok(Value::Null),
        bytes => serde_json::from_slice(bytes).map_err(|cause| InvokeError {
            kind: "Runtime.MarshalError".to_owned(),
            message: format!("the function's answer is not JSON: {cause}"),
        }),
    };
    accepted(shared.answer(&id, reply))
}

fn described(body: &[u8]) -> InvokeError {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    InvokeError {
        kind: text("errorType").unwrap_or_else(|| "Unhandled".to_owned()),
        message: text("errorMessage").unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
    }
}

async fn failure(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    accepted(shared.answer(&id, Err(described(&body))))
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    shared.initialised(Err(described(&body)));
    accepted(StatusCode::ACCEPTED)
}
