//! The same file again, a new version of it, and other files that take its place.

use std::collections::BTreeSet;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::support::oracle;
use crate::support::orders::{COLUMNS, Orders};
use crate::support::table;
use crate::support::world::{ORDERS, World};

/// What a second run must repeat.
fn told(line: &Value) -> Value {
    let mut told = line.clone();
    told["seconds"] = Value::Null;
    told["already_loaded"] = Value::Null;
    told
}

fn orders(first_id: usize, rows: usize) -> Vec<u8> {
    Orders { first_id, seed: first_id as u64, ..Orders::clean(rows) }.csv().0
}

/// S3 tells times apart by the second.
fn next_second() {
    sleep(Duration::from_millis(1_100));
}

#[test]
fn the_same_input_twice_writes_nothing_new() {
    let (file, _) = Orders::flawed(60).csv();
    for processes in [false, true] {
        let world = World::with_orders();
        world.write("a.csv", &file);
        let run = || world.run(&["a.csv"]).processes(processes).chunk_bytes(3_000).line();
        let first = run();
        let stored: Vec<_> = world.stored();
        let modified = |path| fs::metadata(path).unwrap().modified().unwrap();
        let before: Vec<_> = stored.iter().map(modified).collect();
        let second = run();
        assert_eq!(told(&second), told(&first));
        assert_eq!(
            (&first["already_loaded"], &second["already_loaded"]),
            (&false.into(), &true.into())
        );
        assert_eq!(world.stored(), stored);
        // The pipeline file is put where the functions read it, with the same bytes.
        let changed = stored.iter().zip(before).filter(|(path, before)| modified(path) != *before);
        let changed: Vec<_> = changed.map(|(path, _)| path).collect();
        assert!(changed.iter().all(|path| path.ends_with("_pipelines/orders.json")), "{changed:?}");
        world.agrees(&first, &file);
    }
}

#[test]
fn two_inputs_are_two_jobs_with_a_line_each() {
    let world = World::with_orders();
    let (one, two) = (orders(1, 30), orders(1_000, 40));
    world.write("one.csv", &one);
    world.write("two.csv", &two);
    let ended = world.run(&["one.csv", "two.csv"]).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told: Vec<_> =
        ended.lines.iter().map(|line| (&line["input"], &line["rows_loaded"])).collect();
    assert_eq!(
        told,
        [(&Value::from("one.csv"), &Value::from(30)), (&Value::from("two.csv"), &Value::from(40))]
    );
    let mut both = [oracle::good(&one), oracle::good(&two)].concat();
    both.sort();
    assert!(world.loaded() == both);
}

#[test]
fn the_worst_input_gives_the_exit_code() {
    let world = World::with_orders();
    world.write("good.csv", orders(1, 20));
    world.write("held.csv", "id,name\n1,a\n");
    let names: Vec<_> = (0..10_001).map(|n| format!("c{n}")).collect();
    world.write("wide.csv", names.join(","));
    let held = world.run(&["good.csv", "held.csv"]).end();
    assert_eq!(held.code, Some(3), "{held:#?}");
    let failed = world.run(&["good.csv", "held.csv", "wide.csv"]).end();
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    let states: Vec<_> = failed.lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["COMMITTED", "HELD", "FAILED"]);
}

#[test]
fn changed_content_under_the_same_key_takes_the_place_of_the_old_rows() {
    let world = World::with_orders();
    let (old, new) = (orders(1, 50), orders(20, 60));
    world.write("a.csv", &old);
    let first = world.run(&["a.csv"]).chunk_bytes(3_000).line();
    world.agrees(&first, &old);
    world.write("a.csv", &new);
    let second = world.run(&["a.csv"]).chunk_bytes(3_000).line();
    assert_ne!(first["job"], second["job"]);
    world.agrees(&second, &new);
    // And back again: an old version that returns is the newest one.
    world.write("a.csv", &old);
    let third = world.run(&["a.csv"]).line();
    assert_ne!(first["job"], third["job"]);
    world.agrees(&third, &old);
}

