//! A folder of its own for each test, and the real program run in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::oracle::{self, Row};
use super::orders::COLUMNS;
use super::table;

/// No run of a test takes this long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(240);

/// Orders with a contract that the oracle knows too.
pub(crate) const ORDERS: &str = r#"
version = 1
name = "orders"

[source]
match = "incoming/*"
format = "csv"

[columns]
id = { type = "int64", key = true }
customer_id = "int64"
name = "string"
amount = "decimal(12,2)"
currency = { type = "string", one_of = ["EUR", "USD", "GBP", "JPY"] }
status = "string"
created_at = "timestamp"
updated_at = "timestamp"
email = "string"
note = { type = "string", nullable = true }

[sink.parquet]
path = "curated/orders"
"#;

/// A temporary folder with pipeline and input files, and `out/` to run in.
#[derive(Debug)]
pub(crate) struct World {
    temp: TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World { temp: TempDir::with_prefix("rowproof-e2e-").unwrap() }
    }

    /// With `orders.toml`.
    pub(crate) fn with_orders() -> World {
        let world = World::new();
        world.write("orders.toml", ORDERS);
        world
    }

    /// A world with the same `out/`.
    pub(crate) fn copy(&self) -> World {
        let copy = World::with_orders();
        let mut command = Command::new("cp");
        command.arg("-a").arg(self.path("out")).arg(copy.path("out"));
        assert!(command.status().unwrap().success());
        copy
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Writes `orders.toml` with one text replaced by another.
    pub(crate) fn orders_with(&self, old: &str, new: &str) {
        assert!(ORDERS.contains(old), "{old:?} stands in the pipeline file");
        self.write("orders.toml", ORDERS.replacen(old, new, 1));
    }

    /// `rowproof run orders.toml INPUT... --out out --json`, not started yet.
    pub(crate) fn run(&self, inputs: &[&str]) -> Run<'_> {
        let mut arguments = vec!["run".to_owned(), "orders.toml".to_owned()];
        arguments.extend(inputs.iter().map(|input| (*input).to_owned()));
        arguments.extend(["--out", "out", "--json"].map(str::to_owned));
        self.command(arguments)
    }

    pub(crate) fn command(&self, arguments: Vec<String>) -> Run<'_> {
        Run { world: self, arguments, variables: Vec::new() }
    }

    /// Rows of the sink's files by a plain listing, sorted.
    pub(crate) fn loaded(&self) -> Vec<Row> {
        table::rows(&self.path("out/output/curated/orders"), &COLUMNS)
    }

    /// `(row number, first byte, end, code)` of a job's archived rows, in row order.
    pub(crate) fn rejected(&self, job: &str) -> Vec<(i64, i64, i64, String)> {
        let mut rows = Vec::new();
        for path in table::files(&self.path("out/failures")) {
            for row in table::read(&path) {
                let text = |column: &str| row[column].clone().unwrap();
                let number = |column: &str| text(column).parse::<i64>().unwrap();
                if text("job") == job {
                    let at = (number("row_number"), number("byte_start"), number("byte_end"));
                    rows.push((at.0, at.1, at.2, text("error_code")));
                }
            }
        }
        rows.sort();
        rows
    }

    /// Every file under `out/`, except the ledger, the lock and logs.
    pub(crate) fn stored(&self) -> Vec<PathBuf> {
        let all = table::files(&self.path("out"));
        all.into_iter().filter(|path| !path.starts_with(self.path("out/.rowproof"))).collect()
    }

    /// The sink's files of one input agree with the oracle, and so do its counts and its archive.
    pub(crate) fn agrees(&self, line: &Value, file: &[u8]) {
        let (good, bad) = (oracle::good(file), oracle::bad(file));
        assert_eq!(line["state"], "COMMITTED", "{line}");
        assert_eq!(line["balanced"], true, "{line}");
        assert_eq!(line["rows_read"], good.len() + bad.len(), "{line}");
        assert_eq!(line["rows_loaded"], good.len(), "{line}");
        assert_eq!(line["rows_rejected"], bad.len(), "{line}");
        assert_eq!(self.rejected(line["job"].as_str().unwrap()), bad);
        let loaded = self.loaded();
        assert!(loaded == good, "{} rows are there, {} were expected", loaded.len(), good.len());
    }
}

/// A command that can be changed before it starts.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    world: &'a World,
    arguments: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

impl Run<'_> {
    pub(crate) fn with(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// As functions in processes, or in this one.
    pub(crate) fn processes(self, processes: bool) -> Self {
        if processes { self.with("--processes") } else { self }
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl ToString) -> Self {
        self.variables.push((name, value.to_string()));
        self
    }

    pub(crate) fn chunk_bytes(self, bytes: usize) -> Self {
        self.env("ROWPROOF_CHUNK_BYTES", bytes)
    }

    pub(crate) fn start(self) -> Running {
        let stamp = fastrand::u64(..);
        let out = self.world.path(&format!("{stamp:x}.out"));
        let err = self.world.path(&format!("{stamp:x}.err"));
        let child = Command::new(env!("CARGO_BIN_EXE_rowproof-tests"))
            .args(&self.arguments)
            .envs(self.variables)
            .current_dir(self.world.temp.path())
            .stdin(Stdio::null())
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        Running { child, out, err }
    }

    pub(crate) fn end(self) -> Ended {
        self.start().end()
    }

    /// Ends with code 0; the line of the only input.
    pub(crate) fn line(self) -> Value {
        let ended = self.end();
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended.lines.into_iter().next().unwrap()
    }
}

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has said this on standard error, then ends it.
    pub(crate) fn until_it_says(self, text: &str) {
        let started = Instant::now();
        while !read(&self.err).contains(text) {
            if started.elapsed() > PATIENCE {
                panic!("{text:?} was not said: {:#?}", self.kill());
            }
            sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// As `kill -9`.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    pub(crate) fn end(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("it does not end; so far it said: {}", read(&self.err));
            }
            sleep(Duration::from_millis(5));
        };
        Ended::new(status, read(&self.out), read(&self.err))
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned()
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    /// Lines of standard output that are JSON.
    pub(crate) lines: Vec<Value>,
}

impl Ended {
    fn new(status: ExitStatus, out: String, err: String) -> Ended {
        let lines = out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ended { code: status.code(), out, err, lines }
    }

    /// Refused with exit code 2 and this text.
    pub(crate) fn refused(&self, text: &str) {
        assert_eq!(self.code, Some(2), "{self:#?}");
        assert!(self.err.contains(text), "{text:?} is not in {self:#?}");
    }

    /// The only input's line, in this state with this exit code.
    pub(crate) fn is(&self, state: &str, code: i32) -> &Value {
        assert_eq!((self.lines.len(), self.code), (1, Some(code)), "{self:#?}");
        assert_eq!(self.lines[0]["state"], state, "{self:#?}");
        &self.lines[0]
    }
}
