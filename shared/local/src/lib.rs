//! `rowproof-local`: AWS on a laptop, as far as an ETL job needs it.
//!
//! One process serves S3 over a folder of plain files, `DynamoDB` over a `SQLite` file and SQS in memory,
//! on loopback ports. [`LocalAws::map`] hands messages to functions and [`RuntimeHost`] runs
//! functions as processes under the Lambda Runtime API. The functions cannot tell: they get an
//! endpoint URL.

mod chunked;
mod clock;
mod disk;
mod dynamodb;
mod events;
pub mod faults;
mod front;
mod gate;
mod handler;
mod mapping;
mod plain;
mod runtime_host;
mod s3;
mod signer;
mod sqs;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::clock::Clock;
pub use self::events::{EventShape, Notification};
pub use self::handler::Handler;
pub use self::mapping::{Invoke, InvokeError, Mapping, Taken};
pub use self::runtime_host::{Function, Output, RuntimeHost};
pub use self::signer::OWN_ACCESS_KEY;
pub use self::sqs::{Depth, QueueOptions};

use self::disk::{Disk, advice};
use self::dynamodb::{DynamoDb, Forward, Tables};
use self::events::Events;
use self::faults::{Faults, PowerCut};
use self::front::Front;
use self::mapping::Mappings;
use self::s3::Storage;
use self::sqs::Queues;

/// Access key for clients. Any other works as well.
pub const ACCESS_KEY: &str = "rowproof";
/// Secret key for clients. Any other works as well.
pub const SECRET_KEY: &str = "rowproof";
/// The region of all there is here.
pub const REGION: &str = "us-east-1";
/// The account all there is here belongs to.
pub const ACCOUNT: &str = "000000000000";

/// How long `shutdown` waits for open requests.
const DRAIN: Duration = Duration::from_secs(5);

/// Where the state lives and where clients connect.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The disk: buckets are folders in it, the rest is in `.rowproof`. Without it a temporary
    /// folder is used, and `DynamoDB` lives in memory.
    pub dir: Option<PathBuf>,
    /// Port on 127.0.0.1; without it any free one.
    pub port: Option<u16>,
    /// Buckets to make if they are missing, and whether they keep versions.
    pub buckets: Vec<(String, bool)>,
    /// What time it is for S3 and SQS.
    pub clock: Clock,
    /// What goes wrong on purpose, with messages and with requests that come over sockets and are
    /// signed with [`faults::FAULTED_ACCESS_KEY`].
    pub faults: Option<Faults>,
    /// When the process ends, for S3's files: a test's.
    pub power_cut: Option<PowerCut>,
}

/// Why the local AWS could not start.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The port is taken or may not be used.
    #[error("cannot listen on 127.0.0.1:{port}: {error}; give another port or stop what uses it")]
    Bind {
        /// The port asked for; 0 for any.
        port: u16,
        /// What the system said.
        error: io::Error,
    },
    /// A folder or file could not be read or written.
    #[error("cannot use {}: {error}{}", path.display(), advice(error.kind()))]
    Disk {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The ledger file could not be opened.
    #[error("cannot open the local DynamoDB{}: {error}", in_file(file.as_deref()))]
    DynamoDb {
        /// The file, if it is not in memory.
        file: Option<PathBuf>,
        /// What it said.
        error: String,
    },
    /// A queue is named that was not made.
    #[error("there is no local queue {0}: create it first")]
    NoQueue(String),
}

/// The URLs for clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Answers for every service: what `AWS_ENDPOINT_URL` should say.
    pub url: String,
    /// `DynamoDB` without the detour: what `AWS_ENDPOINT_URL_DYNAMODB` may say.
    pub dynamodb: String,
}

/// A running local AWS. It stops when dropped, but only [`LocalAws::shutdown`] waits for that.
#[derive(Debug)]
pub struct LocalAws {
    endpoints: Endpoints,
    storage: Storage,
    handler: Handler,
    queues: Queues,
    events: Events,
    mappings: Mappings,
    stop: CancellationToken,
    connections: TaskTracker,
    dynamodb: Option<JoinHandle<Result<(), String>>>,
    /// Removed when dropped.
    _temporary: Option<tempfile::TempDir>,
}