#[test]
fn of_files_with_the_same_captures_the_newer_wins_and_keeps_its_place() {
    let world = World::with_orders();
    let source = "match = \"incoming/{supplier}_*.csv\"\nreplaces = [\"supplier\"]";
    world.orders_with("match = \"incoming/*\"", source);
    let (old, new, other) = (orders(1, 20), orders(10, 30), orders(500, 5));
    world.write("acme_z.csv", &old);
    world.write("acme_a.csv", &new);
    world.write("bolt_a.csv", &other);
    world.run(&["acme_z.csv"]).line();
    next_second();
    world.run(&["acme_a.csv", "bolt_a.csv"]).end();
    let mut expected = [oracle::good(&new), oracle::good(&other)].concat();
    expected.sort();
    assert!(world.loaded() == expected);
    let stored = world.stored();
    for _ in 0..2 {
        let ended = world.run(&["acme_z.csv"]).end();
        let line = ended.is("SUPERSEDED", 1);
        assert_eq!(line["error"], "a newer file holds its place");
        assert_eq!(world.stored(), stored);
        assert!(world.loaded() == expected);
    }
    // Uploaded again with other content, it is the newest file.
    next_second();
    let newest = orders(90, 7);
    world.write("acme_z.csv", &newest);
    world.run(&["acme_z.csv"]).line();
    let mut expected = [oracle::good(&newest), oracle::good(&other)].concat();
    expected.sort();
    assert!(world.loaded() == expected);
}

#[test]
fn with_empty_replaces_the_newest_file_is_the_whole_table() {
    let world = World::with_orders();
    world.orders_with("format = \"csv\"", "format = \"csv\"\nreplaces = []");
    let (old, new) = (orders(1, 20), orders(10, 30));
    world.write("monday.csv", &old);
    world.write("friday.csv", &new);
    world.agrees(&world.run(&["monday.csv"]).line(), &old);
    next_second();
    world.agrees(&world.run(&["friday.csv"]).line(), &new);
    world.run(&["monday.csv"]).end().is("SUPERSEDED", 1);
    assert!(world.loaded() == oracle::good(&new));
}

#[test]
fn with_replaces_nothing_every_version_counts_once() {
    let world = World::with_orders();
    world.orders_with("format = \"csv\"", "format = \"csv\"\nreplaces = \"nothing\"");
    let (old, new) = (orders(1, 20), orders(10, 30));
    world.write("a.csv", &old);
    let first = world.run(&["a.csv"]).line();
    assert_eq!(told(&world.run(&["a.csv"]).line()), told(&first));
    world.write("a.csv", &new);
    let second = world.run(&["a.csv"]).line();
    assert_ne!(first["job"], second["job"]);
    let mut both = [oracle::good(&old), oracle::good(&new)].concat();
    both.sort();
    assert!(world.loaded() == both);
}

#[test]
fn a_changed_pipeline_file_starts_the_object_anew_and_says_so() {
    let world = World::with_orders();
    let file = orders(1, 40);
    world.write("a.csv", &file);
    let first = world.run(&["a.csv"]).line();
    world.orders_with("status = \"string\"", "status = { type = \"string\", one_of = [\"paid\"] }");
    let ended = world.run(&["a.csv"]).end();
    assert!(
        ended.err.contains("a.csv: the pipeline file has changed: starting anew"),
        "{ended:#?}"
    );
    let second = ended.is("COMMITTED", 0);
    assert_ne!(first["job"], second["job"]);
    assert_eq!(second["rows_read"], 40);
    let mut paid = oracle::good(&file);
    paid.retain(|row| row[5].as_deref() == Some("paid"));
    assert_eq!(second["rows_loaded"], paid.len());
    assert!(world.loaded() == paid);
    let third = world.run(&["a.csv"]).end();
    assert!(!third.err.contains("starting anew"), "{third:#?}");
    assert_eq!(told(third.is("COMMITTED", 0)), told(second));
}

#[test]
fn a_changed_pipeline_file_never_loads_rows_twice_where_nothing_is_replaced() {
    let world = World::with_orders();
    world.orders_with("format = \"csv\"", "format = \"csv\"\nreplaces = \"nothing\"");
    let file = orders(1, 20);
    world.write("a.csv", &file);
    world.run(&["a.csv"]).line();
    let pipeline = fs::read_to_string(world.path("orders.toml")).unwrap();
    world.write("orders.toml", pipeline.replace("decimal(12,2)", "decimal(13,2)"));
    let ended = world.run(&["a.csv"]).end();
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let error = ended.is("COMMITTED", 1)["error"].as_str().unwrap();
    assert!(error.contains("replaces = \"nothing\""), "{error}");
    assert_eq!(ended.err, "");
    assert!(world.loaded() == oracle::good(&file));
}

