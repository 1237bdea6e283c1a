//! How fast a migration walks a table, and what those who write to it meanwhile wait for.
//!
//! `cargo bench -p rowproof-tests --bench migrate -- speed ROWS`: batches of 5,000 rows one after the other,
//! beside a loop by hand; `calls ROWS`: calls of five seconds beside one long call; `waits ROWS ROUNDS
//! [SETTING ..]`: four writers with 150 writes a second, in windows of ten seconds: alone, beside a process that
//! only counts, beside a migration, beside the loop that a script would have. Settings
//! are the server's, such as `fsync = on`, or the migration's, such as `backfill = { target_ms = 20 }`.
#![recursion_limit = "256"] // the engine's futures are deep
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::time::{Duration, Instant};

use rowproof_io::clock::Clock;

#[path = "../migrate/fixture.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod fixture;
#[path = "../migrate/measure.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod measure;
#[path = "../support/postgres.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod postgres;
#[path = "../migrate/writers.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod writers;

use fixture::{World, add_tier};
use measure::{calls, shares, speed};
use postgres::Postgres;
use writers::Writers;

const WINDOW: Duration = Duration::from_secs(10);

async fn show_speed(rows: u64) {
    let found = speed(rows).await;
    println!(
        "{rows} rows: by hand {:.2} s, walked in {:.2} s ({:.0} % of its speed), quarters {:.2} to {:.2} s \
         ({:.2} times)",
        found.hand,
        found.walk,
        100.0 * found.hand / found.walk,
        found.first,
        found.last,
        found.last / found.first
    );
}

async fn show_calls(rows: u64) {
    // A statement has to fit a call.
    let locks = "locks = { lock_timeout = \"200ms\", statement_timeout = \"2s\" }";
    let files = add_tier(locks).without("contract.sql");
    let (one, _) = calls(rows, &files, 3_600).await;
    let (many, count) = calls(rows, &files, 5).await;
    println!(
        "{rows} rows: one call {one:.2} s, {count} calls {many:.2} s ({:.2} times)",
        many / one
    );
}

/// What a script has: full batches one after the other, found from the table's start.
async fn loop_by_hand(world: &World) {
    let batch = "UPDATE customers SET old = 'tier ' || (spend / 100) WHERE id IN \
        (SELECT id FROM customers WHERE old = 'x' LIMIT 10000 FOR UPDATE SKIP LOCKED)";
    let began = Instant::now();
    while began.elapsed() < WINDOW {
        world.client.execute(batch, &[]).await.unwrap();
    }
}

/// Counts half of the time, in turns of 50 ms, and leaves the database alone: what the processors alone cost.
async fn count() {
    let began = Instant::now();
    while began.elapsed() < WINDOW {
        let turn = tokio::task::spawn_blocking(|| {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(50) {
                std::hint::spin_loop();
            }
        });
        turn.await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One window: waits of the writers, and what was done beside them.
async fn window(world: &World, rows: u64, beside: &str) -> [f64; 3] {
    let writers = Writers::start(world, 4, rows, Duration::from_millis(26)).await;
    match beside {
        "migration" => {
            let engine = world.engine();
            engine.drive(Clock::system().deadline_in(WINDOW.as_secs())).await.unwrap();
        }
        "script" => loop_by_hand(world).await,
        "counting" => count().await,
        _ => tokio::time::sleep(WINDOW).await,
    }
    shares(&writers.stop().await)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn show_waits(rows: u64, rounds: u64, settings: &[&str]) {
    let (own, settings): (Vec<&str>, Vec<&str>) =
        settings.iter().partition(|setting| setting.starts_with("backfill"));
    let files = add_tier(&own.join("\n")).without("contract.sql");
    let world = World::start_on(Postgres::start_with(&settings).await, rows, &files).await;
    world.client.batch_execute("CHECKPOINT").await.unwrap();
    let kinds = ["alone", "counting", "migration", "script"];
    let mut found: Vec<Vec<[f64; 3]>> = vec![vec![]; kinds.len()];
    for round in 1..=rounds {
        for (kind, found) in kinds.iter().zip(&mut found) {
            let seen = "SELECT coalesce((SELECT max(rows_seen) FROM rowproof_migrate.backfill), 0)";
            let before = if round > 1 { world.number(seen).await } else { 0 };
            let waits = window(&world, rows, kind).await;
            let walked = if *kind == "migration" { world.number(seen).await - before } else { 0 };
            println!(
                "{round:>2} {kind:<10} p50 {:6.1}  p99 {:6.1}  max {:7.1} ms  {walked} rows walked",
                waits[0], waits[1], waits[2]
            );
            found.push(waits);
        }
        // The next round is not to pay for this one's dirty pages.
        world.client.batch_execute("CHECKPOINT").await.unwrap();
    }
    let median_of =
        |kind: usize, at: usize| median(found[kind].iter().map(|one| one[at]).collect());
    for (at, kind) in kinds.iter().enumerate() {
        println!(
            "median of {rounds}: {kind:<10} p50 {:.1}  p99 {:.1} ({:.2} times)  max {:.1} ms",
            median_of(at, 0),
            median_of(at, 1),
            median_of(at, 1) / median_of(0, 1),
            median_of(at, 2)
        );
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let number = |at: usize, usual| words.get(at).map_or(usual, |text| text.parse().unwrap());
    match words.first().map(String::as_str) {
        None => {
            show_speed(300_000).await;
            show_calls(300_000).await;
            show_waits(1_000_000, 3, &[]).await;
        }
        Some("speed") => show_speed(number(1, 1_000_000)).await,
        Some("calls") => show_calls(number(1, 1_000_000)).await,
        Some("waits") => {
            let settings: Vec<&str> = words.iter().skip(3).map(String::as_str).collect();
            show_waits(number(1, 5_000_000), number(2, 10), &settings).await;
        }
        Some(other) => panic!("no bench is named {other}: speed, calls or waits"),
    }
}