impl LocalAws {
    /// Starts all servers.
    ///
    /// # Errors
    ///
    /// If the port is taken or the folder cannot be used.
    pub async fn start(options: Options) -> Result<Self, LocalError> {
        let port = options.port.unwrap_or(0);
        let bind = |error| LocalError::Bind { port, error };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(bind)?;
        let url = format!("http://{}", listener.local_addr().map_err(bind)?);
        let stop = CancellationToken::new();
        let file = options.dir.as_ref().map(|dir| dir.join(".rowproof/ledger.db"));
        if let Some(dir) = &options.dir {
            make_private(dir)?;
        }
        let dynamodb = DynamoDb::start(file.as_deref(), stop.clone()).await?;
        let tables = Tables::Port(Box::new(Forward::new(dynamodb.address)));
        let mut local = Self::assemble(options, &url, tables, stop.clone())?;
        local.endpoints.dynamodb = format!("http://{}", dynamodb.address);
        local.dynamodb = Some(dynamodb.task);
        let connections = local.connections.clone();
        let front = local.handler.front();
        local.connections.spawn(front::serve(listener, front, stop, connections));
        Ok(local)
    }

    /// The same without any socket: all is reached through [`LocalAws::handler`]. `DynamoDB` lives in
    /// memory.
    ///
    /// # Errors
    ///
    /// If the folder cannot be used.
    pub fn in_process(options: Options) -> Result<Self, LocalError> {
        let stop = CancellationToken::new();
        Self::assemble(options, "http://rowproof.local", Tables::in_process()?, stop)
    }

    fn assemble(
        options: Options,
        url: &str,
        tables: Tables,
        stop: CancellationToken,
    ) -> Result<Self, LocalError> {
        let temporary = match options.dir {
            Some(_) => None,
            None => Some(
                tempfile::tempdir()
                    .map_err(|error| LocalError::Disk { path: std::env::temp_dir(), error })?,
            ),
        };
        let dir = options.dir.or_else(|| Some(temporary.as_ref()?.path().to_owned()));
        let dir = dir.unwrap_or_default();
        make_private(&dir)?;
        let queues = Queues::new(options.clock.clone(), options.faults.clone());
        let events = Events::new(queues.clone());
        let disk = |error| LocalError::Disk { path: dir.clone(), error };
        let files = Disk::new(options.power_cut);
        let storage = Storage::open(dir.clone(), events.clone(), options.clock, files);
        let storage = storage.map_err(disk)?;
        for (bucket, versioned) in &options.buckets {
            storage.create_bucket(bucket).map_err(disk)?;
            storage.set_versioned(bucket, *versioned).map_err(disk)?;
        }
        let front = Front {
            s3: s3::service_of(&storage),
            queues: queues.clone(),
            dynamodb: tables,
            url: url.into(),
            faults: options.faults,
        };
        Ok(Self {
            endpoints: Endpoints { url: url.to_owned(), dynamodb: url.to_owned() },
            storage,
            handler: Handler::new(front),
            queues,
            events,
            mappings: Mappings::default(),
            stop,
            connections: TaskTracker::new(),
            dynamodb: None,
            _temporary: temporary,
        })
    }

    /// Answers requests without a socket.
    #[must_use]
    pub fn handler(&self) -> Handler {
        self.handler.clone()
    }

    /// Where clients connect.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Makes a bucket, if it is missing.
    ///
    /// # Errors
    ///
    /// If the folder cannot be written.
    pub fn create_bucket(&self, name: &str, versioned: bool) -> Result<(), LocalError> {
        let disk = |error| LocalError::Disk { path: name.into(), error };
        self.storage.create_bucket(name).map_err(disk)?;
        self.storage.set_versioned(name, versioned).map_err(disk)
    }

    /// Makes a queue, if it is missing.
    pub fn create_queue(&self, name: &str, options: &QueueOptions) {
        self.queues.create(name, options);
    }

