//! Locks that others hold, indexes that are interrupted, a database that has too much to do.

use std::time::{Duration, Instant};

use rowproof_migrate::drive::Drive;
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::state::State;
use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{Files, World, add_tier, drive};

const DONE: Drive = Drive::Done { state: State::Done };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_reader_is_named_and_keeps_no_other_reader_waiting() {
    let files =
        add_tier("locks = { lock_timeout = \"200ms\", attempts = 4 }").without("contract.sql");
    let world = World::start(2_000, &files).await;
    let reader = world.postgres.look().await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM customers").await.unwrap();
    let pid: i32 = reader.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let engine = world.engine();
    let run = tokio::spawn(async move { drive(&engine).await });
    let mut worst = Duration::ZERO;
    while !run.is_finished() {
        let began = Instant::now();
        world.client.query("SELECT FROM customers WHERE id = 10", &[]).await.unwrap();
        worst = worst.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let error = run.await.unwrap().unwrap_err();
    let MigrateError::LockTimeout { blockers, attempts: 4, .. } = &error else { panic!("{error}") };
    assert_eq!(blockers.iter().map(|one| one.pid).collect::<Vec<_>>(), [pid], "{error}");
    assert_eq!(error.class().exit_code(), 30);
    println!("the slowest of the other readers waited {} ms", worst.as_millis());
    assert!(worst < Duration::from_millis(200 + 150), "{worst:?}");
    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(world.finish().await, DONE);
}

/// `busy` makes it wait for `signal` after at most so many batches, and `idle` lets it go on.
async fn pauses(files: Files, busy: &str, idle: &str, signal: &str, batches_max: i64) {
    let world = World::start(20_000, &files).await;
    let other = world.postgres.look().await;
    let act = async |sql: &str| other.batch_execute(sql).await.unwrap();
    waits_and_goes_on(&world, act(busy), act(idle), signal, batches_max).await;
}

async fn waits_and_goes_on(
    world: &World,
    busy: impl Future<Output = ()>,
    idle: impl Future<Output = ()>,
    signal: &str,
    batches_max: i64,
) {
    let engine = world.engine();
    let run = tokio::spawn(async move { drive(&engine).await });
    let batches = "SELECT coalesce((SELECT batches FROM rowproof_migrate.backfill), 0)";
    while !world
        .client
        .query_one("SELECT to_regclass('rowproof_migrate.event') IS NOT NULL", &[])
        .await
        .unwrap()
        .get::<_, bool>(0)
        || world.number(batches).await < 5
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    busy.await;
    let at = world.number(batches).await;
    let reason = "SELECT pause_reason FROM rowproof_migrate.backfill";
    let began = Instant::now();
    while world.client.query_one(reason, &[]).await.unwrap().get::<_, Option<String>>(0).is_none() {
        assert!(
            began.elapsed() < Duration::from_secs(20) && !run.is_finished(),
            "no pause for {signal}"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let paused: String = world.client.query_one(reason, &[]).await.unwrap().get(0);
    assert_eq!(paused, signal);
    let stopped = world.number(batches).await;
    assert!(stopped - at <= batches_max, "{} batches after {signal}", stopped - at);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(world.number(batches).await, stopped, "it went on in spite of {signal}");
    idle.await;
    assert_eq!(run.await.unwrap().unwrap(), DONE);
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied <> 1").await, 0);
}

const SLOW: &str = "backfill = { start = 50, min = 20, max = 50, duty = 0.2 }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_database_makes_it_wait_and_it_goes_on_alone() {
    let files = |throttle: &str| {
        add_tier(&format!("{SLOW}\nthrottle = {{ {throttle} }}")).without("contract.sql")
    };
    let probe = |policy: &str| {
        files(&format!("probe = \"SELECT n FROM load\", on_signal_missing = \"{policy}\"")).edit(
            "expand.sql",
            "ALTER TABLE customers ADD COLUMN tier",
            "CREATE TABLE load AS SELECT 0 AS n; ALTER TABLE customers ADD COLUMN tier",
        )
    };
    let down = ("UPDATE load SET n = 7", "UPDATE load SET n = 0");
    pauses(probe("pause"), down.0, down.1, "probe", 3).await;
    let gone = ("ALTER TABLE load RENAME TO gone", "ALTER TABLE gone RENAME TO load");
    pauses(probe("pause"), gone.0, gone.1, "probe (cannot be read)", 3).await;
    // What a replica of Aurora says.
    let lag = |ms: u32| {
        format!(
            "CREATE OR REPLACE FUNCTION public.aurora_replica_status() RETURNS TABLE \
            (replica_lag_in_msec double precision) LANGUAGE sql AS 'SELECT {ms}::double precision'"
        )
    };
    let aurora = files("max_replica_lag = \"1s\"").edit(
        "expand.sql",
        "ALTER TABLE customers ADD COLUMN tier",
        &format!("{}; ALTER TABLE customers ADD COLUMN tier", lag(0)),
    );
    pauses(aurora, &lag(5_000), &lag(10), "replica_lag", 3).await;
    let old = files("max_snapshot_age = \"100ms\"");
    pauses(old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1", "COMMIT", "oldest_snapshot", 20)
        .await;
    let slot = files("max_slot_wal_mb = 0");
    pauses(
        slot,
        "SELECT pg_create_physical_replication_slot('s', true)",
        "SELECT pg_drop_replication_slot('s')",
        "slot_wal",
        3,
    )
    .await;
}

/// A standby that is frozen, and a vacuum that takes its time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_falls_behind_and_a_vacuum_make_it_wait() {
    let lag = format!("{SLOW}\nthrottle = {{ max_replica_lag = \"500ms\" }}");
    let world = World::start(20_000, &add_tier(&lag).without("contract.sql")).await;
    let standby = world.postgres.standby().await;
    let follower = standby.look().await;
    let receiver = "SELECT pid FROM pg_stat_wal_receiver";
    let receiver: i32 = follower.query_one(receiver, &[]).await.unwrap().get(0);
    let receiver = Pid::from_raw(receiver).unwrap();
    // One that answers nothing reports no lag either.
    let freeze = async {
        kill_process(receiver, Signal::STOP).unwrap();
        tokio::time::sleep(Duration::from_millis(600)).await;
    };
    let thaw = async { kill_process(receiver, Signal::CONT).unwrap() };
    waits_and_goes_on(&world, freeze, thaw, "replica_lag", 3).await;
    let same = "SELECT count(*) FROM customers WHERE applied <> 1";
    while super::fixture::number(&follower, same).await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let world = World::start(20_000, &add_tier(SLOW).without("contract.sql")).await;
    let vacuum = world.postgres.look().await;
    let slowly =
        "SET vacuum_cost_delay = 50; SET vacuum_cost_limit = 1; SET vacuum_cost_page_dirty = 50";
    vacuum.batch_execute(slowly).await.unwrap();
    let token = vacuum.cancel_token();
    let task = async {
        tokio::spawn(async move { vacuum.batch_execute("VACUUM customers").await.unwrap_err() });
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let stop = async { token.cancel_query(tokio_postgres::NoTls).await.unwrap() };
    waits_and_goes_on(&world, task, stop, "autovacuum", 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stays_busy_ends_the_run_with_its_reason() {
    let files = add_tier("throttle = { probe = \"SELECT 7\", max_pause = \"1s\" }");
    let world = World::start(1_000, &files).await;
    let error = drive(&world.engine()).await.unwrap_err();
    assert!(
        matches!(&error, MigrateError::ThrottledTooLong { reason, limit_s: 1 } if reason == "probe"),
        "{error}"
    );
    assert_eq!(error.class().exit_code(), 10);
    assert_eq!(world.state().await, "backfilling");
}
