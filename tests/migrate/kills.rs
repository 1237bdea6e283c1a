//! Runners that are killed or frozen at any moment, and connections that break around a commit.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rowproof_migrate::drive::Drive;
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::state::State;
use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{Files, World, add_tier, drive, engine, finish, size};
use super::postgres::pg_dump;
use super::proxy::{self, Cuts};
use super::writers::Writers;

const CHILD: &str = "ROWPROOF_MIGRATE_CHILD";

/// What a process of its own runs: told where, it drives to the end; otherwise there is nothing to drive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let (url, path) = told.split_once(' ').unwrap();
    match drive(&engine(Path::new(path), url)).await {
        Ok(Drive::Done { .. }) => std::process::exit(0),
        Ok(Drive::Yield { .. }) => std::process::exit(10),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(error.class().exit_code().into());
        }
    }
}

pub(crate) fn spawn(world: &World) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kills::child", "--nocapture"])
        .env(CHILD, format!("{} {}", world.postgres.url(), world.path.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
}

/// As if the lease of a dead runner had ended, which takes half a minute. It may have died before it had one.
pub(crate) async fn end_lease(world: &World) {
    let sql = "DO $$ BEGIN UPDATE rowproof_migrate.migration SET lease_until = clock_timestamp(); \
               EXCEPTION WHEN undefined_table THEN NULL; END $$";
    world.client.batch_execute(sql).await.unwrap();
}

/// Small batches, so that there are many; no `needs`, so that only the walk keeps rows from a second time.
fn counted() -> Files {
    add_tier(
        "backfill = { start = 100, min = 20, max = 200, duty = 0.9, preserve = [\"id\", \"email\", \"spend\"] }\n\
         locks = { lock_timeout = \"200ms\" }\nthrottle = { max_lock_waiters = 50 }",
    )
}

async fn check_counts(world: &World) {
    let count = |condition: &str| format!("SELECT count(*) FROM customers WHERE {condition}");
    let born = "born = 'before' AND applied";
    let twice = world.number(&count(&format!("{born} > 1"))).await;
    let never = world.number(&count(&format!("{born} = 0"))).await;
    assert_eq!((twice, never), (0, 0), "rows that got the rule twice and never");
    assert_eq!(world.number(&count("applied > 1")).await, 0);
    let wrong = count("tier IS DISTINCT FROM 'tier ' || (spend / 100)");
    assert_eq!(world.number(&wrong).await, 0, "rows without their rule");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_each_row_gets_the_rule_once() {
    let rows = size("ROWPROOF_MIGRATE_ROWS", 30_000);
    let kills = size("ROWPROOF_MIGRATE_KILLS", 12);
    let files = counted().edit("migration.toml", "duty = 0.9", "duty = 0.3");
    let world = World::start(rows, &files.without("contract.sql")).await;
    let writers = Writers::start(&world, 8, rows, Duration::from_millis(10)).await;
    let (mut killed, mut within) = (0, 0);
    while within < kills && killed < kills * 4 {
        let mut child = spawn(&world);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(60..400))).await;
        signal(&child, Signal::KILL);
        if child.wait().unwrap().success() {
            break;
        }
        killed += 1;
        within += u64::from(world.state().await == "backfilling");
        end_lease(&world).await;
    }
    assert_eq!(world.finish().await, Drive::Done { state: State::Done });
    let made = writers.made.load(Ordering::SeqCst);
    writers.stop().await;
    println!("{rows} rows, {killed} kills, {within} of them while rows were walked, {made} writes");
    check_counts(&world).await;
    assert!(within * 2 > kills, "few kills met the walk: {within}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_runner_is_fenced_when_it_wakes() {
    let world = World::start(60_000, &counted().without("contract.sql")).await;
    let mut frozen = spawn(&world);
    let began = Instant::now();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'rowproof_migrate/%' \
                AND backend_xid IS NOT NULL";
    // In the middle of a batch, if the moment is met.
    loop {
        assert!(began.elapsed() < Duration::from_secs(30), "no batch was seen");
        if world.number(open).await > 0
            && world
                .client
                .query_one("SELECT to_regclass('rowproof_migrate.backfill') IS NOT NULL", &[])
                .await
                .unwrap()
                .get(0)
            && world
                .number("SELECT count(*) FROM rowproof_migrate.backfill WHERE batches > 3")
                .await
                > 0
        {
            signal(&frozen, Signal::STOP);
            break;
        }
    }
    let froze = Instant::now();
    let second = finish(&world.engine()).await;
    let took = froze.elapsed();
    assert_eq!(second, Drive::Done { state: State::Done });
    signal(&frozen, Signal::CONT);
    let code = frozen.wait().unwrap().code();
    println!("the second runner was done {:.1} s after the first froze", took.as_secs_f64());
    assert_eq!(code, Some(50), "the first runner exits as fenced");
    assert!(took < Duration::from_secs(60), "{took:?}");
    check_counts(&world).await;
}

/// What is left in the end: the schema as `pg_dump` has it, and all rows.
pub(crate) async fn left(world: &World) -> (String, String) {
    let sql = "SELECT md5(string_agg(c::text, ';' ORDER BY id)) FROM customers c";
    let rows = world.client.query_one(sql, &[]).await.unwrap().get(0);
    (schema(world), rows)
}

/// The schema outside of the engine's own.
pub(crate) fn schema(world: &World) -> String {
    let dump = Command::new(pg_dump())
        .args([
            "--schema-only",
            "--exclude-schema=rowproof_migrate",
            "--dbname",
            &world.postgres.url(),
        ])
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    let text = String::from_utf8(dump.stdout).unwrap();
    // Newer versions write a random word around the dump.
    text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

async fn start_anew(world: &World) {
    world
        .client
        .batch_execute(
            "DROP SCHEMA IF EXISTS rowproof_migrate CASCADE; DROP TABLE customers; \
             DROP FUNCTION IF EXISTS fill_tier; \
             CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL, spend int, \
               seen int NOT NULL DEFAULT 0, old text, born text NOT NULL DEFAULT 'before'); \
             INSERT INTO customers (id, email, spend, old) SELECT i, 'c', i, 'x' FROM generate_series(1, 300) i",
        )
        .await
        .unwrap();
}

/// Every commit of a whole run is cut off: before the server gets it, after that but unanswered, or just
/// after the answer. The runner goes on by itself, or is gone and another one comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_commit_is_cut_off_the_end_is_the_same() {
    let files = counted()
        .with("online.sql", "CREATE INDEX CONCURRENTLY customers_tier ON customers (tier)");
    let world = World::start(1, &files).await;
    start_anew(&world).await;
    assert_eq!(world.finish().await, Drive::Done { state: State::Done });
    let expected = left(&world).await;
    let stride = size("ROWPROOF_MIGRATE_STRIDE", 5);
    let (mut cut, mut at) = (0, 0);
    'commits: for commit in (0..).step_by(usize::try_from(stride).unwrap()) {
        for (way, dies) in [(1, false), (2, false), (3, false), (1, true), (2, true), (3, true)] {
            start_anew(&world).await;
            let cuts = Arc::new(Cuts::default());
            cuts.skip.store(commit, Ordering::SeqCst);
            cuts.once.store(way, Ordering::SeqCst);
            cuts.percent.store(100, Ordering::SeqCst);
            let port = proxy::start(world.postgres.port, cuts.clone()).await;
            let runner = world.engine_at(port);
            let task = tokio::spawn(async move { drive(&runner).await });
            if dies {
                while cuts.total() == 0 && !task.is_finished() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                task.abort();
                task.await.ok();
                end_lease(&world).await;
            } else if let Err(error) = task.await.unwrap() {
                panic!("commit {commit}, way {way}: {error}");
            }
            let done = world.finish().await;
            assert_eq!(done, Drive::Done { state: State::Done }, "commit {commit}, way {way}");
            assert_eq!(left(&world).await, expected, "commit {commit}, way {way}, dies {dies}");
            if cuts.total() == 0 {
                break 'commits;
            }
            cut += 1;
            at = commit;
        }
    }
    println!("{cut} runs were cut off, the last one at commit {at}");
    assert!(at > 20, "a run has more commits than {at}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_twenty_that_start_at_once_one_works() {
    let files = counted().edit("migration.toml", "duty = 0.9", "duty = 0.2");
    let world = World::start(3_000, &files).await;
    let mut tasks = vec![];
    for _ in 0..20 {
        let engine = world.engine();
        tasks.push(tokio::spawn(async move {
            let began = Instant::now();
            (drive(&engine).await, began.elapsed())
        }));
    }
    let (mut done, mut slowest) = (0, Duration::ZERO);
    for task in tasks {
        match task.await.unwrap() {
            (Ok(Drive::Done { state: State::Done }), _) => done += 1,
            (Ok(Drive::Yield { .. }), took) => slowest = slowest.max(took),
            (other, _) => panic!("{other:?}"),
        }
    }
    println!("one worked, the slowest of the others left after {} ms", slowest.as_millis());
    assert_eq!(done, 1);
    assert!(slowest < Duration::from_secs(5));
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(world.number(deadlocks).await, 0);
    check_counts(&world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_lost_its_lease_writes_nothing() {
    let world = World::start(20_000, &counted().without("contract.sql")).await;
    let first = world.engine();
    let task = tokio::spawn(async move { drive(&first).await });
    while world
        .client
        .query_one("SELECT to_regclass('rowproof_migrate.event') IS NULL", &[])
        .await
        .unwrap()
        .get(0)
        || world.number("SELECT count(*) FROM rowproof_migrate.backfill WHERE batches > 1").await
            == 0
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world
        .client
        .batch_execute("UPDATE rowproof_migrate.migration SET epoch = epoch + 1")
        .await
        .unwrap();
    let lost = task.await.unwrap();
    assert!(matches!(lost, Err(MigrateError::Fenced { epoch: 1, .. })), "{lost:?}");
    end_lease(&world).await;
    assert_eq!(world.finish().await, Drive::Done { state: State::Done });
    check_counts(&world).await;
}
