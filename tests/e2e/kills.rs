//! Functions as processes that are killed, frozen and starved at random, while files keep coming.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rowproof_core::ledger::JobState;
use rowproof_core::message::{Message, Restart, Task};
use rowproof_io::app::App;
use rowproof_io::clients::Clients;
use rowproof_io::redrive::{Request, redrive};
use rowproof_io::settings::{Settings, read_env};
use rowproof_local::{
    ACCESS_KEY, EventShape, Function, LocalAws, Mapping, Notification, Options, Output,
    QueueOptions, REGION, RuntimeHost, SECRET_KEY,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::support::oracle;
use super::support::orders::{COLUMNS, Orders};
use super::support::table;
use super::support::world::ORDERS;

/// Seconds that a lease lasts. A frozen process sleeps longer.
const LEASE_SECONDS: u64 = 2;
/// Kills and freezes of a plain `cargo test`.
const SMOKE: (u64, u64) = (6, 2);
const QUEUES: [&str; 2] = ["uploads", "work"];

struct Cloud {
    dir: TempDir,
    local: LocalAws,
    app: App,
    hosts: Vec<RuntimeHost>,
}

impl Cloud {
    async fn start() -> Cloud {
        let dir = TempDir::with_prefix("rowproof-kills-").unwrap();
        let buckets = ["input", "output", "failures"].map(|name| (name.to_owned(), false)).to_vec();
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
        app.store.put("output", "_pipelines/orders.toml", ORDERS.into()).await.unwrap();
        let mut cloud = Cloud { dir, local, app, hosts: vec![] };
        cloud.wire();
        cloud
    }

    fn wire(&mut self) {
        self.local.notify(Notification {
            bucket: "input".into(),
            prefix: String::new(),
            queue: "uploads".into(),
            shape: EventShape::EventBridge,
        });
        for (queue, name) in [("uploads", "ingest"), ("work", "chunk")] {
            let mut env = self.app.settings.to_env();
            env.push(("ROWPROOF_FUNCTION".into(), name.into()));
            let host = RuntimeHost::start(Function {
                name: name.into(),
                command: env!("CARGO_BIN_EXE_rowproof-tests").into(),
                args: vec![],
                env,
                timeout: Duration::from_secs(30),
                memory_mb: 512,
                environments_max: 3,
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
    }

    /// A process that runs, by chance.
    fn victim(&self) -> Option<Pid> {
        let pids: Vec<u32> = self.hosts.iter().flat_map(RuntimeHost::pids).collect();
        let pid = pids.get(fastrand::usize(..pids.len().max(1)))?;
        Pid::from_raw(i32::try_from(*pid).unwrap())
    }

    /// What the sweeper and operators do.
    async fn nudge(&self, keys: usize) {
        for job in self.app.ledger.all_jobs().await.unwrap() {
            if matches!(job.state, JobState::Blocked | JobState::Failed) {
                let name = format!("{}", fastrand::u64(..));
                let request = Request { rev: None, cause: None, name: &name };
                redrive(&self.app, &job.facts.job, request).await.unwrap();
            } else if !job.state.is_settled() {
                let message = Message::new(Task::Job { job: job.facts.job });
                self.app.queue.send(&self.app.settings.work_queue_url, &message, 0).await.unwrap();
            }
        }
        for key in 0..keys {
            let (bucket, key) = ("input".into(), format!("incoming/{key}.csv"));
            let task = Task::Observe { bucket, key, restart: Restart::No };
            let queue = self.app.settings.uploads_queue_url.as_deref().unwrap();
            self.app.queue.send(queue, &Message::new(task), 0).await.unwrap();
        }
    }

    /// Until every one of so many jobs is committed.
    async fn settle(&self, keys: usize) {
        let began = Instant::now();
        loop {
            let jobs = self.app.ledger.all_jobs().await.unwrap();
            let mut states = BTreeMap::new();
            for job in &jobs {
                *states.entry(job.state.as_str()).or_insert(0) += 1;
            }
            if states == BTreeMap::from([("COMMITTED", keys)]) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(240), "{states:?}");
            self.nudge(keys).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
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
        "ROWPROOF_LEASE_SECONDS" => LEASE_SECONDS.to_string(),
        _ => return None,
    };
    Some(value)
}

fn count(name: &str, smoke: u64) -> u64 {
    read_env(name).map_or(smoke, |text| text.parse().unwrap())
}

fn orders(key: usize) -> Vec<u8> {
    let first_id = 1 + key * 10_000;
    Orders { rows: 2_000, first_id, flaw_every: 50, ..Orders::clean(0) }.csv().0
}

/// Rows loaded, and good rows that are archived because a worker died over them each time. Every row
/// of every file has to be in one of the two, once, or rejected for what is wrong with it.
fn books(out: &Path, keys: usize) -> (usize, usize) {
    let mut archived: BTreeMap<String, usize> = BTreeMap::new();
    for path in table::files(&out.join("failures")) {
        for row in table::read(&path) {
            let text = |column: &str| row[column].clone().unwrap();
            let place = format!("{} {}", text("source_key"), text("row_number"));
            *archived.entry(format!("{place} {}", text("error_code"))).or_insert(0) += 1;
        }
    }
    let (mut expected, mut poison) = (vec![], 0);
    for key in 0..keys {
        for row in oracle::judge(&orders(key)) {
            let place = format!("incoming/{key}.csv {}", row.number);
            let died = archived.remove(&format!("{place} poison"));
            match (died, row.verdict) {
                (Some(times), _) => {
                    assert_eq!(times, 1, "{place}");
                    poison += 1;
                }
                (None, Ok(row)) => expected.push(row),
                (None, Err(code)) => {
                    assert_eq!(archived.remove(&format!("{place} {code}")), Some(1), "{place}");
                }
            }
        }
    }
    assert_eq!(archived, BTreeMap::new(), "rows are archived for no reason");
    expected.sort();
    let loaded = table::rows(&out.join("output/curated/orders"), &COLUMNS);
    assert_eq!(loaded.len(), expected.len());
    assert!(loaded == expected, "other rows are there than were sent");
    (loaded.len(), poison)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_frozen_processes_lose_and_double_nothing() {
    let kills = count("ROWPROOF_TEST_KILLS", SMOKE.0);
    let freezes = count("ROWPROOF_TEST_FREEZES", SMOKE.1);
    let cloud = Cloud::start().await;
    let (mut killed, mut frozen, mut keys) = (0, 0, 0);
    let mut asleep: Vec<(Instant, Pid)> = vec![];
    while killed < kills || frozen < freezes {
        if cloud.local.is_idle(&QUEUES) {
            let key = format!("incoming/{keys}.csv");
            cloud.app.store.put("input", &key, orders(keys).into()).await.unwrap();
            keys += 1;
        }
        tokio::time::sleep(Duration::from_millis(fastrand::u64(100..700))).await;
        let Some(pid) = cloud.victim() else { continue };
        if frozen < freezes && fastrand::u8(..4) == 0 && kill_process(pid, Signal::STOP).is_ok() {
            frozen += 1;
            let sleeps = Duration::from_secs(LEASE_SECONDS) * fastrand::u32(1..4);
            asleep.push((Instant::now() + sleeps, pid));
        } else if killed < kills && kill_process(pid, Signal::KILL).is_ok() {
            killed += 1;
        }
        asleep.retain(|(until, pid)| {
            let sleeps = *until > Instant::now();
            // It may have been killed meanwhile.
            sleeps || kill_process(*pid, Signal::CONT).is_err_and(|_| false)
        });
    }
    for (until, pid) in asleep {
        tokio::time::sleep_until(until.into()).await;
        kill_process(pid, Signal::CONT).ok();
    }
    cloud.settle(keys).await;
    let (rows, poison) = books(&cloud.dir.path().join("out"), keys);
    println!(
        "{killed} kills and {frozen} freezes over {keys} files: {rows} rows loaded once, {poison} \
         archived because their workers died"
    );
    drop(cloud.hosts);
    cloud.local.shutdown().await;
}
