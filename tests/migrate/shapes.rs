//! Keys and tables of other shapes: each works, or is refused by a code before anything is done.

use rowproof_migrate::drive::Drive;
use rowproof_migrate::state::State;

use super::fixture::{Files, World, drive, size};

const ID: &str = super::fixture::ID;

/// A rule for `items` that counts how often it met a row.
fn counting(key: &str, join: &str, table: &str) -> Files {
    let toml = format!(
        "id = \"{ID}\"\nreversible = false\ntarget = {{ table = '{table}', key = [{key}] }}\n\
         backfill = {{ start = 300, min = 20, max = 1000, duty = 1.0, preserve = [\"note\"] }}\n"
    );
    let rule = format!("UPDATE {table} t SET n = t.n + 1 FROM rowproof_batch b WHERE {join}");
    Files::default().with("migration.toml", &toml).with("backfill.sql", &rule)
}

/// Walks the table in calls that are cut off between batches; every row is met once.
async fn walks(create: &str, files: Files, table: &str) {
    let world = World::start(1, &files).await;
    let rows = size("ROWPROOF_MIGRATE_SHAPE_ROWS", 5_000);
    world.client.batch_execute(&create.replace("{rows}", &rows.to_string())).await.unwrap();
    world.client.batch_execute(&format!("ANALYZE {table}")).await.unwrap();
    let done = drive(&world.engine()).await.unwrap_or_else(|error| panic!("{create}: {error}"));
    assert_eq!(done, Drive::Done { state: State::Done });
    let all = world.number(&format!("SELECT count(*) FROM {table}")).await;
    let once = world.number(&format!("SELECT count(*) FROM {table} WHERE n = 1")).await;
    assert_eq!((once, all as u64), (all, rows), "{create}");
}

const REST: &str = "n int NOT NULL DEFAULT 0, note text DEFAULT 'x'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_all_kinds_are_walked_once() {
    let pairs = format!(
        "CREATE TABLE items (a uuid, b int, {REST}, PRIMARY KEY (a, b)); INSERT INTO items (a, b) \
         SELECT md5((i / 7)::text)::uuid, i % 7 FROM generate_series(1, {{rows}}) i"
    );
    walks(&pairs, counting("\"a\", \"b\"", "t.a = b.a AND t.b = b.b", "public.items"), "items")
        .await;
    walks(&pairs, counting("", "t.a = b.a AND t.b = b.b", "public.items"), "items").await;
    let texts = format!(
        "CREATE TABLE items (k text COLLATE \"en-x-icu\" PRIMARY KEY, {REST}); INSERT INTO items (k) \
         SELECT chr(65 + i % 60) || 'é''\\' || i FROM generate_series(1, {{rows}}) i"
    );
    walks(&texts, counting("\"k\"", "t.k = b.k", "public.items"), "items").await;
    let falling = format!(
        "CREATE TABLE items (id timestamptz NOT NULL, {REST}); CREATE UNIQUE INDEX ON items (id DESC); \
         INSERT INTO items (id) SELECT now() - i * interval '1.000001 s' FROM generate_series(1, {{rows}}) i"
    );
    walks(&falling, counting("", "t.id = b.id", "public.items"), "items").await;
    let odd = format!(
        "CREATE SCHEMA \"Odd\"; CREATE TABLE \"Odd\".\"My \"\"items\" (\"Row Id\" numeric(20,3) PRIMARY KEY, {REST}); \
         INSERT INTO \"Odd\".\"My \"\"items\" SELECT i / 3.0 FROM generate_series(1, {{rows}}) i"
    );
    let table = "\"Odd\".\"My \"\"items\"";
    walks(&odd, counting("\"Row Id\"", "t.\"Row Id\" = b.\"Row Id\"", table), table).await;
    let parts = format!(
        "CREATE TABLE items (id bigint, {REST}, PRIMARY KEY (id)) PARTITION BY HASH (id); \
         CREATE TABLE items_0 PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
         CREATE TABLE items_1 PARTITION OF items FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
         INSERT INTO items (id) SELECT i FROM generate_series(1, {{rows}}) i"
    );
    walks(&parts, counting("\"id\"", "t.id = b.id", "public.items"), "items").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_walked_is_refused_before_anything_is_done() {
    let by_id = || counting("\"id\"", "t.id = b.id", "public.items");
    for (create, files, code) in [
        (format!("CREATE TABLE items (id int, {REST})"), by_id(), "NoUsableKey"),
        (format!("CREATE TABLE items (id int UNIQUE, {REST})"), by_id(), "NoUsableKey"),
        (
            format!("CREATE TABLE items (id int NOT NULL UNIQUE DEFERRABLE, {REST})"),
            by_id(),
            "NoUsableKey",
        ),
        (
            format!(
                "CREATE TABLE items (id int NOT NULL, {REST}); CREATE UNIQUE INDEX ON items (id) WHERE n > 0"
            ),
            counting("", "t.id = b.id", "public.items"),
            "NoUsableKey",
        ),
        (
            "CREATE VIEW items AS SELECT id, 1 AS n FROM customers".to_owned(),
            by_id(),
            "UnsupportedTable",
        ),
        (
            format!(
                "CREATE TABLE items (id int PRIMARY KEY, {REST}); CREATE TABLE child () INHERITS (items)"
            ),
            by_id(),
            "UnsupportedTable",
        ),
        ("SELECT 1".to_owned(), by_id(), "UnsupportedTable"),
        (
            format!(
                "CREATE TABLE items (id int PRIMARY KEY, {REST}); ALTER TABLE items ENABLE ROW LEVEL SECURITY; \
          ALTER TABLE items FORCE ROW LEVEL SECURITY; CREATE POLICY p ON items USING (n > 0); \
          CREATE ROLE migrator LOGIN; GRANT ALL ON items TO migrator; \
          GRANT CREATE ON DATABASE rows TO migrator"
            ),
            by_id(),
            "RowSecurity",
        ),
    ] {
        let world = World::start(1, &files).await;
        world.client.batch_execute(&create).await.unwrap();
        let url = match code {
            "RowSecurity" => world.postgres.url().replace("rowproof@", "migrator@"),
            _ => world.postgres.url(),
        };
        let refused = drive(&super::fixture::engine(&world.path, &url)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{create}: {refused}");
        assert_eq!(world.state().await, "pending");
    }
}
