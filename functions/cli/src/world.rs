//! The local AWS in a folder, wired as the deployed template wires the real one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use rowproof_core::names;
use rowproof_io::app::App;
use rowproof_io::batch::EventFailed;
use rowproof_io::clients::Clients;
use rowproof_io::clock::Deadline;
use rowproof_io::settings::{Settings, read_env};
use rowproof_local::{
    EventShape, Function, Invoke, InvokeError, LocalAws, Mapping, Notification, Options, Output,
    QueueOptions, RuntimeHost,
};
use serde_json::Value;
use tracing::Instrument;

use crate::Usage;
use crate::lock::{answers, lock, prepare, write_holder};

/// Queues that work waits in.
pub(crate) const QUEUES: [&str; 2] = ["uploads", "work"];

/// Seconds an invocation may take.
const TIMEOUT_SECONDS: u64 = 900;
/// The variable that makes this program a function.
const FUNCTION: &str = "ROWPROOF_FUNCTION";

/// Looks at the holder of a folder that is starting or ending, and the pause between two.
const JOIN_TRIES: u32 = 50;
const JOIN_PAUSE: Duration = Duration::from_millis(100);

/// How functions are run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workers {
    /// Invocations of each function at a time.
    pub(crate) count: usize,
    /// As processes under a Runtime API, instead of in this process.
    pub(crate) processes: bool,
}

/// A folder's local AWS, running.
pub(crate) struct World {
    /// Calls into it.
    pub(crate) app: Arc<App>,
    /// The folder.
    pub(crate) dir: PathBuf,
    /// Its servers; `None` when another process runs them.
    local: Option<LocalAws>,
    hosts: Vec<RuntimeHost>,
    _lock: Option<File>,
}

impl World {
    /// Starts the local AWS of a folder; `run` names this run to the ledger, so that leases of
    /// earlier runs count as ended: the lock shows that their workers are gone.
    pub(crate) async fn start(
        dir: &Path,
        workers: Option<Workers>,
        port: Option<u16>,
    ) -> anyhow::Result<World> {
        World::start_with(dir, workers, port, names::PIPELINES).await
    }

    /// Starts it for this pipeline alone: the folder may know others that read the same input folder.
    pub(crate) async fn start_for(
        dir: &Path,
        workers: Workers,
        pipeline: &str,
    ) -> anyhow::Result<World> {
        let key = format!("{}{pipeline}.json", names::PIPELINES);
        World::start_with(dir, Some(workers), None, &key).await
    }

    async fn start_with(
        dir: &Path,
        workers: Option<Workers>,
        port: Option<u16>,
        pipelines: &str,
    ) -> anyhow::Result<World> {
        let dir = prepare(dir)?;
        let mut lock = match lock(&dir)? {
            Ok(lock) => lock,
            Err(holder) => {
                let pid = holder.pid;
                let text = format!(
                    "{} is in use by process {pid}: wait for it, end it, or give another --out",
                    dir.display()
                );
                return Err(Usage(text).into());
            }
        };
        // Who has the folder is known before its endpoint is.
        write_holder(&mut lock, "")?;
        let buckets = [("input", false), ("output", false), ("failures", false)];
        let options = Options {
            dir: Some(dir.clone()),
            port,
            buckets: buckets.map(|(name, versioned)| (name.to_owned(), versioned)).to_vec(),
            ..Options::default()
        };
        let local = LocalAws::start(options).await?;
        for name in QUEUES {
            let dead = format!("{name}-dlq");
            local.create_queue(&dead, &QueueOptions::default());
            let visibility = Duration::from_millis(500);
            let redrive = Some((dead, 5));
            local.create_queue(
                name,
                &QueueOptions { visibility, redrive, ..QueueOptions::default() },
            );
        }
        let endpoint = local.endpoints().url.clone();
        write_holder(&mut lock, &endpoint)?;
        let app = Arc::new(connect_for(&endpoint, Some(run_id()), pipelines)?);
        app.ledger.ensure_table().await?;
        let mut world = World { app, dir, local: Some(local), hosts: vec![], _lock: Some(lock) };
        if let Some(workers) = workers {
            world.wire(workers)?;
        }
        Ok(world)
    }

