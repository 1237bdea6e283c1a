//! Objects as a whole, through the whole program: what commits, what fails, and what changes under way.

use std::io::Write;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rowproof_io::aws::clients::Clients;
use rowproof_io::aws::store::Store;
use rowproof_io::clock::Clock;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::oracle;
use crate::support::orders::{COLUMNS, Orders};
use crate::support::table;
use crate::support::world::{Running, World};

/// Far above what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive of one file.
fn tar(bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..5].copy_from_slice(b"a.csv");
    header[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    [header.as_slice(), bytes, &[0; 1024]].concat()
}

/// The file's state, and a text that its error holds.
type Expected = (&'static str, Option<&'static str>);

/// Runs all files at once; each has an outcome of its own, and only good ones show rows.
fn each_becomes(world: &World, files: &[(&str, Vec<u8>, Expected)]) -> Vec<Value> {
    for (name, bytes, _) in files {
        world.write(name, bytes);
    }
    let names: Vec<&str> = files.iter().map(|(name, ..)| *name).collect();
    let ended = world.run(&names).chunk_bytes(9_000).end();
    assert_eq!(ended.lines.len(), files.len(), "{ended:#?}");
    for (line, (name, _, (state, text))) in ended.lines.iter().zip(files) {
        assert_eq!(
            (line["input"].as_str(), line["state"].as_str()),
            (Some(*name), Some(*state)),
            "{line}"
        );
        let error = line["error"].as_str();
        assert_eq!(error.is_some(), text.is_some(), "{line}");
        let told = text.is_none_or(|text| error.is_some_and(|error| error.contains(text)));
        assert!(told, "{text:?} is not in {line}");
        assert_eq!(line["manifest"].is_string(), *state == "COMMITTED", "{line}");
    }
    ended.lines
}

#[test]
fn headers_without_rows_commit_and_others_load_however_they_are_called() {
    let world = World::with_orders();
    let header = COLUMNS.join(",");
    let orders = |first_id| Orders { first_id, ..Orders::clean(40) }.csv().0;
    let (zst, committed) = (zstd::encode_all(&orders(300)[..], 1).unwrap(), ("COMMITTED", None));
    let files = [
        ("header.csv", header.clone().into(), committed),
        ("header_line.csv", format!("\u{feff}{header}\r\n\r\n").into(), committed),
        ("plain.csv.gz", orders(100), committed),
        ("packed.csv", gzip(&orders(200)), committed),
        ("a name + more ü%2B.csv", zst, committed),
        ("members.gz", [gzip(&orders(400)[..999]), gzip(&orders(400)[999..])].concat(), committed),
        ("again.csv", orders(100), committed),
    ];
    let lines = each_becomes(&world, &files);
    let mut expected: Vec<_> =
        [100, 200, 300, 400, 100].into_iter().flat_map(|id| oracle::good(&orders(id))).collect();
    expected.sort();
    assert!(world.loaded() == expected, "one content under two keys is two files");
    for (line, (name, bytes, _)) in lines.iter().zip(&files) {
        assert_eq!(line["balanced"], true, "{line}");
        assert_eq!(line["bytes_read"], bytes.len(), "{name} was read to its last byte");
    }
    let again = each_becomes(&world, &files);
    let jobs = |lines: &[Value]| lines.iter().map(|line| line["job"].clone()).collect::<Vec<_>>();
    assert_eq!(jobs(&again), jobs(&lines), "one content under its key is one file");
}

