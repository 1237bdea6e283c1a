//! What people ask of a file, a pipeline and a finished load: init, check, failures, verify.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a panic is the answer")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rowproof-tests");
const PIPELINE: &str = include_str!("../../infra/pipelines/orders.toml");
const HEADER: &str =
    "id,customer_id,name,amount,currency,status,created_at,updated_at,email,note\n";

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
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        fs::write(folder.path("orders.toml"), PIPELINE).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes `good` orders and after them `bad` ones, whose amount would be a formula.
    fn orders(&self, name: &str, good: u32, bad: u32) {
        let mut text = HEADER.to_owned();
        for id in 1..=good + bad {
            let amount = if id <= good { "1.50" } else { "=1+1" };
            let moments = "2026-01-01T00:00:00Z,2026-01-02T00:00:00Z";
            text.push_str(&format!("{id},7,Ana,{amount},EUR,paid,{moments},a@b.example,\n"));
        }
        fs::write(self.path(name), text).unwrap();
    }

    fn rowproof(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(PROGRAM);
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("ROWPROOF_CHUNK_ROWS", "40");
        let output = command.output().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// In the folder's local AWS.
    fn on_out(&self, args: &[&str]) -> Ended {
        self.rowproof(&[args, &["--out", "out"]].concat())
    }

    /// Runs and gives the job's id.
    fn load(&self, file: &str) -> String {
        let ended = self.on_out(&["run", "orders.toml", file, "--json"]);
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
        ended.json()[0]["job"].as_str().unwrap().to_owned()
    }

    fn verify(&self, job: &str) -> (i32, Value) {
        let ended = self.on_out(&["verify", job, "--json"]);
        assert!(!ended.out.is_empty(), "{}", ended.err);
        (ended.code, ended.json().remove(0))
    }
}

/// What came of one check of a receipt.
fn result<'a>(verified: &'a Value, check: &str) -> (&'a str, &'a str) {
    let checks = verified["checks"].as_array().unwrap();
    let found = checks.iter().find(|found| found["check"] == check).unwrap();
    (found["result"].as_str().unwrap(), found["detail"].as_str().unwrap())
}

/// The first file below a folder whose name ends so.
fn file_below(folder: &Path, end: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                return path;
            }
        }
    }
    panic!("no *{end} below {}", folder.display());
}

