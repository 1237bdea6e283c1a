//! Queries that have to give no row, and invariants: read in one snapshot of a transaction that cannot write.

use std::collections::BTreeMap;

use rowproof_core::sql::{quote, quote_text};
use serde_json::{Value, json};

use crate::config::{Invariant, InvariantKind};
use crate::error::{Key, MigrateError};
use crate::link::Answer;
use crate::locked::refused;
use crate::phase::Phase;
use crate::run::{Run, settings};
use crate::statements::Statement;
use crate::target::Target;
use crate::values::TableName;

/// Rows of which the keys are shown.
const SAMPLE: usize = 5;

/// A snapshot to read in.
pub(crate) struct Queries<'a, 'r> {
    run: &'a mut Run<'r>,
}

impl<'a, 'r> Queries<'a, 'r> {
    /// Shows that the lease is ours, then begins to read. Nothing is written in here, so the lease's row is
    /// not locked meanwhile; the change of state after it asks for the epoch again.
    pub(crate) async fn begin(run: &'a mut Run<'r>) -> Result<Queries<'a, 'r>, MigrateError> {
        run.begin(run.limits()).await?;
        run.commit("").await?;
        let limits = run.long_limits();
        let sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {}",
            settings(limits, run.id(), run.epoch)
        );
        run.link.wait_for(Some(std::time::Duration::from_millis(limits.statement_ms + 15_000)));
        run.link.run("begin to read", &sql).await?;
        Ok(Queries { run })
    }

    /// Ends the snapshot.
    pub(crate) async fn end(self) {
        self.run.link.roll_back().await;
        self.run.link.wait_for(None);
    }

    /// A query, while the lease is kept from a second session.
    async fn ask(&mut self, sql: &str) -> Result<Answer, MigrateError> {
        self.run.kept("read", sql).await
    }

    async fn rows(&mut self, phase: Phase, statement: &Statement) -> Result<Answer, MigrateError> {
        // One row more than is shown tells that there are more.
        let sql = format!("SELECT * FROM ({}\n) q LIMIT {}", statement.text, SAMPLE + 1);
        match self.ask(&sql).await {
            Err(MigrateError::Database(source)) => Err(refused(phase, statement, source)),
            other => other,
        }
    }

    /// `precheck.sql`, and that there are rows.
    pub(crate) async fn precheck(&mut self, target: &Target) -> Result<(), MigrateError> {
        if let Some(min) = self.run.refuses_empty() {
            let table = target.table.quoted();
            let sql = format!("SELECT count(*) FROM (SELECT FROM {table} LIMIT {min}) q");
            if self.ask(&sql).await?.number::<u64>(0, 0).is_none_or(|rows| rows < min) {
                return Err(MigrateError::EmptyTable { table: target.table.to_string(), min });
            }
        }
        let folder = self.run.folder;
        for statement in folder.statements(Phase::Precheck) {
            let answer = self.rows(Phase::Precheck, statement).await?;
            if !answer.rows.is_empty() {
                let rows = u64::try_from(answer.rows.len()).unwrap_or(u64::MAX);
                let sample = first_columns(&answer);
                return Err(MigrateError::PrecheckFailed { line: statement.line, rows, sample });
            }
        }
        Ok(())
    }

    /// `validate.sql` and the invariants: what each found.
    pub(crate) async fn validate(&mut self) -> Result<Vec<Value>, MigrateError> {
        let folder = self.run.folder;
        let mut held = vec![];
        for statement in folder.statements(Phase::Validate) {
            let name = format!("validate.sql:{}", statement.line);
            let answer = self.rows(Phase::Validate, statement).await?;
            no_rows(&name, &answer)?;
            held.push(json!({ "name": name }));
        }
        for invariant in &folder.config.invariants {
            let found = self.invariant(invariant).await?;
            held.push(json!({ "name": invariant.name, "found": found }));
        }
        Ok(held)
    }

    async fn invariant(&mut self, invariant: &Invariant) -> Result<Value, MigrateError> {
        let name = &invariant.name;
        let failed = |what: String| {
            Err(MigrateError::InvariantFailed { name: name.clone(), what, sample: vec![] })
        };
        match &invariant.kind {
            InvariantKind::ZeroRows { sql } => {
                let sql = format!("SELECT * FROM ({}\n) q LIMIT {}", bare(sql), SAMPLE + 1);
                no_rows(name, &self.ask(&sql).await?)?;
                Ok(json!(0))
            }
            InvariantKind::Aggregate { left, right, tolerance } => {
                let left = self.number(left).await?;
                let right = self.number(right).await?;
                if (left - right).abs() > right.abs() * tolerance {
                    return failed(format!(
                        "{left} and {right} differ by more than {tolerance} of the latter"
                    ));
                }
                Ok(json!([left, right]))
            }
            InvariantKind::Distribution { sql, expected, tolerance } => {
                let shares = self.shares(sql).await?;
                let labels = expected.keys().chain(shares.keys());
                let share =
                    |of: &BTreeMap<String, f64>, label| of.get(label).copied().unwrap_or(0.0);
                for label in labels {
                    let (has, expects) = (share(&shares, label), share(expected, label));
                    if (has - expects).abs() > *tolerance {
                        return failed(format!(
                            "a label has a share of {has:.4} and {expects} was expected"
                        ));
                    }
                }
                Ok(json!(shares.values().collect::<Vec<_>>()))
            }
            InvariantKind::FkOrphans { table, columns, references, referenced } => {
                // Of a row the key is told, and of another table's its place: what refers is a value.
                let target = &self.run.folder.config.target;
                let shown = match *table == target.table && !target.key.is_empty() {
                    true => target.key.iter().map(|name| format!("t.{}", quote(name))).collect(),
                    false => vec!["t.ctid".to_owned()],
                };
                let sql = orphans(table, columns, references, referenced, &shown);
                no_rows(name, &self.ask(&sql).await?)?;
                Ok(json!(0))
            }
            InvariantKind::ConstraintValid { table, constraint } => {
                let sql = format!(
                    "SELECT convalidated FROM pg_constraint WHERE conrelid = {}::regclass AND conname = {}",
                    quote_text(&table.quoted()),
                    quote_text(constraint)
                );
                self.is_true(&sql, name, "the constraint is missing or not validated").await
            }
            InvariantKind::IndexValid { index } => {
                let sql = format!(
                    "SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = to_regclass({})",
                    quote_text(&index.quoted())
                );
                self.is_true(&sql, name, "the index is missing or not valid").await
            }
        }
    }

    async fn is_true(&mut self, sql: &str, name: &str, what: &str) -> Result<Value, MigrateError> {
        if self.ask(sql).await?.text(0, 0) == Some("t") {
            return Ok(json!(true));
        }
        let (name, what) = (name.to_owned(), what.to_owned());
        Err(MigrateError::InvariantFailed { name, what, sample: vec![] })
    }

    async fn number(&mut self, sql: &str) -> Result<f64, MigrateError> {
        let answer = self.ask(bare(sql)).await?;
        Ok(answer.number(0, 0).unwrap_or(0.0))
    }

    async fn shares(&mut self, sql: &str) -> Result<BTreeMap<String, f64>, MigrateError> {
        let answer = self.ask(bare(sql)).await?;
        let counts: Vec<(String, f64)> = (0..answer.rows.len())
            .map(|row| {
                let label = answer.text(row, 0).unwrap_or_default().to_owned();
                (label, answer.number(row, 1).unwrap_or(0.0))
            })
            .collect();
        let all: f64 = counts.iter().map(|(_, count)| count).sum();
        Ok(counts.into_iter().map(|(label, count)| (label, count / all.max(1.0))).collect())
    }
}

