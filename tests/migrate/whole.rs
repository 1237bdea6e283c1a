//! A migration from its first statement to its last, and back.

use rowproof_io::clock::Clock;
use rowproof_migrate::engine::Drive;
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::state::State;

use super::fixture::{World, add_tier, drive};

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
