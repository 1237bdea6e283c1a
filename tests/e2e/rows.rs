//! Where every row of a file goes, however the file is packed and cut.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::support::orders::Orders;
use crate::support::table;
use crate::support::world::World;

/// What a receipt says about rows, apart from how they were cut.
fn totals(line: &Value) -> Vec<Value> {
    let keys = ["rows_read", "rows_loaded", "rows_rejected", "bytes_read", "reasons", "balanced"];
    keys.iter().map(|key| line[key].clone()).collect()
}

/// The digests of the manifest.
fn digests(world: &World, line: &Value) -> (Value, Value) {
    let path = world.path("out").join(line["manifest"].as_str().unwrap());
    let manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let totals = &manifest["totals"];
    (totals["source_digest"].clone(), totals["loaded_digest"].clone())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_row_is_loaded_or_archived_with_its_code_number_and_place() {
    let world = World::with_orders();
    let (file, _) = Orders::flawed(600).csv();
    world.write("a.csv", &file);
    let line = world.run(&["a.csv"]).chunk_bytes(9_000).env("ROWPROOF_BLOCK_BYTES", 700).line();
    assert!(line["chunks"].as_u64().unwrap() > 4, "{line}");
    world.agrees(&line, &file);
}

#[test]
fn a_packed_file_gives_the_same_rows_places_and_digests() {
    let (file, _) = Orders::flawed(300).csv();
    let (first, second) = file.split_at(10_000);
    let members = [gzip(first), gzip(b""), gzip(second)].concat();
    let frames =
        [zstd::encode_all(first, 1).unwrap(), zstd::encode_all(second, 1).unwrap()].concat();
    let mut seen = Vec::new();
    for (name, bytes) in [("a.csv", &file), ("a.csv.gz", &members), ("a.csv.zst", &frames)] {
        let world = World::with_orders();
        world.write(name, bytes);
        let line = world.run(&[name]).chunk_bytes(9_000).line();
        assert_eq!(line["bytes_read"], bytes.len());
        assert!(line["chunks"].as_u64().unwrap() > 2, "{line}");
        world.agrees(&line, &file);
        seen.push(digests(&world, &line));
    }
    assert!(seen.iter().all(|digests| *digests == seen[0]), "{seen:?}");
}

#[test]
fn json_lines_give_the_rows_of_the_same_csv() {
    let orders = Orders::clean(200);
    let (csv, _) = orders.csv();
    let world = World::new();
    let pipeline = crate::support::world::ORDERS.replace("\"csv\"", "\"jsonl\"");
    world.write("orders.toml", pipeline);
    world.write("a.jsonl", orders.jsonl());
    let line = world.run(&["a.jsonl"]).chunk_bytes(9_000).line();
    assert!(line["chunks"].as_u64().unwrap() > 2, "{line}");
    world.agrees(&line, &csv);
}

#[test]
fn chunk_and_block_sizes_change_neither_rows_nor_receipt() {
    let (file, _) = Orders::flawed(66).csv();
    let mut seen = Vec::new();
    for (rows, bytes, block) in
        [(1, 1 << 20, 1), (7, 1 << 20, 64), (500, 2_000, 4_096), (500, 1 << 20, 1 << 20)]
    {
        let world = World::with_orders();
        world.write("a.csv", &file);
        let run = world.run(&["a.csv"]).chunk_bytes(bytes);
        let run = run.env("ROWPROOF_CHUNK_ROWS", rows).env("ROWPROOF_BLOCK_BYTES", block);
        let line = run.line();
        world.agrees(&line, &file);
        if rows == 1 {
            assert_eq!(line["chunks"], line["rows_read"]);
        }
        seen.push((totals(&line), digests(&world, &line)));
    }
    assert!(seen.iter().all(|totals| *totals == seen[0]), "{seen:#?}");
}

#[test]
fn functions_as_processes_give_the_same_bytes() {
    let (file, _) = Orders::flawed(200).csv();
    let mut seen = Vec::new();
    for processes in [false, true] {
        let world = World::with_orders();
        world.write("a.csv", &file);
        let line = world.run(&["a.csv"]).processes(processes).chunk_bytes(9_000).line();
        world.agrees(&line, &file);
        let data = world.path("out/output/curated");
        let files = table::files(&data)
            .into_iter()
            .map(|path| (path.strip_prefix(&data).unwrap().to_owned(), fs::read(&path).unwrap()));
        seen.push((files.collect::<Vec<_>>(), line["data"].clone()));
    }
    assert!(!seen[0].0.is_empty());
    assert!(seen[0] == seen[1], "the files differ");
}

#[test]
fn a_packed_file_of_many_chunks_has_the_rows_of_all_of_them() {
    let (file, _) = Orders::flawed(66).csv();
    let world = World::with_orders();
    world.write("a.csv", gzip(&file));
    let line = world.run(&["a.csv"]).env("ROWPROOF_CHUNK_ROWS", 1).line();
    world.agrees(&line, &file);
    assert!(line["chunks"].as_u64().unwrap() >= 67, "{line}");
}

#[test]
fn text_in_another_encoding_gives_the_same_rows_with_places_in_utf_8() {
    let (file, _) = Orders { flaw_every: 9, ..Orders::clean(60) }.csv();
    let text = String::from_utf8_lossy(&file).replace('\u{fffd}', "?").replace("Bad??Name", "B\"");
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark = [b"\xff\xfe".as_slice(), &wide].concat();
    for bytes in [wide, with_mark] {
        let world = World::with_orders();
        world
            .orders_with("format = \"csv\"", "format = \"csv\"\ncsv = { encoding = \"utf-16le\" }");
        world.write("a.csv", &bytes);
        let line = world.run(&["a.csv"]).chunk_bytes(2_000).line();
        assert!(line["chunks"].as_u64().unwrap() > 2, "{line}");
        assert_eq!(line["bytes_read"], bytes.len());
        world.agrees(&line, text.as_bytes());
    }
}
