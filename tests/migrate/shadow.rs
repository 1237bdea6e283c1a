//! What an empty copy says about a statement, against what the statement does to a table with rows; and what
//! a look at the target takes.

use std::fs;
use std::time::{Duration, Instant};

use rowproof_io::postgres::Server;
use rowproof_migrate::folder::Folder;
use rowproof_migrate::generate::{Change, write};
use rowproof_migrate::locks::LockMode;
use rowproof_migrate::phase::Phase;
use rowproof_migrate::plan::{PlanReport, plan};
use rowproof_migrate::shadow::{Scratch, clone_schema};
use rowproof_migrate::statements::Statement;
use tempfile::TempDir;

use super::generate::{SETUP, changes, example, place};
use crate::postgres::{Postgres, pg_dump};

pub(crate) const TABLE: &str = "
DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS regions;
CREATE TABLE regions (id bigint PRIMARY KEY);
INSERT INTO regions SELECT generate_series(0, 9);
CREATE TABLE t (id bigint PRIMARY KEY, name text, short varchar(50), n int, region bigint);
INSERT INTO t SELECT i, 'n' || i, 's' || i, i, i % 10 FROM generate_series(1, 20000) i;
CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
ANALYZE t;";

/// A database of its own that is a copy of the schema of `rows`.
async fn scratch(postgres: &Postgres, name: &str) -> Scratch {
    let admin = postgres.look().await;
    admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let url = postgres.url().replace("/rows", &format!("/{name}"));
    let scratch = Scratch::open(&Server::at(&url)).await.unwrap();
    let source = Server::at(&postgres.url());
    clone_schema(&pg_dump(), &source, 1000, &scratch).await.unwrap();
    scratch
}

#[tokio::test]
async fn no_generated_folder_reads_a_table_while_writers_wait() {
    let postgres = Postgres::start().await;
    let client = postgres.look().await;
    client
        .batch_execute(
            "CREATE TABLE customers (id bigint PRIMARY KEY, email text);
             CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, amount numeric)",
        )
        .await
        .unwrap();
    client.batch_execute(SETUP).await.unwrap();
    let dir = TempDir::new().unwrap();
    let folder = |(id, change): (&str, Change)| write(dir.path(), &place(id), &change).unwrap();
    let mut paths: Vec<_> = changes().into_iter().map(folder).collect();
    paths.push(example());
    for (number, path) in paths.iter().enumerate() {
        let mut scratch = scratch(&postgres, &format!("whole_{number}")).await;
        let report = scratch.shadow(&Folder::load(path).unwrap()).await.unwrap();
        for verdict in &report.verdicts {
            assert!(verdict.rewrites.is_empty(), "{verdict:?}");
            assert!(!(verdict.scans && verdict.blocks_writes()), "{verdict:?}");
        }
        assert!(report.server.starts_with(char::is_numeric) && !report.not_checked.is_empty());
    }
}

#[tokio::test]
async fn a_statement_that_fails_on_the_copy_is_named_by_its_line() {
    let postgres = Postgres::start().await;
    let mut scratch = scratch(&postgres, "failing").await;
    let statement = Statement { text: "ALTER TABLE nowhere ADD a int".into(), line: 7 };
    let error = scratch.statement(Phase::Expand, &statement).await.unwrap_err().to_string();
    assert!(error.starts_with("expand.sql:7") && error.contains("nowhere"), "{error}");
    let fine = Statement { text: "CREATE TABLE somewhere (a int)".into(), line: 8 };
    assert_eq!(scratch.statement(Phase::Expand, &fine).await.unwrap().locks, []);
}

fn migration(dir: &TempDir, key: &str, needs: &str) -> Folder {
    let path = dir.path().join("plan");
    fs::create_dir_all(&path).unwrap();
    let toml = format!(
        "id = \"plan\"\nreversible = false\ntarget = {{ table = \"public.t\", key = [\"{key}\"] }}\n\
         locks = {{ lock_timeout = \"200ms\" }}\nbackfill = {{ needs = \"{needs}\" }}\n"
    );
    fs::write(path.join("migration.toml"), toml).unwrap();
    let rule = format!("UPDATE t SET n = 1 FROM rowproof_batch b WHERE t.{key} = b.{key}");
    fs::write(path.join("backfill.sql"), rule).unwrap();
    Folder::load(&path).unwrap()
}

