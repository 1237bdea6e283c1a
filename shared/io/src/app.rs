//! What every invocation of a function shares: made once at cold start.

use rowproof_core::block::Limits;
use rowproof_core::ids::JobId;
use rowproof_core::ledger::ChunkId;
use rowproof_core::message::{Message, Task};

use crate::aws::clients::Clients;
use crate::aws::error::AwsError;
use crate::aws::queue::Queue;
use crate::aws::store::Store;
use crate::clock::Clock;
use crate::error::StepError;
use crate::ledger::Ledger;
use crate::pipelines::Pipelines;
use crate::postgres::Databases;
use crate::settings::Settings;

/// Clients, settings and parsed configuration. Holds nothing of any one job.
#[derive(Debug)]
pub struct App {
    /// Settings of this function.
    pub settings: Settings,
    /// Bounds on everything that comes from outside.
    pub limits: Limits,
    /// S3.
    pub store: Store,
    /// DynamoDB.
    pub ledger: Ledger,
    /// SQS.
    pub queue: Queue,
    /// Databases of pipelines with a table.
    pub databases: Databases,
    /// Pipeline files.
    pub pipelines: Pipelines,
    /// What time it is.
    pub clock: Clock,
}

impl App {
    /// With clients from the environment.
    pub async fn load(settings: Settings) -> App {
        let clients = Clients::load(settings.endpoint.as_deref()).await;
        App::new(settings, &clients)
    }

    /// With these clients.
    pub fn new(settings: Settings, clients: &Clients) -> App {
        App::with_clock(settings, clients, Clock::system())
    }

    /// With these clients and this clock.
    pub fn with_clock(settings: Settings, clients: &Clients, clock: Clock) -> App {
        let store = Store::new(clients.s3.clone(), clock);
        App {
            limits: settings.limits.clone(),
            ledger: Ledger::new(clients.dynamodb.clone(), settings.table.clone()),
            databases: Databases::new(clients, clock),
            queue: Queue::new(clients.sqs.clone()),
            pipelines: Pipelines::new(store.clone(), &settings, clock),
            store,
            settings,
            clock,
        }
    }

    /// Reads a JSON document of the output bucket that must be there.
    pub(crate) async fn document<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        what: &'static str,
    ) -> Result<T, StepError> {
        let found = self.document_if_there(key, what).await?;
        let (key, message) = (key.to_owned(), "it is not there".to_owned());
        found.ok_or(StepError::BadDocument { key, what, message })
    }

    /// Reads a JSON document of the output bucket, where there is one.
    pub(crate) async fn document_if_there<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        what: &'static str,
    ) -> Result<Option<T>, StepError> {
        let bytes = self.store.get(&self.settings.output_bucket, key).await?;
        let Some(bytes) = bytes else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            let (key, message) = (key.to_owned(), error.to_string());
            StepError::BadDocument { key, what, message }
        })
    }

    /// Names a chunk or job that failed for good on the failed queue. The ledger has it already; the
    /// message is a doorbell.
    pub(crate) async fn announce(
        &self,
        job: &JobId,
        chunk: Option<&ChunkId>,
        code: &str,
    ) -> Result<(), AwsError> {
        let part = chunk.map(|id| id.part.clone()).unwrap_or_default();
        let chunk = chunk.map(|id| id.chunk);
        let task = Task::Failed { job: job.clone(), chunk, part, code: code.to_owned() };
        self.queue.send(&self.settings.failed_queue_url, &Message::new(task), 0).await
    }
}
