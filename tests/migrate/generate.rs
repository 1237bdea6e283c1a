//! Folders that are generated: sound on paper, and right on a table that is written meanwhile.

use std::path::{Path, PathBuf};

use rowproof_migrate::config::InvariantKind;
use rowproof_migrate::drive::Drive;
use rowproof_migrate::engine::Engine;
use rowproof_migrate::folder::Folder;
use rowproof_migrate::generate::{
    AddColumn, AddForeignKey, AddIndex, BulkDelete, BulkUpdate, Change, ChangeType, Fill, Place,
    Rename, files, write,
};
use rowproof_migrate::lint::lint;
use rowproof_migrate::phase::Phase;
use rowproof_migrate::rule::Rule;
use rowproof_migrate::state::State;
use rowproof_migrate::values::TableName;
use tempfile::TempDir;
use tokio_postgres::Client;

use super::fixture::{engine, finish, number};
use crate::postgres::Postgres;

const TABLE: &str = "\"Shop\".\"Customer s\"";
pub(crate) const SETUP: &str = r#"
DROP SCHEMA IF EXISTS "Shop" CASCADE;
CREATE SCHEMA "Shop";
CREATE TABLE "Shop".regions (id bigint PRIMARY KEY);
INSERT INTO "Shop".regions SELECT generate_series(0, 9);
CREATE TABLE "Shop"."Customer s" (
  "order" int, id bigint, email text NOT NULL, spend numeric, region bigint,
  PRIMARY KEY ("order", id));
INSERT INTO "Shop"."Customer s"
  SELECT i % 7, i, 'C' || i || '@example.com', CASE WHEN i % 5 > 0 THEN i END, i % 10
  FROM generate_series(1, 1000) i;
"#;

pub(crate) fn place(id: &str) -> Place {
    Place {
        id: id.to_owned(),
        table: TableName { schema: "Shop".into(), name: "Customer s".into() },
        key: vec!["order".into(), "id".into()],
    }
}

fn computed() -> Change {
    Change::AddColumn(AddColumn {
        column: "Tier".into(),
        data_type: "text".into(),
        fill: Fill::Computed(
            "CASE WHEN coalesce(t.spend, 0) > 100 THEN 'gold' ELSE 'basic' END".into(),
        ),
        not_null: true,
    })
}

fn constant() -> Change {
    Change::AddColumn(AddColumn {
        column: "active".into(),
        data_type: "boolean".into(),
        fill: Fill::Constant("true".into()),
        not_null: true,
    })
}

fn rename() -> Change {
    Change::Rename(Rename {
        from: "email".into(),
        to: "e-mail".into(),
        data_type: "text".into(),
        default: Some("'none'".into()),
        not_null: true,
    })
}

fn change_type() -> Change {
    Change::ChangeType(ChangeType {
        column: "spend".into(),
        data_type: "bigint".into(),
        using: "t.spend::bigint".into(),
        default: Some("0".into()),
        not_null: false,
    })
}

fn foreign_key() -> Change {
    Change::AddForeignKey(AddForeignKey {
        name: "customer_region".into(),
        columns: vec!["region".into()],
        references: TableName { schema: "Shop".into(), name: "regions".into() },
        referenced: vec!["id".into()],
    })
}

fn index() -> Change {
    Change::AddIndex(AddIndex {
        name: "Customer emails".into(),
        columns: vec!["email".into()],
        unique: true,
        filter: Some("region < 5".into()),
    })
}

fn bulk_update() -> Change {
    Change::BulkUpdate(BulkUpdate {
        set: vec![
            ("email".into(), "lower(t.email)".into()),
            ("spend".into(), "t.spend + 1".into()),
        ],
        filter: Some("t.region < 5".into()),
    })
}

fn bulk_delete() -> Change {
    Change::BulkDelete(BulkDelete { filter: "t.region = 3".into() })
}

/// A folder on a table, phase by phase as an engine would.
struct Run {
    _dir: TempDir,
    folder: Folder,
    client: Client,
}

