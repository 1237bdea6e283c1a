//! Workers and servers of a table that die, hang and lose each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::Client;

use super::kills::{count, orders};
use super::postgres::{good, pipeline, rows};
use super::processes::{Processes, QUEUES, WORK};
use super::support::orders::Orders;
use super::support::postgres::Postgres;
use super::support::proxy::{self, Cuts};
use super::support::world::World;
use super::support::{oracle, table};

/// Faults of a plain `cargo test`.
const SMOKE: u64 = 12;

/// Backends that work for us now, by their process ids.
async fn backends(look: &Client) -> Vec<i32> {
    let query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'rowproof' \
                 AND state <> 'idle' AND datname = 'rows'";
    look.query(query, &[]).await.map_or(vec![], |rows| rows.iter().map(|row| row.get(0)).collect())
}

/// What is archived, by code, of files that came so often.
fn archived(cloud: &Processes) -> BTreeMap<String, usize> {
    let mut archived = BTreeMap::new();
    for path in table::files(&cloud.out().join("failures")) {
        for row in table::read(&path) {
            *archived.entry(row["error_code"].clone().unwrap()).or_insert(0) += 1;
        }
    }
    archived
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_and_cut_commits_lose_and_double_nothing() {
    let wanted = count("ROWPROOF_TEST_POSTGRES_FAULTS", SMOKE);
    for unit in ["chunk", "object"] {
        let postgres = Postgres::start().await;
        let cuts = Arc::new(Cuts::default());
        cuts.percent.store(40, Ordering::SeqCst);
        let port = proxy::start(postgres.port, cuts.clone()).await;
        let more = format!("commit = \"{unit}\"");
        let mut cloud = Processes::start_with(&pipeline(&more)).await;
        let mut given = cloud.usual();
        given.env.push(("ROWS".into(), postgres.url_at(port)));
        for work in WORK {
            cloud.wire(work, &given);
        }
        let (mut workers, mut sessions, mut keys) = (0, 0, 0);
        let look = postgres.look().await;
        while workers + sessions + cuts.total() < wanted {
            if cloud.local.is_idle(&QUEUES) {
                cloud.put(&format!("incoming/{keys}.csv"), orders(keys)).await;
                keys += 1;
            }
            // Deliveries that nobody needs, at the same time.
            cloud.nudge(keys).await;
            tokio::time::sleep(Duration::from_millis(fastrand::u64(50..400))).await;
            match (fastrand::bool(), backends(&look).await.first(), cloud.victim()) {
                (true, Some(pid), _) => {
                    let ended = look.execute("SELECT pg_terminate_backend($1)", &[pid]).await;
                    sessions += u64::from(ended.is_ok());
                }
                (_, _, Some(pid)) if kill_process(pid, Signal::KILL).is_ok() => workers += 1,
                _ => {}
            }
        }
        cuts.percent.store(0, Ordering::SeqCst);
        cloud.settle(keys).await;
        let mut expected: Vec<_> = (0..keys).flat_map(|key| good(&orders(key))).collect();
        expected.sort();
        assert!(rows(&postgres).await == expected, "{unit}: other rows are there than were sent");
        let mut rejected = BTreeMap::new();
        for judged in (0..keys).flat_map(|key| oracle::judge(&orders(key))) {
            if let Err(code) = judged.verdict {
                *rejected.entry(code.to_owned()).or_insert(0) += 1;
            }
        }
        assert_eq!(archived(&cloud), rejected, "{unit}");
        println!(
            "{unit}: {workers} workers and {sessions} sessions killed, {} commits cut off before, {} \
             without an answer, {} after it: {} rows of {keys} files, each once",
            cuts.before.load(Ordering::SeqCst),
            cuts.unanswered.load(Ordering::SeqCst),
            cuts.after.load(Ordering::SeqCst),
            expected.len()
        );
        cloud.shutdown().await;
    }
}

/// Cut off once, in each way: the next try starts from what the chunk was made of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_cut_off_is_made_up_for() {
    let postgres = Postgres::start().await;
    let cuts = Arc::new(Cuts::default());
    let port = proxy::start(postgres.port, cuts.clone()).await;
    let constraint = "ALTER TABLE orders ADD CONSTRAINT few CHECK (id % 100 <> 0) NOT VALID";
    for unit in ["chunk", "object"] {
        let world = World::new();
        world.write("orders.toml", pipeline(&format!("commit = \"{unit}\"")));
        let run = |name: &str| world.run(&[name]).env("ROWS", postgres.url_at(port)).line();
        world.write("none.csv", Orders::clean(0).csv().0);
        run("none.csv");
        for way in 1..=6 {
            if way == 4 {
                postgres.look().await.batch_execute(constraint).await.unwrap();
            }
            let first_id = way * 10_000 + 1;
            let file = Orders { rows: 300, first_id, flaw_every: 50, ..Orders::clean(0) }.csv().0;
            let name = format!("{way}.csv");
            world.write(&name, &file);
            cuts.percent.store(100, Ordering::SeqCst);
            cuts.once.store((way as u64 - 1) % 3 + 1, Ordering::SeqCst);
            let line = run(&name);
            let good = good(&file);
            let breaks = |row: &&oracle::Row| row[0].as_ref().unwrap().ends_with("00");
            let refused = if way < 4 { 0 } else { good.iter().filter(breaks).count() };
            let counts = ["rows_loaded", "rows_rejected"].map(|key| line[key].as_u64().unwrap());
            let loaded = (good.len() - refused) as u64;
            assert_eq!(counts, [loaded, 300 - loaded], "{unit}, {way}: {line}");
            assert_eq!(cuts.percent.load(Ordering::SeqCst), 0, "{unit}, {way}: no commit came by");
        }
        postgres
            .look()
            .await
            .batch_execute("DROP TABLE orders; DROP SCHEMA rowproof CASCADE")
            .await
            .unwrap();
    }
}

