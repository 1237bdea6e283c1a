//! Failed rows come back corrected: once each, in place, and the books balance at every revision.

use serde_json::Value;

use crate::support::oracle;
use crate::support::orders::Orders;
use crate::support::world::{Ended, World};

/// Decimal numbers with a comma, as a supplier with German settings writes them.
fn with_commas(rows: usize, bad: impl Fn(usize) -> bool) -> (Vec<u8>, Vec<u8>) {
    let (clean, _) = Orders::clean(rows).csv();
    let text = String::from_utf8(clean.clone()).unwrap();
    let mut spoiled = String::new();
    for (n, text) in text.split_inclusive('\n').enumerate() {
        let mut fields: Vec<_> = text.splitn(5, ',').map(str::to_owned).collect();
        // A line within a quoted field, and a blank one, are left alone.
        let whole = fields.len() == 5 && !text.contains('"') && text.matches(',').count() == 9;
        if n > 0 && bad(n) && whole {
            fields[3] = format!("\"{}\"", fields[3].replace('.', ","));
        }
        spoiled.push_str(&fields.join(","));
    }
    (clean, spoiled.into_bytes())
}

const COMMA: &str = "version = 1\npipeline = \"orders\"\n[[fix]]\nwhere = \"column = 'amount'\"\n\
                     column = \"amount\"\ncast = { decimal = \",\" }\n";

fn replay(world: &World, arguments: &[&str]) -> Ended {
    let mut all = vec!["replay".to_owned()];
    all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    all.extend(["--out", "out", "--json"].map(str::to_owned));
    world.command(all).end()
}

fn verified(world: &World, job: &str) {
    let ended = world.command(["verify", job, "--out", "out"].map(str::to_owned).to_vec()).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
}

fn loaded(line: &Value) -> (u64, u64, bool) {
    let number = |name: &str| line[name].as_u64().unwrap();
    (number("rows_loaded"), number("rows_rejected"), line["balanced"] == true)
}

#[test]
fn a_patch_lands_each_row_once_however_often_it_is_given() {
    for packed in [false, true] {
        let world = World::with_orders();
        let (clean, file) = with_commas(120, |n| n % 5 == 0);
        let good = oracle::good(&clean);
        let input = if packed { zstd::encode_all(&file[..], 1).unwrap() } else { file.clone() };
        world.write("a.csv", input);
        world.write("fix.toml", COMMA);
        let first = world.run(&["a.csv"]).chunk_bytes(2_500).line();
        let job = first["job"].as_str().unwrap().to_owned();
        let bad = first["rows_rejected"].as_u64().unwrap();
        assert!(bad >= 5 && first["balanced"] == true, "{first}");

        let dry = replay(&world, &["--patch", "fix.toml", "--dry-run"]);
        assert_eq!((dry.code, dry.lines[0]["loaded"].as_u64()), (Some(0), Some(bad)), "{dry:#?}");
        assert_eq!(world.loaded().len() as u64, 120 - bad, "a dry run writes nothing");

        let ended = replay(&world, &["--patch", "fix.toml"]);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        assert_eq!(loaded(&ended.lines[0]), (120, 0, true), "{ended:#?}");
        assert_eq!(ended.lines[0]["revision"], 1);
        assert!(world.loaded() == good, "every row is there once, as if it had been right");
        verified(&world, &job);

        let again = replay(&world, &["--job", &job, "--patch", "fix.toml"]);
        assert_eq!((again.code, &again.lines[0]["state"]), (Some(0), &Value::from("NOTHING")));
        assert!(world.loaded() == good);
        let rerun = world.run(&["a.csv"]).line();
        assert_eq!(rerun["rows_loaded"], 120, "the same file again changes nothing: {rerun}");
        assert!(world.loaded() == good);
    }
}

