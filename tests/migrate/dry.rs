//! Runs that are to leave nothing behind, and histories of other tools.

use std::collections::BTreeSet;

use rowproof_io::clock::Clock;
use rowproof_io::postgres::Server;
use rowproof_migrate::adopt::{History, adopt};
use rowproof_migrate::drive::Drive;
use rowproof_migrate::state::State;
use serde_json::to_value;

use super::fixture::{World, add_tier, drive, finish};
use super::kills::left;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_gives_the_evidence_that_the_real_run_asks_for() {
    let files = add_tier("gates = { staging_run = \"same_checksum\", rollback_rehearsed = true }");
    let (copy, real) = (World::start(2_000, &files).await, World::start(2_000, &files).await);
    let rehearsal = copy.engine().rehearse(Clock::system().deadline_in(600)).await.unwrap();
    assert!(rehearsal.rolled_back && rehearsal.wal_bytes > 0 && rehearsal.rows_changed == 2_000);
    let evidence = to_value(&rehearsal).unwrap();
    assert_eq!(drive(&real.engine()).await.unwrap_err().code(), "GateUnmet");
    for gate in ["staging_run", "rollback_rehearsed"] {
        real.engine().record_evidence(gate, &evidence, "ci").await.unwrap();
    }
    assert_eq!(finish(&real.engine()).await, Drive::Done { state: State::Done });
    assert_eq!(left(&real).await, left(&copy).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_names_what_undoing_leaves_behind() {
    let files = add_tier("").edit("down.sql", "DROP FUNCTION fill_tier();", "");
    let world = World::start(500, &files).await;
    let error = world.engine().rehearse(Clock::system().deadline_in(600)).await.unwrap_err();
    assert_eq!(error.code(), "SchemaDiffers");
    assert!(
        error.to_string().contains("+ routine") && error.to_string().contains("fill_tier"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_changes_neither_rows_nor_state() {
    let settings = "backfill = { start = 100, min = 20, max = 100, duty = 0.2 }\nlocks = { lock_timeout = \"300ms\" }";
    let world = World::start(20_000, &add_tier(settings).without("contract.sql")).await;
    assert_eq!(world.engine().canary(3).await.unwrap_err().code(), "WrongState");
    let engine = world.engine();
    let live = tokio::spawn(async move { drive(&engine).await });
    let begun = "SELECT to_regclass('rowproof_migrate.backfill') IS NOT NULL";
    while !world.client.query_one(begun, &[]).await.unwrap().get::<_, bool>(0)
        || world.number("SELECT count(*) FROM rowproof_migrate.backfill WHERE batches > 2").await
            == 0
    {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    world.engine().pause("me", "to compare").await.unwrap();
    assert!(matches!(live.await.unwrap().unwrap(), Drive::Yield { .. }));
    let state = "SELECT md5(string_agg(r, ';' ORDER BY r)) FROM (SELECT m::text FROM rowproof_migrate.migration m \
        UNION ALL SELECT b::text FROM rowproof_migrate.backfill b \
        UNION ALL SELECT s::text FROM rowproof_migrate.step s) x (r)";
    let hash = async || {
        let row = world.client.query_one(state, &[]).await.unwrap();
        (left(&world).await, row.get::<_, String>(0))
    };
    let before = hash().await;
    let canary = world.engine().canary(5).await.unwrap();
    assert!(canary.batches == 5 && canary.rows_changed == 500, "{canary:?}");
    assert_eq!(hash().await, before);
    // What it locks, as another session sees it again and again.
    let engine = world.engine();
    let long = tokio::spawn(async move { engine.canary(150).await.unwrap() });
    let modes = "SELECT DISTINCT mode FROM pg_locks WHERE locktype = 'relation' \
        AND relation = 'customers'::regclass AND pid <> pg_backend_pid()";
    let mut seen = BTreeSet::new();
    while !long.is_finished() {
        let rows = world.client.query(modes, &[]).await.unwrap();
        seen.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    let weak = ["AccessShareLock", "RowExclusiveLock", "RowShareLock"];
    assert!(
        seen.contains("RowExclusiveLock") && seen.iter().all(|mode| weak.contains(&&**mode)),
        "{seen:?}"
    );
    assert!(long.await.unwrap().batches > 5);
    assert_eq!(hash().await, before);
    // Beside a live run it takes nothing away from it.
    world.engine().resume("me").await.unwrap();
    let engine = world.engine();
    let live = tokio::spawn(async move { drive(&engine).await });
    let mut tries = 0;
    while !live.is_finished() {
        tries += u32::from(world.engine().canary(1).await.is_ok());
    }
    assert_eq!(live.await.unwrap().unwrap(), Drive::Done { state: State::Done });
    assert!(tries > 0);
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied <> 1").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_of_other_tools_are_adopted_once() {
    let world = World::start(10, &add_tier("")).await;
    world
        .client
        .batch_execute(
            "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, installed_on \
               timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL, \
               execution_time bigint NOT NULL);
             INSERT INTO _sqlx_migrations VALUES (1, 'init', now(), true, '\\x01', 1),
               (2, 'half', now(), false, '\\x02', 1);
             CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name varchar(255), \
               applied_on varchar(255), checksum varchar(255));
             INSERT INTO refinery_schema_history VALUES (1, 'a', '2024-01-01T00:00:00Z', '7'), (2, 'b', '2024', '8');
             CREATE SCHEMA sqitch; CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, change text, \
               project text, committed_at timestamptz DEFAULT now());
             INSERT INTO sqitch.changes VALUES ('abc', 'users', 'app')",
        )
        .await
        .unwrap();
    let server = Server::at(&world.postgres.url());
    let taken = adopt(&server).await.unwrap();
    assert_eq!(taken, [(History::Sqlx, 1), (History::Refinery, 2), (History::Sqitch, 1)]);
    assert_eq!(adopt(&server).await.unwrap().iter().map(|(_, new)| new).sum::<u64>(), 0);
    let adopted = "SELECT count(*) FROM rowproof_migrate.migration WHERE state = 'adopted'";
    assert_eq!(world.number(adopted).await, 4);
    assert_eq!(
        world.number("SELECT count(*) FROM rowproof_migrate.event WHERE kind = 'adopted'").await,
        4
    );
}
