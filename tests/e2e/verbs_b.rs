//! What operators do with a folder: status, why, files, approve, discard, rerun, dev, demo.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "in a test a panic is the answer"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rowproof_io::aws::clients::Clients;
use rowproof_io::aws::store::Store;
use rowproof_io::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rowproof-tests");
const PIPELINE: &str = include_str!("../../infra/pipelines/orders.toml");
const HEADER: &str =
    "id,customer_id,name,amount,currency,status,created_at,updated_at,email,note\n";

/// Far above what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    /// Each line that is a JSON object.
    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A folder with a pipeline file and files to load; `out` is the local AWS.
struct Folder(TempDir);

impl Folder {
    fn new(pipeline: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::write(folder.path("orders.toml"), pipeline).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `good` orders and after them `bad` ones, whose amount is no number.
    fn orders(&self, name: &str, good: u32, bad: u32) {
        let mut text = HEADER.to_owned();
        for id in 0..good + bad {
            let amount = if id < good { "1.50" } else { "much" };
            text.push_str(&format!(
                "{id},7,Ana,{amount},EUR,paid,2026-01-01T00:00:00Z,2026-01-02T00:00:00Z,a@b.example,\n"
            ));
        }
        fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(args).args(["--out", "out"]).current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn rowproof(&self, args: &[&str]) -> Ended {
        let output = self.command(args).output().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs and gives the job's id.
    fn load(&self, file: &str, expected: i32) -> String {
        let ended = self.rowproof(&["run", "orders.toml", file, "--json"]);
        assert_eq!(ended.code, expected, "{}{}", ended.out, ended.err);
        ended.json()[0]["job"].as_str().unwrap().to_owned()
    }

    fn why(&self, job: &str) -> Value {
        let ended = self.rowproof(&["why", job, "--json"]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        ended.json().remove(0)
    }

    /// Rows and jobs of the current data files.
    fn table(&self) -> (u64, Vec<String>) {
        let ended = self.rowproof(&["files", "orders", "--json"]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        let files = ended.json();
        let rows = files.iter().map(|file| file["rows"].as_u64().unwrap()).sum();
        (rows, files.iter().map(|file| file["job"].as_str().unwrap().to_owned()).collect())
    }
}

fn contains(texts: &Value, part: &str) -> bool {
    texts.as_array().unwrap().iter().any(|text| text.as_str().unwrap().contains(part))
}

#[test]
fn a_held_job_is_shown_first_and_approved_by_the_beginning_of_its_id() {
    let folder = Folder::new(PIPELINE);
    folder.orders("held.csv", 270, 30);
    folder.orders("good.csv", 10, 0);
    let job = folder.load("held.csv", 3);
    folder.load("good.csv", 0);

    let status = folder.rowproof(&["status", "--json"]).json();
    assert_eq!(status.len(), 2);
    assert_eq!((&status[0]["job"], &status[0]["state"]), (&job.clone().into(), &"HELD".into()));
    let why = folder.why(&job[..8]);
    assert!(contains(&why["next"], &format!("rowproof approve {job}")), "{why}");
    assert!(contains(&why["story"], "visible now: nothing"), "{why}");

    assert_eq!(folder.rowproof(&["approve", &job[..8], "--reason", " "]).code, 2);
    let approved = folder.rowproof(&["approve", &job[..8], "--reason", "known", "--json"]);
    assert_eq!(approved.code, 0, "{}", approved.err);
    assert_eq!(approved.json()[0]["state"], "COMMITTED");
    assert!(approved.err.contains("30 of 300 rows were rejected"), "{}", approved.err);
    assert_eq!(folder.why(&job)["approval"]["reason"], "known");
    assert_eq!(folder.table().0, 280);
}

#[test]
fn a_discarded_job_leaves_the_rows_that_were_there_before() {
    let folder = Folder::new(PIPELINE);
    folder.orders("a.csv", 300, 0);
    let before = folder.load("a.csv", 0);
    folder.orders("a.csv", 200, 100);
    let held = folder.load("a.csv", 3);
    let discarded = folder.rowproof(&["discard", &held, "--reason", "broken export"]);
    assert_eq!(discarded.code, 0, "{}", discarded.err);
    assert!(discarded.out.contains(&before), "{}", discarded.out);

    let why = folder.why(&held);
    assert_eq!((&why["state"], &why["failure"]["code"]), (&"FAILED".into(), &"discarded".into()));
    assert!(contains(&why["story"], &format!("still the 300 rows of job {before}")), "{why}");
    assert_eq!(folder.table(), (300, vec![before]));
    let again = folder.rowproof(&["approve", &held, "--reason", "no"]);
    assert_eq!(again.code, 1);
    assert!(again.err.contains("not HELD"), "{}", again.err);
}

#[test]
fn a_replaced_job_names_the_job_that_replaced_it() {
    let folder = Folder::new(PIPELINE);
    folder.orders("a.csv", 5, 0);
    let old = folder.load("a.csv", 0);
    folder.orders("a.csv", 6, 0);
    let new = folder.load("a.csv", 0);
    let why = folder.why(&old);
    assert_eq!(why["visible_job"], new);
    assert!(contains(&why["story"], "which took its place"), "{why}");
}

#[test]
fn a_job_that_is_not_there_or_not_alone_is_bad_usage() {
    let folder = Folder::new(PIPELINE);
    let none = folder.rowproof(&["status"]);
    assert_eq!(none.code, 2);
    assert!(none.err.contains("holds no rowproof run"), "{}", none.err);

    folder.orders("a.csv", 1, 0);
    folder.orders("b.csv", 1, 0);
    let (a, b) = (folder.load("a.csv", 0), folder.load("b.csv", 0));
    let unknown = folder.rowproof(&["why", "nothing"]);
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("there is no job nothing"), "{}", unknown.err);
    let ambiguous = folder.rowproof(&["why", ""]);
    assert_eq!(ambiguous.code, 2);
    assert!(ambiguous.err.contains(&a) && ambiguous.err.contains(&b), "{}", ambiguous.err);
    let files = folder.rowproof(&["files", "events"]);
    assert_eq!(files.code, 2);
    assert!(files.err.contains("the folder has orders"), "{}", files.err);
}

#[test]
fn rerun_loads_a_file_under_the_pipeline_file_that_is_stored_now() {
    let folder = Folder::new(PIPELINE);
    folder.orders("a.csv", 4, 1);
    folder.orders("b.csv", 1, 0);
    let old = folder.load("a.csv", 0);
    let changed = PIPELINE.replace("amount = \"decimal(12,2)\"", "amount = \"string\"");
    fs::write(folder.path("orders.toml"), changed).unwrap();
    folder.load("b.csv", 0);
    assert!(contains(&folder.why(&old)["next"], "rowproof rerun"));

    let dry = folder.rowproof(&["rerun", "--prefix", "incoming/a", "--dry-run", "--json"]).json();
    assert_eq!(dry.len(), 1);
    assert_eq!((&dry[0]["job"], &dry[0]["pipeline_changed"]), (&old.clone().into(), &true.into()));
    assert_eq!(folder.table().0, 5);

    let rerun = folder.rowproof(&["rerun", &old, "--json"]);
    assert_eq!(rerun.code, 0, "{}", rerun.err);
    let outcome = &rerun.json()[0];
    assert_eq!((&outcome["state"], &outcome["rows_loaded"]), (&"COMMITTED".into(), &5.into()));
    assert_ne!(outcome["job"], old);
    assert_eq!(folder.table().0, 6);

    let since = folder.rowproof(&["rerun", "--since", "2020-01-01", "--json"]);
    assert_eq!((since.code, since.json().len()), (0, 2), "{}", since.err);
    assert_eq!(folder.table().0, 6);
    assert_eq!(folder.rowproof(&["rerun", "--since", "2999-01-01"]).code, 2);
    assert_eq!(folder.rowproof(&["rerun", "--since", "monday"]).code, 2);
}

#[test]
fn rerun_gives_an_older_file_its_place_back_only_by_force() {
    let pipeline = PIPELINE.replace(
        "match = \"incoming/*.csv*\"",
        "match = \"incoming/{supplier}_*.csv\"\nreplaces = [\"supplier\"]",
    );
    let folder = Folder::new(&pipeline);
    folder.orders("x_1.csv", 3, 0);
    folder.orders("x_2.csv", 4, 0);
    let old = folder.load("x_1.csv", 0);
    folder.load("x_2.csv", 0);
    let refused = folder.rowproof(&["rerun", &old]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("x_2.csv, holds its place; --force"), "{}", refused.err);
    assert_eq!(folder.table().0, 4);
    let both = folder.rowproof(&["rerun", "--prefix", "incoming/", "--force"]);
    assert_eq!(both.code, 2, "{}", both.err);
    let forced = folder.rowproof(&["rerun", &old, "--force"]);
    assert_eq!(forced.code, 0, "{}", forced.err);
    assert_eq!(folder.table().0, 3);
}

#[test]
fn rerun_never_doubles_rows_that_replace_nothing() {
    let pipeline = PIPELINE.replace("# replaces = \"key\"", "replaces = \"nothing\"");
    let folder = Folder::new(&pipeline);
    folder.orders("a.csv", 3, 0);
    let job = folder.load("a.csv", 0);
    let refused = folder.rowproof(&["rerun", &job]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("its rows would be there twice"), "{}", refused.err);
    assert_eq!(folder.table().0, 3);
}

#[test]
fn a_data_file_that_was_removed_by_hand_is_named_and_loaded_again_by_rerun() {
    let folder = Folder::new(PIPELINE);
    folder.orders("a.csv", 3, 0);
    let job = folder.load("a.csv", 0);
    let sql = folder.rowproof(&["files", "orders.toml", "--sql"]);
    assert!(sql.out.starts_with("CREATE OR REPLACE VIEW \"orders\""), "{}", sql.out);
    let path = sql.out.split('\'').nth(1).unwrap();
    assert!(Path::new(path).is_file(), "{path}");
    fs::remove_file(path).unwrap();
    let gone = folder.rowproof(&["files", "orders"]);
    assert_eq!(gone.code, 1);
    assert!(gone.err.contains(&format!("rowproof rerun {job}")), "{}", gone.err);
    assert_eq!(folder.rowproof(&["rerun", &job]).code, 0);
    assert_eq!(folder.table().0, 3);
}

#[test]
fn a_view_has_the_columns_and_types_of_today_also_without_rows() {
    let folder = Folder::new(PIPELINE);
    folder.orders("a.csv", 2, 0);
    folder.load("a.csv", 0);
    let wider = PIPELINE.replace("amount = \"decimal(12,2)\"", "amount = \"decimal(18,4)\"");
    fs::write(folder.path("orders.toml"), &wider).unwrap();
    let moved = folder.rowproof(&["files", "orders.toml", "--sql"]);
    folder.orders("b.csv", 1, 0);
    folder.load("b.csv", 0);

    let both = folder.rowproof(&["files", "orders", "--sql"]);
    for ended in [&moved, &both] {
        assert_eq!(ended.code, 0, "{}", ended.err);
        let cast = "CAST(\"amount\" AS DECIMAL(18, 4)) AS \"amount\"";
        assert!(ended.out.contains(cast), "{}", ended.out);
    }
    assert!(both.out.contains("UNION ALL\nSELECT \"id\""), "{}", both.out);
    let spark = folder.rowproof(&["files", "orders", "--sql", "--engine", "spark"]);
    assert!(spark.out.starts_with("CREATE OR REPLACE TEMPORARY VIEW `orders`"), "{}", spark.out);

    fs::write(folder.path("none.toml"), wider.replace("name = \"orders\"", "name = \"none\""))
        .unwrap();
    let none = folder.rowproof(&["files", "none.toml", "--sql"]);
    assert_eq!(none.code, 0, "{}", none.err);
    assert!(none.out.contains("CAST(NULL AS DECIMAL(18, 4)) AS \"amount\""), "{}", none.out);
    assert!(none.out.ends_with("WHERE false;\n"), "{}", none.out);
    assert_eq!(folder.rowproof(&["files", "none.toml"]).code, 2);
    assert_eq!(folder.rowproof(&["files", "orders", "--engine", "spark"]).code, 2);
}

#[test]
fn check_says_where_readers_differ_and_run_does_not_repeat_it() {
    let path = "path = \"curated/orders\"";
    let pipeline = PIPELINE.replace(path, &format!("{path}\npartition_by = [\"name\"]"));
    let folder = Folder::new(&pipeline);
    folder.orders("a.csv", 2, 0);

    let output = Command::new(PROGRAM)
        .args(["check", "orders.toml"])
        .current_dir(folder.0.path())
        .output()
        .unwrap();
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && warned.contains("text(name)"), "{warned}");
    let ran = folder.rowproof(&["run", "orders.toml", "a.csv"]);
    assert!(ran.code == 0 && !ran.err.contains("text(name)"), "{}", ran.err);
}

/// A running `rowproof dev`; ended when dropped.
struct Dev {
    child: Child,
    lines: Receiver<String>,
    endpoint: String,
}

impl Dev {
    fn start(folder: &Folder, args: &[&str]) -> Dev {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = folder.command(args);
        command.args(["--port", &port.to_string()]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let dev = Dev { child, lines, endpoint: format!("http://127.0.0.1:{port}") };
        dev.wait_for("Ctrl-C stops it");
        dev
    }

    fn wait_for(&self, part: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("no line with {part}: {error}"));
            if line.contains(part) {
                return;
            }
        }
    }

    fn upload(&self, path: &Path, key: &str) {
        let clients = Clients::local(&self.endpoint, "us-east-1", "rowproof", "rowproof");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime
            .block_on(Store::new(clients.s3, Clock::system()).put(
                "input",
                key,
                std::fs::read(path).unwrap().into(),
            ))
            .unwrap();
    }

    /// Ends it as Ctrl-C does.
    fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn dev_loads_what_is_uploaded_and_takes_decisions_of_other_processes() {
    let folder = Folder::new(PIPELINE);
    folder.orders("good.csv", 20, 0);
    folder.orders("held.csv", 270, 30);
    let dev = Dev::start(&folder, &["dev", "orders.toml"]);
    dev.upload(&folder.path("good.csv"), "incoming/a file + more.csv");
    dev.wait_for("a file + more.csv: COMMITTED");
    dev.upload(&folder.path("held.csv"), "incoming/held.csv");
    dev.wait_for("held.csv: HELD");
    assert_eq!(folder.table().0, 20);

    let status = folder.rowproof(&["status", "--follow", "--json"]).json();
    let job = status[0]["job"].as_str().unwrap().to_owned();
    let approved = folder.rowproof(&["approve", &job, "--reason", "known"]);
    assert_eq!(approved.code, 0, "{}", approved.err);
    dev.wait_for("held.csv: COMMITTED");
    let rerun = folder.rowproof(&["rerun", "--prefix", "incoming/a"]);
    assert_eq!(rerun.code, 0, "{}", rerun.err);
    assert_eq!(folder.table().0, 290);

    let run = folder.rowproof(&["run", "orders.toml", "good.csv"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("in use by process"), "{}", run.err);
    assert_eq!(dev.stop(), Some(0));
    assert_eq!(folder.table().0, 290);
}

#[test]
fn dev_goes_on_with_what_a_killed_run_left() {
    let folder = Folder::new(PIPELINE);
    folder.orders("a.csv", 100, 0);
    let mut command = folder.command(&["run", "orders.toml", "a.csv"]);
    command.env("ROWPROOF_CHUNK_ROWS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = command.spawn().unwrap();
    let staging = folder.path("out/output/_staging");
    let began = Instant::now();
    while fs::read_dir(&staging).map_or(0, Iterator::count) == 0 {
        assert!(began.elapsed() < PATIENCE && run.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let dev = Dev::start(&folder, &["dev"]);
    dev.wait_for("a.csv: COMMITTED");
    assert_eq!(dev.stop(), Some(0));
    assert_eq!(folder.table().0, 100);
}

#[test]
fn dev_names_a_port_that_is_taken_and_the_option() {
    let folder = Folder::new(PIPELINE);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = folder.rowproof(&["dev", "orders.toml", "--port", &port]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains(&port) && refused.err.contains("--port"), "{}", refused.err);
}

#[test]
fn the_demo_shows_what_it_says_and_leaves_other_folders_alone() {
    let folder = Folder::new(PIPELINE);
    let demo = folder.rowproof(&["demo", "--rows", "5000"]);
    assert_eq!(demo.code, 0, "{}{}", demo.out, demo.err);
    assert!(demo.out.contains("5,000 rows read = 4,950 loaded + 50 rejected"), "{}", demo.out);
    assert!(demo.out.contains("5,000 rows read = 4,995 loaded + 5 rejected"), "{}", demo.out);
    let again = folder.rowproof(&["demo"]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("is not empty"), "{}", again.err);
}