#[test]
fn a_file_that_was_not_loaded_starts_anew_even_where_nothing_is_replaced() {
    let world = World::with_orders();
    world.orders_with("format = \"csv\"", "format = \"csv\"\nreplaces = \"nothing\"");
    let file = orders(1, 20);
    let spoilt = String::from_utf8(file.clone()).unwrap().replacen("note", "remark", 1);
    world.write("a.csv", &spoilt);
    world.run(&["a.csv"]).end().is("HELD", 3);
    let pipeline = fs::read_to_string(world.path("orders.toml")).unwrap();
    world.write("orders.toml", pipeline.replace("note = {", "note = { from = \"remark\","));
    world.agrees(&world.run(&["a.csv"]).line(), &file);
}

#[test]
fn over_hold_if_a_job_is_held_and_nothing_is_visible() {
    let world = World::with_orders();
    let (file, _) = Orders::flawed(60).csv();
    let hold =
        "path = \"curated/orders\"\n[errors]\nhold_if = { rejected = \"5%\", min_rows = 20 }";
    world.orders_with("path = \"curated/orders\"", hold);
    world.write("a.csv", &file);
    for _ in 0..2 {
        let ended = world.run(&["a.csv"]).end();
        let line = ended.is("HELD", 3);
        assert!(line["error"].as_str().unwrap().contains("hold_if allows 5 %"), "{line}");
        assert_eq!(line["rows_rejected"], oracle::bad(&file).len());
        assert_eq!(line["data"].as_array().map(Vec::len), Some(0));
        assert!(world.loaded().is_empty());
        assert!(!world.path("out/output/current").exists());
    }
    // A corrected file takes the held one's place.
    let corrected = orders(1, 60);
    world.write("a.csv", &corrected);
    world.agrees(&world.run(&["a.csv"]).line(), &corrected);
}

#[test]
fn a_file_with_other_columns_is_held_before_any_row_or_loaded_as_declared() {
    let row =
        |id: usize| format!("{id},1,n,1.00,EUR,paid,2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,e");
    let header = COLUMNS[..9].join(",");
    let rows: Vec<_> = (0..10).map(row).collect();
    let without_note = format!("{header}\n{}\n", rows.join("\n"));
    let added = format!("{header},tax,note\n{},7%,n\n", rows.join(",7%,n\n"));

    let world = World::with_orders();
    world.write("a.csv", &without_note);
    let ended = world.run(&["a.csv"]).end();
    let line = ended.is("HELD", 3);
    assert_eq!(
        line["error"],
        "the file has no column `note`; approved, the rows would have NULL or the default there"
    );
    assert_eq!((&line["rows_read"], world.loaded().len()), (&Value::from(0), 0));
    world.orders_with("format = \"csv\"", "format = \"csv\"\non_missing_column = \"null\"");
    let line = world.run(&["a.csv"]).line();
    assert_eq!(line["rows_loaded"], 10);
    assert!(world.loaded().iter().all(|row| row[9].is_none()));

    let world = World::with_orders();
    world.write("a.csv", &added);
    let line = world.run(&["a.csv"]).line();
    assert_eq!(line["rows_loaded"], 10, "{line}");
    world.orders_with("format = \"csv\"", "format = \"csv\"\non_new_column = \"hold\"");
    let ended = world.run(&["a.csv"]).end();
    let error = &ended.is("HELD", 3)["error"];
    assert_eq!(error, "the file has columns that the pipeline does not name: `tax`");
    assert_eq!(world.loaded().len(), 10, "the rows of the job before stay visible");
}

