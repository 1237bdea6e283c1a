//! How fast a walk is, and what it makes others wait. The tests look at small tables, the bench at large ones.

use std::time::{Duration, Instant};

use rowproof_io::clock::Clock;
use rowproof_migrate::drive::Drive;
use rowproof_migrate::state::State;

use crate::fixture::{Files, World, add_tier, drive};

const DONE: Drive = Drive::Done { state: State::Done };

/// The migration without its schema changes, which are there before it begins.
pub(crate) async fn expanded(rows: u64, files: Files) -> World {
    let files = files.without("expand.sql").without("down.sql").without("contract.sql");
    let world = World::start(rows, &files).await;
    let sql =
        "ALTER TABLE customers ADD COLUMN tier text, ADD COLUMN applied int NOT NULL DEFAULT 0";
    world.client.batch_execute(sql).await.unwrap();
    world
}

/// Seconds of a whole walk, of its first and last quarter, and of the same walk by hand.
pub(crate) struct Speed {
    pub(crate) walk: f64,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) hand: f64,
}

/// Batches of 5,000 rows, one after the other: the engine's, and a loop over the key without engine, throttle
/// or checkpoint.
pub(crate) async fn speed(rows: u64) -> Speed {
    let settings = "backfill = { start = 5000, min = 5000, max = 5000, duty = 1.0 }";
    let world = expanded(rows, add_tier(settings)).await;
    let engine = world.engine();
    let run = tokio::spawn(async move { drive(&engine).await });
    let seen = "SELECT coalesce((SELECT rows_seen FROM rowproof_migrate.backfill), 0)";
    let there = "SELECT to_regclass('rowproof_migrate.event') IS NOT NULL";
    let mut quarters = vec![];
    let mut began = Instant::now();
    while !run.is_finished() && quarters.len() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if !world.client.query_one(there, &[]).await.unwrap().get::<_, bool>(0) {
            continue;
        }
        let rows_seen = world.number(seen).await as u64;
        if rows_seen == 0 {
            began = Instant::now();
        } else if rows_seen * 4 >= rows * (quarters.len() as u64 + 1) {
            quarters.push(began.elapsed().as_secs_f64());
        }
    }
    assert_eq!(run.await.unwrap().unwrap(), DONE);
    let walk = *quarters.last().unwrap();
    let (first, last) = (quarters[0], walk - quarters[quarters.len() - 2]);
    drop(world);

    let plain = expanded(rows, add_tier(settings)).await;
    let began = Instant::now();
    for from in (0..rows * 10).step_by(50_000) {
        let sql = format!(
            "WITH b AS MATERIALIZED (SELECT id FROM customers WHERE id > {from} AND id <= {from} + 50000 \
             ORDER BY id FOR NO KEY UPDATE) UPDATE customers t SET tier = 'tier ' || (t.spend / 100), \
             applied = t.applied + 1 FROM b WHERE t.id = b.id"
        );
        plain.client.batch_execute(&sql).await.unwrap();
    }
    Speed { walk, first, last, hand: began.elapsed().as_secs_f64() }
}

/// A whole run in calls of so many seconds: how long it took, and how many calls. None overruns.
pub(crate) async fn calls(rows: u64, files: &Files, seconds: u64) -> (f64, u32) {
    let world = World::start(rows, files).await;
    let (began, mut count) = (Instant::now(), 0);
    loop {
        let (call, engine) = (Instant::now(), world.engine());
        let outcome = engine.drive(Clock::system().deadline_in(seconds)).await.unwrap();
        count += 1;
        assert!(call.elapsed() < Duration::from_secs(seconds), "a step overran the call");
        if outcome == DONE {
            break;
        }
    }
    let took = began.elapsed().as_secs_f64();
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied <> 1").await, 0);
    (took, count)
}

/// Of sorted waits: the median, the 99th percentile and the longest.
pub(crate) fn shares(waits: &[f64]) -> [f64; 3] {
    let at = |share: f64| waits[(waits.len() as f64 * share) as usize];
    [at(0.5), at(0.99), *waits.last().unwrap()]
}
