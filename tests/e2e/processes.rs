//! Functions as processes under the Runtime API host, on a local AWS.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rowproof_core::message::{Message, Task};
use rowproof_io::app::App;
use rowproof_io::aws::clients::Clients;
use rowproof_io::settings::Settings;
use rowproof_local::{
    ACCESS_KEY, EventShape, Function, LocalAws, Mapping, Notification, Options, Output,
    QueueOptions, REGION, RuntimeHost, SECRET_KEY,
};
use tempfile::TempDir;

use super::support::world::ORDERS;

/// Seconds that a lease lasts. A frozen process sleeps longer.
pub(crate) const LEASE_SECONDS: u64 = 2;
/// The queues that bring work, each with its function.
pub(crate) const WORK: [(&str, &str); 2] = [("uploads", "ingest"), ("work", "chunk")];
/// Their names.
pub(crate) const QUEUES: [&str; 2] = ["uploads", "work"];

/// What a function's processes are given.
pub(crate) struct Given {
    /// Where the AWS is that they speak to.
    pub(crate) endpoint: String,
    pub(crate) memory_mb: u32,
    pub(crate) environments_max: usize,
    /// Variables besides their settings.
    pub(crate) env: Vec<(String, String)>,
}

pub(crate) struct Processes {
    dir: TempDir,
    pub(crate) local: LocalAws,
    pub(crate) app: App,
    pub(crate) hosts: Vec<RuntimeHost>,
}

impl Processes {
    /// The AWS, with the pipeline `orders` and nothing that runs yet.
    pub(crate) async fn start() -> Processes {
        Processes::start_with(ORDERS).await
    }

    /// The same with another pipeline.
    pub(crate) async fn start_with(pipeline: &str) -> Processes {
        let dir = TempDir::with_prefix("rowproof-processes-").unwrap();
        let buckets = ["input", "output", "failures"];
        let buckets = buckets.map(|name| (name.to_owned(), false)).to_vec();
        let options = Options { dir: Some(dir.path().join("out")), buckets, ..Options::default() };
        let local = LocalAws::start(options).await.unwrap();
        local.create_queue("dead", &QueueOptions::default());
        for name in QUEUES {
            local.create_queue(name, &QueueOptions::default());
        }
        let url = local.endpoints().url.clone();
        let settings = Settings::read(&|name| setting(name, &local)).unwrap();
        let clients = Clients::local(&url, REGION, ACCESS_KEY, SECRET_KEY);
        let app = App::new(settings, &clients);
        app.ledger.ensure_table().await.unwrap();
        app.store
            .put("output", "_pipelines/orders.toml", pipeline.to_owned().into())
            .await
            .unwrap();
        local.notify(Notification {
            bucket: "input".into(),
            prefix: String::new(),
            queue: "uploads".into(),
            shape: EventShape::EventBridge,
        });
        Processes { dir, local, app, hosts: vec![] }
    }

    /// The buckets as folders.
    pub(crate) fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    /// What processes are given unless a test wants something else.
    pub(crate) fn usual(&self) -> Given {
        let endpoint = self.local.endpoints().url.clone();
        Given { endpoint, memory_mb: 512, environments_max: 3, env: vec![] }
    }

    /// From now on processes of the function take what comes on the queue.
    pub(crate) fn wire(&mut self, (queue, name): (&str, &str), given: &Given) {
        let settings =
            Settings { endpoint: Some(given.endpoint.clone()), ..self.app.settings.clone() };
        let mut env = settings.to_env();
        env.push(("ROWPROOF_FUNCTION".into(), name.into()));
        env.extend(given.env.iter().cloned());
        let host = RuntimeHost::start(Function {
            name: name.into(),
            command: env!("CARGO_BIN_EXE_rowproof-tests").into(),
            args: vec![],
            env,
            timeout: Duration::from_secs(30),
            memory_mb: given.memory_mb,
            environments_max: given.environments_max,
            output: Output::File(self.dir.path().join(format!("{name}.log"))),
        });
        let mapping = Mapping {
            queue: queue.into(),
            batch_size: 1,
            concurrency_max: 3,
            // A frozen process's message comes again before it wakes up.
            visibility: Duration::from_secs(LEASE_SECONDS),
        };
        self.local.map(mapping, host.invoke()).unwrap();
        self.hosts.push(host);
    }

    /// Every process that runs.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.hosts.iter().flat_map(RuntimeHost::pids).collect()
    }

    pub(crate) async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.app.store.put("input", key, bytes.into()).await.unwrap();
    }

    /// How many jobs there are in each state.
    pub(crate) async fn states(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::new();
        for job in self.app.ledger.all_jobs().await.unwrap() {
            *states.entry(job.state.as_str()).or_insert(0) += 1;
        }
        states
    }

    /// What the sweeper does: every job that is not over is to go on.
    pub(crate) async fn take_on(&self) {
        for job in self.app.ledger.all_jobs().await.unwrap() {
            if !job.state.is_settled() {
                let message = Message::new(Task::Job { job: job.facts.job });
                self.app.queue.send(&self.app.settings.work_queue_url, &message, 0).await.unwrap();
            }
        }
    }

    /// The folder of the table's files.
    pub(crate) fn table(&self) -> PathBuf {
        self.out().join("output/curated/orders")
    }

    pub(crate) async fn shutdown(self) {
        drop(self.hosts);
        self.local.shutdown().await;
    }
}

fn setting(name: &str, local: &LocalAws) -> Option<String> {
    let value = match name {
        "ROWPROOF_TABLE" => "rowproof".to_owned(),
        "ROWPROOF_INPUT_BUCKET" => "input".to_owned(),
        "ROWPROOF_OUTPUT_BUCKET" => "output".to_owned(),
        "ROWPROOF_FAILURES_BUCKET" => "failures".to_owned(),
        "ROWPROOF_UPLOADS_QUEUE_URL" => local.queue_url("uploads"),
        "ROWPROOF_WORK_QUEUE_URL" => local.queue_url("work"),
        "ROWPROOF_FAILED_QUEUE_URL" => local.queue_url("dead"),
        "ROWPROOF_ENDPOINT" => local.endpoints().url.clone(),
        "ROWPROOF_CHUNK_ROWS" => "400".to_owned(),
        "ROWPROOF_INLINE_CHUNKS" => "0".to_owned(),
        "ROWPROOF_LEASE_SECONDS" => LEASE_SECONDS.to_string(),
        _ => return None,
    };
    Some(value)
}