#[test]
fn what_a_patch_leaves_a_corrected_export_brings_and_a_newer_file_still_replaces_it_all() {
    let world = World::with_orders();
    let (clean, file) = with_commas(80, |n| n % 4 == 0);
    world.write("a.csv", &file);
    world.write("fix.toml", COMMA);
    let first = world.run(&["a.csv"]).chunk_bytes(2_500).line();
    let job = first["job"].as_str().unwrap().to_owned();
    let bad = first["rows_rejected"].as_u64().unwrap();
    let half = replay(&world, &["--patch", "fix.toml", "--where", "row_number <= 40"]);
    assert_eq!(half.code, Some(0), "{half:#?}");
    let (now, left, balanced) = loaded(&half.lines[0]);
    assert!(now > 80 - bad && left > 0 && now + left == 80 && balanced, "{half:#?}");
    verified(&world, &job);

    let export = ["failures", "export", "--to", "bad.csv", "--out", "out"].map(str::to_owned);
    assert_eq!(world.command(export.to_vec()).end().code, Some(0));
    let text = std::fs::read_to_string(world.path("bad.csv")).unwrap();
    // The record stands quoted in the export, its own quotes doubled.
    let fixed = regex_free_fix(&text);
    world.write("fixed.csv", fixed);
    let rest = replay(&world, &["--fixed", "fixed.csv"]);
    assert_eq!(rest.code, Some(0), "{rest:#?}");
    assert_eq!(loaded(&rest.lines[0]), (80, 0, true), "{rest:#?}");
    assert_eq!(rest.lines[0]["revision"], 2);
    assert!(world.loaded() == oracle::good(&clean));
    verified(&world, &job);

    let (newer, _) = Orders { first_id: 900, ..Orders::clean(30) }.csv();
    world.write("a.csv", &newer);
    world.agrees(&world.run(&["a.csv"]).line(), &newer);
}

/// Turns `""12,34""` into `12.34` in every exported record.
fn regex_free_fix(text: &str) -> String {
    let mut fixed = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\"\"") {
        let (before, after) = rest.split_at(at);
        let inner = &after[2..];
        let end = inner.find("\"\"").unwrap();
        let number = &inner[..end];
        fixed.push_str(before);
        if number.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | '-')) {
            fixed.push_str(&number.replace(',', "."));
        } else {
            fixed.push_str(&after[..end + 4]);
        }
        rest = &inner[end + 2..];
    }
    fixed.push_str(rest);
    fixed
}

#[test]
fn a_held_job_that_a_replay_brings_below_its_limit_commits_by_itself() {
    let world = World::with_orders();
    world.orders_with(
        "[sink.parquet]",
        "[errors]\nhold_if = { rejected = \"5%\", min_rows = 10 }\n\n[sink.parquet]",
    );
    let (clean, file) = with_commas(100, |n| n % 3 == 0);
    world.write("a.csv", &file);
    world.write("fix.toml", COMMA);
    let held = world.run(&["a.csv"]).chunk_bytes(2_500).end();
    held.is("HELD", 3);
    assert!(world.loaded().is_empty());
    let ended =
        replay(&world, &["--job", held.lines[0]["job"].as_str().unwrap(), "--patch", "fix.toml"]);
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert_eq!(ended.lines[0]["parent_state"], "COMMITTED");
    assert!(world.loaded() == oracle::good(&clean));
}

#[test]
fn a_replay_that_cannot_be_is_refused_with_what_to_do() {
    let world = World::with_orders();
    world.write("a.csv", with_commas(30, |n| n % 5 == 0).1);
    world.run(&["a.csv"]).line();
    for (arguments, text) in [
        (&["--where", "error_code = "][..], "--where"),
        (&["--where", "colour = 'red'"], "colour"),
        (&["--patch", "missing.toml"], "missing.toml"),
        (&["--job", "zzz", "--where", "row_number = 1"], "no job zzz"),
        (&[], "--where"),
    ] {
        replay(&world, arguments).refused(text);
    }
}