    /// The running local AWS of a folder, or one started without workers to look at it.
    pub(crate) async fn open(dir: &Path) -> anyhow::Result<World> {
        World::find(dir, None).await
    }

    /// The running local AWS of a folder, or one started with workers to go on with its jobs.
    pub(crate) async fn resume(dir: &Path) -> anyhow::Result<World> {
        World::find(dir, Some(Workers { count: 2, processes: false })).await
    }

    async fn find(dir: &Path, workers: Option<Workers>) -> anyhow::Result<World> {
        if !dir.join(".rowproof").is_dir() {
            let text = format!(
                "{} holds no rowproof run; give --out the folder of an earlier `rowproof run`",
                dir.display()
            );
            return Err(Usage(text).into());
        }
        let full = prepare(dir)?;
        let mut pid = 0;
        for _ in 0..JOIN_TRIES {
            let held = lock(&full)?;
            match held {
                Ok(lock) => {
                    drop(lock);
                    return World::start(dir, workers, None).await;
                }
                Err(holder) if answers(&holder.endpoint).await => {
                    let app = Arc::new(connect(&holder.endpoint, None)?);
                    return Ok(World { app, dir: full, local: None, hosts: vec![], _lock: None });
                }
                // It is starting or ending.
                Err(holder) => pid = holder.pid,
            }
            tokio::time::sleep(JOIN_PAUSE).await;
        }
        anyhow::bail!(
            "process {pid} holds {} but does not answer: wait until it ends, or end it",
            dir.display()
        )
    }

    /// Whether the servers are this process's, not another one's.
    pub(crate) fn is_own(&self) -> bool {
        self.local.is_some()
    }

    /// Uploads go to `ingest`, work to `chunk`.
    fn wire(&mut self, workers: Workers) -> anyhow::Result<()> {
        let Some(local) = &self.local else { return Ok(()) };
        local.notify(Notification {
            bucket: "input".into(),
            prefix: String::new(),
            queue: "uploads".into(),
            shape: EventShape::EventBridge,
        });
        for (queue, function) in [("uploads", "ingest"), ("work", "chunk")] {
            let invoke = match workers.processes {
                true => {
                    let host =
                        RuntimeHost::start(process(&self.app, &self.dir, function, workers)?);
                    let invoke = host.invoke();
                    self.hosts.push(host);
                    invoke
                }
                false => in_process(self.app.clone(), function),
            };
            let mapping = Mapping {
                queue: queue.into(),
                batch_size: 1,
                concurrency_max: workers.count,
                visibility: Duration::from_secs(TIMEOUT_SECONDS),
            };
            local.map(mapping, invoke)?;
        }
        Ok(())
    }

    /// Whether all queues are empty and no function runs. Another process's world never says so.
    pub(crate) fn is_idle(&self) -> bool {
        self.local.as_ref().is_some_and(|local| local.is_idle(&QUEUES))
    }

    /// Where clients connect.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.local.as_ref().map(|local| local.endpoints().url.as_str())
    }

    /// The largest resident size that a function's process reached, in KiB, by function name.
    pub(crate) fn peak_rss_kb(&self) -> Vec<u64> {
        self.hosts.iter().map(RuntimeHost::peak_rss_kb).collect()
    }

    /// Ends the servers.
    pub(crate) async fn shutdown(self) {
        drop(self.hosts);
        if let Some(local) = self.local {
            local.shutdown().await;
        }
    }
}

fn run_id() -> String {
    format!("{}-{:016x}", std::process::id(), fastrand::u64(..))
}

/// Settings and clients for a local AWS.
fn connect(endpoint: &str, run: Option<String>) -> anyhow::Result<App> {
    connect_for(endpoint, run, names::PIPELINES)
}

