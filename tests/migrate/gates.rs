//! What has to be before rows and schema are changed for good, and who says so.

use std::time::{Duration, Instant};

use rowproof_io::clock::Clock;
use rowproof_io::postgres::Server;
use rowproof_migrate::drive::{Drive, Pause};
use rowproof_migrate::engine::{Engine, Options};
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::folder::Folder;
use rowproof_migrate::state::State;
use serde_json::json;

use super::fixture::{World, add_tier, drive};
use crate::postgres::Postgres;

async fn unmet(world: &World) -> String {
    match drive(&world.engine()).await {
        Err(MigrateError::GateUnmet { gate, .. }) => gate,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gate_is_met_by_its_evidence_or_overridden_aloud() {
    let files = add_tier(
        "gates = { staging_run = \"same_checksum\", rollback_rehearsed = true, \
         backup_max_age = \"24h\", approvals = 2 }",
    );
    let world = World::start(1_000, &files).await;
    let engine = world.engine();
    let sum = engine.checksum().to_string();
    assert_eq!(unmet(&world).await, "staging_run");
    let stale = json!({ "checksum": "00" });
    assert!(engine.record_evidence("staging_run", &stale, "ci").await.is_err());
    engine.record_evidence("staging_run", &json!({ "checksum": sum }), "ci").await.unwrap();
    assert_eq!(unmet(&world).await, "rollback_rehearsed");
    engine.override_gate("rollback_rehearsed", "no copy is at hand", "ada").await.unwrap();
    assert_eq!(unmet(&world).await, "backup_max_age");
    engine
        .record_evidence("backup", &json!({ "taken_at": "2020-01-01T00:00:00Z" }), "ci")
        .await
        .unwrap();
    assert_eq!(unmet(&world).await, "backup_max_age");
    for wrong in [
        json!({}),
        json!({ "taken_at": "yesterday" }),
        json!({ "taken_at": "2099-01-01T00:00:00Z" }),
    ] {
        assert!(engine.record_evidence("backup", &wrong, "ci").await.is_err(), "{wrong}");
    }
    let now = json!({ "taken_at": Clock::system().now_rfc3339() });
    engine.record_evidence("backup", &now, "ci").await.unwrap();
    for (by, is_met) in [("ada", false), ("ada", false), ("bob", true)] {
        engine.record_evidence("approval", &json!({}), by).await.unwrap();
        if !is_met {
            assert_eq!(unmet(&world).await, "approvals");
        }
    }
    assert_eq!(drive(&engine).await.unwrap(), Drive::Done { state: State::Done });
    let history = serde_json::to_string(&engine.history().await.unwrap()).unwrap();
    assert!(history.contains("gate_overridden") && history.contains("no copy is at hand"));
}

/// The clock of the runner is moved to the window's end while rows are walked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_closes_ends_the_walk_at_its_next_batch() {
    let settings = "gates = { window = \"daily 02:00-04:00 UTC\" }\n\
        backfill = { start = 100, min = 20, max = 100, duty = 0.3 }";
    let world = World::start(20_000, &add_tier(settings)).await;
    let day = 86_400_000;
    let now = Clock::system().now_ms() % day;
    let at = |ms: u64| {
        let skew = i64::try_from(ms).unwrap() - i64::try_from(now).unwrap();
        let folder = Folder::load(&world.path).unwrap();
        let server = Server::at(&world.postgres.url());
        let clock = Clock::system().skewed(skew);
        (Engine::new(folder, server, clock, Options::default()), clock.deadline_in(600))
    };
    let four = 4 * 3_600_000;
    let (engine, deadline) = at(four - 1_000);
    let closed = engine.drive(deadline).await.unwrap();
    let Drive::Yield { reason: Pause::WindowClosed { opens_in_s }, .. } = closed else {
        panic!("{closed:?}")
    };
    assert!((22 * 3_600 - 60..=22 * 3_600).contains(&opens_in_s), "{opens_in_s}");
    assert_eq!(world.state().await, "backfilling");
    let (engine, deadline) = at(four - 3_600_000);
    assert_eq!(engine.drive(deadline).await.unwrap(), Drive::Done { state: State::Done });
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied <> 1").await, 0);
}

async fn yielded(world: &World) -> Pause {
    match drive(&world.engine()).await.unwrap() {
        Drive::Yield { reason, .. } => reason,
        other @ Drive::Done { .. } => panic!("{other:?}"),
    }
}

const DONE: Drive = Drive::Done { state: State::Done };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_has_to_be_well_for_a_time_without_a_break() {
    let health = "gates = { health = { probe = \"SELECT n FROM app;\", soak = \"1500ms\" } }";
    let world = World::start(100, &add_tier(health)).await;
    world.client.batch_execute("CREATE TABLE app AS SELECT 0 AS n").await.unwrap();
    assert_eq!(yielded(&world).await, Pause::Soaking { well: true, left_s: 2 });
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    world.client.batch_execute("UPDATE app SET n = 3").await.unwrap();
    assert_eq!(yielded(&world).await, Pause::Soaking { well: false, left_s: 2 });
    world.client.batch_execute("UPDATE app SET n = 0").await.unwrap();
    let well = Instant::now();
    let mut looks = 0;
    while drive(&world.engine()).await.unwrap() != DONE {
        assert_eq!(world.state().await, "validated");
        looks += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(well.elapsed() >= Duration::from_millis(1_500) && looks > 5, "{:?}", well.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_without_a_look_is_no_time_of_health() {
    let health = "gates = { health = { probe = \"SELECT 0\", soak = \"1s\" } }";
    let world = World::start(100, &add_tier(health)).await;
    assert_eq!(yielded(&world).await, Pause::Soaking { well: true, left_s: 1 });
    // As if both looks had been made long ago.
    let past = "UPDATE rowproof_migrate.measure SET taken_at = taken_at - interval '32 s', \
        value = jsonb_set(value, '{since}', to_jsonb(clock_timestamp() - interval '32 s')) WHERE name = 'health'";
    world.client.batch_execute(past).await.unwrap();
    assert_eq!(yielded(&world).await, Pause::Soaking { well: true, left_s: 1 });
    world.engine().override_gate("health", "it is on fire anyway", "ada").await.unwrap();
    assert_eq!(drive(&world.engine()).await.unwrap(), DONE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_is_kept_for_a_time_before_it_is_dropped() {
    let files = add_tier("gates = { grace = \"2s\" }");
    let world = World::start(100, &files).await;
    let old = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attname = 'old'";
    let began = Instant::now();
    assert_eq!(yielded(&world).await, Pause::Grace { left_s: 2 });
    let required = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'customers'::regclass \
        AND attname = 'tier' AND attnotnull";
    assert_eq!((world.number(old).await, world.number(required).await), (1, 1));
    while drive(&world.engine()).await.unwrap() != DONE {
        assert_eq!(world.number(old).await, 1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(world.number(old).await, 0);

    // Meanwhile all can be taken back, and somebody in a hurry says so.
    for back in [true, false] {
        let world = World::start(100, &files).await;
        assert_eq!(yielded(&world).await, Pause::Grace { left_s: 2 });
        if back {
            let deadline = Clock::system().deadline_in(60);
            let engine = world.engine();
            let undone = engine.rollback("ada", "an application broke", deadline).await.unwrap();
            assert_eq!(undone, Drive::Done { state: State::RolledBack });
        } else {
            world.engine().override_gate("grace", "the disk is full", "ada").await.unwrap();
            assert_eq!(drive(&world.engine()).await.unwrap(), DONE);
        }
        assert_eq!(world.number(old).await, i64::from(back));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_have_to_be_as_fast_as_they_were() {
    let preload = "shared_preload_libraries = 'pg_stat_statements'";
    let postgres = Postgres::start_with(&[preload]).await;
    let client = postgres.look().await;
    client.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
    let calls = async |count: u32, seconds: f64| {
        for _ in 0..count {
            client.batch_execute(&format!("SELECT pg_sleep({seconds})")).await.unwrap();
        }
    };
    calls(20, 0.002).await;
    let id = "SELECT queryid::text FROM pg_stat_statements WHERE query = 'SELECT pg_sleep($1)'";
    let id: String = client.query_one(id, &[]).await.unwrap().get(0);
    let gate = |settings: &str| {
        add_tier(&format!("gates = {{ queries = {{ ids = [\"{id}\"], {settings} }} }}"))
    };
    let world = World::start_on(postgres, 100, &gate("slower_max = 1.5, calls_min = 5")).await;
    let what = async || match drive(&world.engine()).await {
        Err(MigrateError::GateUnmet { gate, what }) => {
            assert_eq!(gate, "queries");
            what
        }
        other => panic!("{other:?}"),
    };
    assert!(what().await.contains("ran 0 times"));
    calls(5, 0.1).await;
    let slow = what().await;
    assert!(slow.contains("ms since the rows were validated, and took"), "{slow}");
    calls(400, 0.0001).await;
    assert_eq!(drive(&world.engine()).await.unwrap(), DONE);
    for (settings, wrong) in [("slower_max = -1", "slower_max"), ("ids = []", "ids")] {
        let text = gate("slower_max = 0.2");
        let text = match wrong {
            "ids" => text.edit("migration.toml", &format!("ids = [\"{id}\"]"), settings),
            _ => text.edit("migration.toml", "slower_max = 0.2", settings),
        };
        let dir = tempfile::TempDir::new().unwrap();
        let error = Folder::load(&text.write(dir.path())).unwrap_err().to_string();
        assert!(error.contains(wrong), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_that_gives_no_number_is_refused_before_anything_is_done() {
    let table = "CREATE TABLE app AS SELECT 0 AS n";
    for probe in [
        "this is no sql",
        "SELECT 'text'",
        "SELECT NULL::int",
        "SELECT n FROM app WHERE false",
        "SELECT 0, 0",
        "SELECT false",
        "SELECT 0 UNION ALL SELECT 1",
        "SELECT 0; DROP TABLE app",
        "",
    ] {
        let health = format!("gates = {{ health = {{ probe = \"{probe}\", soak = \"1s\" }} }}");
        let world = World::start(10, &add_tier(&health)).await;
        world.client.batch_execute(table).await.unwrap();
        let error = drive(&world.engine()).await.unwrap_err();
        assert!(error.to_string().contains("gates.health.probe: "), "{probe}: {error}");
        assert_eq!((error.code(), world.state().await.as_str()), ("Folder", "pending"), "{probe}");
        assert_eq!(world.number("SELECT count(*) FROM app").await, 1, "{probe}");
    }
    // What expand makes cannot be asked before, and what then is no number lets nothing pass.
    let health = "gates = { health = { probe = \"SELECT max(applied) FROM customers WHERE id < 0\", soak = \"1s\" } }";
    let world = World::start(10, &add_tier(health)).await;
    assert_eq!(unmet(&world).await, "health");
    assert_eq!(world.state().await, "validated");
    let late = "gates = { health = { probe = \"SELECT 0 FROM pg_sleep(2)\", soak = \"1s\" } }\n\
        locks = { statement_timeout = \"200ms\" }";
    let world = World::start(10, &add_tier(late)).await;
    assert_eq!(yielded(&world).await, Pause::Soaking { well: false, left_s: 1 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_nothing_brings_back_wait_for_who_approves() {
    let files = add_tier("gates = { approvals = 1 }")
        .edit("migration.toml", "reversible = true", "reversible = false")
        .edit("migration.toml", "[[invariant]]", "[[invariant]] # of the rows that are left")
        .with("backfill.sql", "DELETE FROM customers t USING rowproof_batch b WHERE t.id = b.id");
    let world = World::start(50, &files.without("undo_backfill.sql").without("down.sql")).await;
    assert_eq!(unmet(&world).await, "approvals");
    let rows = "SELECT count(*) FROM customers";
    assert_eq!((world.state().await.as_str(), world.number(rows).await), ("expanded", 50));
    world.engine().record_evidence("approval", &json!({}), "ada").await.unwrap();
    assert_eq!(drive(&world.engine()).await.unwrap(), DONE);
    assert_eq!(world.number(rows).await, 0);
}