#[test]
fn a_file_without_a_column_of_the_file_before_says_what_has_changed() {
    let (file, _) = Orders::clean(10).csv();
    let world = World::with_orders();
    world.write("a.csv", &file);
    world.run(&["a.csv"]).line();
    let text = String::from_utf8(file.clone()).unwrap();
    let renamed = text.replacen(",amount,", ",Amount,", 1).replacen(",note", ",remark", 1);
    world.write("a.csv", renamed);
    let ended = world.run(&["a.csv"]).end();
    let error = ended.is("HELD", 3)["error"].as_str().unwrap();
    for part in [
        "no column `amount`, `note`;",
        "does not name: `Amount`, `remark`;",
        "`Amount` may be `amount` under another name",
        "approved, every row would be rejected, for want of `amount`",
        "the file before it had `amount`, `note` and did not have `Amount`, `remark`",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    // What does not hold it is told too.
    world.write("a.csv", text.replacen(",note", ",note,tax", 1).replace(",\n", ",,7\n"));
    let line = world.run(&["a.csv"]).line();
    let why = ["why", line["job"].as_str().unwrap(), "--out", "out", "--json"];
    let story = world.command(why.map(str::to_owned).to_vec()).line()["story"].to_string();
    assert!(
        story.contains("does not name: `tax`; the file before it did not have `tax`"),
        "{story}"
    );
}

#[test]
fn names_with_any_characters_are_one_key_each() {
    let world = World::with_orders();
    let names = [
        "a b.csv",
        "a+b.csv",
        "a%20b.csv",
        "ü ñ 株.csv",
        "a..dot.csv",
        "_x.csv",
        "a&b=c;d.csv",
        "'q' (1).csv",
    ];
    for (index, name) in names.iter().enumerate() {
        world.write(name, orders(index * 10 + 1, 2));
    }
    let ended = world.run(&names).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let jobs: BTreeSet<_> = ended.lines.iter().map(|line| line["job"].to_string()).collect();
    assert_eq!((jobs.len(), world.loaded().len()), (names.len(), 2 * names.len()));
}

#[test]
fn pipelines_that_read_the_same_files_in_one_folder_load_a_table_each() {
    let world = World::with_orders();
    let (file, other) = (orders(1, 20), orders(50, 10));
    world.write("a.csv", &file);
    world.agrees(&world.run(&["a.csv"]).line(), &file);
    // The name of the other one comes first, and the file fits neither pattern.
    world.write(
        "other.toml",
        ORDERS.replace("\"orders\"", "\"all\"").replace("curated/orders", "curated/all"),
    );
    world.orders_with("incoming/*", "incoming/o*");
    world.write("b.csv", &other);
    let run = |pipeline: &str, input: &str| {
        let arguments = ["run", pipeline, input, "--out", "out", "--json"].map(str::to_owned);
        world.command(arguments.to_vec()).line()
    };
    assert_eq!(run("other.toml", "a.csv")["rows_loaded"], 20);
    assert_eq!(run("other.toml", "b.csv")["rows_loaded"], 10);
    assert_eq!(run("orders.toml", "b.csv")["rows_loaded"], 10);
    let mut both = [oracle::good(&file), oracle::good(&other)].concat();
    both.sort();
    assert!(world.loaded() == both);
    assert!(table::rows(&world.path("out/output/curated/all"), &COLUMNS) == both);
}

#[test]
fn of_two_inputs_for_one_place_one_is_loaded_and_the_other_is_not() {
    let world = World::with_orders();
    world.orders_with(
        "match = \"incoming/*\"",
        "match = \"incoming/{day}_*.csv\"\nreplaces = [\"day\"]",
    );
    let files = [orders(1, 20), orders(50, 10)];
    world.write("monday_1.csv", &files[0]);
    world.write("monday_2.csv", &files[1]);
    for inputs in [["monday_1.csv", "monday_2.csv"], ["monday_2.csv", "monday_1.csv"]] {
        let ended = world.run(&inputs).end();
        let mut states: Vec<_> =
            ended.lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
        states.sort_unstable();
        assert_eq!((states, ended.code), (vec!["COMMITTED", "SUPERSEDED"], Some(1)), "{ended:#?}");
        let loaded = world.loaded();
        assert!(files.iter().any(|file| oracle::good(file) == loaded), "{} rows", loaded.len());
    }
}

#[test]
fn a_folder_whose_files_were_removed_says_so() {
    let world = World::with_orders();
    world.write("a.csv", orders(1, 20));
    world.run(&["a.csv"]).line();
    fs::remove_dir_all(world.path("out/output")).unwrap();
    let ended = world.run(&["a.csv"]).end();
    let error = ended.is("COMMITTED", 1)["error"].as_str().unwrap();
    assert!(error.contains("is gone: files of this folder were removed"), "{error}");
}

#[test]
fn a_lost_ledger_costs_time_and_no_rows() {
    let world = World::with_orders();
    let older = orders(1, 30);
    world.write("a.csv", &older);
    world.run(&["a.csv"]).line();
    fs::remove_file(world.path("out/.rowproof/ledger.db")).unwrap();
    let newer = orders(500, 40);
    world.write("a.csv", &newer);
    let line = world.run(&["a.csv"]).line();
    // A plain listing shows the newer rows alone, and so does the pointer.
    world.agrees(&line, &newer);
}