#[test]
fn objects_that_cannot_be_read_fail_or_wait_and_show_nothing() {
    let world = World::with_orders();
    world.orders_with("format = \"csv\"", "format = \"csv\"\non_new_column = \"hold\"");
    let (file, _) = Orders::clean(600).csv();
    let (gz, zst) = (gzip(&file), zstd::encode_all(&file[..], 1).unwrap());
    let mut wrong_sum = gz.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    let zeros = vec![b'0'; 64 << 20];
    let header = COLUMNS.join(",");
    let utf16: Vec<u8> = "\u{feff}id,name\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let long = |count: usize| {
        let names: Vec<String> =
            (0..count).map(|at| format!("{at}{}", "x".repeat(100_000))).collect();
        format!("{header},{}\n", names.join(","))
    };
    let twice = format!("{0},{0}\n", "y".repeat(900_000));
    let failed = |text| ("FAILED", Some(text));
    let files = [
        ("cut.csv.gz", gz[..gz.len() - 5].to_vec(), failed("truncated: ")),
        ("half.csv.gz", gz[..gz.len() / 2].to_vec(), failed("truncated: ")),
        ("sum.csv.gz", wrong_sum, failed("corrupt: ")),
        ("tail.csv.gz", [gz.clone(), b"x".to_vec()].concat(), failed("corrupt: ")),
        ("cut.csv.zst", zst[..zst.len() - 5].to_vec(), failed("truncated: ")),
        ("twice.csv.gz", gzip(&gz), failed("packed twice")),
        ("tar.csv.gz", gzip(&tar(&file)), failed("a tar archive inside gzip")),
        ("window.csv.zst", b"\x28\xB5\x2F\xFD\x00\xA8\x01\0\0".to_vec(), failed("codec: ")),
        ("a.csv.snappy", b"\0\0\0\x05\0\0\0\x07\x05\x10id,t\n".to_vec(), failed("Hadoop's blocks")),
        ("a.csv.deflate", b"\x78\x9C\x4B\x04\0".to_vec(), failed("zlib")),
        ("empty.csv", Vec::new(), ("HELD", Some("0 bytes"))),
        ("bom.csv", "\u{feff}".into(), ("HELD", Some("no header and no row"))),
        ("nothing.csv.gz", gzip(b""), ("HELD", Some("no header and no row"))),
        ("zeros.csv.zst", zstd::encode_all(&zeros[..], 1).unwrap(), failed("no end of the header")),
        ("zip.csv", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec(), failed("codec: ")),
        ("xz.csv", b"\xFD7zXZ\0\0\x04".to_vec(), failed("codec: ")),
        ("bz2.csv", b"BZh91AY&SY\x01".to_vec(), failed("codec: ")),
        ("parquet.csv", b"PAR1\x15\x04\x15\x04".to_vec(), failed("codec: ")),
        ("utf16.csv", utf16, failed("not text")),
        ("twice.csv", twice.into_bytes(), ("HELD", Some("has no column"))),
        ("new.csv", long(1).into_bytes(), ("HELD", Some("does not name"))),
        ("long_new.csv", long(20).into_bytes(), ("HELD", Some("and 12 more"))),
        ("forged.csv", b"id,\"\x1b[31m\n{\"\"level\"\":1}\"\n".to_vec(), ("HELD", Some("u001B"))),
    ];
    for line in each_becomes(&world, &files) {
        let error = line["error"].as_str().unwrap();
        assert!(error.len() < 2_000 && !error.contains(char::is_control), "{error:?}");
    }
    assert!(world.loaded().is_empty());
    assert!(!world.path("out/output/current").exists());
}

/// `rowproof dev` over the world's folder, and its bucket.
struct Dev<'a> {
    world: &'a World,
    /// `None` once it was stopped.
    running: Option<Running>,
    clients: Clients,
    runtime: tokio::runtime::Runtime,
}

