//! The engine's own tables, in the database that is migrated: a checkpoint has to commit together with the
//! rows it speaks of.

use rowproof_io::postgres::{Fault, PostgresError};

use crate::error::MigrateError;
use crate::link::Link;

/// Two runners that create the tables at once take turns by this number, for the transaction only.
const LOCK: i64 = 0x726f_7770_6d69_6772;

const TABLES: &str = "
CREATE SCHEMA IF NOT EXISTS rowproof_migrate;
CREATE TABLE IF NOT EXISTS rowproof_migrate.migration (
  id text PRIMARY KEY, checksum text NOT NULL, state text NOT NULL, epoch bigint NOT NULL DEFAULT 0,
  owner text, lease_until timestamptz, tool_version text NOT NULL, error jsonb,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS rowproof_migrate.control (
  migration_id text PRIMARY KEY REFERENCES rowproof_migrate.migration (id),
  paused text, paused_by text, throttle jsonb);
CREATE TABLE IF NOT EXISTS rowproof_migrate.step (
  migration_id text NOT NULL REFERENCES rowproof_migrate.migration (id), file text NOT NULL, ord integer NOT NULL,
  line integer NOT NULL, sql_sha256 text NOT NULL, state text NOT NULL, destructive boolean NOT NULL DEFAULT false,
  attempts integer NOT NULL DEFAULT 1, backend_pid integer, backend_start timestamptz,
  at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (migration_id, file, ord));
CREATE TABLE IF NOT EXISTS rowproof_migrate.backfill (
  migration_id text NOT NULL REFERENCES rowproof_migrate.migration (id), direction text NOT NULL,
  key_columns jsonb NOT NULL, key_hi jsonb, pass integer NOT NULL, ranges jsonb NOT NULL, cursor jsonb,
  skipped jsonb NOT NULL, quarantined jsonb NOT NULL, pass_found bigint NOT NULL, rows_seen bigint NOT NULL,
  rows_matched bigint NOT NULL, rows_changed bigint NOT NULL, batches bigint NOT NULL, batch_size bigint NOT NULL,
  batch_ms double precision NOT NULL, p99_ms double precision NOT NULL, rate double precision NOT NULL,
  rate_deviation double precision NOT NULL, est_rows bigint, pause_reason text,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (migration_id, direction)) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS rowproof_migrate.measure (
  migration_id text NOT NULL REFERENCES rowproof_migrate.migration (id), name text NOT NULL, phase text NOT NULL,
  taken_at timestamptz NOT NULL DEFAULT clock_timestamp(), value jsonb NOT NULL,
  PRIMARY KEY (migration_id, name, phase));
CREATE TABLE IF NOT EXISTS rowproof_migrate.gate (
  migration_id text NOT NULL REFERENCES rowproof_migrate.migration (id), name text NOT NULL, checksum text NOT NULL,
  evidence jsonb NOT NULL, by text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS rowproof_migrate.event (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, migration_id text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(), kind text NOT NULL, detail jsonb NOT NULL);
ALTER TABLE rowproof_migrate.step ADD COLUMN IF NOT EXISTS undo text;";

/// Whether the tables are there; the one that is made last stands for all.
pub(crate) async fn is_there(link: &mut Link) -> Result<bool, MigrateError> {
    let sql = "SELECT to_regclass('rowproof_migrate.event') IS NOT NULL";
    let answer = link.run("look for the engine's tables", sql).await?;
    Ok(answer.text(0, 0) == Some("t"))
}

/// Creates the tables and columns that are missing. Safe when many runners start at once.
pub(crate) async fn ensure(link: &mut Link) -> Result<(), MigrateError> {
    // The column that came last stands for all.
    let sql = "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('rowproof_migrate.step') \
               AND attname = 'undo')";
    let complete = link.run("look for the engine's tables", sql).await?;
    if complete.text(0, 0) == Some("t") {
        return Ok(());
    }
    // CREATE IF NOT EXISTS alone fails on a name that another session is just creating.
    let sql = format!(
        "BEGIN; SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '10s'; \
         SET LOCAL client_min_messages = warning; SELECT pg_advisory_xact_lock({LOCK}); {TABLES} COMMIT"
    );
    let made = link.run("create the engine's tables", &sql).await;
    if made.is_err() {
        link.roll_back().await;
    }
    made?;
    Ok(())
}

/// Says it when the tables went away under a runner.
pub(crate) fn gone(error: PostgresError) -> PostgresError {
    if !matches!(error.state(), Some("42P01" | "3F000")) {
        return error;
    }
    let what = "the schema rowproof_migrate is gone, and with it what tells which rows are done: restore it, or \
                undo by hand what was done";
    PostgresError::new(Fault::Setup, error.doing, what)
}