/// Rows that are there after a commit whose answer was lost, of how many in the file.
async fn after_a_lost_answer(sabotage: Option<&str>) -> (usize, usize) {
    let postgres = Postgres::start().await;
    let cuts = Arc::new(Cuts::default());
    let port = proxy::start(postgres.port, cuts.clone()).await;
    let world = World::new();
    let appends = pipeline("commit = \"chunk\"")
        .replace("\"upsert\"", "\"append\"")
        .replace("format =", "replaces = \"nothing\"\nformat =");
    world.write("orders.toml", appends);
    let run = |name: &str| world.run(&[name]).env("ROWS", postgres.url_at(port)).end();
    world.write("none.csv", Orders::clean(0).csv().0);
    run("none.csv");
    if let Some(sql) = sabotage {
        postgres.look().await.batch_execute(sql).await.unwrap();
    }
    let file = Orders { rows: 300, ..Orders::clean(0) }.csv().0;
    world.write("a.csv", &file);
    cuts.percent.store(100, Ordering::SeqCst);
    cuts.once.store(2, Ordering::SeqCst);
    run("a.csv");
    (rows(&postgres).await.len(), good(&file).len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_doubles_nothing() {
    let (rows, of) = after_a_lost_answer(None).await;
    assert_eq!(rows, of);
}

/// The layer's control: without the row that only one transaction can write, rows are there twice (and
/// the job does not commit, since its loads are counted then).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_guard_a_lost_answer_doubles_rows() {
    let sql = "ALTER TABLE rowproof.loads DROP CONSTRAINT loads_job_chunk_part_fix_key";
    let (rows, of) = after_a_lost_answer(Some(sql)).await;
    assert_eq!(rows, 2 * of);
}

/// A file that takes a while.
fn large() -> Vec<u8> {
    Orders { rows: 60_000, flaw_every: 1_000, ..Orders::clean(0) }.csv().0
}

/// Waits until a backend works for us.
async fn busy(look: &Client) -> Vec<i32> {
    let began = Instant::now();
    loop {
        let found = backends(look).await;
        if !found.is_empty() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no backend works for us");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_in_the_middle_costs_time_alone() {
    let mut postgres = Postgres::start().await;
    let world = World::new();
    world.write("orders.toml", pipeline("commit = \"chunk\""));
    world.write("a.csv", large());
    let run = world.run(&["a.csv"]).env("ROWS", postgres.url()).chunk_bytes(2_000_000).start();
    busy(&postgres.look().await).await;
    postgres.crash(Duration::from_secs(2)).await;
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let expected = good(&large());
    assert_eq!(ended.lines[0]["rows_loaded"].as_u64(), Some(expected.len() as u64), "{ended:#?}");
    assert!(rows(&postgres).await == expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_costs_time_alone() {
    let seconds = count("ROWPROOF_TEST_POSTGRES_HANG", 3);
    let postgres = Postgres::start().await;
    let world = World::new();
    world.write("orders.toml", pipeline("commit = \"object\""));
    world.write("a.csv", large());
    let run = world.run(&["a.csv"]).env("ROWS", postgres.url()).chunk_bytes(2_000_000).start();
    let found = busy(&postgres.look().await).await;
    let signal = |signal| {
        postgres.signal(signal);
        for pid in &found {
            kill_process(Pid::from_raw(*pid).unwrap(), signal).ok();
        }
    };
    signal(Signal::STOP);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    signal(Signal::CONT);
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(rows(&postgres).await == good(&large()));
}
