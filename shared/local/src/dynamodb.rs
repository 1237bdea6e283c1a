//! DynamoDB: dynoxide in this process, on a port of its own.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::LocalError;

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
            Some(path) => dynoxide::Database::new(&path.to_string_lossy()),
            None => dynoxide::Database::memory(),
        };
        let database = database.map_err(|error| LocalError::DynamoDb(error.to_string()))?;
        let bind = |error| LocalError::Bind { port: 0, error };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let task = tokio::spawn(dynoxide::server::serve_with_shutdown(
            listener,
            database,
            stop.cancelled_owned(),
        ));
        Ok(Self { address, task })
    }
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

    pub(crate) async fn send(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match self.try_send(request).await {
            Ok(response) => response,
            Err(error) => {
                let mut response = Response::new(Full::new(Bytes::from(error.to_string())));
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
        }
    }

    async fn try_send(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
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
