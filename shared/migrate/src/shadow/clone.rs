//! An empty copy of a database's schema, by `pg_dump`.

use std::path::Path;
use std::process::Stdio;

use rowproof_io::postgres::{Fault, PostgresError};
use tokio::process::Command;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::MigrateError;

use super::Scratch;

/// Copies the schema of a database into an empty scratch database: everything but rows, owners and rights.
/// `pg_dump` is the program of that name, of the source's major version or a newer one; it locks each table
/// in ACCESS SHARE mode, and waits for it at most for `lock_timeout_ms`.
///
/// # Errors
/// The program is missing or fails, or the scratch database refuses what it wrote.
pub async fn clone_schema(
    pg_dump: &Path,
    source: &Config,
    lock_timeout_ms: u64,
    scratch: &Scratch,
) -> Result<(), MigrateError> {
    let mut command = Command::new(pg_dump);
    command
        .args(["--schema-only", "--no-owner", "--no-privileges"])
        .args(["--no-publications", "--no-subscriptions", "--no-tablespaces"])
        .arg(format!("--lock-wait-timeout={lock_timeout_ms}"));
    // By the environment, so that a list of processes shows no password.
    for (name, value) in settings(source) {
        command.env(name, value);
    }
    let doing = format!("copy the schema by {}", pg_dump.display());
    let failed = |what: String| PostgresError::new(Fault::Setup, doing.clone(), what);
    let output = command.stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(words).into());
    }
    let dump = String::from_utf8_lossy(&output.stdout).into_owned();
    // Lines for psql, and the schema that every database has.
    let foreign = |line: &&str| !line.starts_with('\\') && *line != "CREATE SCHEMA public;";
    let sql: Vec<&str> = dump.lines().filter(foreign).collect();
    scratch.run(&sql.join("\n")).await?;
    scratch.run("RESET ALL; SET lc_messages = 'C'; SET client_min_messages = debug1").await
}

fn settings(source: &Config) -> Vec<(&'static str, String)> {
    let mut found = vec![];
    for host in source.get_hosts().iter().take(1) {
        let host = match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        };
        found.push(("PGHOST", host));
    }
    found.extend(source.get_ports().iter().take(1).map(|port| ("PGPORT", port.to_string())));
    found.extend(source.get_user().map(|user| ("PGUSER", user.to_owned())));
    found.extend(source.get_dbname().map(|name| ("PGDATABASE", name.to_owned())));
    let password = source.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    found.extend(password.map(|password| ("PGPASSWORD", password)));
    if source.get_ssl_mode() == SslMode::Require {
        found.push(("PGSSLMODE", "require".to_owned()));
    }
    found
}
