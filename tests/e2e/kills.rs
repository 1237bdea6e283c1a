//! Functions as processes that are killed and frozen at random, while files keep coming.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rowproof_core::ledger::JobState;
use rowproof_core::message::{Message, Restart, Task};
use rowproof_io::duties::redrive::{Request, redrive};
use rowproof_io::settings::read_env;
use rustix::process::{Pid, Signal, kill_process};

use super::processes::{LEASE_SECONDS, Processes, QUEUES, WORK};
use super::support::oracle;
use super::support::orders::{COLUMNS, Orders};
use super::support::table;

/// Kills and freezes of a plain `cargo test`.
const SMOKE: (u64, u64) = (6, 2);

impl Processes {
    /// A process that runs, by chance.
    pub(crate) fn victim(&self) -> Option<Pid> {
        let pids = self.pids();
        let pid = pids.get(fastrand::usize(..pids.len().max(1)))?;
        Pid::from_raw(i32::try_from(*pid).unwrap())
    }

    /// What the sweeper and operators do.
    pub(crate) async fn nudge(&self, keys: usize) {
        for job in self.app.ledger.all_jobs().await.unwrap() {
            if matches!(job.state, JobState::Blocked | JobState::Failed) {
                let name = format!("{}", fastrand::u64(..));
                let request = Request { rev: None, cause: None, name: &name };
                redrive(&self.app, &job.facts.job, request).await.unwrap();
            }
        }
        self.take_on().await;
        for key in 0..keys {
            let (bucket, key) = ("input".into(), format!("incoming/{key}.csv"));
            let task = Task::Observe { bucket, key, restart: Restart::No };
            let queue = self.app.settings.uploads_queue_url.as_deref().unwrap();
            self.app.queue.send(queue, &Message::new(task), 0).await.unwrap();
        }
    }

    /// Until every one of so many jobs is committed.
    pub(crate) async fn settle(&self, keys: usize) {
        let began = Instant::now();
        loop {
            let states = self.states().await;
            if states == BTreeMap::from([("COMMITTED", keys)]) {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(240), "{states:?}");
            self.nudge(keys).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

pub(crate) fn count(name: &str, smoke: u64) -> u64 {
    read_env(name).map_or(smoke, |text| text.parse().unwrap())
}

pub(crate) fn orders(key: usize) -> Vec<u8> {
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
    let mut cloud = Processes::start().await;
    let given = cloud.usual();
    for work in WORK {
        cloud.wire(work, &given);
    }
    let (mut killed, mut frozen, mut keys) = (0, 0, 0);
    let mut asleep: Vec<(Instant, Pid)> = vec![];
    while killed < kills || frozen < freezes {
        if cloud.local.is_idle(&QUEUES) {
            let key = format!("incoming/{keys}.csv");
            cloud.put(&key, orders(keys)).await;
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
    let (rows, poison) = books(&cloud.out(), keys);
    println!(
        "{killed} kills and {frozen} freezes over {keys} files: {rows} rows loaded once, {poison} \
         archived because their workers died"
    );
    cloud.shutdown().await;
}
