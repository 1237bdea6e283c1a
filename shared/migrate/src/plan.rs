//! Level 3 of a dry run: what the target itself says, read only.
//!
//! One transaction that cannot write, with limits on waiting and running. Nothing stronger than what a
//! reader takes is locked, so the rule's own UPDATE and the rows' locks are left out of what is planned.

use rowproof_io::postgres::{PostgresError, Server};
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Client;

use crate::error::{Key, MigrateError};
use crate::folder::Folder;
use crate::link::Link;
use crate::locks::LockMode;
use crate::phase::Phase;
use crate::target::Target;

const NOT_CHECKED: [&str; 5] = [
    "the plan of the rule's UPDATE, DELETE or INSERT: planning it locks the table as a writer",
    "how long schema changes take and what they lock: see shadow",
    "room on the disk: the server does not tell; a backfill of all rows can double the table",
    "replicas that a role without pg_monitor does not see, and those of a managed service",
    "what triggers do",
];

/// A query of the backfill, and how Postgres would run it.
#[derive(Debug, Clone, Serialize)]
pub struct Planned {
    /// `batch`, `probe` or `sweep`.
    pub query: &'static str,
    /// Indexes that it reads.
    pub indexes: Vec<String>,
    /// Whether it reads all of the target, or sorts it.
    pub reads_all: bool,
}

/// A transaction that has been open for long.
#[derive(Debug, Clone, Serialize)]
pub struct LongTransaction {
    /// Process id of its backend.
    pub pid: i32,
    /// `application_name` of the session.
    pub application: String,
    /// Its age, in seconds.
    pub age_s: i64,
}

/// A replica.
#[derive(Debug, Clone, Serialize)]
pub struct Replica {
    /// `application_name` of the replica.
    pub application: String,
    /// Its state.
    pub state: String,
    /// How far it is behind, in milliseconds; unknown while nothing is written.
    pub lag_ms: Option<i64>,
}

/// What the target says.
#[derive(Debug, Clone, Serialize)]
pub struct PlanReport {
    /// Bytes of the table without its indexes.
    pub table_bytes: i64,
    /// Bytes with indexes and TOAST.
    pub total_bytes: i64,
    /// Rows by the planner's statistics; none before the first ANALYZE.
    pub rows_estimate: Option<f64>,
    /// Queries of the backfill; none when the table is empty.
    pub planned: Vec<Planned>,
    /// Transactions that are open for more than a minute.
    pub long_transactions: Vec<LongTransaction>,
    /// Triggers of the table that fire on the rule's writes too.
    pub triggers: Vec<String>,
    /// Whether policies hide rows from some roles.
    pub row_security: bool,
    /// Publications that send each changed row.
    pub publications: Vec<String>,
    /// Replicas of the server.
    pub replicas: Vec<Replica>,
    /// Statements of `precheck.sql` that give rows, or fail, and so stop a run: line and what they say.
    pub prechecks: Vec<(u32, String)>,
    /// What the role may not do, and a run has to.
    pub missing_rights: Vec<String>,
    /// The strongest lock that was taken to find all this.
    pub strongest_lock: Option<LockMode>,
    /// What remains open.
    pub not_checked: Vec<String>,
}

fn of(error: tokio_postgres::Error) -> MigrateError {
    PostgresError::of("look at the target", &error).into()
}

/// Looks at the target of a folder, and refuses what a run would refuse.
///
/// # Errors
/// The target is not there, cannot be walked, may not be read, or is locked for longer than
/// `locks.lock_timeout`.
pub async fn plan(server: &Server, folder: &Folder) -> Result<PlanReport, MigrateError> {
    let target = Target::find(&mut Link::new(server.clone()), &folder.config.target).await?;
    let client = server.connect().await?;
    let locks = folder.config.locks;
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}",
        locks.lock_timeout.as_ms(),
        locks.statement_timeout.as_ms()
    );
    client.batch_execute(&begin).await.map_err(of)?;
    look(&client, folder, &target).await
}

