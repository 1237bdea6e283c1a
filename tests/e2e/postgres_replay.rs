//! Failed rows come back corrected into a table: once each, and the books balance.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::postgres_rows::{COLUMNS, Case, HEAD, sink};
use super::support::proxy::{self, Cuts};
use super::support::table;
use super::support::world::Ended;

const COMMA: &str = "version = 1\npipeline = \"items\"\n[[fix]]\nwhere = \"column = 'price'\"\n\
                     column = \"price\"\ncast = { decimal = \",\" }\n";
const UNITS: [&str; 2] = ["object", "chunk"];

/// Rows with ids `[1, n]`; the price of every tenth has a comma.
fn file(n: u32) -> String {
    let mut text = "id,name,price,at\n".to_owned();
    for id in 1..=n {
        let price = if id % 10 == 0 { format!("\"{id},50\"") } else { format!("{id}.50") };
        text.push_str(&format!("{id},n{id},{price},2026-11-24T10:00:00Z\n"));
    }
    text
}

async fn case(unit: &str, more: &str, sql: &str) -> Case {
    let head = format!("{HEAD}[errors]\n{more}\n{COLUMNS}");
    let sink = sink(&format!("mode = \"upsert\"\ncreate = \"if_missing\"\ncommit = \"{unit}\""));
    let case = Case::new(&format!("{head}{sink}"), sql).await;
    case.world.write("fix.toml", COMMA);
    case
}

impl Case {
    fn start(&self, name: &str, text: &str) -> Ended {
        self.world.write(name, text);
        let run = self.world.run(&[name]).env("ROWS", self.postgres.url());
        run.chunk_bytes(3_000).end()
    }

    fn verb(&self, url: &str, arguments: &[&str]) -> Ended {
        let mut all: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        all.extend(["--out", "out", "--json"].map(str::to_owned));
        self.world.command(all).env("ROWS", url).end()
    }

    fn replay(&self, arguments: &[&str]) -> Ended {
        let mut all = vec!["replay"];
        all.extend(arguments);
        self.verb(&self.postgres.url(), &all)
    }