    /// The URL that clients name a queue by.
    #[must_use]
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.endpoints.url)
    }

    /// Sends a message without a client.
    ///
    /// # Errors
    ///
    /// If there is no such queue.
    pub fn send(&self, queue: &str, body: String) -> Result<(), LocalError> {
        let sent = self.queues.send(queue, body.clone(), &body);
        sent.then_some(()).ok_or_else(|| LocalError::NoQueue(queue.to_owned()))
    }

    /// How many messages a queue holds; `None` if there is no such queue.
    #[must_use]
    pub fn depth(&self, queue: &str) -> Option<Depth> {
        Some(self.queues.get(queue)?.depth())
    }

    /// When the first message of a queue can be received, in milliseconds from now; `None` when it
    /// holds none.
    #[must_use]
    pub fn next_message_ms(&self, queue: &str) -> Option<u64> {
        self.queues.get(queue)?.next_ms()
    }

    /// Takes up to `max` messages by hand; they are seen again after `visibility` unless settled.
    #[must_use]
    pub fn take(&self, queue: &str, max: usize, visibility: Duration) -> Option<Taken> {
        Taken::from(&self.queues, self.queues.get(queue)?, max, visibility)
    }

    /// Removes every message of a queue; how many there were.
    pub fn purge(&self, queue: &str) -> usize {
        self.queues.get(queue).map_or(0, |queue| queue.drain().len())
    }

    /// From now on, sends a message for each object that is created.
    pub fn notify(&self, notification: Notification) {
        self.events.add(notification);
    }

    /// From now on, hands the messages of a queue to a function.
    ///
    /// # Errors
    ///
    /// If there is no such queue.
    pub fn map(&self, mapping: Mapping, invoke: Invoke) -> Result<(), LocalError> {
        let queue = self.queues.get(&mapping.queue);
        let queue = queue.ok_or_else(|| LocalError::NoQueue(mapping.queue.clone()))?;
        self.mappings.start(self.queues.clone(), queue, mapping, invoke);
        Ok(())
    }

    /// Invocations of mapped functions under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.mappings.in_flight.load(Ordering::Acquire)
    }

    /// Whether these queues hold no message and no mapped function runs.
    #[must_use]
    pub fn is_idle(&self, queues: &[&str]) -> bool {
        // A function sends before its own message is deleted, maybe to a queue looked at before:
        // the answer holds only if nothing was sent meanwhile.
        let before = self.queues.sends();
        let empty = |name: &&str| self.queues.get(name).is_none_or(|queue| queue.is_empty());
        queues.iter().all(empty) && self.in_flight() == 0 && self.queues.sends() == before
    }

    /// Waits until [`LocalAws::is_idle`].
    pub async fn idle(&self, queues: &[&str]) {
        loop {
            let mut changed = std::pin::pin!(self.queues.changed());
            changed.as_mut().enable();
            if self.is_idle(queues) {
                return;
            }
            changed.await;
        }
    }

    /// Stops the mappings, waits for their invocations and for open requests, and stops the servers.
    pub async fn shutdown(mut self) {
        self.mappings.stop.cancel();
        self.mappings.tasks.close();
        self.mappings.tasks.wait().await;
        self.stop.cancel();
        self.connections.close();
        let mut open = self.dynamodb.take();
        let drained = tokio::time::timeout(DRAIN, async {
            self.connections.wait().await;
            if let Some(task) = open.as_mut()
                && let Ok(Err(error)) = task.await
            {
                tracing::warn!(error, "the local DynamoDB did not stop cleanly");
            }
        });
        if drained.await.is_err() {
            tracing::warn!("some clients of the local AWS keep their connections open");
        }
    }
}

fn in_file(file: Option<&Path>) -> String {
    file.map_or_else(String::new, |file| format!(" in {}", file.display()))
}

/// The folder for all that is no object.
fn make_private(dir: &Path) -> Result<(), LocalError> {
    let disk = |error| LocalError::Disk { path: dir.join(".rowproof"), error };
    std::fs::create_dir_all(dir.join(".rowproof")).map_err(disk)
}

impl Drop for LocalAws {
    fn drop(&mut self) {
        self.mappings.stop.cancel();
        self.stop.cancel();
    }
}
