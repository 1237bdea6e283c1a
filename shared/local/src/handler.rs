//! All services without a socket: a request in, an answer out.

use std::fmt;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};

use crate::front::Front;

/// Answers requests as the common port does. Clones share all state.
#[derive(Clone)]
pub struct Handler(Front);

impl fmt::Debug for Handler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Handler")
    }
}

impl Handler {
    pub(crate) fn new(front: Front) -> Self {
        Self(front)
    }

    pub(crate) fn front(&self) -> Front {
        self.0.clone()
    }

    /// Applies a request and gives its answer. A request that the port would close the connection
    /// on is answered with status 500.
    pub async fn call(&self, request: Request<Bytes>) -> Response<Bytes> {
        let answered = self.front().answer(request.map(Full::new)).await;
        let collected = match answered {
            Ok(response) => {
                let (head, body) = response.into_parts();
                let body = body.collect().await.map_err(|error| error.to_string());
                body.map(|body| Response::from_parts(head, body.to_bytes()))
            }
            Err(error) => Err(error.to_string()),
        };
        collected.unwrap_or_else(|error| {
            let mut response = Response::new(Bytes::from(error));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        })
    }
}
