//! Files and commands that are wrong: each has its own message and exit code, and shows nothing.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::oracle;
use crate::support::orders::{COLUMNS, Orders};
use crate::support::world::World;

/// A file that fails as a whole, with a message that holds all these texts.
fn fails(name: &str, bytes: &[u8], texts: &[&str]) {
    let world = World::with_orders();
    world.write(name, bytes);
    let ended = world.run(&[name]).chunk_bytes(9_000).end();
    let line = ended.is("FAILED", 1);
    let error = line["error"].as_str().unwrap();
    assert!(texts.iter().all(|text| error.contains(text)), "{texts:?} are not in {error:?}");
    assert!(world.loaded().is_empty());
    assert!(!world.path("out/output/current").exists());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_missing_file_and_a_folder_are_bad_usage() {
    let world = World::with_orders();
    world.run(&["none.csv"]).end().refused("none.csv");
    fs::create_dir(world.path("folder")).unwrap();
    world.run(&["folder"]).end().refused("folder is not a file; name the files in it");
    world.write("a.csv", "");
    world.write("b/a.csv", "");
    world.run(&["a.csv", "b/a.csv"]).end().refused("would both be stored as incoming/a.csv");
    assert!(!world.path("out").exists(), "nothing was started");
}

#[test]
fn an_unusable_folder_is_bad_usage() {
    let world = World::with_orders();
    world.write("a.csv", "");
    world.write("out", "a file");
    world.run(&["a.csv"]).end().refused("out: ");
}

#[test]
fn files_with_a_header_alone_commit_no_rows() {
    let header = COLUMNS.join(",");
    let files = [
        ("header", header.clone()),
        ("header with line end", format!("{header}\r\n")),
        ("header with BOM and blank lines", format!("\u{feff}{header}\n\n\n")),
    ];
    for (what, text) in files {
        let world = World::with_orders();
        world.write("a.csv", &text);
        let line = world.run(&["a.csv"]).line();
        assert_eq!((&line["rows_read"], &line["balanced"]), (&0.into(), &true.into()), "{what}");
        assert_eq!(line["bytes_read"], text.len(), "{what}");
        assert!(line["manifest"].is_string(), "{what}");
        assert!(world.loaded().is_empty(), "{what}");
        assert_eq!(world.run(&["a.csv"]).line()["job"], line["job"], "{what}");
    }
}

#[test]
fn binary_files_fail_with_what_they_are() {
    let junk: Vec<u8> =
        (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fails("a.csv", &junk, &["s3://input/incoming/a.csv", "not text"]);
    fails("a.csv", &[b"PK\x03\x04".as_slice(), &junk].concat(), &["zip"]);
    fails("a.csv", &[b"PAR1".as_slice(), &junk].concat(), &["Parquet"]);
}

#[test]
fn a_cut_off_packed_file_fails_and_shows_none_of_its_rows() {
    let (file, _) = Orders::clean(600).csv();
    let (gz, zst) = (gzip(&file), zstd::encode_all(&file[..], 1).unwrap());
    fails("a.csv.gz", &gz[..gz.len() - 5], &["gzip"]);
    fails("a.csv.gz", &gz[..gz.len() / 2], &["gzip"]);
    fails("a.csv.gz", &gz[..12], &["gzip"]);
    fails("a.csv.zst", &zst[..zst.len() - 5], &["zstd"]);
    let mut broken = gz.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 0x55;
    fails("a.csv.gz", &broken, &["gzip"]);
}

#[test]
fn a_valid_file_that_compresses_well_loads_and_one_setting_is_read_by_all() {
    let (file, _) = Orders::clean(10).csv();
    let spaced = [file.clone(), vec![b'\n'; 30 << 20]].concat();
    let world = World::with_orders();
    world.write("a.csv.gz", {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&spaced).unwrap();
        encoder.finish().unwrap()
    });
    let line = world.run(&["a.csv.gz"]).line();
    assert!(spaced.len() as u64 > 200 * line["bytes_read"].as_u64().unwrap(), "{line}");
    world.agrees(&line, &file);
    for verb in [&["check", "orders.toml"][..], &["init"], &["run", "orders.toml"]] {
        let mut arguments: Vec<_> = verb.iter().map(|word| (*word).to_owned()).collect();
        arguments.push("a.csv.gz".to_owned());
        let ended = world.command(arguments).env("ROWPROOF_RATIO_MAX", "many").end();
        assert_ne!(ended.code, Some(0), "{verb:?}: {ended:#?}");
        assert!(ended.err.contains("ROWPROOF_RATIO_MAX"), "{verb:?}: {ended:#?}");
    }
}

#[test]
fn the_bytes_decide_how_a_file_is_packed_not_its_name() {
    let (file, _) = Orders::clean(30).csv();
    for (name, bytes) in [("a.csv.gz", file.clone()), ("a.csv", gzip(&file))] {
        let world = World::with_orders();
        world.write(name, bytes);
        world.agrees(&world.run(&[name]).line(), &file);
    }
}

#[test]
fn a_header_that_cannot_be_used_fails() {
    let names: Vec<_> = (0..10_001).map(|n| format!("c{n}")).collect();
    fails("a.csv", names.join(",").as_bytes(), &["10001 columns", "limit of 10000"]);
}

#[test]
fn a_header_that_is_in_doubt_is_held_with_what_the_rows_say() {
    let (file, _) = Orders::clean(20).csv();
    let rows = String::from_utf8(file).unwrap();
    let (header, rows) = rows.split_once('\n').unwrap();
    let damaged = [
        ("a name twice", format!("{header},id"), "`id`"),
        ("a stray quote", header.replacen("name", "na\"me", 1), "quote"),
        ("a name too few", header.replacen("id,", "", 1), "9"),
    ];
    for (what, header, text) in damaged {
        let world = World::with_orders();
        world.write("a.csv", format!("{header}\n{rows}"));
        let ended = world.run(&["a.csv"]).end();
        let error = ended.is("HELD", 3)["error"].as_str().unwrap();
        assert!(error.contains(text), "{what}: {text:?} is not in {error:?}");
        assert!(world.loaded().is_empty(), "{what}");
    }
}

#[test]
fn a_field_over_the_limit_costs_its_own_row() {
    let (file, _) = Orders::clean(20).csv();
    let huge = vec![b'x'; 20 << 20];
    let row = [
        b"99,1,".as_slice(),
        &huge,
        b",1.00,EUR,paid,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,e,\n",
    ];
    let (mut text, line_ends) = (file.clone(), file.len());
    text.extend(row.concat());
    text.extend(b"100,1,n,1.00,EUR,paid,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,e,\n");
    let world = World::with_orders();
    world.write("a.csv", &text);
    let line = world.run(&["a.csv"]).line();
    assert_eq!((&line["rows_loaded"], &line["rows_rejected"]), (&21.into(), &1.into()), "{line}");
    let rejected = world.rejected(line["job"].as_str().unwrap());
    let (start, len) = (line_ends as i64, row.concat().len() as i64);
    assert_eq!(rejected, [(21, start, start + len - 1, "too_large".to_owned())]);
    assert_eq!(world.loaded().len(), oracle::good(&file).len() + 1);
}

#[test]
fn every_problem_of_a_pipeline_file_is_told_with_its_line() {
    let world = World::new();
    world.write("a.csv", "");
    let text = "version = 1\nname = \"orders\"\ncolour = 1\n[source]\nmatch = \"incoming/*\"\n\
                format = \"xml\"\n[columns]\nid = \"int65\"\nid2 = { type = \"int64\", nulable = true }\n\
                [sink.parquet]\npath = \"/x\"\n";
    world.write("orders.toml", text);
    let ended = world.run(&["a.csv"]).end();
    for (line, text) in [(3, "colour"), (6, "xml"), (8, "int65"), (9, "nulable"), (11, "/x")] {
        let place = format!("orders.toml:{line}");
        let told = ended.err.lines().any(|told| told.contains(&place) && told.contains(text));
        assert!(told, "{place} {text}: {ended:#?}");
    }
    assert_eq!(ended.code, Some(2));
    assert!(!world.path("out").exists(), "nothing was started");
}

#[test]
fn a_pipeline_file_that_is_none_is_bad_usage() {
    let world = World::new();
    world.write("a.csv", "");
    world.run(&["a.csv"]).end().refused("orders.toml");
    world.write("orders.toml", "version = \n= 1\n");
    world.run(&["a.csv"]).end().refused("orders.toml:1");
    world.write("orders.toml", [0xff, 0xfe, 0]);
    world.run(&["a.csv"]).end().refused("orders.toml");
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let cases = [
        ("[columns]", "[rules]\nok = \"id > 0\"\n[columns]", "rules"),
        ("id = {", "twice = { type = \"int64\", sql = \"id * 2\" }\nid = {", "sql"),
        ("format = \"csv\"", "format = \"parquet\"", "parquet"),
        ("[sink.parquet]\npath = \"curated/orders\"", "[sink.postgres]\ntable = \"x\"", "ostgres"),
    ];
    for (old, new, named) in cases {
        let world = World::new();
        world.orders_with(old, new);
        world.write("a.csv", "");
        world.run(&["a.csv"]).end().refused(named);
    }
}

#[test]
fn a_name_that_the_pattern_needs_and_does_not_find_is_bad_usage() {
    let world = World::new();
    world.orders_with("incoming/*", "incoming/{supplier}_{day:%Y%m%d}.csv");
    world.write("a.csv", "");
    world.write("acme_20240231.csv", "");
    world.run(&["a.csv"]).end().refused("does not fit source.match");
    world.run(&["acme_20240231.csv"]).end().refused("does not fit source.match");
    let world = World::new();
    world.orders_with("incoming/*", "incoming/x*.csv");
    let (file, _) = Orders::clean(3).csv();
    world.write("a.csv", &file);
    let ended = world.run(&["a.csv"]).end();
    assert!(ended.err.contains("warning: a.csv"), "{ended:#?}");
    world.agrees(ended.is("COMMITTED", 0), &file);
}
