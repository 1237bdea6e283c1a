//! An empty copy of a database's schema, by `pg_dump`.

use std::path::Path;
use std::process::Stdio;

use rowproof_io::postgres::{Fault, PostgresError, Server};
use tokio::process::Command;

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
    source: &Server,
    lock_timeout_ms: u64,
    scratch: &Scratch,
) -> Result<(), MigrateError> {
    scratch.check_empty().await?;
    let mut command = Command::new(pg_dump);
    command
        .args(["--schema-only", "--no-owner", "--no-privileges"])
        .args(["--no-publications", "--no-subscriptions", "--no-tablespaces"])
        .arg(format!("--lock-wait-timeout={lock_timeout_ms}"));
    // By the environment, so that a list of processes shows no password.
    command.envs(source.variables().await?);
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
