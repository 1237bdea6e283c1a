//! What the catalog and the server's messages tell about one statement.

use std::time::Duration;

use rowproof_core::sql::quote;
use rowproof_io::postgres::PostgresError;
use tokio_postgres::Client;

use crate::error::MigrateError;
use crate::locks::LockMode;

/// A table and the file that holds its rows, or an index.
pub(super) struct Table {
    oid: u32,
    schema: String,
    name: String,
    file: Option<u32>,
    is_index: bool,
}

/// A lock on a relation.
pub(super) struct Held {
    relation: u32,
    mode: LockMode,
}

const TABLES: &str = "
    SELECT c.oid, n.nspname, c.relname, pg_relation_filenode(c.oid), c.relkind IN ('i', 'I')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname !~ '^pg_(toast|temp)' ORDER BY c.oid";
const HELD: &str = "
    SELECT relation, mode FROM pg_locks
    WHERE locktype = 'relation' AND pid = coalesce($1, pg_backend_pid()) AND relation IS NOT NULL
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

fn of(error: tokio_postgres::Error) -> MigrateError {
    PostgresError::of("look at the copy", &error).into()
}

/// The tables and indexes that are there.
pub(super) async fn tables(client: &Client) -> Result<Vec<Table>, MigrateError> {
    let rows = client.query(TABLES, &[]).await.map_err(of)?;
    let read = |row: &tokio_postgres::Row| Table {
        oid: row.get(0),
        schema: row.get(1),
        name: row.get(2),
        file: row.get(3),
        is_index: row.get(4),
    };
    Ok(rows.iter().map(read).collect())
}

/// Locks of a backend, or of the session itself; also one that it waits for.
pub(super) async fn held(client: &Client, pid: Option<i32>) -> Result<Vec<Held>, MigrateError> {
    let rows = client.query(HELD, &[&pid]).await.map_err(of)?;
    let read = |row: &tokio_postgres::Row| {
        Some(Held { relation: row.get(0), mode: LockMode::parse(row.get(1))? })
    };
    Ok(rows.iter().filter_map(read).collect())
}

/// Process id of a session's backend.
pub(super) async fn pid(client: &Client) -> Result<i32, MigrateError> {
    Ok(client.query_one("SELECT pg_backend_pid()", &[]).await.map_err(of)?.get(0))
}

/// Opens a transaction that writes every table.
pub(super) async fn occupy(client: &Client, tables: &[Table]) -> Result<(), MigrateError> {
    let mut sql = "BEGIN".to_owned();
    for table in tables.iter().filter(|table| table.file.is_some() && !table.is_index) {
        let (schema, name) = (quote(&table.schema), quote(&table.name));
        sql.push_str(&format!("; LOCK TABLE {schema}.{name} IN ROW EXCLUSIVE MODE"));
    }
    client.batch_execute(&sql).await.map_err(of)
}

/// Ends it.
pub(super) async fn leave(client: &Client) -> Result<(), MigrateError> {
    client.batch_execute("ROLLBACK").await.map_err(of)
}

/// The locks of a backend at the moment when it waits for another one.
pub(super) async fn until_it_waits(client: &Client, pid: i32) -> Result<Vec<Held>, MigrateError> {
    loop {
        let sql = "SELECT count(*) > 0 FROM pg_locks WHERE pid = $1 AND NOT granted";
        let waits: bool = client.query_one(sql, &[&pid]).await.map_err(of)?.get(0);
        if waits {
            return held(client, Some(pid)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The strongest lock on each table that was there before. Of an index only one that keeps readers out: each
/// query of its table looks at it.
pub(super) fn strongest(before: &[Table], held: Vec<Held>) -> Vec<(String, LockMode)> {
    let mut found = vec![];
    for table in before {
        let modes = held.iter().filter(|lock| lock.relation == table.oid).map(|lock| lock.mode);
        if let Some(mode) = modes.max().filter(|mode| !table.is_index || mode.blocks_reads()) {
            found.push((format!("{}.{}", table.schema, table.name), mode));
        }
    }
    found
}

/// Tables whose rows are in another file now.
pub(super) fn rewritten(before: &[Table], after: &[Table]) -> Vec<String> {
    let moved = |old: &&Table| {
        !old.is_index && after.iter().any(|new| new.oid == old.oid && new.file != old.file)
    };
    before.iter().filter(moved).map(|table| format!("{}.{}", table.schema, table.name)).collect()
}

/// Whether a message is about rows.
pub(super) fn matters(word: &str) -> bool {
    let known = ["rewriting table", "verifying table", "validating foreign key", "building index"];
    known.iter().any(|known| word.starts_with(known)) || word.contains("are sufficient to prove")
}

/// Whether a message says that all rows of a table of before are read.
pub(super) fn is_scan(word: &str, before: &[Table]) -> bool {
    let named = |after: &str| {
        let name = word.split_once(after).and_then(|(_, rest)| rest.split('"').nth(1));
        name.is_some_and(|name| before.iter().any(|table| table.name == name))
    };
    let reads = ["rewriting table", "verifying table"];
    reads.iter().any(|known| word.starts_with(known) && named(known))
        || (word.starts_with("building index") && named("on table"))
        || word.starts_with("validating foreign key")
}
