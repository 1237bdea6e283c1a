//! Rows into a table of a real Postgres.

use serde_json::Value;

use super::support::oracle;
use super::support::orders::{COLUMNS, Orders};
use super::support::postgres::Postgres;
use super::support::world::{ORDERS, World};

/// The pipeline `orders` with a table instead of files.
pub(crate) fn pipeline(more: &str) -> String {
    let (before, _) = ORDERS.split_once("[sink.parquet]").unwrap();
    format!(
        "{before}[sink.postgres]\ntable = \"public.orders\"\ndsn = \"env:ROWS\"\nmode = \"upsert\"\n\
         create = \"if_missing\"\n{more}\n"
    )
}

/// The table's rows as the oracle has them, sorted.
pub(crate) async fn rows(postgres: &Postgres) -> Vec<oracle::Row> {
    let client = postgres.look().await;
    let texts = COLUMNS.map(|name| match name {
        "created_at" | "updated_at" => {
            format!("(extract(epoch from {name}) * 1000000)::bigint::text")
        }
        _ => format!("{name}::text"),
    });
    let query = format!("SELECT {} FROM public.orders", texts.join(", "));
    let mut rows: Vec<oracle::Row> = vec![];
    for row in client.query(&query, &[]).await.unwrap() {
        rows.push((0..COLUMNS.len()).map(|at| row.get(at)).collect());
    }
    rows.sort();
    rows
}

/// What the oracle says of a file: the rows to be loaded, sorted.
pub(crate) fn good(file: &[u8]) -> Vec<oracle::Row> {
    let mut good: Vec<_> =
        oracle::judge(file).into_iter().filter_map(|row| row.verdict.ok()).collect();
    good.sort();
    good
}

fn counts(line: &Value) -> [u64; 5] {
    ["rows_read", "rows_loaded", "rows_unchanged", "rows_superseded", "rows_rejected"]
        .map(|name| line[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_loaded_then_compared_then_changed() {
    let postgres = Postgres::start().await;
    for unit in ["object", "chunk"] {
        let world = World::new();
        world.write("orders.toml", pipeline(&format!("commit = \"{unit}\"")));
        let orders = Orders { rows: 3_000, flaw_every: 100, ..Orders::clean(0) };
        let file = orders.csv().0;
        world.write("a.csv", &file);
        let run = || world.run(&["a.csv"]).env("ROWS", postgres.url()).chunk_bytes(60_000);
        let first = run().line();
        let expected = good(&file);
        let loaded = expected.len() as u64;
        assert_eq!(counts(&first), [3_000, loaded, 0, 0, 3_000 - loaded], "{first}");
        assert!(rows(&postgres).await == expected);

        // The same rows, another file: nothing is written.
        let again = [file.as_slice(), b"\n"].concat();
        world.write("a.csv", &again);
        let second = run().line();
        assert_eq!(counts(&second), [3_000, 0, loaded, 0, 3_000 - loaded], "{second}");

        // Every tenth row is another.
        let text = String::from_utf8_lossy(&file).replace("0,paid", "0,refunded");
        world.write("a.csv", text.as_bytes());
        let third = run().line();
        let changed = counts(&third);
        let expected = good(text.as_bytes());
        assert!(changed[1] > 0 && changed[1] < loaded / 2, "{third}");
        assert_eq!(changed[1] + changed[2], expected.len() as u64);
        assert!(rows(&postgres).await == expected);
        postgres
            .look()
            .await
            .batch_execute("DROP TABLE orders; DROP SCHEMA rowproof CASCADE")
            .await
            .unwrap();
    }
}