/// Objects are matched against the pipeline files below `pipelines`.
fn connect_for(endpoint: &str, run: Option<String>, pipelines: &str) -> anyhow::Result<App> {
    let queue = |name: &str| format!("{endpoint}/{}/{name}", rowproof_local::ACCOUNT);
    let variables = [
        ("ROWPROOF_TABLE", "rowproof".to_owned()),
        ("ROWPROOF_INPUT_BUCKET", "input".to_owned()),
        ("ROWPROOF_OUTPUT_BUCKET", "output".to_owned()),
        ("ROWPROOF_FAILURES_BUCKET", "failures".to_owned()),
        ("ROWPROOF_UPLOADS_QUEUE_URL", queue("uploads")),
        ("ROWPROOF_WORK_QUEUE_URL", queue("work")),
        ("ROWPROOF_FAILED_QUEUE_URL", queue("work-dlq")),
        ("ROWPROOF_PIPELINES", pipelines.to_owned()),
        ("ROWPROOF_MATCH_DIRECTORY", "1".to_owned()),
        ("ROWPROOF_ENDPOINT", endpoint.to_owned()),
        ("ROWPROOF_RUN", run.unwrap_or_default()),
    ];
    let get = |name: &str| {
        let fixed = variables.iter().find(|(known, _)| *known == name);
        match fixed {
            Some((_, value)) => Some(value.clone()).filter(|value| !value.is_empty()),
            None => read_env(name),
        }
    };
    let settings = Settings::read(&get)?;
    let clients = Clients::local(
        endpoint,
        rowproof_local::REGION,
        rowproof_local::ACCESS_KEY,
        rowproof_local::SECRET_KEY,
    );
    Ok(App::new(settings, &clients))
}

async fn call(
    app: &App,
    function: &str,
    event: &Value,
    deadline: Deadline,
) -> Result<Value, EventFailed> {
    match function {
        "ingest" => rowproof_ingest::handle(app, event, deadline).await,
        _ => rowproof_chunk::handle(app, event, deadline).await,
    }
}

fn in_process(app: Arc<App>, function: &'static str) -> Invoke {
    Arc::new(move |event| {
        let app = app.clone();
        async move {
            let deadline = app.clock.deadline_in(TIMEOUT_SECONDS);
            call(&app, function, &event, deadline).await.map_err(|error| InvokeError {
                kind: "EventFailed".into(),
                message: error.to_string(),
            })
        }
        .boxed()
    })
}

fn process(app: &App, dir: &Path, function: &str, workers: Workers) -> anyhow::Result<Function> {
    let mut env = app.settings.to_env();
    env.push((FUNCTION.into(), function.into()));
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        env.push((name.into(), rowproof_local::ACCESS_KEY.into()));
    }
    env.push(("AWS_REGION".into(), rowproof_local::REGION.into()));
    let log = dir.join(format!(".rowproof/{function}.log"));
    Ok(Function {
        name: function.to_owned(),
        command: std::env::current_exe()?,
        args: vec![],
        env,
        timeout: Duration::from_secs(TIMEOUT_SECONDS),
        memory_mb: 1024,
        environments_max: workers.count,
        output: Output::File(log),
    })
}

/// The function that this process was started to be.
pub(crate) fn function_to_be() -> Option<String> {
    read_env(FUNCTION).filter(|_| read_env("AWS_LAMBDA_RUNTIME_API").is_some())
}

/// Runs as a function under the Runtime API, as the Lambda binaries do.
pub(crate) fn run_function(function: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            rowproof_io::telemetry::on_lambda(function);
            let app = &App::load(Settings::from_env()?).await;
            lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
                let deadline = app.clock.deadline_at(event.context.deadline);
                let span = rowproof_io::telemetry::invocation(&event.context.request_id);
                let answer = call(app, function, &event.payload, deadline).instrument(span).await;
                answer.map_err(lambda_runtime::Error::from)
            }))
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
