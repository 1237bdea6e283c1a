//! What a row into a table costs the program and the server, beside COPY and upsert by hand.
//!
//! `cargo bench -p rowproof-tests --bench postgres [-- ROWS]` loads a file, the same rows again, and the
//! file with every tenth row changed, and prints CPU microseconds and WAL bytes a row. By hand means the
//! usual statements: the CSV file into a temporary table by COPY, then INSERT .. ON CONFLICT DO UPDATE,
//! without checking, archive, books or receipt; its client only sends the file's bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::fmt::Write as _;
use std::fs;
use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio_postgres::Client;

#[path = "../support/orders.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod orders;
#[path = "../support/postgres.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod postgres;

use orders::COLUMNS;
use postgres::Postgres;

const TABLE: &str = "id bigint PRIMARY KEY, customer_id bigint NOT NULL, name text NOT NULL, \
    amount numeric(12,2) NOT NULL, currency text NOT NULL, status text NOT NULL, \
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, email text NOT NULL, note text";
const PIECE_BYTES: usize = 1 << 20;

/// So many orders; every tenth is another when `changed`.
fn csv(rows: usize, changed: bool) -> Vec<u8> {
    let mut text = format!("{}\n", COLUMNS.join(","));
    for id in 1..=rows {
        let status = if changed && id % 10 == 0 { "refunded" } else { "paid" };
        let (minute, second) = (id / 60 % 60, id % 60);
        writeln!(
            text,
            "{id},{},\"Customer {}, Ltd\",{}.{:02},EUR,{status},2026-11-24T10:{minute:02}:{second:02}Z,\
             2026-11-24T11:{minute:02}:{second:02}Z,customer{}@example.com,as ordered on the phone",
            id % 9_973,
            id % 9_973,
            id % 100_000,
            id % 100,
            id % 9_973
        )
        .unwrap();
    }
    text.into_bytes()
}

/// CPU seconds of ended children of this process, of the server, and bytes of WAL, so far.
#[derive(Clone, Copy)]
struct Used {
    client: f64,
    server: f64,
    wal: i64,
}

/// Fields 14 to 17 of a process's `stat`: its own user and system time, and its ended children's.
fn ticks(pid: &str) -> Option<([f64; 4], String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect();
    let second = |at: usize| fields[at].parse::<f64>().unwrap() / 100.0;
    Some(([second(11), second(12), second(13), second(14)], fields[1].clone()))
}

async fn used(postgres: &Postgres, look: &Client) -> Used {
    let sql = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint";
    let wal = look.query_one(sql, &[]).await.unwrap().get(0);
    let pid = postgres.pid().to_string();
    let mut server: f64 = ticks(&pid).unwrap().0.iter().sum();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let found = ticks(&entry.file_name().to_string_lossy());
        if let Some(([user, system, ..], _)) = found.filter(|(_, parent)| *parent == pid) {
            server += user + system;
        }
    }
    // By hand, this process itself is the client.
    let own = ticks("self").unwrap().0;
    Used { client: own.iter().sum(), server, wal }
}

fn print(label: &str, phase: &str, rows: usize, (before, after): (Used, Used)) {
    let micros = |seconds: f64| seconds * 1e6 / rows as f64;
    println!(
        "{label:<18} {phase:<12} client {:6.2} us  server {:6.2} us  WAL {:7.1} bytes",
        micros(after.client - before.client),
        micros(after.server - before.server),
        (after.wal - before.wal) as f64 / rows as f64
    );
}

/// A server's counters are complete once its session is over.
async fn settle() {
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
}

async fn by_hand(postgres: &Postgres, look: &Client, files: &[(&str, Vec<u8>)], rows: usize) {
    look.batch_execute(&format!("CREATE TABLE by_hand ({TABLE})")).await.unwrap();
    let set: Vec<_> = COLUMNS[1..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
    for (phase, file) in files {
        let before = used(postgres, look).await;
        let client = postgres.look().await;
        let stage = "BEGIN; CREATE TEMPORARY TABLE stage (LIKE by_hand) ON COMMIT DROP";
        client.batch_execute(stage).await.unwrap();
        let copy = client.copy_in("COPY stage FROM STDIN (FORMAT csv, HEADER)").await.unwrap();
        let mut copy = pin!(copy);
        for piece in file.chunks(PIECE_BYTES) {
            copy.send(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        copy.finish().await.unwrap();
        let upsert = format!(
            "INSERT INTO by_hand SELECT * FROM stage ON CONFLICT (id) DO UPDATE SET {}; COMMIT",
            set.join(", ")
        );
        client.batch_execute(&upsert).await.unwrap();
        drop(client);
        settle().await;
        print("COPY, upsert", phase, rows, (before, used(postgres, look).await));
    }
}

async fn by_rowproof(
    postgres: &Postgres,
    look: &Client,
    files: &[(&str, Vec<u8>)],
    (rows, unit): (usize, &str),
) {
    let folder = tempfile::TempDir::with_prefix("rowproof-bench-").unwrap();
    let table = format!("by_{unit}");
    let pipeline = include_str!("../../infra/pipelines/orders.toml");
    let (before_sink, _) = pipeline.split_once("[sink.parquet]").unwrap();
    let sink = format!(
        "[sink.postgres]\ntable = \"{table}\"\ndsn = \"env:ROWS\"\nmode = \"upsert\"\n\
         create = \"if_missing\"\ncommit = \"{unit}\"\n"
    );
    fs::write(folder.path().join("orders.toml"), format!("{before_sink}{sink}")).unwrap();
    for (phase, file) in files {
        let name = format!("{}.csv", phase.replace([' ', '%'], "-"));
        fs::write(folder.path().join(&name), file).unwrap();
        let before = used(postgres, look).await;
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_rowproof-tests"))
            .args(["run", "orders.toml", &name, "--out", "out", "--json"])
            .env("ROWS", postgres.url())
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        settle().await;
        let label = format!("rowproof, {unit}");
        print(&label, phase, rows, (before, used(postgres, look).await));
    }
}

#[tokio::main]
async fn main() {
    let rows = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let rows = rows.unwrap_or(200_000);
    let first = csv(rows, false);
    let files =
        [("first", first.clone()), ("same again", first), ("10 % changed", csv(rows, true))];
    let postgres = Postgres::start().await;
    let look = postgres.look().await;
    by_hand(&postgres, &look, &files, rows).await;
    for unit in ["chunk", "object"] {
        // Each is the first to load into its table.
        look.batch_execute("DROP SCHEMA IF EXISTS rowproof CASCADE").await.unwrap();
        by_rowproof(&postgres, &look, &files, (rows, unit)).await;
    }
}