impl Dev<'_> {
    fn start(world: &World) -> Dev<'_> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments = ["dev", "orders.toml", "--out", "out", "--workers", "1", "--port"];
        let arguments = arguments.into_iter().map(str::to_owned).chain([port.to_string()]);
        let running = world.command(arguments.collect()).chunk_bytes(2_000).start();
        let clients = Clients::local(
            &format!("http://127.0.0.1:{port}"),
            "us-east-1",
            "rowproof",
            "rowproof",
        );
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let dev = Dev { world, running: Some(running), clients, runtime };
        dev.until("it is up", || {
            dev.runtime.block_on(dev.clients.s3.list_buckets().send()).is_ok()
        });
        dev
    }

    fn until(&self, what: &str, there: impl Fn() -> bool) {
        let started = Instant::now();
        while !there() {
            assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
            sleep(Duration::from_millis(10));
        }
    }

    fn put(&self, file: &[u8]) {
        let store = Store::new(self.clients.s3.clone(), Clock::system());
        let put = store.put("input", "incoming/a.csv", file.to_vec().into());
        self.runtime.block_on(put).unwrap();
    }

    fn delete(&self) {
        let delete = self.clients.s3.delete_object().bucket("input").key("incoming/a.csv");
        self.runtime.block_on(delete.send()).unwrap();
    }

    /// Some of the object's chunks are done, and far from all.
    fn until_it_is_read(&self) {
        let staged = || table::files(&self.world.path("out/output/_staging")).len();
        self.until("chunks are staged", || staged() > 3);
        assert!(staged() < 60, "the file is too small to be changed in the middle");
    }

    /// States of all jobs once each has settled, sorted.
    fn settled(&self, jobs: usize) -> Vec<String> {
        let states = || {
            // A process for each look: seldom, for they take the time of what is waited for.
            sleep(Duration::from_millis(400));
            let arguments = ["status", "--out", "out", "--json"].map(str::to_owned);
            let lines = self.world.command(arguments.to_vec()).end().lines;
            let state = |line: &Value| line["state"].as_str().unwrap().to_owned();
            let mut states: Vec<String> = lines.iter().map(state).collect();
            states.sort();
            states
        };
        let over =
            |state: &String| !["PLANNING", "RUNNING", "COMMITTING"].contains(&state.as_str());
        let settled = |states: &[String]| states.len() >= jobs && states.iter().all(over);
        self.until("the jobs settle", || settled(&states()));
        states()
    }

    /// Ends it as Ctrl-C does.
    fn stop(mut self) {
        let running = self.running.take().unwrap();
        let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let ended = running.end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
    }
}

impl Drop for Dev<'_> {
    fn drop(&mut self) {
        self.running.take().into_iter().for_each(|running| drop(running.kill()));
    }
}

#[test]
fn an_object_that_is_replaced_or_removed_while_it_is_read_gives_rows_of_one_version_or_none() {
    let old = Orders::flawed(1_500).csv().0;
    let new = Orders { first_id: 50_000, ..Orders::flawed(300) }.csv().0;
    for packed in [false, true] {
        let stored = if packed { zstd::encode_all(&old[..], 1).unwrap() } else { old.clone() };
        let world = World::with_orders();
        let dev = Dev::start(&world);
        dev.put(&stored);
        dev.until_it_is_read();
        dev.put(&new);
        // A packed object is one stream, which may reach its end and commit before it is replaced.
        let states = dev.settled(2);
        let ended_first = packed && states == ["COMMITTED", "COMMITTED"];
        assert!(ended_first || states == ["COMMITTED", "SUPERSEDED"], "{packed} {states:?}");
        dev.stop();
        assert!(world.loaded() == oracle::good(&new), "only rows of the newer version are there");
    }
    let world = World::with_orders();
    let dev = Dev::start(&world);
    dev.put(&old);
    dev.until_it_is_read();
    dev.delete();
    assert_eq!(dev.settled(1), ["FAILED"]);
    dev.stop();
    assert!(world.loaded().is_empty() && !world.path("out/output/current").exists());
}

#[test]
fn a_file_s_name_forges_no_line_and_moves_no_cursor() {
    let world = World::with_orders();
    let (file, _) = Orders::clean(5).csv();
    let names = [
        "\u{1b}[2J\u{1b}]0;owned\u{7}.csv",
        "a\n{\"level\":\"ERROR\",\"message\":\"forged\"}.csv",
        "b\rc\u{202e}vsc.csv",
        "=cmd|' %2F..%2f && $(id) `id`.csv",
        "ü\u{308}😀\u{a0}.csv",
    ];
    for name in names {
        world.write(name, &file);
    }
    world.write("bad\n\u{1b}[31m.csv", "id,id\n");
    let ended = world.run(&names).with("bad\n\u{1b}[31m.csv").end();
    let states: Vec<_> = ended.lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, [["COMMITTED"; 5].as_slice(), &["HELD"]].concat(), "{ended:#?}");
    assert!(world.loaded().len() == 25, "each is a file of its own");
    for text in [&ended.out, &ended.err] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text:?}");
        assert!(text.lines().all(|line| !line.starts_with("{\"level\":\"ERROR\"")), "{text:?}");
    }
}
