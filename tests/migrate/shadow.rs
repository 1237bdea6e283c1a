//! What an empty copy says about a statement, against what the statement does to a table with rows; and what
//! a look at the target takes.

use std::fs;
use std::time::{Duration, Instant};

use rowproof_io::postgres::Server;
use rowproof_migrate::folder::{Folder, Phase};
use rowproof_migrate::generate::{Change, write};
use rowproof_migrate::locks::LockMode;
use rowproof_migrate::plan::{PlanReport, plan};
use rowproof_migrate::shadow::{Scratch, Verdict, clone_schema};
use rowproof_migrate::statements::Statement;
use tempfile::TempDir;
use tokio_postgres::Client;

use super::fixture::number;
use super::generate::{SETUP, changes, example, place};
use crate::postgres::{Postgres, pg_dump};

const ROWS: i64 = 20_000;
const TABLE: &str = "
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

/// A form of statement: what comes before it, itself, and its lock, rewrite and scan as the manual has them.
struct Form(&'static str, &'static str, LockMode, bool, bool);

fn forms() -> Vec<Form> {
    [columns_and_constraints(), indexes_and_types()].into_iter().flatten().collect()
}

fn columns_and_constraints() -> Vec<Form> {
    use LockMode::{AccessExclusive, ShareRowExclusive, ShareUpdateExclusive};
    let checked = "ALTER TABLE t ADD CONSTRAINT c CHECK (n IS NOT NULL) NOT VALID";
    let proven = "ALTER TABLE t ADD CONSTRAINT c CHECK (n IS NOT NULL)";
    let refers = "ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (region) REFERENCES regions NOT VALID";
    vec![
        Form("", "ALTER TABLE t ADD COLUMN a text", AccessExclusive, false, false),
        Form(
            "",
            "ALTER TABLE t ADD COLUMN a int NOT NULL DEFAULT 7",
            AccessExclusive,
            false,
            false,
        ),
        Form(
            "",
            "ALTER TABLE t ADD COLUMN a timestamptz DEFAULT clock_timestamp()",
            AccessExclusive,
            true,
            true,
        ),
        Form("", "ALTER TABLE t ALTER COLUMN n SET DEFAULT 1", AccessExclusive, false, false),
        Form("", "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0)", AccessExclusive, false, true),
        Form(
            "",
            "ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0) NOT VALID",
            AccessExclusive,
            false,
            false,
        ),
        Form(checked, "ALTER TABLE t VALIDATE CONSTRAINT c", ShareUpdateExclusive, false, true),
        Form("", "ALTER TABLE t ALTER COLUMN n SET NOT NULL", AccessExclusive, false, true),
        Form(checked, "ALTER TABLE t ALTER COLUMN n SET NOT NULL", AccessExclusive, false, true),
        Form(proven, "ALTER TABLE t ALTER COLUMN n SET NOT NULL", AccessExclusive, false, false),
        Form(
            "",
            "ALTER TABLE t ADD FOREIGN KEY (region) REFERENCES regions",
            ShareRowExclusive,
            false,
            true,
        ),
        Form("", refers, ShareRowExclusive, false, false),
        Form(refers, "ALTER TABLE t VALIDATE CONSTRAINT k", ShareUpdateExclusive, false, true),
    ]
}

fn indexes_and_types() -> Vec<Form> {
    use LockMode::{AccessExclusive, Share, ShareRowExclusive, ShareUpdateExclusive};
    vec![
        Form("", "CREATE INDEX i ON t (n)", Share, false, true),
        Form("", "CREATE INDEX CONCURRENTLY i ON t (n)", ShareUpdateExclusive, false, true),
        Form("", "ALTER TABLE t ADD UNIQUE (n)", AccessExclusive, false, true),
        Form("", "ALTER TABLE t ALTER COLUMN name TYPE varchar(100)", AccessExclusive, true, true),
        Form(
            "",
            "ALTER TABLE t ALTER COLUMN short TYPE varchar(100)",
            AccessExclusive,
            false,
            false,
        ),
        Form("", "ALTER TABLE t ALTER COLUMN short TYPE varchar(20)", AccessExclusive, true, true),
        Form("", "ALTER TABLE t ALTER COLUMN short TYPE text", AccessExclusive, false, false),
        Form("", "ALTER TABLE t ALTER COLUMN n TYPE bigint", AccessExclusive, true, true),
        Form("", "ALTER TABLE t DROP COLUMN name", AccessExclusive, false, false),
        Form("", "ALTER TABLE t RENAME COLUMN name TO label", AccessExclusive, false, false),
        Form(
            "",
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
            ShareRowExclusive,
            false,
            false,
        ),
        Form("CREATE INDEX i ON t (n)", "DROP INDEX i", AccessExclusive, false, false),
        Form(
            "CREATE INDEX i ON t (n)",
            "DROP INDEX CONCURRENTLY i",
            ShareUpdateExclusive,
            false,
            false,
        ),
    ]
}