    fn verified(&self) {
        let ended = self.verb(&self.postgres.url(), &["verify", "--all"]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }

    async fn count(&self) -> i64 {
        self.client.query_one("SELECT count(*) FROM items", &[]).await.unwrap().get(0)
    }

    /// Rows in the newest archive files, as whoever lists the folder counts them.
    fn codes(&self) -> Vec<String> {
        let mut newest = std::collections::BTreeMap::new();
        for path in table::files(&self.world.path("out/failures")) {
            let rows = table::read(&path);
            let text = |name: &str| rows[0][name].clone().unwrap();
            let fix: u32 = text("fix").parse().unwrap();
            let codes: Vec<_> = rows.iter().map(|row| row["error_code"].clone().unwrap()).collect();
            let old = newest.insert((text("chunk"), fix), codes);
            assert!(old.is_none(), "two files of one chunk and fix: {}", path.display());
        }
        let mut last = std::collections::BTreeMap::new();
        for ((chunk, _), codes) in newest {
            last.insert(chunk, codes);
        }
        let mut codes: Vec<_> = last.into_values().flatten().collect();
        codes.sort();
        codes
    }
}

fn figures(line: &Value) -> [u64; 3] {
    ["selected", "loaded", "failed"].map(|name| line[name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrected_rows_land_in_the_table_once() {
    for unit in UNITS {
        let case = case(unit, "", "SELECT").await;
        let first = case.start("a.csv", &file(200));
        assert_eq!(first.lines[0]["rows_rejected"], 20, "{first:#?}");
        let ended = case.replay(&["--patch", "fix.toml"]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(figures(&ended.lines[0]), [20, 20, 0], "{ended:#?}");
        assert_eq!((case.count().await, &ended.lines[0]["revision"]), (200, &Value::from(1)));
        let prices = case.list("SELECT price::text FROM items WHERE id = 70").await;
        assert_eq!(prices, ["70.50"]);
        case.verified();
        let again =
            case.replay(&["--patch", "fix.toml", "--job", first.lines[0]["job"].as_str().unwrap()]);
        assert_eq!(again.lines[0]["state"], "NOTHING", "{again:#?}");
        let rerun = case.start("a.csv", &file(200));
        assert_eq!(rerun.lines[0]["rows_loaded"], 200, "the same file changes nothing: {rerun:#?}");
        // What the file's next version holds is compared with what the replay brought.
        let next = case.start("a.csv", &file(200).replace(",50\"", ".50\""));
        assert_eq!(next.lines[0]["rows_unchanged"], 200, "{next:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_the_table_refused_can_be_given_to_it_again() {
    for unit in UNITS {
        let case = case(unit, "", "SELECT").await;
        case.start("none.csv", &file(0));
        let constraint =
            "ALTER TABLE items ADD CONSTRAINT few CHECK (id % 50 <> 0 AND id % 7 <> 0)";
        case.client.batch_execute(constraint).await.unwrap();
        let first = case.start("a.csv", &file(200));
        let job = first.lines[0]["job"].as_str().unwrap();
        // 26 rows by the check: 70 and 140 have a comma, as have 50, 100, 150 and 200.
        assert_eq!(first.lines[0]["rows_rejected"], 20 + 26, "{first:#?}");
        assert_eq!(case.codes().iter().filter(|code| *code == "sink_rejected").count(), 26);

        // Of the corrected ones six are refused: they stay as they were. The patch leaves 26 alone.
        let ended = case.replay(&["--job", job, "--patch", "fix.toml"]);
        assert_eq!(figures(&ended.lines[0]), [46, 14, 6], "{ended:#?}");
        assert_eq!(ended.lines[0]["reasons"][0]["code"], "sink_rejected", "{ended:#?}");
        assert_eq!((ended.code, case.count().await), (Some(0), 200 - 26 - 6));
        assert_eq!(case.codes().len(), 32);
        case.verified();

        case.client.batch_execute("ALTER TABLE items DROP CONSTRAINT few").await.unwrap();
        let ended = case.replay(&["--job", job, "--where", "error_code = 'sink_rejected'"]);
        assert_eq!(figures(&ended.lines[0]), [26, 26, 0], "{ended:#?}");
        let ended = case.replay(&["--job", job, "--patch", "fix.toml"]);
        assert_eq!(figures(&ended.lines[0]), [6, 6, 0], "{ended:#?}");
        assert_eq!((case.count().await, &ended.lines[0]["revision"]), (200, &Value::from(3)));
        case.verified();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_held_takes_its_corrected_rows_along() {
    for unit in UNITS {
        let case = case(unit, "hold_if = { rejected = \"5%\" }", "SELECT").await;
        let held = case.start("a.csv", &file(200));
        let job = held.is("HELD", 3)["job"].as_str().unwrap().to_owned();
        // The table refuses one of the corrected rows, and one of the others.
        let table = "CREATE TABLE IF NOT EXISTS public.items (id bigint PRIMARY KEY, name text NOT NULL, \
            price numeric(8,2), at timestamptz NOT NULL, _rowproof_load bigint NOT NULL, \
            _rowproof_hash uuid NOT NULL); \
            ALTER TABLE public.items ADD CONSTRAINT few CHECK (id NOT IN (70, 71)) NOT VALID";
        case.client.batch_execute(table).await.unwrap();
        let ended = case.replay(&["--job", &job, "--patch", "fix.toml"]);
        assert_eq!(ended.code, Some(0), "{unit}: {ended:#?}");
        assert_eq!(ended.lines[0]["parent_state"], "COMMITTED", "{ended:#?}");
        // One by one, chunks were written before there was a constraint.
        let refused = if unit == "chunk" { 1 } else { 2 };
        assert_eq!(ended.lines[0]["rows_rejected"], refused, "{unit}: {ended:#?}");
        assert_eq!(case.count().await, 200 - i64::from(refused));
        case.verified();
        case.client.batch_execute("ALTER TABLE items DROP CONSTRAINT few").await.unwrap();
        let ended = case.replay(&["--job", &job, "--patch", "fix.toml"]);
        assert_eq!(figures(&ended.lines[0])[1], 1, "{unit}: {ended:#?}");
        case.verified();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_whose_commit_is_cut_off_is_made_up_for() {
    let cuts = Arc::new(Cuts::default());
    for unit in UNITS {
        for way in 1..=3 {
            let case = case(unit, "", "SELECT").await;
            let port = proxy::start(case.postgres.port, cuts.clone()).await;
            case.start("a.csv", &file(200));
            cuts.percent.store(100, Ordering::SeqCst);
            cuts.once.store(way, Ordering::SeqCst);
            let url = case.postgres.url_at(port);
            let ended = case.verb(&url, &["replay", "--patch", "fix.toml"]);
            assert_eq!(cuts.percent.load(Ordering::SeqCst), 0, "no commit came by");
            assert_eq!(ended.code, Some(0), "{unit}, {way}: {ended:#?}");
            assert_eq!(figures(&ended.lines[0]), [20, 20, 0], "{unit}, {way}: {ended:#?}");
            assert_eq!(case.count().await, 200);
            case.verified();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_brings_corrected_rows_along() {
    let pipeline =
        format!("{HEAD}{COLUMNS}{}", sink("mode = \"delete_insert\"\ncreate = \"if_missing\""));
    let case = Case::new(&pipeline, "SELECT").await;
    case.world.write("fix.toml", COMMA);
    case.start("none.csv", &file(0));
    let constraint = "ALTER TABLE items ADD CONSTRAINT few CHECK (id <> 3)";
    case.client.batch_execute(constraint).await.unwrap();
    case.start("a.csv", &file(200));
    assert_eq!(case.replay(&["--patch", "fix.toml"]).code, Some(0));
    case.start("a.csv", &file(50));
    assert_eq!(case.count().await, 45 - 1);
    // What was refused then is taken now.
    case.client.batch_execute("ALTER TABLE items DROP CONSTRAINT few").await.unwrap();
    let back = case.verb(&case.postgres.url(), &["revert", "incoming/a.csv"]);
    assert_eq!(back.code, Some(0), "{back:#?}");
    assert_eq!(case.count().await, 200);
    case.verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_takes_corrected_rows_and_deletes_nothing_for_them() {
    let head = HEAD.replace("format", "replaces = []\nformat");
    let more = "mode = \"upsert\"\ncreate = \"if_missing\"\ndelete_missing = true";
    let case = Case::new(&format!("{head}{COLUMNS}{}", sink(more)), "SELECT").await;
    case.world.write("fix.toml", COMMA);
    case.start("a.csv", &file(200));
    let ended = case.replay(&["--patch", "fix.toml"]);
    assert_eq!(figures(&ended.lines[0]), [20, 20, 0], "{ended:#?}");
    assert_eq!(case.count().await, 200);
    case.verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_file_that_a_later_one_has_overtaken_in_the_table_stay_away() {
    for unit in UNITS {
        let case = case(unit, "", "SELECT").await;
        case.start("a.csv", &file(200));
        let head =
            |generation: u32| format!("UPDATE rowproof.slots SET head_generation = {generation}");
        case.client.batch_execute(&head(99)).await.unwrap();
        let ended = case.replay(&["--patch", "fix.toml"]);
        assert_ne!(ended.code, Some(0), "{unit}: {ended:#?}");
        assert_eq!(case.count().await, 180, "{unit}");
        // Nothing of it stays in the way.
        case.client.batch_execute(&head(1)).await.unwrap();
        let ended = case.replay(&["--patch", "fix.toml"]);
        assert_eq!(figures(&ended.lines[0]), [20, 20, 0], "{unit}: {ended:#?}");
        assert_eq!(case.count().await, 200, "{unit}");
        case.verified();
    }
}