impl Run {
    async fn new(client: Client, id: &str, change: &Change) -> Run {
        client.batch_execute(SETUP).await.unwrap();
        let dir = TempDir::new().unwrap();
        let path = write(dir.path(), &place(id), change).unwrap();
        Run::of(dir, &path, client)
    }

    fn of(dir: TempDir, path: &Path, client: Client) -> Run {
        assert_eq!(lint(path).unwrap(), [], "{id}", id = path.display());
        Run { _dir: dir, folder: Folder::load(path).unwrap(), client }
    }

    async fn sql(&self, sql: &str) {
        let done = self.client.batch_execute(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}\n{:?}", error.as_db_error()));
    }

    async fn text(&self, sql: &str) -> Option<String> {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn phase(&self, phase: Phase) {
        let statements = self.folder.statements(phase);
        if matches!(phase, Phase::Expand | Phase::Down) && !statements.is_empty() {
            let all: Vec<&str> = statements.iter().map(|one| one.text.as_str()).collect();
            return self.sql(&format!("BEGIN; {}; COMMIT", all.join(";\n"))).await;
        }
        for statement in statements {
            self.sql(&statement.text).await;
        }
    }

    /// Walks the table by its key, so many rows a batch, and gives the rows that were changed.
    async fn walk(&self, rule: &Rule, needs: Option<&str>) -> i64 {
        let target = &self.folder.config.target;
        let names: Vec<String> = target.key.iter().map(|name| format!("\"{name}\"")).collect();
        let (key, table) = (names.join(", "), target.table.quoted());
        let needs = needs.unwrap_or("true");
        let (mut cursor, mut changed) = ("true".to_owned(), 0);
        loop {
            let last = names.iter().map(|name| format!("{name}::text")).collect::<Vec<_>>();
            let batch = format!(
                "WITH rowproof_batch AS MATERIALIZED (SELECT {key} FROM {table} t WHERE {cursor} AND ({needs})
                   ORDER BY {key} LIMIT 150 FOR NO KEY UPDATE),
                 rowproof_work AS ({} RETURNING 1)
                 SELECT (SELECT count(*) FROM rowproof_work),
                   (SELECT ARRAY[{}] FROM rowproof_batch ORDER BY {} LIMIT 1)",
                rule.sql,
                last.join(", "),
                names.iter().map(|name| format!("{name} DESC")).collect::<Vec<_>>().join(", "),
            );
            let row = self.client.query_one(&batch, &[]).await.unwrap();
            changed += row.get::<_, i64>(0);
            let Some(last) = row.get::<_, Option<Vec<String>>>(1) else { return changed };
            cursor = format!("({key}) > ({})", last.join(", "));
        }
    }

    async fn backfill(&self) -> i64 {
        let rule = self.folder.backfill.as_ref().unwrap();
        self.walk(rule, self.folder.config.backfill.needs.as_deref()).await
    }

    /// Nothing needs the rule any more, and what has to hold holds.
    async fn validated(&self) {
        let config = &self.folder.config;
        if let Some(needs) = &config.backfill.needs {
            let left = format!(
                "SELECT count(*)::text FROM {} t WHERE {needs}",
                config.target.table.quoted()
            );
            assert_eq!(self.text(&left).await.unwrap(), "0", "{needs}");
        }
        for invariant in &config.invariants {
            let rows = match &invariant.kind {
                InvariantKind::ZeroRows { sql } => self.client.query(sql, &[]).await.unwrap().len(),
                InvariantKind::Aggregate { left, right, .. } => {
                    let sql = format!("SELECT 1 WHERE ({left}) <> ({right})");
                    self.client.query(&sql, &[]).await.unwrap().len()
                }
                InvariantKind::IndexValid { index } => {
                    let sql = "SELECT 1 FROM pg_index WHERE indexrelid = $1::text::regclass AND NOT indisvalid";
                    self.client.query(sql, &[&index.quoted()]).await.unwrap().len()
                }
                _ => 0,
            };
            assert_eq!(rows, 0, "{}", invariant.name);
        }
        for statement in self.folder.statements(Phase::Validate) {
            assert_eq!(self.client.query(&statement.text, &[]).await.unwrap().len(), 0);
        }
    }

