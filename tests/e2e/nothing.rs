//! Files that hold nothing, or nothing good, where rows are visible.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::postgres_rows::{COLUMNS as ITEMS, Case, HEAD, sink};
use crate::support::oracle;
use crate::support::orders::{COLUMNS, Orders};
use crate::support::world::World;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Every shape of an object that holds neither a header nor a row.
fn nothings() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("no bytes", vec![]),
        ("a byte order mark", "\u{feff}".into()),
        ("a line end", b"\n".to_vec()),
        ("blank lines", b"\r\n\r\n\n".to_vec()),
        ("a byte order mark and a line end", "\u{feff}\r\n".into()),
        ("a gzip of nothing", gzip(b"")),
        ("members of nothing", [gzip(b""), gzip(b"")].concat()),
        ("a gzip of line ends", gzip(b"\n\n")),
        ("a zstd of nothing", zstd::encode_all(&b""[..], 1).unwrap()),
    ]
}

impl World {
    fn decide(&self, verb: &str, job: &Value) {
        let job = job.as_str().unwrap();
        let arguments = [verb, job, "--reason", "seen", "--out", "out"].map(str::to_owned);
        let ended = self.command(arguments.to_vec()).end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }

    fn why(&self, job: &Value) -> Value {
        let arguments = ["why", job.as_str().unwrap(), "--out", "out", "--json"];
        self.command(arguments.map(str::to_owned).to_vec()).line()
    }

    fn held(&self, file: &[u8], text: &str) -> Value {
        self.write("a.csv", file);
        let ended = self.run(&["a.csv"]).end();
        let line = ended.is("HELD", 3).clone();
        assert!(line["error"].as_str().unwrap().contains(text), "{text:?} is not in {line}");
        line
    }
}

#[test]
fn a_file_that_holds_nothing_takes_no_rows_away_until_somebody_says_so() {
    let (file, _) = Orders::clean(10).csv();
    for replaces in ["\"key\"", "[]"] {
        let world = World::with_orders();
        let format = "format = \"csv\"";
        world.orders_with(format, &format!("{format}\nreplaces = {replaces}"));
        world.write("a.csv", &file);
        world.agrees(&world.run(&["a.csv"]).line(), &file);
        for (what, nothing) in nothings() {
            let text = if nothing.is_empty() { "0 bytes" } else { "hold no header and no row" };
            let line = world.held(&nothing, text);
            assert!(
                line["error"].as_str().unwrap().contains("place of the 10 rows"),
                "{what} {line}"
            );
            assert!(world.loaded() == oracle::good(&file), "{what}: the rows stay");
            let checked = ["check", "orders.toml", "a.csv", "--json"].map(str::to_owned);
            let checked = world.command(checked.to_vec()).end();
            assert_eq!(checked.code, Some(3), "{what}: {checked:#?}");
            assert_eq!(checked.lines[1]["would"], "hold", "{what}: {checked:#?}");
            assert!(checked.lines[1]["message"].as_str().unwrap().contains(text), "{checked:#?}");
        }
        let line = world.held(b"\n", "no header");
        let why = world.why(&line["job"]);
        assert_eq!(why["hold"]["reason"], "empty", "{why}");
        world.decide("discard", &line["job"]);
        assert!(world.loaded() == oracle::good(&file), "discarded, it changes nothing");
        let line = world.held(b"", "0 bytes");
        world.decide("approve", &line["job"]);
        assert!(world.loaded().is_empty(), "approved, it takes over");
        world.write("a.csv", &file);
        world.agrees(&world.run(&["a.csv"]).line(), &file);
    }
}

#[test]
fn records_without_a_header_and_json_lines_that_hold_nothing_are_held_too() {
    for (old, new) in [
        ("format = \"csv\"", "format = \"csv\"\ncsv = { header = false }"),
        ("format = \"csv\"", "format = \"jsonl\""),
    ] {
        let world = World::with_orders();
        world.orders_with(old, new);
        for (what, nothing) in nothings() {
            let text = if nothing.is_empty() { "0 bytes" } else { "hold no row" };
            let line = world.held(&nothing, text);
            assert!(!line["error"].as_str().unwrap().contains("visible"), "{what}: {line}");
        }
    }
}

#[test]
fn an_empty_file_that_is_declared_to_mean_it_takes_rows_away() {
    let (file, _) = Orders::clean(10).csv();
    let world = World::with_orders();
    world.orders_with("format = \"csv\"", "format = \"csv\"\nempty = \"accept\"");
    for (_, nothing) in nothings().into_iter().chain([("a header", COLUMNS.join(",").into())]) {
        world.write("a.csv", &file);
        world.agrees(&world.run(&["a.csv"]).line(), &file);
        world.write("a.csv", &nothing);
        world.agrees(&world.run(&["a.csv"]).line(), b"");
    }
    world.write("a.csv", &file);
    world.run(&["a.csv"]).line();
    let bad = format!("{}\nx,1,n,1.00\n", COLUMNS.join(","));
    world.held(bad.as_bytes(), "none of the file's 1 rows is good");
}

