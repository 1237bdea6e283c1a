//! Migrations that are taken back, from wherever they stand.

use std::time::Duration;

use rowproof_io::clock::Clock;
use rowproof_migrate::drive::Drive;
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::state::State;

use super::fixture::{World, add_tier, drive, size};
use super::kills::schema;
use super::writers::Writers;

/// Columns that no rule touches, of rows that no writer deletes.
const KEPT: &str = "SELECT count(*) FROM customers c LEFT JOIN before b USING (id) \
    WHERE c.born = 'before' AND (b.id IS NULL OR b.spend IS DISTINCT FROM c.spend OR b.old IS DISTINCT FROM c.old)";

/// Goes back as often as it is told to come again.
async fn back(world: &World) -> Result<Drive, MigrateError> {
    loop {
        match world.engine().rollback("me", "a test", Clock::system().deadline_in(600)).await? {
            done @ Drive::Done { .. } => return Ok(done),
            Drive::Yield { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_back_at_any_point_before_contract_the_schema_is_as_it_was() {
    let points = size("ROWPROOF_MIGRATE_POINTS", 4);
    let settings = "backfill = { start = 100, min = 20, max = 200, duty = 0.5, preserve = [\"id\", \"spend\"] }\n\
        locks = { lock_timeout = \"200ms\" }\nthrottle = { max_lock_waiters = 50 }\n\
        gates = { approvals = 1 }";
    let rows = 10_000;
    let mut states = vec![];
    for _ in 0..points {
        let world = World::start(rows, &add_tier(settings)).await;
        world.client.batch_execute("CREATE TABLE before AS SELECT * FROM customers").await.unwrap();
        let before = schema(&world);
        let writers = Writers::start(&world, 4, rows, Duration::from_millis(10)).await;
        let engine = world.engine();
        let task = tokio::spawn(async move { drive(&engine).await });
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..1_500))).await;
        task.abort();
        task.await.ok();
        let known = "SELECT to_regclass('rowproof_migrate.event') IS NOT NULL";
        if !world.client.query_one(known, &[]).await.unwrap().get::<_, bool>(0) {
            continue;
        }
        super::kills::end_lease(&world).await;
        states.push(world.state().await);
        let seen = world.number("SELECT sum(seen) FROM customers").await;
        assert_eq!(back(&world).await.unwrap(), Drive::Done { state: State::RolledBack });
        writers.stop().await;
        assert_eq!(schema(&world), before);
        assert_eq!(world.number(KEPT).await, 0);
        assert!(world.number("SELECT sum(seen) FROM customers").await >= seen, "writes were lost");
    }
    println!("taken back from {states:?}");
    assert!(!states.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_contract_added_is_taken_back_until_it_dropped_something() {
    let files = add_tier("locks = { lock_timeout = \"50ms\", attempts = 2 }");
    // The last statement cannot be: the view needs the column.
    let world = World::start(1_000, &files).await;
    world.client.batch_execute("CREATE VIEW olds AS SELECT old FROM customers").await.unwrap();
    let before = schema(&world);
    let stopped = drive(&world.engine()).await.unwrap_err();
    assert_eq!((stopped.code(), world.state().await.as_str()), ("Statement", "contracting"));
    assert_eq!(back(&world).await.unwrap(), Drive::Done { state: State::RolledBack });
    assert_eq!(schema(&world), before);

    // Begun anew, now with a drop before the one that cannot be.
    let files = files.edit(
        "contract.sql",
        "ALTER TABLE customers DROP COLUMN old",
        "ALTER TABLE customers DROP COLUMN seen; ALTER TABLE customers DROP COLUMN old",
    );
    files.write(world.path.parent().unwrap());
    world.engine().resume("me").await.unwrap();
    let stopped = drive(&world.engine()).await.unwrap_err();
    assert_eq!(stopped.code(), "Statement");
    let refused = back(&world).await;
    assert!(matches!(refused, Err(MigrateError::PointOfNoReturn { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_break_an_invariant_stop_it_or_take_it_back() {
    let broken = add_tier("on_invalid = \"pause\"").edit(
        "migration.toml",
        "tier IS NULL AND",
        "tier <> '' AND",
    );
    let world = World::start(1_000, &broken).await;
    let error = drive(&world.engine()).await.unwrap_err();
    assert_eq!((error.code(), world.state().await.as_str()), ("InvariantFailed", "swept"));
    assert_eq!(error.class().exit_code(), 40);

    let world =
        World::start(1_000, &broken.edit("migration.toml", "\"pause\"", "\"rollback\"")).await;
    let before = schema(&world);
    assert_eq!(world.finish().await, Drive::Done { state: State::RolledBack });
    assert_eq!(schema(&world), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_were_changed_take_nothing_back() {
    let files = add_tier("gates = { approvals = 1 }");
    let world = World::start(200, &files).await;
    assert_eq!(drive(&world.engine()).await.unwrap_err().code(), "GateUnmet");
    let changed = files.clone().edit("migration.toml", "approvals = 1", "approvals = 2");
    changed.write(world.path.parent().unwrap());
    assert_eq!(back(&world).await.unwrap_err().code(), "ChecksumMismatch");
    assert_eq!(world.state().await, "validated");
    files.write(world.path.parent().unwrap());
    assert_eq!(back(&world).await.unwrap(), Drive::Done { state: State::RolledBack });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_default_is_taken_back_to_what_it_was() {
    let contract = "ALTER TABLE customers ALTER COLUMN tier SET DEFAULT 'new';
        ALTER TABLE customers ALTER COLUMN born SET DEFAULT 'after';
        ALTER TABLE customers ALTER COLUMN old SET DEFAULT 'y';
        ALTER TABLE customers DROP COLUMN old;";
    let files = add_tier("gates = { grace = \"1h\" }").with("contract.sql", contract);
    let world = World::start(200, &files).await;
    let before = schema(&world);
    assert!(matches!(drive(&world.engine()).await.unwrap(), Drive::Yield { .. }));
    let default =
        "SELECT count(*) FROM pg_attrdef WHERE pg_get_expr(adbin, adrelid) LIKE '%after%'";
    assert_eq!(world.number(default).await, 1);
    assert_eq!(back(&world).await.unwrap(), Drive::Done { state: State::RolledBack });
    assert_eq!(schema(&world), before);
}