#[test]
fn a_guessed_pipeline_file_passes_check_and_loads_its_file() {
    let folder = Folder::new();
    folder.orders("sales.csv", 50, 0);
    let guessed = folder.rowproof(&["init", "sales.csv"]);
    assert_eq!(guessed.code, 0, "{}", guessed.err);
    fs::write(folder.path("sales.toml"), guessed.out).unwrap();

    let checked = folder.rowproof(&["check", "sales.toml", "sales.csv", "--json"]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
    let checked = checked.json();
    assert_eq!((&checked[0]["ok"], &checked[1]["rows_loaded"]), (&true.into(), &50.into()));
    assert!(!folder.path("out").exists(), "check writes nothing");

    let ran = folder.on_out(&["run", "sales.toml", "sales.csv", "--json"]);
    assert_eq!((ran.code, &ran.json()[0]["rows_loaded"]), (0, &50.into()), "{}", ran.err);
}

#[test]
fn check_names_every_problem_with_its_line() {
    let folder = Folder::new();
    let wrong = "version = 1\nname = \"x\"\n[source]\nmatch = \"in/*.csv\"\nformat = \"cvs\"\n\
                 [columns]\nid = { type = \"int64\", min = \"low\" }\n[sink.parquet]\npath = \"x\"\n";
    fs::write(folder.path("wrong.toml"), wrong).unwrap();
    let ended = folder.rowproof(&["check", "wrong.toml"]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("wrong.toml:5: source.format"), "{}", ended.err);
    assert!(ended.err.contains("wrong.toml:7: columns.id.min"), "{}", ended.err);
    let ended = folder.rowproof(&["check", "wrong.toml", "--json"]);
    assert_eq!((ended.code, ended.json()[0]["problems"].as_array().unwrap().len()), (2, 2));
    assert_eq!(folder.rowproof(&["check", "none.toml"]).code, 2);
}

#[test]
fn check_tells_what_would_become_of_each_file() {
    let folder = Folder::new();
    folder.orders("bad.csv", 97, 3);
    folder.orders("worse.csv", 200, 100);
    fs::write(folder.path("other.csv"), "id,name\n1,x\n").unwrap();
    fs::write(folder.path("cut.csv"), b"\x1F\x8B\x08\0\0\0\0\0\0\x03").unwrap();

    let ended = folder.rowproof(&["check", "orders.toml", "bad.csv", "--json"]);
    assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
    let bad = ended.json().remove(1);
    assert_eq!((&bad["would"], &bad["rows_rejected"]), (&"commit".into(), &3.into()));
    let reason = &bad["reasons"][0];
    assert_eq!((&reason["code"], &reason["column"]), (&"type".into(), &"amount".into()));
    assert_eq!(reason["examples"][2]["row_number"], 100);
    let start = usize::try_from(reason["examples"][0]["byte_start"].as_u64().unwrap()).unwrap();
    assert!(fs::read_to_string(folder.path("bad.csv")).unwrap()[start..].starts_with("98,"));
    for (file, code, would) in
        [("worse.csv", 3, "hold"), ("other.csv", 3, "hold"), ("cut.csv", 1, "fail")]
    {
        let ended = folder.rowproof(&["check", "orders.toml", file, "--json"]);
        assert_eq!((ended.code, &ended.json()[1]["would"]), (code, &would.into()), "{file}");
    }
    let ended = folder.rowproof(&["check", "orders.toml", "bad.csv", "worse.csv", "cut.csv"]);
    assert_eq!(ended.code, 1, "the worst counts: {}", ended.out);
}

#[test]
fn rejected_rows_are_listed_counted_shown_and_exported() {
    let folder = Folder::new();
    folder.orders("a.csv", 97, 3);
    folder.orders("b.csv", 50, 0);
    let job = folder.load("a.csv");
    folder.load("b.csv");

    let listed = folder.on_out(&["failures", "list", "--json"]).json();
    let rows: Vec<_> = listed.iter().map(|row| row["row_number"].as_i64().unwrap()).collect();
    assert_eq!(rows, [98, 99, 100]);
    let limited = folder.on_out(&["failures", "list", "--limit", "1"]).out;
    assert!(limited.contains("row 98") && limited.contains("1 of 3 rows"), "{limited}");
    let none = folder.on_out(&["failures", "list", "--code", "range", "--json"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""));

    let top = folder.on_out(&["failures", "top", "--json"]).json();
    assert_eq!((top.len(), &top[0]["rows"], &top[0]["jobs"]), (1, &3.into(), &1.into()));

    let place = format!("{}:99", &job[..6]);
    let shown = folder.on_out(&["failures", "show", &place, "--json"]).json();
    let raw = shown[0]["raw_data"].as_str().unwrap();
    assert!(raw.starts_with("99,7,Ana,=1+1,EUR"), "{raw}");
    for (row, expected) in [("5", "was not rejected"), ("500", "is not in the file")] {
        let ended = folder.on_out(&["failures", "show", "--job", &job, "--row", row]);
        assert!(ended.code == 2 && ended.err.contains(expected), "{}", ended.err);
    }

    for name in ["bad.csv", "bad.parquet"] {
        let ended = folder.on_out(&["failures", "export", "--to", name, "--column", "amount"]);
        assert_eq!(ended.code, 0, "{}", ended.err);
        assert!(ended.out.contains("3 rejected rows"), "{}", ended.out);
    }
    let csv = fs::read_to_string(folder.path("bad.csv")).unwrap();
    assert_eq!((csv.lines().count(), csv.starts_with("source_id,error,raw_data")), (4, true));
    assert_eq!(&fs::read(folder.path("bad.parquet")).unwrap()[..4], b"PAR1");
    assert_eq!(folder.on_out(&["failures", "export", "--to", "bad.xlsx"]).code, 2);
}

#[test]
fn a_receipt_is_verified_until_something_under_it_changes() {
    let folder = Folder::new();
    folder.orders("a.csv", 97, 3);
    let job = folder.load("a.csv");
    let (code, verified) = folder.verify(&job[..5]);
    assert_eq!((code, &verified["verified"]), (0, &true.into()), "{verified}");
    for check in ["receipt", "books", "data", "failures", "source"] {
        assert_eq!(result(&verified, check).0, "ok", "{verified}");
    }
    let all = folder.on_out(&["verify", "--all"]);
    assert!(
        all.code == 0 && all.out.contains("100 rows read = 97 loaded + 3 rejected"),
        "{}",
        all.out
    );

    let data = file_below(&folder.path("out/output/curated"), ".parquet");
    let bytes = fs::read(&data).unwrap();
    let mut changed = bytes.clone();
    changed[40] ^= 1;
    fs::write(&data, &changed).unwrap();
    let (code, verified) = folder.verify(&job);
    assert_eq!((code, result(&verified, "data").0), (1, "failed"), "{verified}");
    fs::remove_file(&data).unwrap();
    let (code, verified) = folder.verify(&job);
    assert!(code == 1 && result(&verified, "data").1.contains("is missing"), "{verified}");
    fs::write(&data, &bytes).unwrap();

    fs::remove_file(file_below(&folder.path("out/failures"), ".parquet")).unwrap();
    let (code, verified) = folder.verify(&job);
    assert_eq!((code, result(&verified, "failures").0), (1, "failed"), "{verified}");
    assert_eq!(folder.on_out(&["failures", "list"]).code, 1);
}

#[test]
fn what_was_replaced_is_named_as_unchecked() {
    let folder = Folder::new();
    folder.orders("a.csv", 60, 1);
    let old = folder.load("a.csv");
    folder.orders("a.csv", 61, 0);
    let new = folder.load("a.csv");
    let (code, verified) = folder.verify(&old);
    assert_eq!((code, &verified["verified"]), (0, &true.into()), "{verified}");
    let (result_data, detail) = result(&verified, "data");
    assert!(result_data == "unchecked" && detail.contains(&new), "{verified}");
    assert_eq!(result(&verified, "source").0, "unchecked", "{verified}");
    assert_eq!(folder.verify(&new).0, 0);
    assert_eq!(folder.on_out(&["failures", "list", "--json"]).out, "", "only current rows");
    assert_eq!(folder.on_out(&["failures", "list", "--json", "--job", &old]).json().len(), 1);
}

#[test]
fn a_wrong_folder_or_job_is_said_clearly() {
    let folder = Folder::new();
    for args in [&["verify", "--all"][..], &["failures", "top"], &["failures", "list"]] {
        let ended = folder.on_out(args);
        assert!(ended.code == 2 && ended.err.contains("holds no rowproof run"), "{}", ended.err);
    }
    folder.orders("a.csv", 3, 0);
    folder.load("a.csv");
    let ended = folder.on_out(&["verify", "zzz"]);
    assert!(ended.code == 2 && ended.err.contains("there is no job zzz"), "{}", ended.err);
    let ended = folder.on_out(&["failures", "list"]);
    assert!(ended.code == 0 && ended.out.contains("0 rows rejected"), "{}", ended.out);
}