/// What a statement did to the table with rows, and who had to wait for it.
#[derive(Debug, PartialEq)]
struct Reality {
    lock: Option<LockMode>,
    rewrites: bool,
    scans: bool,
    blocks_reads: bool,
    blocks_writes: bool,
}

impl Reality {
    fn claimed(verdict: &Verdict) -> Reality {
        let lock = verdict.locks.iter().find(|(table, _)| table == "public.t");
        Reality {
            lock: lock.map(|(_, mode)| *mode),
            rewrites: verdict.rewrites == ["public.t"],
            scans: verdict.scans,
            blocks_reads: verdict.blocks_reads(),
            blocks_writes: verdict.blocks_writes(),
        }
    }

    /// While the statement's transaction is open, or while it waits for the writer's.
    async fn seen(client: &Client, other: &Client, reader: &Client, form: &Form) -> Reality {
        let read = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 't'";
        let file = "SELECT pg_relation_filenode('t')";
        let pid = number(client, "SELECT pg_backend_pid()").await;
        // What the statements before have read is counted only now and then.
        client.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
        let (file_before, read_before) = (number(client, file).await, number(client, read).await);
        let concurrently = form.1.contains("CONCURRENTLY");
        let mode =
            format!("SELECT mode FROM pg_locks WHERE relation = 't'::regclass AND pid = {pid}");
        let waits = |error: tokio_postgres::Error| error.code().unwrap().code() == "55P03";
        let select = "SET lock_timeout = '50ms'; SELECT 1 FROM t WHERE id = 1";
        let update = "SET lock_timeout = '50ms'; UPDATE t SET n = n WHERE id = 1";
        let (modes, blocks_reads, blocks_writes);
        if concurrently {
            other.batch_execute("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE").await.unwrap();
            let meanwhile = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let modes = reader.query(&mode, &[]).await.unwrap();
                let seen = (
                    modes,
                    reader.batch_execute(select).await.is_err_and(waits),
                    reader.batch_execute(update).await.is_err_and(waits),
                );
                other.batch_execute("ROLLBACK").await.unwrap();
                seen
            };
            let (done, seen) = tokio::join!(client.batch_execute(form.1), meanwhile);
            done.unwrap();
            (modes, blocks_reads, blocks_writes) = seen;
        } else {
            client.batch_execute(&format!("BEGIN; {}", form.1)).await.unwrap();
            modes = client.query(&mode, &[]).await.unwrap();
            blocks_reads = reader.batch_execute(select).await.is_err_and(waits);
            blocks_writes = reader.batch_execute(update).await.is_err_and(waits);
            client.batch_execute("COMMIT").await.unwrap();
        }
        client.batch_execute("SELECT pg_stat_force_next_flush()").await.unwrap();
        Reality {
            lock: modes.iter().filter_map(|row| LockMode::parse(row.get(0))).max(),
            rewrites: number(client, file).await != file_before,
            scans: number(client, read).await - read_before >= ROWS,
            blocks_reads,
            blocks_writes,
        }
    }
}

#[tokio::test]
async fn a_verdict_is_what_a_table_with_rows_shows() {
    let postgres = Postgres::start().await;
    let (client, other) = (postgres.look().await, postgres.look().await);
    let reader = postgres.look().await;
    for (number, form) in forms().iter().enumerate() {
        client.batch_execute(TABLE).await.unwrap();
        client.batch_execute(form.0).await.unwrap();
        let mut scratch = scratch(&postgres, &format!("scratch_{number}")).await;
        let phase = if form.1.contains("CONCURRENTLY") { Phase::Online } else { Phase::Contract };
        let statement = Statement { text: form.1.to_owned(), line: 1 };
        let verdict = scratch.statement(phase, &statement).await.unwrap();
        let expected = Reality {
            lock: Some(form.2),
            rewrites: form.3,
            scans: form.4,
            blocks_reads: form.2.blocks_reads(),
            blocks_writes: form.2.blocks_writes(),
        };
        println!(
            "{:<70} {:?} rewrites {} scans {}",
            form.1,
            form.2,
            verdict.rewrites.len(),
            verdict.scans
        );
        assert_eq!(Reality::claimed(&verdict), expected, "{}: {verdict:?}", form.1);
        let seen = Reality::seen(&client, &other, &reader, form).await;
        assert_eq!(seen, expected, "{}", form.1);
    }
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
