//! How far a walk over the rows has come. It is written in the transaction of each batch.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::batch::{Range, json_text};
use crate::error::{Key, MigrateError};
use crate::link::Link;
use rowproof_core::sql::quote_text;

/// Forth by `backfill.sql`, or back by `undo_backfill.sql`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    Forward,
    Undo,
}

impl Direction {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Direction::Forward => "forward",
            Direction::Undo => "undo",
        }
    }
}

/// A row of `rowproof_migrate.backfill`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) direction: Direction,
    /// Names of the key's columns, which a running walk keeps.
    pub(crate) key_columns: Vec<String>,
    /// Rows above this key came after expand. None when the table was empty.
    pub(crate) key_hi: Option<Key>,
    /// 0 is the walk over all rows; sweeps follow.
    pub(crate) pass: u32,
    /// What is left of the pass, in order.
    pub(crate) ranges: Vec<Range>,
    /// Last key that is done of the first range.
    pub(crate) cursor: Option<Key>,
    /// Ranges whose rows others held locked.
    pub(crate) skipped: Vec<Range>,
    /// Rows that the rule fails on.
    pub(crate) quarantined: Vec<Key>,
    /// Rows that needed the rule in this pass.
    pub(crate) pass_found: u64,
    pub(crate) rows_seen: u64,
    pub(crate) rows_matched: u64,
    pub(crate) rows_changed: u64,
    pub(crate) batches: u64,
    pub(crate) batch_size: u32,
    /// Moving average of a batch, in milliseconds.
    pub(crate) batch_ms: f64,
    /// Of the last batches, in milliseconds.
    pub(crate) p99_ms: f64,
    /// Moving average of rows a second, waits included.
    pub(crate) rate: f64,
    /// Its moving deviation.
    pub(crate) rate_deviation: f64,
    pub(crate) est_rows: Option<i64>,
    pub(crate) pause_reason: Option<String>,
}

impl Progress {
    /// A walk from the table's begin to `key_hi`.
    pub(crate) fn new(
        direction: Direction,
        key_columns: Vec<String>,
        key_hi: Option<Key>,
        batch_size: u32,
        est_rows: Option<i64>,
    ) -> Progress {
        let ranges = key_hi.iter().map(|upto| Range { after: None, upto: upto.clone() }).collect();
        Progress {
            direction,
            key_columns,
            key_hi,
            pass: 0,
            ranges,
            cursor: None,
            skipped: vec![],
            quarantined: vec![],
            pass_found: 0,
            rows_seen: 0,
            rows_matched: 0,
            rows_changed: 0,
            batches: 0,
            batch_size,
            batch_ms: 0.0,
            p99_ms: 0.0,
            rate: 0.0,
            rate_deviation: 0.0,
            est_rows,
            pause_reason: None,
        }
    }

    /// Reads a migration's walk.
    pub(crate) async fn read(
        link: &mut Link,
        id: &str,
        direction: Direction,
    ) -> Result<Option<Progress>, MigrateError> {
        let sql = format!(
            "SELECT to_jsonb(b) FROM rowproof_migrate.backfill b WHERE migration_id = {} AND direction = '{}'",
            quote_text(id),
            direction.name()
        );
        link.run("read the progress", &sql).await?.json()
    }

    /// The statement that begins it.
    pub(crate) fn insert(&self, id: &str) -> String {
        let fields = self.fields();
        let names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let values: Vec<&str> = fields.iter().map(|(_, value)| value.as_str()).collect();
        format!(
            "INSERT INTO rowproof_migrate.backfill (migration_id, {}) VALUES ({}, {})",
            names.join(", "),
            quote_text(id),
            values.join(", ")
        )
    }

    /// The statement that writes it. What a walk keeps is written again, which changes nothing.
    pub(crate) fn update(&self, id: &str) -> String {
        let fields = self.fields();
        let set: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        format!(
            "UPDATE rowproof_migrate.backfill SET {}, updated_at = clock_timestamp() \
             WHERE migration_id = {} AND direction = '{}'",
            set.join(", "),
            quote_text(id),
            self.direction.name()
        )
    }

    /// Columns and their values as literals, which the server reads as the column's type.
    fn fields(&self) -> Vec<(String, String)> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return vec![] };
        let literal = |value: &Value| match (value.is_null(), value.as_str()) {
            (true, _) => "NULL".to_owned(),
            (false, Some(text)) => quote_text(text),
            (false, None) => json_text(value),
        };
        fields.iter().map(|(name, value)| (name.clone(), literal(value))).collect()
    }

    /// What is to be walked next.
    pub(crate) fn next_range(&self) -> Option<Range> {
        let first = self.ranges.first()?;
        let after = self.cursor.clone().or_else(|| first.after.clone());
        Some(Range { after, upto: first.upto.clone() })
    }

    /// Up to here the first range is done.
    pub(crate) fn advance(&mut self, last: Option<Key>) {
        let ends = match (&last, self.ranges.first()) {
            (Some(last), Some(first)) => *last == first.upto,
            (None, _) | (_, None) => true,
        };
        if ends {
            if !self.ranges.is_empty() {
                self.ranges.remove(0);
            }
            self.cursor = None;
        } else {
            self.cursor = last;
        }
    }
}
