//! The local AWS in a folder, wired as the deployed template wires the real one.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rowproof_core::names;
use rowproof_io::app::App;
use rowproof_local::faults::{FAULTED_ACCESS_KEY, Faults};
use rowproof_local::{
    EventShape, Invoke, LocalAws, Mapping, Notification, OWN_ACCESS_KEY, Options, QueueOptions,
    RuntimeHost,
};
use serde_json::Value;

use crate::exit::Usage;
use crate::local::connect::{connect, connect_for, faulted, run_id};
use crate::local::functions::Workers;
use crate::local::functions::{TIMEOUT_SECONDS, call, in_process, process};
use crate::local::lock::{answers, lock, prepare, write_holder};

/// Queues that work waits in.
pub(crate) const QUEUES: [&str; 3] = ["uploads", "work", "redrive"];

/// Sweeps that change nothing, in a row, after which what is unfinished is reported as such. Where
/// faults happen, a worker's hold on a chunk has to end first.
const SWEEPS: u32 = 3;
const SWEEPS_FAULTED: u32 = 100;
const SWEEP_PAUSE: Duration = Duration::from_millis(100);

/// Looks at the holder of a folder that is starting or ending, and the pause between two.
const JOIN_TRIES: u32 = 50;
const JOIN_PAUSE: Duration = Duration::from_millis(100);

/// A folder's local AWS, running.
pub(crate) struct World {
    /// Calls into it.
    pub(crate) app: Arc<App>,
    /// The folder.
    pub(crate) dir: PathBuf,
    /// Its servers; `None` when another process runs them.
    local: Option<LocalAws>,
    hosts: Vec<RuntimeHost>,
    /// The function that schedules start, when workers run here.
    schedule: Option<Invoke>,
    /// What goes wrong with the functions' requests and messages.
    faults: Option<Faults>,
    _lock: Option<File>,
}

impl World {
    /// Starts the local AWS of a folder; `run` names this run to the ledger, so that leases of
    /// earlier runs count as ended: the lock shows that their workers are gone.
    pub(crate) async fn start(
        dir: &Path,
        workers: Option<&Workers>,
        port: Option<u16>,
    ) -> anyhow::Result<World> {
        World::start_with(dir, workers, port, names::PIPELINES, None).await
    }

    /// Starts it for this pipeline alone: the folder may know others that read the same input folder.
    pub(crate) async fn start_for(
        dir: &Path,
        workers: &Workers,
        pipeline: &str,
        faults: Option<Faults>,
    ) -> anyhow::Result<World> {
        let key = format!("{}{pipeline}.json", names::PIPELINES);
        World::start_with(dir, Some(workers), None, &key, faults).await
    }

    async fn start_with(
        dir: &Path,
        workers: Option<&Workers>,
        port: Option<u16>,
        pipelines: &str,
        faults: Option<Faults>,
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
        write_holder(&mut lock, &dir, "")?;
        let buckets = [("input", false), ("output", false), ("failures", false)];
        let options = Options {
            dir: Some(dir.clone()),
            port,
            buckets: buckets.map(|(name, versioned)| (name.to_owned(), versioned)).to_vec(),
            faults: faults.clone(),
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
        write_holder(&mut lock, &dir, &endpoint)?;
        let app = Arc::new(connect_for(&endpoint, Some(run_id()), pipelines)?);
        app.ledger.ensure_table().await?;
        let mut world = World {
            app,
            dir,
            local: Some(local),
            hosts: vec![],
            schedule: None,
            faults,
            _lock: Some(lock),
        };
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
        World::find(dir, Some(&Workers::of(2, false, &[]))).await
    }

    async fn find(dir: &Path, workers: Option<&Workers>) -> anyhow::Result<World> {
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
                    return Ok(World {
                        app,
                        dir: full,
                        local: None,
                        hosts: vec![],
                        schedule: None,
                        faults: None,
                        _lock: None,
                    });
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

    /// Uploads go to `ingest`, work to `chunk`, requests to `redrive`; `schedule` waits to be called.
    fn wire(&mut self, workers: &Workers) -> anyhow::Result<()> {
        let Some(local) = &self.local else { return Ok(()) };
        local.notify(Notification {
            bucket: "input".into(),
            prefix: String::new(),
            queue: "uploads".into(),
            shape: EventShape::EventBridge,
        });
        let (app, access_key) = match &self.faults {
            Some(_) => {
                let app = faulted(&self.app, &local.endpoints().url);
                (Arc::new(app), FAULTED_ACCESS_KEY)
            }
            None => (self.app.clone(), OWN_ACCESS_KEY),
        };
        let (dir, hosts) = (&self.dir, &mut self.hosts);
        for (queue, function) in [("uploads", "ingest"), ("work", "chunk"), ("redrive", "redrive")]
        {
            let invoke = function_of(&app, dir, function, workers, access_key, hosts)?;
            let mapping = Mapping {
                queue: queue.into(),
                batch_size: 1,
                concurrency_max: workers.count,
                visibility: Duration::from_secs(TIMEOUT_SECONDS),
            };
            local.map(mapping, invoke)?;
        }
        let schedule = function_of(&self.app, dir, "schedule", workers, OWN_ACCESS_KEY, hosts)?;
        self.schedule = Some(schedule);
        Ok(())
    }

    /// Does a duty of the schedule now, as its event asks for it.
    pub(crate) async fn duty(&self, event: Value) -> anyhow::Result<Value> {
        match &self.schedule {
            Some(invoke) => Ok(invoke(event).await?),
            None => {
                let deadline = self.app.clock.deadline_in(TIMEOUT_SECONDS);
                Ok(call(&self.app, "schedule", &event, deadline).await?)
            }
        }
    }

    /// Sweeps without effect after which nothing is waited for any more, and the pause between two.
    pub(crate) fn patience(&self) -> (u32, Duration) {
        match self.faults {
            Some(_) => (SWEEPS_FAULTED, SWEEP_PAUSE),
            None => (SWEEPS, Duration::ZERO),
        }
    }

    /// Whether all queues are empty and no function runs. Another process's world never says so.
    pub(crate) fn is_idle(&self) -> bool {
        self.local.as_ref().is_some_and(|local| local.is_idle(&QUEUES))
    }

    /// Returns when that is so; at once for another process's world.
    pub(crate) async fn idle(&self) {
        if let Some(local) = &self.local {
            local.idle(&QUEUES).await;
        }
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

/// A function as these workers run it.
fn function_of(
    app: &Arc<App>,
    dir: &Path,
    function: &'static str,
    workers: &Workers,
    access_key: &str,
    hosts: &mut Vec<RuntimeHost>,
) -> anyhow::Result<Invoke> {
    if !workers.processes {
        return Ok(in_process(app.clone(), function));
    }
    let host = RuntimeHost::start(process(app, dir, function, workers, access_key)?);
    let invoke = host.invoke();
    hosts.push(host);
    Ok(invoke)
}
