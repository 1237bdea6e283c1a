//! DynamoDB: dynoxide in this process, on a port of its own or called directly.

use std::path::Path;

use bytes::Bytes;
use dynoxide::{Database, DynoxideError, server};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::LocalError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// DynamoDB takes requests of 16 MB.
const REQUEST_BYTES_MAX: usize = 17 << 20;

/// A running server.
#[derive(Debug)]
pub(crate) struct DynamoDb {
    pub(crate) address: std::net::SocketAddr,
    pub(crate) task: JoinHandle<Result<(), String>>,
}

impl DynamoDb {
    /// Keeps its tables in `file`, or in memory.
    pub(crate) async fn start(
        file: Option<&Path>,
        stop: CancellationToken,
    ) -> Result<Self, LocalError> {
        let database = match file {
            Some(path) => Database::new(&path.to_string_lossy()).map_err(refused)?,
            None => Database::memory().map_err(refused)?,
        };
        let bind = |error| LocalError::Bind { port: 0, error };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let task =
            tokio::spawn(server::serve_with_shutdown(listener, database, stop.cancelled_owned()));
        Ok(Self { address, task })
    }
}

/// Where requests that came to the common port go.
#[derive(Clone)]
pub(crate) enum Tables {
    /// To the port of its own.
    Port(Box<Forward>),
    /// Straight to the database: no socket, and none of the checks that a server makes of requests.
    Here(Database),
}

impl Tables {
    /// Tables in memory, called directly.
    pub(crate) fn in_process() -> Result<Self, LocalError> {
        Ok(Self::Here(Database::memory().map_err(refused)?))
    }

    pub(crate) async fn send<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let sent = match self {
            Self::Port(forward) => forward.send(request).await,
            Self::Here(database) => here(database, request).await,
        };
        sent.unwrap_or_else(|error| {
            let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        })
    }
}

fn refused(error: DynoxideError) -> LocalError {
    LocalError::DynamoDb(error.to_string())
}

async fn here<B>(
    database: &Database,
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, BoxError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok());
    let operation = target.and_then(|target| target.split('.').next_back()).unwrap_or_default();
    let operation = operation.to_owned();
    let body = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await?.to_bytes();
    let (status, text) = match run(database, &operation, std::str::from_utf8(&body)?) {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::from_u16(error.status_code())?, error.to_json()),
    };
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(Bytes::from(text)))?;
    Ok(response)
}

fn run(database: &Database, operation: &str, body: &str) -> Result<String, DynoxideError> {
    match operation {
        "CreateTable" => typed(body, |input| database.create_table(input)),
        "DescribeTable" => typed(body, |input| database.describe_table(input)),
        "UpdateTimeToLive" => typed(body, |input| database.update_time_to_live(input)),
        "GetItem" => typed(body, |input| database.get_item(input)),
        "PutItem" => typed(body, |input| database.put_item(input)),
        "UpdateItem" => typed(body, |input| database.update_item(input)),
        "DeleteItem" => typed(body, |input| database.delete_item(input)),
        "Query" => typed(body, |input| database.query(input)),
        "Scan" => typed(body, |input| database.scan(input)),
        "BatchGetItem" => typed(body, |input| database.batch_get_item(input)),
        "TransactWriteItems" => typed(body, |input| database.transact_write_items(input)),
        other => Err(DynoxideError::ValidationException(format!(
            "{other} is not answered in process; call it at the port"
        ))),
    }
}

fn typed<Input: DeserializeOwned, Output: Serialize>(
    body: &str,
    run: impl FnOnce(Input) -> Result<Output, DynoxideError>,
) -> Result<String, DynoxideError> {
    let bad = |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
    let output = run(serde_json::from_str(body).map_err(bad)?)?;
    serde_json::to_string(&output).map_err(bad)
}

/// Hands a request on that came to the common port.
#[derive(Debug, Clone)]
pub(crate) struct Forward {
    client: Client<HttpConnector, Full<Bytes>>,
    address: std::net::SocketAddr,
}

impl Forward {
    pub(crate) fn new(address: std::net::SocketAddr) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self { client, address }
    }

    async fn send<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, BoxError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        head.uri = format!("http://{}{path}", self.address).parse()?;
        let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await?.to_bytes();
        let response = self.client.request(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}