#[test]
fn a_version_without_a_good_row_takes_no_rows_away_until_somebody_says_so() {
    let (file, _) = Orders::clean(10).csv();
    let header = COLUMNS.join(",");
    let bad = format!("{header}\nx,1,n,1.00\nmuch\n");
    for (rowless, text) in [(header.clone(), "a header and no rows"), (bad, "none of the file's 2")]
    {
        let world = World::with_orders();
        world.write("a.csv", &rowless);
        let first = world.run(&["a.csv"]).end();
        assert_eq!(first.lines[0]["state"], "COMMITTED", "nothing is taken away: {first:#?}");
        let checked = ["check", "orders.toml", "a.csv"].map(str::to_owned).to_vec();
        let checked = world.command(checked).end();
        assert!(
            checked.out.contains("where rows of an earlier version are visible"),
            "{checked:#?}"
        );
        world.write("a.csv", &file);
        world.agrees(&world.run(&["a.csv"]).line(), &file);
        let line = world.held(rowless.as_bytes(), text);
        assert!(line["error"].as_str().unwrap().contains("place of the 10 rows"), "{line}");
        assert_eq!(world.why(&line["job"])["hold"]["reason"], "no_rows");
        assert!(world.loaded() == oracle::good(&file));
        // The ledger is lost: what readers see still counts.
        fs::remove_dir_all(world.path("out/.rowproof")).unwrap();
        let line = world.held(rowless.as_bytes(), text);
        assert!(world.loaded() == oracle::good(&file));
        world.decide("approve", &line["job"]);
        assert!(world.loaded().is_empty());
    }
}

#[test]
fn a_file_of_bad_rows_commits_where_nothing_is_replaced() {
    let world = World::with_orders();
    world.orders_with("format = \"csv\"", "format = \"csv\"\nreplaces = \"nothing\"");
    let (file, _) = Orders::clean(10).csv();
    world.write("a.csv", &file);
    world.run(&["a.csv"]).line();
    world.write("a.csv", format!("{}\nmuch\n", COLUMNS.join(",")));
    let line = world.run(&["a.csv"]).line();
    assert_eq!((&line["state"], &line["rows_rejected"]), (&"COMMITTED".into(), &1.into()));
    assert!(world.loaded() == oracle::good(&file));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_holds_nothing_deletes_no_rows_of_a_table() {
    let rows = "id,name,price,at\n1,a,1,2026-11-24T10:00:00Z\n2,b,2,2026-11-24T10:00:00Z\n";
    let header = "id,name,price,at\n";
    let bad = "id,name,price,at\nx,a,1,2026-11-24T10:00:00Z\n";
    for (head, more) in [
        (HEAD.to_owned(), "mode = \"delete_insert\""),
        (
            HEAD.replace("format", "replaces = []\nformat"),
            "mode = \"upsert\"\ndelete_missing = true\ndelete_missing_max = \"100%\"",
        ),
    ] {
        let pipeline =
            format!("{head}{ITEMS}{}", sink(&format!("{more}\ncreate = \"if_missing\"")));
        let case = Case::new(&pipeline, "SELECT").await;
        let ids = || case.list("SELECT id::text FROM items");
        let run = |file: &str| {
            case.world.write("a.csv", file);
            let ended = case.world.run(&["a.csv"]).env("ROWS", case.postgres.url()).end();
            ended.lines.into_iter().next().unwrap()
        };
        assert_eq!(run(rows)["state"], "COMMITTED");
        for (file, text) in [
            ("", "0 bytes"),
            ("\n", "no header and no row"),
            (header, "a header and no rows"),
            (bad, "none of the file's 1"),
        ] {
            let held = run(file);
            assert_eq!(held["state"], "HELD", "{more} {held}");
            let error = held["error"].as_str().unwrap();
            assert!(error.contains(text) && error.contains("2 rows visible now"), "{held}");
            assert_eq!(ids().await, ["1", "2"], "{more}");
        }
        let job = run("")["job"].as_str().unwrap().to_owned();
        let approve = ["approve", &job, "--reason", "closed", "--out", "out"].map(str::to_owned);
        let approved = case.world.command(approve.to_vec()).env("ROWS", case.postgres.url()).end();
        assert_eq!(approved.code, Some(0), "{approved:#?}");
        assert!(ids().await.is_empty(), "{more}");
    }
}
