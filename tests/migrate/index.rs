//! Indexes whose build is interrupted, or outlives its runner.

use std::time::{Duration, Instant};

use rowproof_migrate::drive::{Drive, Pause};
use rowproof_migrate::state::State;
use rustix::process::Signal;

use super::fixture::{Files, ID, World, add_tier, drive, engine, size};
use super::kills::{end_lease, signal, spawn};

const DONE: Drive = Drive::Done { state: State::Done };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_was_left_invalid_is_built_anew() {
    let files = add_tier("").without("contract.sql").with(
        "online.sql",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS customers_spend ON customers (spend)",
    );
    let world = World::start(5_000, &files).await;
    // A transaction that is older than the build keeps it from ending.
    let old = world.postgres.look().await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await.unwrap();
    let indexes = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('customers_spend')";
    let engine = world.engine();
    let run = tokio::spawn(async move { drive(&engine).await });
    while world.number(indexes).await == 0 {
        assert!(!run.is_finished(), "{:?}", run.await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run.abort();
    run.await.ok();
    // The statement goes on without its runner; whoever comes next leaves it alone.
    end_lease(&world).await;
    let waits = drive(&world.engine()).await.unwrap();
    assert!(matches!(waits, Drive::Yield { reason: Pause::StillRunning { .. }, .. }), "{waits:?}");
    let builds = "FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND state = 'active'";
    world.client.query(&format!("SELECT pg_cancel_backend(pid) {builds}"), &[]).await.unwrap();
    while world.number(&format!("SELECT count(*) {builds}")).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.number(&format!("{indexes} AND NOT indisvalid")).await, 1);
    old.batch_execute("COMMIT").await.unwrap();
    assert_eq!(world.finish().await, DONE);
    assert_eq!(world.number(&format!("{indexes} AND indisvalid")).await, 1);
    assert_eq!(world.number("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, 0);
}

/// Only an index: built, while others ask for the lease all the time.
fn only_an_index() -> Files {
    let toml = format!(
        "id = \"{ID}\"\nreversible = true\ntarget = {{ table = \"public.customers\", key = [\"id\"] }}\n\
         [[invariant]]\nname = \"index\"\nkind = \"index_valid\"\nindex = \"public.customers_spend\"\n"
    );
    Files::default()
        .with("migration.toml", &toml)
        .with("online.sql", "CREATE INDEX CONCURRENTLY customers_spend ON customers (spend)")
        .with("down.sql", "DROP INDEX customers_spend")
}

/// The runner dies in the build; every second time its backend does too, which leaves the index invalid. Five
/// others poll, and one of them ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_index_is_built_although_its_builders_die_while_others_poll() {
    let kills = size("ROWPROOF_MIGRATE_INDEX_KILLS", 4);
    let world = World::start(100_000, &only_an_index()).await;
    let builds = "FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND state = 'active'";
    let (mut within, mut invalid) = (0, 0);
    for round in 0..kills {
        let anew = "DROP SCHEMA IF EXISTS rowproof_migrate CASCADE";
        world.client.batch_execute(anew).await.unwrap();
        world.client.batch_execute("DROP INDEX IF EXISTS customers_spend").await.unwrap();
        let mut child = spawn(&world);
        let began = Instant::now();
        while world.number(&format!("SELECT count(*) {builds}")).await == 0 {
            assert!(began.elapsed() < Duration::from_secs(20), "no build was seen");
        }
        let polls: Vec<_> = (0..5)
            .map(|_| {
                let (path, url) = (world.path.clone(), world.postgres.url());
                tokio::spawn(async move {
                    loop {
                        let outcome = drive(&engine(&path, &url)).await.unwrap();
                        if outcome == DONE {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..40))).await;
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        within += u64::from(world.number(&format!("SELECT count(*) {builds}")).await > 0);
        if round % 2 == 0 {
            let end = format!("SELECT pg_terminate_backend(pid) {builds}");
            world.client.query(&end, &[]).await.unwrap();
            let left = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
            invalid += world.number(left).await;
        }
        end_lease(&world).await;
        for poll in polls {
            poll.await.unwrap();
        }
        let valid =
            "SELECT count(*) FROM pg_index WHERE indrelid = 'customers'::regclass AND indisvalid";
        assert_eq!(world.number(valid).await, 2, "round {round}");
        assert_eq!(world.number("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, 0);
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(world.number(deadlocks).await, 0);
    println!("{kills} kills, {within} while the index was built, {invalid} left it invalid");
    assert!(within * 2 > kills, "few kills met the build: {within}");
}
