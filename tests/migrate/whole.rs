//! A migration from its first statement to its last, and back.

use std::fs;

use rowproof_io::clock::Clock;
use rowproof_io::postgres::Server;
use rowproof_migrate::change::ThrottleChange;
use rowproof_migrate::drive::{Drive, Pause};
use rowproof_migrate::engine::{Engine, Options};
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::folder::Folder;
use rowproof_migrate::state::State;

use super::fixture::{World, add_tier, drive};
use super::kills::left;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_runs_from_its_first_statement_to_its_last() {
    let files = add_tier(
        "backfill = { needs = \"t.tier IS NULL\", preserve = [\"id\", \"email\", \"spend\"] }",
    )
    .with("online.sql", "CREATE INDEX CONCURRENTLY customers_tier ON customers (tier)");
    let world = World::start(20_000, &files).await;
    let done = drive(&world.engine()).await.unwrap();
    assert_eq!(done, Drive::Done { state: State::Done });
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied = 1").await, 20_000);
    assert_eq!(
        world.number("SELECT count(*) FROM customers WHERE tier <> 'tier ' || spend / 100").await,
        0
    );
    assert_eq!(world.number("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, 0);
    let columns =
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'customers' AND ";
    assert_eq!(world.number(&format!("{columns} column_name = 'old'")).await, 0);
    assert_eq!(
        world.number(&format!("{columns} column_name = 'tier' AND is_nullable = 'NO'")).await,
        1
    );

    let status = world.engine().status().await.unwrap();
    assert_eq!(status.state, Some(State::Done));
    assert_eq!(status.backfill.unwrap().rows_changed, 20_000);
    let kinds: Vec<String> =
        world.engine().history().await.unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "state").count(), 7, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "contracted").count(), 5);

    let back = world.engine().rollback("me", "why", Clock::system().deadline_in(60)).await;
    assert!(matches!(back, Err(MigrateError::PointOfNoReturn { .. })), "{back:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_is_that_of_plain_sql_without_applications() {
    let files = add_tier("backfill = { start = 100, min = 20, max = 300 }");
    let (engine, plain) = (World::start(3_000, &files).await, World::start(3_000, &files).await);
    assert_eq!(drive(&engine.engine()).await.unwrap(), Drive::Done { state: State::Done });
    let file = |name: &str| fs::read_to_string(plain.path.join(name)).unwrap();
    let rule = "UPDATE customers SET tier = 'tier ' || (spend / 100), applied = applied + 1";
    for sql in [file("expand.sql").as_str(), rule, file("contract.sql").as_str()] {
        plain.client.batch_execute(sql).await.unwrap();
    }
    assert_eq!(left(&engine).await, left(&plain).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_migration_is_paused_and_given_other_limits() {
    let files = add_tier("backfill = { start = 50, min = 20, max = 50, duty = 0.1 }")
        .without("contract.sql");
    let world = World::start(10_000, &files).await;
    let engine = world.engine();
    let run = tokio::spawn(async move { drive(&engine).await });
    let (control, mut paused) = (world.engine(), false);
    while !paused {
        let begun = control.status().await.unwrap().backfill.is_some_and(|walk| walk.batches > 3);
        paused = begun && control.pause("ada", "the shop opens").await.is_ok();
    }
    let Drive::Yield { reason: Pause::Asked { by, reason }, .. } = run.await.unwrap().unwrap()
    else {
        panic!("it was not paused")
    };
    assert_eq!((by.as_str(), reason.as_str()), ("ada", "the shop opens"));
    let walked = control.status().await.unwrap().backfill.unwrap();
    assert!(matches!(drive(&control).await.unwrap(), Drive::Yield { .. }));
    let wrong = ThrottleChange { duty: Some(2.0), ..ThrottleChange::default() };
    assert_eq!(control.throttle("ada", &wrong).await.unwrap_err().code(), "Folder");
    let fast = ThrottleChange { duty: Some(1.0), max: Some(5_000), ..ThrottleChange::default() };
    control.throttle("ada", &fast).await.unwrap();
    control.resume("ada").await.unwrap();
    assert_eq!(drive(&control).await.unwrap(), Drive::Done { state: State::Done });
    let batches = control.status().await.unwrap().backfill.unwrap().batches - walked.batches;
    assert!(batches < 60, "{batches} batches although they may be larger");
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied <> 1").await, 0);

    // Other files are another migration.
    fs::write(world.path.join("validate.sql"), "SELECT 1 WHERE false").unwrap();
    assert_eq!(drive(&world.engine()).await.unwrap_err().code(), "ChecksumMismatch");
    assert!(!world.engine().status().await.unwrap().same_folder);
}

/// Two runners by name, over one folder.
fn named(world: &World, owner: &str) -> Engine {
    let folder = Folder::load(&world.path).unwrap();
    let server = Server::at(&world.postgres.url());
    let options = Options { owner: owner.to_owned(), ..Options::default() };
    Engine::new(folder, server, Clock::system(), options)
}

async fn lease(world: &World, owner: &str) {
    let sql = format!(
        "UPDATE rowproof_migrate.migration SET owner = '{owner}', lease_until = clock_timestamp() + interval '30 s'"
    );
    world.client.batch_execute(&sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_keeps_others_out_and_lets_its_own_runner_go_on() {
    let world = World::start(500, &add_tier("")).await;
    named(&world, "me").record_evidence("approval", &serde_json::Value::Null, "me").await.unwrap();
    lease(&world, "me").await;
    let other = drive(&named(&world, "another")).await.unwrap();
    let held =
        matches!(&other, Drive::Yield { reason: Pause::LeaseHeld { owner }, .. } if owner == "me");
    assert!(held, "{other:?}");
    // Its connection broke, and it is back.
    assert_eq!(drive(&named(&world, "me")).await.unwrap(), Drive::Done { state: State::Done });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_corrected_before_anything_is_done_and_while_nobody_works_on_it() {
    let files = add_tier("").edit("expand.sql", "ADD COLUMN tier text", "ADD COLUM tier text");
    let world = World::start(500, &files).await;
    assert!(drive(&world.engine()).await.is_err());
    assert_eq!(world.state().await, "prechecked");
    lease(&world, "another").await;
    add_tier("").write(world.path.parent().unwrap());
    let error = drive(&world.engine()).await.unwrap_err();
    assert_eq!((error.code(), world.state().await.as_str()), ("ChecksumMismatch", "prechecked"));
    let over = "UPDATE rowproof_migrate.migration SET lease_until = clock_timestamp()";
    world.client.batch_execute(over).await.unwrap();
    assert_eq!(drive(&world.engine()).await.unwrap(), Drive::Done { state: State::Done });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_of_a_version_before_are_completed() {
    let world = World::start(100, &add_tier("gates = { approvals = 1 }")).await;
    assert_eq!(drive(&world.engine()).await.unwrap_err().code(), "GateUnmet");
    let before = "ALTER TABLE rowproof_migrate.step DROP COLUMN undo";
    world.client.batch_execute(before).await.unwrap();
    let approval = serde_json::Value::Null;
    world.engine().record_evidence("approval", &approval, "ada").await.unwrap();
    assert_eq!(world.finish().await, Drive::Done { state: State::Done });
}
