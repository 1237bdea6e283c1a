//! The command line as its users type it, with the example that ships.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::postgres::{Postgres, pg_dump};

const EXAMPLE: &str = "20240115_add_customer_tier";
const SCHEMA: &str = "
CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, amount numeric NOT NULL);
INSERT INTO customers SELECT i, 'c' || i || '@example.com' FROM generate_series(1, 5000) i;
INSERT INTO orders SELECT i, i % 4000 + 1, i % 700 FROM generate_series(1, 20000) i;
ANALYZE customers; ANALYZE orders;";

struct World {
    postgres: Postgres,
    dir: TempDir,
}

impl World {
    async fn start(sql: &str) -> World {
        let postgres = Postgres::start().await;
        postgres.look().await.batch_execute(sql).await.unwrap();
        World { postgres, dir: TempDir::new().unwrap() }
    }

    fn example(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/migrations").join(EXAMPLE)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rowproof-tests"));
        command
            .arg("migrate")
            .args(arguments)
            .env("DATABASE_URL", self.postgres.url())
            .env("USER", "anna")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn start_run(&self, folder: &str) -> Child {
        let mut command = self.command(&["run", folder]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn text(output: &Output) -> String {
    format!(
        "{:?}\n{}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[track_caller]
fn ends(output: &Output, code: i32, what: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    assert!(text(output).contains(what), "{what:?} is not in {}", text(output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_goes_from_lint_to_done() {
    let world = World::start(SCHEMA).await;
    let folder = world.example();
    let folder = folder.to_str().unwrap();
    ends(&world.run(&["lint", folder]), 0, "nothing found");
    ends(&world.run(&["plan", folder]), 0, "about 5000 rows");
    let look = world.postgres.look().await;
    look.batch_execute("ALTER TABLE customers ADD customer_tier text").await.unwrap();
    ends(&world.run(&["plan", folder]), 1, "STOPS AT precheck.sql:");
    look.batch_execute("ALTER TABLE customers DROP customer_tier").await.unwrap();
    look.batch_execute("CREATE DATABASE scratch").await.unwrap();
    let scratch = world.postgres.url().replace("/rows", "/scratch");
    let pg_dump = pg_dump();
    let pg_dump = pg_dump.to_str().unwrap();
    let shadow = ["shadow", folder, "--scratch", "env:SCRATCH", "--pg-dump", pg_dump];
    let shadow = world.command(&shadow).env("SCRATCH", scratch).output().unwrap();
    ends(&shadow, 0, "not checked:");

    // Gates stop it before the contract phase; what was done stays.
    ends(&world.run(&["run", folder]), 20, "GateUnmet");
    ends(&world.run(&["status", folder]), 0, "validated");
    let count = "SELECT count(*) FROM customers WHERE customer_tier IS NULL";
    assert_eq!(look.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 0);

    let copy = "CREATE DATABASE copy";
    look.batch_execute(copy).await.unwrap();
    let copy = world.postgres.url().replace("/rows", "/copy");
    let (client, connection) = tokio_postgres::connect(&copy, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(SCHEMA).await.unwrap();
    ends(&world.run(&["rehearse", folder]), 2, "--on-a-copy");
    let rehearse = ["rehearse", folder, "--dsn", "env:COPY", "--on-a-copy", "--json"];
    let rehearsal = world.command(&rehearse).env("COPY", copy).output().unwrap();
    ends(&rehearsal, 0, "\"rolled_back\":true");
    fs::write(world.dir.path().join("rehearsal.json"), &rehearsal.stdout).unwrap();
    for gate in ["staging_run", "rollback_rehearsed"] {
        let evidence = ["evidence", folder, "--gate", gate, "--file", "rehearsal.json"];
        ends(&world.run(&evidence), 0, "recorded");
    }
    ends(&world.run(&["run", folder]), 20, "backup");
    for taken_at in ["tomorrow", "2099-01-01T00:00:00Z"] {
        let evidence = ["evidence", folder, "--gate", "backup", "--taken-at", taken_at];
        ends(&world.run(&evidence), 20, "taken_at");
    }
    ends(&world.run(&["run", folder, "--override", "nope=x"]), 2, "no such gate");
    let over = ["run", folder, "--override", "backup_max_age=restored this morning"];
    ends(&world.run(&over), 0, "done");
    ends(&world.run(&["run", folder]), 0, "done");

    let history = world.run(&["history", folder, "--json"]);
    ends(&history, 0, "restored this morning");
    let kinds: Vec<String> = String::from_utf8_lossy(&history.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["kind"].to_string())
        .collect();
    assert!(kinds.len() > 10, "{kinds:?}");
    let back = world.run(&["rollback", folder, "--reason", "too late"]);
    ends(&back, 2, "PointOfNoReturn");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_column_comes_and_goes_again() {
    let world = World::start(SCHEMA).await;
    let new =
        ["new", "add-column", "--table", "public.orders", "--column", "cents", "--type", "bigint"];
    let new =
        [&new[..], &["--computed", "(t.amount * 100)::bigint", "--id", "20261124_cents"]].concat();
    ends(&world.run(&new), 0, "migrations/20261124_cents");
    ends(&world.run(&new), 2, "exists");
    let folder = "migrations/20261124_cents";
    ends(&world.run(&["lint", folder]), 0, "nothing found");
    ends(&world.run(&["pause", folder, "--reason", "not yet"]), 2, "WrongState");
    // It can be stopped at any time, by a signal or by somebody, and goes on.
    let mut first = world.start_run(folder);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pid = Pid::from_raw(i32::try_from(first.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).ok();
    first.wait().unwrap();
    let paused = world.run(&["pause", folder, "--reason", "lunch"]);
    if paused.status.code() == Some(0) {
        ends(&world.run(&["run", folder]), 10, "paused by anna: lunch");
        ends(&world.run(&["throttle", folder, "--duty", "2"]), 2, "duty");
        ends(&world.run(&["throttle", folder, "--duty", "1", "--target-ms", "20"]), 0, "changed");
        ends(&world.run(&["resume", folder]), 0, "resumed");
    }
    // Whoever was interrupted has given the lease back. What is dropped in the end waits for somebody.
    ends(&world.run(&["run", folder]), 20, "approvals");
    ends(&world.run(&["rollback", folder, "--reason", "first look"]), 0, "rolled_back");
    ends(&world.run(&["run", folder]), 10, "resume");
    ends(&world.run(&["resume", folder]), 0, "resumed");
    ends(&world.run(&["evidence", folder, "--gate", "approval"]), 0, "recorded");
    ends(&world.run(&["run", folder]), 0, "done");
    let look = world.postgres.look().await;
    let wrong = "SELECT count(*) FROM orders WHERE cents IS DISTINCT FROM (amount * 100)::bigint";
    assert_eq!(look.query_one(wrong, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said_with_its_place() {
    let world = World::start("SELECT").await;
    let example = world.example();
    let example = example.to_str().unwrap();
    ends(&world.run(&["run", "nowhere"]), 2, "nowhere");
    ends(&world.run(&["run", example, "--dsn", "postgres://u:hunter2@h/x"]), 2, "--dsn takes env:");
    ends(&world.run(&["run", example, "--dsn", "env:NOTHING_HERE"]), 2, "NOTHING_HERE");
    let closed = world
        .command(&["status", example])
        .env("DATABASE_URL", "postgres://u@127.0.0.1:1/x")
        .output();
    let closed = closed.unwrap();
    assert!(text(&closed).contains("127.0.0.1:1"), "{}", text(&closed));
    // A database without the tables is the wrong one.
    let ended = world.run(&["run", example]);
    assert_ne!(ended.status.code(), Some(0), "{}", text(&ended));
    assert!(text(&ended).contains("customers"), "{}", text(&ended));
    let folder = world.dir.path().join("20260101_x");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("migration.toml"), "id = \"20260101_x\"\nreversibel = true\n").unwrap();
    ends(&world.run(&["run", "20260101_x"]), 2, "reversibel");
    ends(&world.run(&["lint", "20260101_x"]), 1, "migration.toml");
}
