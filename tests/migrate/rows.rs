//! Rows that are locked, refused by the rule, or left by it as they were; rows that come and go meanwhile.

use std::time::{Duration, Instant};

use rowproof_migrate::drive::Drive;
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::state::State;

use super::fixture::{World, add_tier, drive, size};
use super::measure::{Speed, calls, expanded, shares, speed};
use super::writers::Writers;
use crate::postgres::Postgres;

const DONE: Drive = Drive::Done { state: State::Done };
const NEEDS: &str = "needs = \"t.tier IS NULL AND t.spend IS NOT NULL\"";
/// Little patience, for tests in which a lock is never given up.
const SHORT: &str = "locks = { lock_timeout = \"20ms\", attempts = 2 }";

fn keys(error: &MigrateError) -> Vec<String> {
    match error {
        MigrateError::NotConverging { sample, .. }
        | MigrateError::PreserveViolated { sample, .. } => {
            sample.iter().map(|key| key.join(",")).collect()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_stay_locked_are_named_and_done_once_they_are_free() {
    for needs in [NEEDS, "start = 1000"] {
        let world = expanded(5_000, add_tier(&format!("backfill = {{ {needs} }}\n{SHORT}"))).await;
        let holder = world.postgres.look().await;
        let hold = "BEGIN; SELECT FROM customers WHERE id IN (1010, 40000) FOR UPDATE";
        holder.batch_execute(hold).await.unwrap();
        let error = drive(&world.engine()).await.unwrap_err();
        assert_eq!(keys(&error), ["1010", "40000"], "{needs}");
        assert_eq!(world.state().await, "backfilling");
        let status = world.engine().status().await.unwrap();
        assert_eq!(status.error.unwrap()["code"], "NotConverging");
        holder.batch_execute("COMMIT").await.unwrap();
        assert_eq!(drive(&world.engine()).await.unwrap(), DONE);
        assert_eq!(
            world.number("SELECT count(*) FROM customers WHERE applied <> 1").await,
            0,
            "{needs}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_locked_during_the_walk_are_swept_when_they_are_free() {
    let world =
        expanded(5_000, add_tier("locks = { lock_timeout = \"50ms\", attempts = 40 }")).await;
    let holder = world.postgres.look().await;
    holder.batch_execute("BEGIN; SELECT FROM customers WHERE id = 1010 FOR UPDATE").await.unwrap();
    let free = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let engine = world.engine();
    let (outcome, ()) = tokio::join!(drive(&engine), free);
    assert_eq!(outcome.unwrap(), DONE);
    let skipped = "SELECT count(*) FROM rowproof_migrate.event WHERE kind = 'range_skipped'";
    assert!(world.number(skipped).await > 0);
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied <> 1").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_gives_null_ends_and_names_the_rows() {
    let files = add_tier(&format!("backfill = {{ {NEEDS} }}\n{SHORT}")).edit(
        "backfill.sql",
        "'tier ' ||",
        "CASE WHEN t.id NOT IN (70, 9000) THEN 'tier ' END ||",
    );
    let world = expanded(5_000, files).await;
    let error = drive(&world.engine()).await.unwrap_err();
    assert_eq!(keys(&error), ["70", "9000"]);
    assert_eq!(error.class().exit_code(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_the_rule_fails_on_are_put_aside_by_their_keys() {
    let rule = "backfill = { on_row_error = \"quarantine\", quarantine_max = 3 }";
    let files = add_tier(rule)
        .edit(
            "migration.toml",
            "tier IS NULL AND",
            "tier IS NULL AND id NOT IN (10, 25000, 50000) AND",
        )
        .edit(
            "backfill.sql",
            "(t.spend / 100)",
            "(t.spend / CASE WHEN t.id IN (10, 25000, 50000) THEN 0 ELSE 100 END)",
        );
    let rows = size("ROWPROOF_MIGRATE_FAILING_ROWS", 5_000);
    let world = expanded(rows, files.clone()).await;
    assert_eq!(drive(&world.engine()).await.unwrap(), DONE);
    let backfill = world.engine().status().await.unwrap().backfill.unwrap();
    assert_eq!(backfill.quarantined, [["10"], ["25000"], ["50000"]]);
    let done = world.number("SELECT count(*) FROM customers WHERE applied = 1").await;
    assert_eq!(done as u64, rows - 3);

    for (from, to, expected) in [
        ("quarantine_max = 3", "quarantine_max = 2", "QuarantineFull"),
        ("quarantine\"", "abort\"", "RowFailed"),
    ] {
        let world = expanded(5_000, files.clone().edit("migration.toml", from, to)).await;
        let error = drive(&world.engine()).await.unwrap_err();
        assert_eq!(error.code(), expected);
        let key = if expected == "RowFailed" { "\"10\"" } else { "\"50000\"" };
        assert!(error.to_string().contains(key) && !error.to_string().contains("c10@"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_changes_what_it_has_to_preserve_is_stopped_in_its_batch() {
    let files = add_tier("backfill = { preserve = [\"email\"] }").edit(
        "backfill.sql",
        "SET ",
        "SET email = CASE WHEN t.id = 70 THEN 'x' ELSE t.email END, ",
    );
    let world = expanded(2_000, files).await;
    let error = drive(&world.engine()).await.unwrap_err();
    assert_eq!(keys(&error), ["70"]);
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied > 0").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_reads_the_whole_table_for_a_batch_is_refused() {
    let files =
        add_tier("").edit("backfill.sql", "t.id = b.id", "t.email = 'c' || b.id || '@example.com'");
    let world = expanded(20_000, files).await;
    let error = drive(&world.engine()).await.unwrap_err();
    assert_eq!(error.code(), "PlanUnsafe", "{error}");
}

/// The table grows at both ends and within, faster than it is walked, and whole batches of it are deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_walk_ends_although_the_table_grows_and_shrinks() {
    let rows = size("ROWPROOF_MIGRATE_GROWING_ROWS", 20_000);
    let patience = Duration::from_secs(120 + rows / 1_000);
    let files = add_tier(
        "backfill = { start = 100, min = 20, max = 100, duty = 0.5 }\nthrottle = { max_lock_waiters = 90 }",
    );
    let world = World::start(rows, &files.without("contract.sql")).await;
    let engine = world.engine();
    let task = tokio::spawn(async move { drive(&engine).await });
    let (began, mut grown) = (Instant::now(), 0);
    while !task.is_finished() {
        assert!(began.elapsed() < patience, "it does not end");
        let from = rows * 10 + 1_000 * grown;
        let sql = format!(
            "INSERT INTO customers (id, email, spend, born) SELECT i, 'new', i % 700, 'during' \
             FROM generate_series({from} + 1, {from} + 900) i; \
             DELETE FROM customers WHERE id > {upto} - 2000 AND id <= {upto}",
            upto = rows as i64 * 15 / 2 - 2_000 * grown as i64
        );
        world.client.batch_execute(&sql).await.unwrap();
        grown += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(task.await.unwrap().unwrap(), DONE);
    println!("{grown} times 900 rows came and 200 went in {:.1} s", began.elapsed().as_secs_f64());
    let count = |condition: &str| format!("SELECT count(*) FROM customers WHERE {condition}");
    assert_eq!(world.number(&count("born = 'before' AND applied <> 1")).await, 0);
    assert_eq!(world.number(&count("tier IS DISTINCT FROM 'tier ' || (spend / 100)")).await, 0);
    let above =
        "applied <> 0 AND id > (SELECT (key_hi->>0)::bigint FROM rowproof_migrate.backfill)";
    assert_eq!(world.number(&count(above)).await, 0, "rows that came later are not walked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_seconds_do_what_one_long_call_does() {
    let rows = size("ROWPROOF_MIGRATE_CALL_ROWS", 50_000);
    let settings = "backfill = { start = 100, min = 20, max = 100, duty = 0.5 }\n\
        locks = { lock_timeout = \"200ms\", statement_timeout = \"800ms\" }";
    let files = add_tier(settings).without("contract.sql");
    let (one, _) = calls(rows, &files, 600).await;
    let (many, count) = calls(rows, &files, 2).await;
    println!("{rows} rows: one call {one:.2} s, {count} calls {many:.2} s");
    assert!(count > 2, "{count} calls");
    // The machine that runs the tests is not idle: the exact share is the bench's.
    assert!(many < one * 1.5 + 1.0, "{many} s against {one} s");
}

/// Against the same walk by hand, without engine, throttle or checkpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_walk_is_about_as_fast_at_its_end_as_at_its_begin() {
    let rows = size("ROWPROOF_MIGRATE_SPEED_ROWS", 100_000);
    let Speed { walk, first, last, hand } = speed(rows).await;
    println!(
        "{rows} rows: walked in {walk:.2} s, its quarters from {first:.2} to {last:.2} s; by hand {hand:.2} s"
    );
    assert!(last < first * 3.0 + 0.5, "it slows down: from {first} s to {last} s");
    assert!(walk < hand * 3.0 + 1.0, "{walk} s against {hand} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_writers_wait_for_stays_small() {
    let rows = size("ROWPROOF_MIGRATE_LATENCY_ROWS", 60_000);
    let world = World::start(rows, &add_tier("").without("contract.sql")).await;
    let writers = Writers::start(&world, 4, rows, Duration::from_millis(20)).await;
    assert_eq!(world.finish().await, DONE);
    let [p50, p99, longest] = shares(&writers.stop().await);
    println!("writers waited p50 {p50:.1}, p99 {p99:.1}, at most {longest:.1} ms");
    assert!(longest < 1_000.0, "a writer waited {longest} ms");
}

/// What an application commits while a batch waits for it is what the rule and the hashes see.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_changes_while_its_batch_waits_is_taken_as_it_then_is() {
    let settings = format!(
        "backfill = {{ {NEEDS}, preserve = [\"email\"] }}\nlocks = {{ lock_timeout = \"5s\" }}"
    );
    let world = expanded(1_000, add_tier(&settings)).await;
    let holder = world.postgres.look().await;
    let change = "BEGIN; UPDATE customers SET email = 'new' WHERE id = 50; \
        UPDATE customers SET tier = 'by hand' WHERE id = 70";
    holder.batch_execute(change).await.unwrap();
    let engine = world.engine();
    let run = tokio::spawn(async move { drive(&engine).await });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
        AND application_name LIKE 'rowproof_migrate/%'";
    while world.number(waits).await == 0 {
        assert!(!run.is_finished(), "{:?}", run.await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    holder.batch_execute("COMMIT").await.unwrap();
    assert_eq!(run.await.unwrap().unwrap(), DONE);
    assert_eq!(world.number("SELECT count(*) FROM customers WHERE applied = 1").await, 999);
    let kept = "SELECT count(*) FROM customers WHERE tier = 'by hand' OR email = 'new'";
    assert_eq!(world.number(kept).await, 2);
}

/// A server that compiles what it can: batches are too short for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_batch_is_compiled() {
    let settings =
        ["shared_preload_libraries = 'pg_stat_statements'", "jit = on", "jit_above_cost = 0"];
    let postgres = Postgres::start_with(&settings).await;
    let client = postgres.look().await;
    client.batch_execute("CREATE EXTENSION pg_stat_statements").await.unwrap();
    let world = World::start_on(postgres, 2_000, &add_tier("")).await;
    assert_eq!(world.finish().await, DONE);
    world.client.query("SELECT sum(spend) FROM customers", &[]).await.unwrap();
    // Version 15 is the first that counts.
    let compiled = async |like: &str| {
        let sql = format!(
            "SELECT coalesce(sum((to_jsonb(s)->>'jit_functions')::bigint), 0) FROM pg_stat_statements s \
             WHERE query LIKE '%{like}%' AND query NOT LIKE '%jit_functions%'"
        );
        world.number(&sql).await
    };
    let batches = "SELECT sum(calls) FROM pg_stat_statements WHERE query LIKE '%rowproof_end%'";
    assert!(world.number(batches).await > 0);
    println!("{} functions of another query were compiled", compiled("SELECT sum(spend)").await);
    assert_eq!(compiled("rowproof_end").await, 0);
}