async fn look(
    client: &Client,
    folder: &Folder,
    target: &Target,
) -> Result<PlanReport, MigrateError> {
    let table = folder.config.target.table.quoted();
    let facts =
        "SELECT pg_table_size(c.oid), pg_total_relation_size(c.oid), c.reltuples, c.relrowsecurity
        FROM pg_class c WHERE c.oid = $1::text::regclass";
    let facts = client.query_one(facts, &[&table]).await.map_err(of)?;
    let rows: f32 = facts.get(2);
    let mut not_checked: Vec<String> = NOT_CHECKED.iter().map(|&open| open.to_owned()).collect();
    let planned = queries(client, folder, target, &mut not_checked).await?;
    let triggers = "SELECT tgname::text FROM pg_trigger
        WHERE tgrelid = $1::text::regclass AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY 1";
    let publications = "SELECT p.pubname::text FROM pg_publication p
        WHERE p.puballtables OR EXISTS (SELECT 1 FROM pg_publication_tables t
          WHERE t.pubname = p.pubname
            AND format('%I.%I', t.schemaname, t.tablename)::regclass = $1::text::regclass) ORDER BY 1";
    Ok(PlanReport {
        table_bytes: facts.get(0),
        total_bytes: facts.get(1),
        rows_estimate: (rows >= 0.0).then(|| f64::from(rows)),
        planned,
        long_transactions: long_transactions(client).await?,
        triggers: names(client, triggers, &table).await?,
        row_security: facts.get(3),
        publications: names(client, publications, &table).await?,
        replicas: replicas(client).await?,
        prechecks: prechecks(client, folder).await?,
        missing_rights: missing_rights(client, folder).await?,
        strongest_lock: strongest_lock(client).await?,
        not_checked,
    })
}

async fn names(client: &Client, sql: &str, table: &str) -> Result<Vec<String>, MigrateError> {
    let rows = client.query(sql, &[&table]).await.map_err(of)?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// `precheck.sql`, of which no statement may give a row.
async fn prechecks(client: &Client, folder: &Folder) -> Result<Vec<(u32, String)>, MigrateError> {
    let mut found = vec![];
    for statement in folder.statements(Phase::Precheck) {
        client.batch_execute("SAVEPOINT precheck").await.map_err(of)?;
        let sql =
            format!("SELECT count(*) FROM (SELECT FROM ({}\n) q LIMIT 100) r", statement.text);
        let what = match client.query_one(&sql, &[]).await {
            Ok(row) => match row.get::<_, i64>(0) {
                0 => None,
                100 => Some("100 rows or more where there should be none".to_owned()),
                rows => Some(format!("{rows} rows where there should be none")),
            },
            Err(error) => {
                client.batch_execute("ROLLBACK TO precheck").await.map_err(of)?;
                Some(PostgresError::of("ask", &error).what)
            }
        };
        found.extend(what.map(|what| (statement.line, what)));
    }
    Ok(found)
}

/// What a run needs of its role and does not find.
async fn missing_rights(client: &Client, folder: &Folder) -> Result<Vec<String>, MigrateError> {
    let schema = [Phase::Expand, Phase::Online, Phase::Contract];
    let changes_schema = schema.iter().any(|phase| !folder.statements(*phase).is_empty());
    let sql = "SELECT pg_has_role(c.relowner, 'USAGE'),
          has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'UPDATE'),
          CASE WHEN to_regclass('rowproof_migrate.migration') IS NULL
            THEN has_database_privilege(current_database(), 'CREATE')
            ELSE has_table_privilege('rowproof_migrate.migration', 'UPDATE') END,
          pg_has_role('pg_read_all_stats', 'USAGE') OR NOT EXISTS (SELECT FROM pg_stat_replication)
        FROM pg_class c WHERE c.oid = $1::text::regclass";
    let table = folder.config.target.table.quoted();
    let found = client.query_one(sql, &[&table]).await.map_err(of)?;
    let needed = [
        (changes_schema, 0, format!("own {table}, or be a member of its owner: schema changes need it")),
        (!changes_schema, 1, format!("SELECT and UPDATE on {table}: rows are locked before they are changed")),
        (true, 2, "CREATE on the database, or UPDATE on the tables in rowproof_migrate: the books are there".into()),
        (true, 3, "be a member of pg_read_all_stats: without it the replicas' lag cannot be read, and a backfill \
          pauses (throttle.on_signal_missing)".into()),
    ];
    let lacks = |(asked, at, _): &(bool, usize, String)| *asked && !found.get::<_, bool>(*at);
    Ok(needed.into_iter().filter(lacks).map(|(_, _, right)| right).collect())
}

async fn long_transactions(client: &Client) -> Result<Vec<LongTransaction>, MigrateError> {
    let sql = "SELECT pid, coalesce(application_name, ''),
          extract(epoch FROM clock_timestamp() - xact_start)::bigint
        FROM pg_stat_activity
        WHERE xact_start < clock_timestamp() - interval '1 minute' AND pid <> pg_backend_pid()
        ORDER BY xact_start";
    let rows = client.query(sql, &[]).await.map_err(of)?;
    let read = |row: &tokio_postgres::Row| LongTransaction {
        pid: row.get(0),
        application: row.get(1),
        age_s: row.get(2),
    };
    Ok(rows.iter().map(read).collect())
}

