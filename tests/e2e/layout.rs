//! How the sink's files lie in folders, and the columns that are added to them.

use std::collections::BTreeMap;

use crate::support::oracle;
use crate::support::orders::{COLUMNS, Orders};
use crate::support::table;
use crate::support::world::World;

fn with_sink(world: &World, line: &str) {
    let path = "path = \"curated/orders\"";
    world.orders_with(path, &format!("{path}\n{line}"));
}

/// Rows by the folder that they lie in, below the sink's path.
fn folders(world: &World) -> BTreeMap<String, usize> {
    let sink = world.path("out/output/curated/orders");
    let mut folders = BTreeMap::new();
    for path in table::files(&sink) {
        let folder = path.parent().unwrap().strip_prefix(&sink).unwrap().display().to_string();
        *folders.entry(folder).or_default() += table::read(&path).len();
    }
    folders
}

fn counted(folders: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for folder in folders {
        *counts.entry(folder).or_default() += 1;
    }
    counts
}

#[test]
fn partitions_by_columns_hold_the_rows_of_their_values() {
    for status in [None, Some("50 %/a=b:c*.ü"), Some("..")] {
        let world = World::with_orders();
        with_sink(&world, "partition_by = [\"status\", \"note\"]");
        let (file, _) = Orders { status, ..Orders::flawed(40) }.csv();
        world.write("a.csv", &file);
        let line = world.run(&["a.csv"]).chunk_bytes(2_000).line();
        // The files lack these columns: their folders stand for them.
        world.agrees(&line, &file);
        let shape = |folder: &String| folder.starts_with("status=") && folder.contains("/note=");
        assert!(folders(&world).keys().all(shape), "{:?}", folders(&world));
    }
}

#[test]
fn partitions_by_month_hold_the_rows_of_that_month() {
    let world = World::with_orders();
    with_sink(&world, "partition_by = [\"month(created_at)\"]");
    let (file, _) = Orders::clean(60).csv();
    world.write("a.csv", &file);
    world.agrees(&world.run(&["a.csv"]).line(), &file);
    let months = [1_704_067_200, 1_706_745_600, 1_709_251_200, i64::MAX];
    let month = |row: oracle::Row| {
        let second = row[6].as_ref().unwrap().parse::<i64>().unwrap() / 1_000_000;
        let month = months.iter().position(|start| second < *start).unwrap();
        format!("created_at_month=2024-{month:02}")
    };
    assert_eq!(folders(&world), counted(oracle::good(&file).into_iter().map(month)));
}

/// Error texts of all rejected rows.
fn errors(world: &World) -> Vec<String> {
    let files = table::files(&world.path("out/failures"));
    let rows = files.iter().flat_map(|path| table::read(path));
    rows.map(|row| row["error"].clone().unwrap()).collect()
}

#[test]
fn a_257th_partition_costs_its_rows_and_not_the_file() {
    let world = World::with_orders();
    with_sink(&world, "partition_by = [\"id\"]");
    let (file, _) = Orders::clean(258).csv();
    world.write("a.csv", &file);
    let line = world.run(&["a.csv"]).line();
    assert_eq!((&line["rows_loaded"], &line["rows_rejected"]), (&256.into(), &2.into()), "{line}");
    assert_eq!(line["balanced"], true);
    let early = |row: &oracle::Row| row[0].as_ref().unwrap().parse::<u64>().unwrap() <= 256;
    let first: Vec<_> = oracle::good(&file).into_iter().filter(early).collect();
    assert!(world.loaded() == first, "the first 256 partitions are there");
    for error in errors(&world) {
        assert!(error.starts_with("id: ") && error.contains("256"), "{error}");
    }
    let job = line["job"].as_str().unwrap();
    let verify = ["verify", job, "--out", "out", "--json"].map(str::to_owned).to_vec();
    assert_eq!(world.command(verify).end().code, Some(0));
}

#[test]
fn a_value_that_names_no_folder_costs_its_row_and_no_replay_lands_it() {
    let world = World::with_orders();
    with_sink(&world, "partition_by = [\"status\"]");
    let long: &str = "x".repeat(300).leak();
    let (file, _) = Orders { status: Some(long), ..Orders::clean(3) }.csv();
    world.write("a.csv", &file);
    let line = world.run(&["a.csv"]).line();
    assert_eq!((&line["rows_loaded"], &line["rows_rejected"]), (&0.into(), &3.into()), "{line}");
    for error in errors(&world) {
        assert!(error.starts_with("status: ") && error.contains("200 bytes"), "{error}");
        assert!(!error.contains("xxx"), "no value: {error}");
    }
}

#[test]
fn added_columns_say_where_a_row_came_from_and_when() {
    let world = World::with_orders();
    with_sink(&world, "add = [\"_source_file\", \"_source_row\", \"_loaded_at\"]");
    let (file, _) = Orders::flawed(60).csv();
    world.write("a.csv", &file);
    let line = world.run(&["a.csv"]).chunk_bytes(2_000).line();
    let columns = [&COLUMNS[..1], &["_source_file", "_source_row", "_loaded_at"]].concat();
    let rows = table::rows(&world.path("out/output/curated"), &columns);
    assert_eq!(line["rows_loaded"], rows.len());
    let numbers: BTreeMap<_, _> = oracle::judge(&file)
        .into_iter()
        .filter_map(|row| Some((row.verdict.ok()?[0].clone(), row.number)))
        .collect();
    for row in &rows {
        assert_eq!(row[1].as_deref(), Some("s3://input/incoming/a.csv"));
        assert_eq!(row[2], Some(numbers[&row[0]].to_string()));
        assert_eq!(row[3], rows[0][3], "one time for the whole job");
    }
}