/// A query without the semicolon that its author may have put.
pub(crate) fn bare(sql: &str) -> &str {
    sql.trim_end().trim_end_matches(';')
}

fn first_columns(answer: &Answer) -> Vec<Key> {
    let key = |row| vec![answer.text(row, 0).unwrap_or("NULL").to_owned()];
    (0..answer.rows.len().min(SAMPLE)).map(key).collect()
}

fn no_rows(name: &str, answer: &Answer) -> Result<(), MigrateError> {
    let rows = answer.rows.len();
    if rows == 0 {
        return Ok(());
    }
    let more = if rows > SAMPLE { "more than " } else { "" };
    let what = format!("{more}{} rows where there should be none", rows.min(SAMPLE));
    let sample = first_columns(answer);
    Err(MigrateError::InvariantFailed { name: name.to_owned(), what, sample })
}

fn orphans(
    table: &TableName,
    columns: &[String],
    other: &TableName,
    referenced: &[String],
    shown: &[String],
) -> String {
    let pairs: Vec<String> = columns
        .iter()
        .zip(referenced)
        .map(|(column, referenced)| format!("r.{} = t.{}", quote(referenced), quote(column)))
        .collect();
    let set: Vec<String> =
        columns.iter().map(|name| format!("t.{} IS NOT NULL", quote(name))).collect();
    format!(
        "SELECT concat_ws(',', {}) FROM {} t WHERE {} AND NOT EXISTS (SELECT FROM {} r WHERE {}) LIMIT {}",
        shown.join(", "),
        table.quoted(),
        set.join(" AND "),
        other.quoted(),
        pairs.join(" AND "),
        SAMPLE + 1
    )
}