#[tokio::test]
async fn a_look_at_the_target_locks_as_a_reader_and_changes_nothing() {
    let postgres = Postgres::start().await;
    let (client, other) = (postgres.look().await, postgres.look().await);
    client.batch_execute(TABLE).await.unwrap();
    let more = "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();
        CREATE PUBLICATION p FOR TABLE t; ALTER TABLE t ENABLE ROW LEVEL SECURITY";
    client.batch_execute(more).await.unwrap();
    let dir = TempDir::new().unwrap();
    let (server, folder) = (Server::at(&postgres.url()), migration(&dir, "id", "t.n IS NULL"));
    // Only readers get past this lock.
    other.batch_execute("BEGIN; LOCK TABLE t IN EXCLUSIVE MODE").await.unwrap();
    let report = plan(&server, &folder).await.unwrap();
    assert_eq!(report.strongest_lock, Some(LockMode::AccessShare));
    let queries: Vec<_> = report.planned.iter().map(|one| (one.query, one.reads_all)).collect();
    assert_eq!(queries, [("batch", false), ("probe", false), ("sweep", false)]);
    assert!(report.planned.iter().all(|one| one.indexes == ["t_pkey"]), "{report:?}");
    assert_eq!(report.rows_estimate, Some(20_000.0));
    assert!(report.table_bytes > 1_000_000 && report.total_bytes > report.table_bytes);
    assert_eq!(
        (&*report.triggers, &*report.publications),
        (&["g".to_owned()][..], &["p".to_owned()][..])
    );
    assert!(report.row_security && report.replicas.is_empty());
    assert!(report.not_checked.iter().any(|open| open.contains("disk")));

    other.batch_execute("ROLLBACK; BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let began = Instant::now();
    let error = plan(&server, &folder).await.unwrap_err().to_string();
    assert!(error.contains("55P03") && began.elapsed() < Duration::from_secs(2), "{error}");
    other.batch_execute("ROLLBACK").await.unwrap();
}

#[tokio::test]
async fn a_plan_refuses_what_a_run_refuses_and_says_what_it_could_not_ask() {
    let postgres = Postgres::start().await;
    let (client, server) = (postgres.look().await, Server::at(&postgres.url()));
    client.batch_execute(TABLE).await.unwrap();
    let dir = TempDir::new().unwrap();
    let refused = plan(&server, &migration(&dir, "n", "t.n IS NULL")).await.unwrap_err();
    assert_eq!(refused.code(), "NoUsableKey", "{refused}");
    let report = plan(&server, &migration(&dir, "id", "t.tier IS NULL")).await.unwrap();
    assert_eq!(report.planned.len(), 2);
    assert!(report.not_checked.iter().any(|open| open.contains("sweep")));
    client.batch_execute("TRUNCATE t").await.unwrap();
    let report = plan(&server, &migration(&dir, "id", "t.n IS NULL")).await.unwrap();
    assert!(
        report.planned.is_empty() && report.not_checked.iter().any(|open| open.contains("empty"))
    );
    let check = "-- one\nSELECT 1 WHERE false;\nSELECT id FROM regions; SELECT nowhere FROM t";
    fs::write(dir.path().join("plan/precheck.sql"), check).unwrap();
    let stops = plan(&server, &Folder::load(&dir.path().join("plan")).unwrap()).await.unwrap();
    let stops = stops.prechecks;
    assert_eq!(stops[0], (3, "10 rows where there should be none".to_owned()));
    assert!(stops.len() == 2 && stops[1].1.contains("42703"), "{stops:?}");
    fs::remove_file(dir.path().join("plan/precheck.sql")).unwrap();
    let view = "ALTER TABLE t RENAME TO rows_of_t; CREATE VIEW t AS SELECT * FROM rows_of_t";
    client.batch_execute(view).await.unwrap();
    let refused = plan(&server, &migration(&dir, "id", "t.n IS NULL")).await.unwrap_err();
    assert_eq!(refused.code(), "UnsupportedTable", "{refused}");
}

#[tokio::test]
async fn a_plan_names_the_rights_that_the_role_lacks() {
    let postgres = Postgres::start().await;
    let client = postgres.look().await;
    let role = "CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader";
    client.batch_execute(&format!("{TABLE} {role}")).await.unwrap();
    let dir = TempDir::new().unwrap();
    let folder = migration(&dir, "id", "t.n IS NULL");
    let reader = Server::at(&postgres.url().replace("rowproof@", "reader@"));
    let lacks = |report: PlanReport| report.missing_rights.join("; ");
    let found = lacks(plan(&reader, &folder).await.unwrap());
    assert!(
        found.contains("SELECT and UPDATE on") && found.contains("CREATE on the database"),
        "{found}"
    );
    let rights = "GRANT UPDATE ON t TO reader; GRANT CREATE ON DATABASE rows TO reader";
    client.batch_execute(rights).await.unwrap();
    assert_eq!(lacks(plan(&reader, &folder).await.unwrap()), "");
    let path = dir.path().join("plan/expand.sql");
    fs::write(path, "ALTER TABLE t ADD COLUMN a text").unwrap();
    let folder = Folder::load(&dir.path().join("plan")).unwrap();
    let found = lacks(plan(&reader, &folder).await.unwrap());
    assert!(found.starts_with("own "), "{found}");
    assert_eq!(lacks(plan(&Server::at(&postgres.url()), &folder).await.unwrap()), "");
}
