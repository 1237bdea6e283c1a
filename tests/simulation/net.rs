//! The network between the SDK clients and the services: requests wait in it until the simulation
//! takes the next one out.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::config::StalledStreamProtectionConfig;
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use bytes::Bytes;
use hyper::{Request, Response};
use rowproof_io::aws::clients::Clients;
use rowproof_io::clock::{Clock, Timeline};
use rowproof_local::OWN_ACCESS_KEY;
use rowproof_local::faults::{Call, Class, Fault, Faults};
use tokio::sync::oneshot;

use crate::names::{hash, identity};

/// What a client gets.
pub(crate) type Reply = Result<Response<Bytes>, String>;

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Pending {
    /// When it reaches its service.
    pub(crate) due: u64,
    /// Which of two that are due at once comes first: a hash of what it is, the same in every run.
    pub(crate) rank: u64,
    /// The environment that sent it.
    pub(crate) from: usize,
    pub(crate) call: Call,
    pub(crate) request: Request<Bytes>,
    pub(crate) fault: Option<Fault>,
    /// `None` when nobody waits any more.
    pub(crate) reply: Option<oneshot::Sender<Reply>>,
}

/// All requests on their way.
#[derive(Debug, Clone, Default)]
pub(crate) struct Net(Arc<Mutex<Vec<Pending>>>);

impl Net {
    fn state(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.0.lock().unwrap()
    }

    pub(crate) fn push(&self, pending: Pending) {
        self.state().push(pending);
    }

    /// When the next request reaches its service.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.state().iter().map(|pending| pending.due).min()
    }

    /// Takes the next one out.
    pub(crate) fn pop(&self) -> Option<Pending> {
        let mut all = self.state();
        let order = |at: &usize| (all[*at].due, all[*at].rank, all[*at].from);
        let next = (0..all.len()).min_by_key(order)?;
        Some(all.swap_remove(next))
    }

    /// The environment is gone: nobody waits for its answers, and what had not left it never will.
    /// Requests that were on the wire already are applied all the same: every second one is.
    pub(crate) fn orphan(&self, from: usize) {
        self.state().retain_mut(|pending| {
            if pending.from != from {
                return true;
            }
            pending.reply = None;
            pending.rank % 2 == 0
        });
    }
}

/// Where one environment's clients send to.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) net: Net,
    pub(crate) from: usize,
    pub(crate) timeline: &'static Timeline,
    /// `None` for an operator, who is only slow.
    pub(crate) faults: Option<Faults>,
    pub(crate) seed: u64,
}

impl Port {
    /// Real clients over this port, on this clock.
    pub(crate) fn clients(&self, clock: Clock) -> Clients {
        let credentials = Credentials::new(OWN_ACCESS_KEY, "simulation", None, None, "simulation");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(self.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(4))
            .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(Told(clock)))
            .time_source(aws_smithy_async::time::SharedTimeSource::new(Told(Clock::simulated(
                self.timeline,
            ))))
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url("http://rowproof.local")
            .build();
        Clients::of(&config, true)
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| broken(error.to_string()))?;
        let (head, body) = request.into_parts();
        let body = ByteStream::new(body).collect().await;
        let body = body.map_err(|error| broken(error.to_string()))?.into_bytes();
        let request = Request::from_parts(head, body);
        let call = Call::of(&request);
        let rank = hash(self.seed, &identity(&request));
        let fault = self.faults.as_ref().and_then(|faults| faults.of_call(&call));
        let slow = match fault {
            Some(fault) if fault.class == Class::Slow => fault.delay,
            Some(_) | None => Duration::ZERO,
        };
        let due = self.timeline.now_ms() + 1 + rank % 20 + slow.as_millis() as u64;
        let (reply, answer) = oneshot::channel();
        let from = self.from;
        self.net.push(Pending { due, rank, from, call, request, fault, reply: Some(reply) });
        match answer.await {
            Ok(Ok(response)) => Ok(received(response)),
            Ok(Err(error)) => Err(broken(error)),
            Err(_) => Err(broken("the simulation has ended".into())),
        }
    }
}

fn broken(error: String) -> ConnectorError {
    ConnectorError::io(error.into())
}

fn received(response: Response<Bytes>) -> HttpResponse {
    let (head, body) = response.into_parts();
    let status = StatusCode::try_from(head.status.as_u16()).unwrap();
    let mut received = HttpResponse::new(status, SdkBody::from(body));
    for (name, value) in &head.headers {
        let value = value.to_str().unwrap().to_owned();
        received.headers_mut().append(name.as_str().to_owned(), value);
    }
    received
}

impl HttpConnector for Port {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}

impl HttpClient for Port {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// The simulation's time, for the SDK.
#[derive(Debug, Clone, Copy)]
struct Told(Clock);

impl AsyncSleep for Told {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(self.0.sleep(duration))
    }
}

impl TimeSource for Told {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.0.now_ms())
    }
}
