//! What has to be before rows and schema are changed for good, and who says so.

use rowproof_io::clock::Clock;
use rowproof_io::postgres::Server;
use rowproof_migrate::engine::{Drive, Engine, Options, Pause};
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::folder::Folder;
use rowproof_migrate::state::State;
use serde_json::json;

use super::fixture::{World, add_tier, drive};

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