async fn replicas(client: &Client) -> Result<Vec<Replica>, MigrateError> {
    let sql = "SELECT coalesce(application_name, ''), coalesce(state, 'hidden'),
          (extract(epoch FROM replay_lag) * 1000)::bigint
        FROM pg_stat_replication ORDER BY 1";
    let rows = client.query(sql, &[]).await.map_err(of)?;
    let read = |row: &tokio_postgres::Row| Replica {
        application: row.get(0),
        state: row.get(1),
        lag_ms: row.get(2),
    };
    Ok(rows.iter().map(read).collect())
}

async fn strongest_lock(client: &Client) -> Result<Option<LockMode>, MigrateError> {
    let sql = "SELECT mode FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid()";
    let rows = client.query(sql, &[]).await.map_err(of)?;
    Ok(rows.iter().filter_map(|row| LockMode::parse(row.get(0))).max())
}

/// The queries of the backfill without their locks on rows, from the first key on.
async fn queries(
    client: &Client,
    folder: &Folder,
    target: &Target,
    not_checked: &mut Vec<String>,
) -> Result<Vec<Planned>, MigrateError> {
    if folder.backfill.is_none() {
        not_checked.push("queries of a backfill: the folder has no rule".into());
        return Ok(vec![]);
    }
    let (table, key) = (target.table.quoted(), target.columns("t"));
    client.batch_execute("SET LOCAL enable_seqscan = off").await.map_err(of)?;
    let first =
        format!("SELECT {}::text FROM {table} t ORDER BY {key} LIMIT 1", target.as_json("t"));
    let Some(first) = client.query_opt(&first, &[]).await.map_err(of)? else {
        not_checked.push("queries of the backfill: the table is empty".into());
        return Ok(vec![]);
    };
    let first: Key = serde_json::from_str(first.get(0))
        .map_err(|error| MigrateError::Bug { what: format!("a key cannot be read: {error}") })?;
    let after = format!("({key}) > {}", target.values(&first));
    let size = folder.config.backfill.start;
    let batch = format!("SELECT {key} FROM {table} t WHERE {after} ORDER BY {key} LIMIT {size}");
    let probe = format!("SELECT 1 FROM {table} t WHERE {after} LIMIT 1");
    let mut planned =
        vec![explain(client, "batch", &batch).await?, explain(client, "probe", &probe).await?];
    if let Some(needs) = &folder.config.backfill.needs {
        let sweep = format!(
            "SELECT {key} FROM {table} t WHERE {after} AND ({needs}) ORDER BY {key} LIMIT {size}"
        );
        client.batch_execute("SAVEPOINT sweep").await.map_err(of)?;
        match explain(client, "sweep", &sweep).await {
            Ok(found) => planned.push(found),
            Err(MigrateError::Database(error)) if error.state() == Some("42703") => {
                client.batch_execute("ROLLBACK TO sweep").await.map_err(of)?;
                not_checked.push(
                    "the sweep: backfill.needs names a column that expand.sql has yet to add"
                        .into(),
                );
            }
            Err(error) => return Err(error),
        }
    }
    Ok(planned)
}

async fn explain(client: &Client, query: &'static str, sql: &str) -> Result<Planned, MigrateError> {
    let sql = format!("EXPLAIN (FORMAT JSON) {sql}");
    let rows = client.simple_query(&sql).await.map_err(of)?;
    let mut text = String::new();
    for row in rows {
        if let tokio_postgres::SimpleQueryMessage::Row(row) = row {
            text.push_str(row.get(0).unwrap_or_default());
        }
    }
    let plan = serde_json::from_str::<Value>(&text)
        .map_err(|error| MigrateError::Bug { what: format!("EXPLAIN gave no JSON: {error}") })?;
    let mut planned = Planned { query, indexes: vec![], reads_all: false };
    collect(&plan, &mut planned);
    Ok(planned)
}

fn collect(node: &Value, planned: &mut Planned) {
    match node {
        Value::Array(members) => members.iter().for_each(|member| collect(member, planned)),
        Value::Object(fields) => {
            let kind = fields.get("Node Type").and_then(Value::as_str).unwrap_or_default();
            // A sort has to read everything before it gives the first row.
            planned.reads_all |= ["Seq Scan", "Sort"].contains(&kind);
            if let Some(index) = fields.get("Index Name").and_then(Value::as_str) {
                planned.indexes.push(index.to_owned());
            }
            fields.values().for_each(|value| collect(value, planned));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