    async fn back(&self) {
        if let Some(rule) = &self.folder.undo_backfill {
            self.walk(rule, None).await;
        }
        self.phase(Phase::Down).await;
    }

    /// The table's rows, columns, constraints, indexes and triggers, and the functions beside it.
    async fn whole(&self, table: &str) -> Vec<String> {
        let sql = format!(
            "SELECT t::text FROM {table} t
             UNION ALL SELECT format('%s %s %s', attname, format_type(atttypid, atttypmod), attnotnull)
               FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped
             UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '{table}'::regclass
             UNION ALL SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = '{table}'::regclass
             UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = '{table}'::regclass
             UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid = '{table}'::regclass AND NOT tgisinternal
             UNION ALL SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace
               WHERE nspname IN ('Shop', 'public')
             ORDER BY 1"
        );
        let rows = self.client.query(&sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

#[tokio::test]
async fn every_generated_folder_runs_and_comes_back() {
    let postgres = Postgres::start().await;
    for (id, change) in changes() {
        let run = Run::new(postgres.look().await, id, &change).await;
        let before = run.whole(TABLE).await;
        let rounds: &[&str] = if run.folder.config.reversible { &["back", "on"] } else { &["on"] };
        for round in rounds {
            run.phase(Phase::Precheck).await;
            run.phase(Phase::Expand).await;
            run.phase(Phase::Online).await;
            if run.folder.backfill.is_some() {
                assert!(run.backfill().await > 0, "{id}");
                run.validated().await;
                assert_eq!(run.backfill().await, 0, "{id}: rows that had the rule get it again");
            }
            if *round == "back" {
                run.back().await;
                assert_eq!(run.whole(TABLE).await, before, "{id}");
            }
        }
        run.phase(Phase::Contract).await;
        assert_ne!(run.whole(TABLE).await, before, "{id}");
    }
}

/// All changes, by a name for each.
pub(crate) fn changes() -> [(&'static str, Change); 8] {
    [
        ("a_computed", computed()),
        ("a_constant", constant()),
        ("a_rename", rename()),
        ("a_type", change_type()),
        ("a_key", foreign_key()),
        ("an_index", index()),
        ("an_update", bulk_update()),
        ("a_delete", bulk_delete()),
    ]
}

/// A generated folder and the engine over it. What is dropped in the end waits for somebody, who is there.
pub(crate) async fn approved(postgres: &Postgres, id: &str, change: &Change) -> (TempDir, Engine) {
    let dir = TempDir::new().unwrap();
    let path = write(dir.path(), &place(id), change).unwrap();
    let engine = engine(&path, &postgres.url());
    engine.record_evidence("approval", &serde_json::Value::Null, "anna").await.unwrap();
    (dir, engine)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_generated_folder_runs_through_the_engine() {
    let postgres = Postgres::start().await;
    let client = postgres.look().await;
    for (id, change) in changes() {
        client.batch_execute(SETUP).await.unwrap();
        let (_dir, engine) = approved(&postgres, id, &change).await;
        assert_eq!(finish(&engine).await, Drive::Done { state: State::Done }, "{id}");
    }
    let left = "SELECT count(*) FROM \"Shop\".\"Customer s\" WHERE region = 3";
    assert_eq!(number(&client, left).await, 0);
}

#[tokio::test]
async fn a_computed_column_follows_rows_that_are_written_meanwhile() {
    let postgres = Postgres::start().await;
    let run = Run::new(postgres.look().await, "tier", &computed()).await;
    run.phase(Phase::Expand).await;
    run.sql(&format!(
        "UPDATE {TABLE} SET spend = 1000 WHERE id = 1;
         INSERT INTO {TABLE} VALUES (0, 2001, 'x', 500, 1)"
    ))
    .await;
    run.backfill().await;
    run.sql(&format!(
        "UPDATE {TABLE} SET spend = 1000 WHERE id = 2;
         INSERT INTO {TABLE} VALUES (0, 2002, 'x', 5, 1)"
    ))
    .await;
    run.sql(&format!("UPDATE {TABLE} SET \"Tier\" = 'own' WHERE id = 3")).await;
    run.validated().await;
    let tiers = format!(
        "SELECT string_agg(\"Tier\", ' ' ORDER BY id) FROM {TABLE} WHERE id IN (1, 2, 3, 4, 150, 2001, 2002)"
    );
    assert_eq!(run.text(&tiers).await.unwrap(), "gold gold own basic basic gold basic");
    run.phase(Phase::Contract).await;
    let sql = format!("INSERT INTO {TABLE} VALUES (0, 3000, 'x')");
    let not_null = run.client.execute(&sql, &[]).await;
    assert_eq!(not_null.unwrap_err().code().unwrap().code(), "23502");
}

#[tokio::test]
async fn both_names_of_a_column_are_written_through_either() {
    let postgres = Postgres::start().await;
    let run = Run::new(postgres.look().await, "rename", &rename()).await;
    run.phase(Phase::Expand).await;
    let both = format!(
        "SELECT string_agg(email || '=' || \"e-mail\", ' ' ORDER BY id) FROM {TABLE} WHERE id IN (1, 2, 2001, 2002)"
    );
    for _ in 0..2 {
        run.sql(&format!(
            "UPDATE {TABLE} SET email = 'old1' WHERE id = 1;
             UPDATE {TABLE} SET \"e-mail\" = 'new2' WHERE id = 2"
        ))
        .await;
        run.sql(&format!(
            "DELETE FROM {TABLE} WHERE id > 2000; INSERT INTO {TABLE} (\"order\", id, email) VALUES (0, 2001, 'a');
             INSERT INTO {TABLE} (\"order\", id, \"e-mail\") VALUES (0, 2002, 'b')"
        ))
        .await;
        assert_eq!(run.text(&both).await.unwrap(), "old1=old1 new2=new2 a=a b=b");
        run.backfill().await;
    }
    run.validated().await;
    run.phase(Phase::Contract).await;
    run.sql(&format!("INSERT INTO {TABLE} (\"order\", id) VALUES (0, 2003)")).await;
    let default = run.text(&format!("SELECT \"e-mail\" FROM {TABLE} WHERE id = 2003")).await;
    assert_eq!(default.unwrap(), "none");
}

#[tokio::test]
async fn a_changed_type_keeps_its_name_and_values() {
    let postgres = Postgres::start().await;
    let run = Run::new(postgres.look().await, "type", &change_type()).await;
    let sum = format!("SELECT sum(spend)::text FROM {TABLE}");
    run.phase(Phase::Expand).await;
    run.sql(&format!("UPDATE {TABLE} SET spend = 7 WHERE id = 1")).await;
    run.backfill().await;
    run.sql(&format!("UPDATE {TABLE} SET spend = 8 WHERE id = 2")).await;
    run.validated().await;
    let before = run.text(&sum).await;
    run.phase(Phase::Contract).await;
    assert_eq!(run.text(&sum).await, before);
    let data_type = format!("SELECT pg_typeof(spend)::text FROM {TABLE} LIMIT 1");
    assert_eq!(run.text(&data_type).await.unwrap(), "bigint");
    run.sql(&format!("UPDATE {TABLE} SET spend = 9 WHERE id = 2")).await;
}

#[tokio::test]
async fn undoing_an_update_keeps_what_was_written_since() {
    let postgres = Postgres::start().await;
    let run = Run::new(postgres.look().await, "update", &bulk_update()).await;
    run.phase(Phase::Expand).await;
    let row = format!(
        "SELECT string_agg(concat(email, ' ', spend), ', ' ORDER BY id) FROM {TABLE} WHERE id IN (1, 5, 10)"
    );
    run.backfill().await;
    assert_eq!(
        run.text(&row).await.unwrap(),
        "c1@example.com 2, C5@example.com , c10@example.com "
    );
    run.sql(&format!("UPDATE {TABLE} SET email = 'mine' WHERE id = 1")).await;
    run.back().await;
    assert_eq!(run.text(&row).await.unwrap(), "mine 1, C5@example.com , C10@example.com ");
}

/// Values that are hard to compare, to cast, or to get twice.
#[tokio::test]
async fn an_update_of_any_type_is_taken_back() {
    let postgres = Postgres::start().await;
    let client = postgres.look().await;
    client
        .batch_execute(
            "CREATE TABLE odd (id int PRIMARY KEY, qty int, at time, doc jsonb, old json, spot point,
               token uuid, code char(4), tags text[], price numeric(8,2), mine text);
             INSERT INTO odd SELECT i, i, '10:00', 'null', '{\"a\": 1,  \"a\":2}', point(i, 1),
               gen_random_uuid(), 'x', '{a,NULL}', i, 'before' FROM generate_series(1, 20) i;
             UPDATE odd SET doc = NULL, tags = NULL WHERE id = 7",
        )
        .await
        .unwrap();
    let set = [
        ("qty", "t.qty * 1.5"),
        ("at", "now()"),
        ("doc", "'{\"b\":1}'"),
        ("old", "'[]'"),
        ("spot", "point(0, 0)"),
        ("token", "gen_random_uuid()"),
        ("code", "'longer'::char(4)"),
        ("tags", "'{}'"),
        ("price", "random()"),
        ("mine", "'after'"),
    ];
    let set = set.map(|(column, sql)| (column.to_owned(), sql.to_owned())).to_vec();
    let change = Change::BulkUpdate(BulkUpdate { set, filter: None });
    let table = TableName::parse("public.odd").unwrap();
    let place = Place { id: "odd".to_owned(), table, key: vec!["id".to_owned()] };
    let dir = TempDir::new().unwrap();
    let path = write(dir.path(), &place, &change).unwrap();
    assert_eq!(lint(&path).unwrap(), []);
    let run = Run::of(dir, &path, client);
    let before = run.whole("odd").await;
    run.phase(Phase::Expand).await;
    run.backfill().await;
    let same = "SELECT count(*)::text FROM odd WHERE mine = 'before' OR spot ~= point(id, 1)";
    assert_eq!(run.text(same).await.unwrap(), "0");
    run.sql("UPDATE odd SET mine = 'own' WHERE id = 3").await;
    run.back().await;
    assert_eq!(run.text("SELECT mine FROM odd WHERE id = 3").await.unwrap(), "own");
    run.sql("UPDATE odd SET mine = 'before' WHERE id = 3").await;
    assert_eq!(run.whole("odd").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hangs_on_a_column_that_goes_is_named_first() {
    let postgres = Postgres::start().await;
    let client = postgres.look().await;
    client
        .batch_execute(
            "CREATE TABLE t (id int PRIMARY KEY, amount numeric NOT NULL DEFAULT 5);
             CREATE INDEX by_amount ON t (amount); CREATE VIEW v AS SELECT amount FROM t;
             INSERT INTO t SELECT i FROM generate_series(1, 50) i",
        )
        .await
        .unwrap();
    let change = Change::ChangeType(ChangeType {
        column: "amount".into(),
        data_type: "bigint".into(),
        using: "t.amount::bigint".into(),
        default: None,
        not_null: false,
    });
    let table = TableName::parse("public.t").unwrap();
    let place = Place { id: "narrow".to_owned(), table, key: vec!["id".to_owned()] };
    let dir = TempDir::new().unwrap();
    let path = write(dir.path(), &place, &change).unwrap();
    let engine = engine(&path, &postgres.url());
    for (mend, named) in [
        ("SELECT", "--not-null keeps it"),
        ("ALTER TABLE t ALTER amount DROP NOT NULL", "--default keeps one"),
        ("ALTER TABLE t ALTER amount DROP DEFAULT", "index by_amount"),
        ("DROP INDEX by_amount", "view v"),
    ] {
        client.batch_execute(mend).await.unwrap();
        let error = crate::fixture::drive(&engine).await.unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
}

pub(crate) fn example() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("infra/migrations/20240115_add_customer_tier")
}

#[tokio::test]
async fn the_example_gives_every_customer_the_tier_of_its_orders() {
    let postgres = Postgres::start().await;
    let client = postgres.look().await;
    client
        .batch_execute(
            "CREATE TABLE customers (id bigint PRIMARY KEY, email text);
             CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint REFERENCES customers, amount numeric);
             INSERT INTO customers SELECT i, 'c' || i FROM generate_series(1, 500) i;
             INSERT INTO orders SELECT i, i % 400 + 1, i % 401 * 3 FROM generate_series(1, 1000) i",
        )
        .await
        .unwrap();
    let run = Run::of(TempDir::new().unwrap(), &example(), client);
    let before = run.whole("customers").await;
    let wrong = "SELECT count(*)::text FROM customers c WHERE customer_tier IS DISTINCT FROM (
        SELECT CASE WHEN coalesce(sum(amount), 0) >= 1000 THEN 'gold' WHEN coalesce(sum(amount), 0) >= 100
          THEN 'silver' ELSE 'bronze' END FROM orders WHERE customer_id = c.id)";
    for round in ["back", "on"] {
        for statement in run.folder.statements(Phase::Precheck) {
            assert_eq!(run.client.query(&statement.text, &[]).await.unwrap().len(), 0);
        }
        run.phase(Phase::Expand).await;
        run.phase(Phase::Online).await;
        run.sql(
            "INSERT INTO orders VALUES (2001, 450, 5000); INSERT INTO customers VALUES (501, 'n')",
        )
        .await;
        run.backfill().await;
        run.sql(
            "UPDATE orders SET customer_id = 451 WHERE id = 2001;
             INSERT INTO orders VALUES (2002, 501, 100)",
        )
        .await;
        run.sql("DELETE FROM orders WHERE customer_id = 2").await;
        run.validated().await;
        assert_eq!(run.text(wrong).await.unwrap(), "0");
        if round == "back" {
            run.sql("DELETE FROM orders WHERE id > 2000; DELETE FROM customers WHERE id = 501")
                .await;
            run.back().await;
            assert_eq!(run.whole("customers").await, before);
        }
    }
    run.phase(Phase::Contract).await;
    for tier in ["'none'", "NULL"] {
        let sql = format!("UPDATE customers SET customer_tier = {tier}");
        let refused = run.client.execute(&sql, &[]).await;
        assert!(refused.unwrap_err().code().unwrap().code().starts_with("235"), "{tier}");
    }
}

#[test]
fn inputs_that_cannot_be_are_refused_with_their_name() {
    let long = "x".repeat(60);
    let refused = |place: &Place, change: &Change, part: &str| {
        let error = files(place, change).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    };
    let good = place("good");
    refused(&Place { id: "Not good".into(), ..good.clone() }, &index(), "id:");
    refused(&Place { key: vec![], ..good.clone() }, &index(), "key:");
    let column = |column: &str, fill: Fill, not_null: bool| {
        let (column, data_type) = (column.to_owned(), "text".to_owned());
        Change::AddColumn(AddColumn { column, data_type, fill, not_null })
    };
    refused(&good, &column("", Fill::Nothing, false), "column:");
    refused(&good, &column("a", Fill::Nothing, true), "not_null:");
    refused(&good, &column("a", Fill::Constant("1; DROP TABLE x".into()), true), "constant:");
    refused(&good, &column("a", Fill::Computed("1 -- )".into()), true), "expression:");
    refused(&good, &column(&long, Fill::Computed("1".into()), true), "trigger");
    let same = Rename {
        from: "a".into(),
        to: "a".into(),
        data_type: "text".into(),
        default: None,
        not_null: false,
    };
    refused(&good, &Change::Rename(same), "to:");
    let key = BulkUpdate { set: vec![("id".into(), "1".into())], filter: None };
    refused(&good, &Change::BulkUpdate(key), "key");
}

#[test]
fn a_folder_that_is_there_is_left_alone() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), &place("twice"), &index()).unwrap();
    let error = write(dir.path(), &place("twice"), &bulk_delete()).unwrap_err().to_string();
    assert!(error.contains("twice"), "{error}");
    assert!(!dir.path().join("twice/backfill.sql").exists());
}
