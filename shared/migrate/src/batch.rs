//! The statement of one batch: the rule, between a range of the key and what became of it.

use serde::Deserialize;

use crate::error::Key;
use crate::rule::Rule;
use crate::target::Target;
use rowproof_core::sql::{quote, quote_text};

/// Keys from `after` (not included; none is the table's begin) up to `upto` (included).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) after: Option<Key>,
    pub(crate) upto: Key,
}

/// All that is the same for the batches of a pass.
pub(crate) struct Batches<'a> {
    pub(crate) target: &'a Target,
    pub(crate) rule: &'a Rule,
    pub(crate) needs: Option<&'a str>,
    pub(crate) preserve: &'a [String],
    /// Keys that were put aside.
    pub(crate) quarantined: Vec<Key>,
}

/// What a batch did.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Outcome {
    /// Last key of the batch; none when the range has no more rows.
    pub(crate) last: Option<Key>,
    /// Rows of the batch.
    pub(crate) seen: u64,
    /// Of these, rows that need the rule.
    pub(crate) matched: u64,
    /// Rows that the rule changed.
    pub(crate) changed: u64,
    /// Rows whose preserved columns differ.
    pub(crate) spoiled: u64,
    /// Keys of some of these.
    pub(crate) sample: Option<Vec<Key>>,
}

impl Batches<'_> {
    fn within(&self, range: &Range) -> String {
        let row = self.target.row("t");
        let mut condition = format!("{row} <= {}", self.target.values(&range.upto));
        if let Some(after) = &range.after {
            condition = format!("{row} > {} AND {condition}", self.target.values(after));
        }
        condition
    }

    /// Conditions of rows that get the rule, beside the range.
    fn wanted(&self) -> String {
        let mut conditions = String::new();
        if let Some(needs) = self.needs {
            // On a line of its own, since it may end in a comment.
            conditions.push_str(&format!(" AND ({needs}\n)"));
        }
        if !self.quarantined.is_empty() {
            let keys: Vec<String> =
                self.quarantined.iter().map(|key| self.target.values(key)).collect();
            let row = self.target.row("t");
            conditions.push_str(&format!(" AND {row} NOT IN ({})", keys.join(", ")));
        }
        conditions
    }

    fn hash(&self, of: &str) -> String {
        let columns: Vec<String> =
            self.preserve.iter().map(|name| format!("{of}.{}", quote(name))).collect();
        format!("hashtextextended(ROW({})::text, 0)", columns.join(", "))
    }

    /// The statement for at most so many rows of a range.
    ///
    /// Where the batch ends is read without locks, and the cursor comes from there: it advances also when
    /// others delete or lock what is in between, and a range ends only when it has fewer rows than were asked
    /// for. The rows that need the rule are then locked, which reads them anew, so the rule and the hashes see
    /// them as they are when they are changed.
    pub(crate) fn statement(&self, range: &Range, rows: u32) -> String {
        let Batches { target, rule, .. } = self;
        let (table, keys, bare) = (target.table.quoted(), target.columns("t"), target.columns(""));
        let (within, wanted) = (self.within(range), self.wanted());
        let checks = rule.updated.as_deref().filter(|_| !self.preserve.is_empty());
        let before = match checks {
            Some(_) => format!(", {} AS rowproof_hash", self.hash("t")),
            None => String::new(),
        };
        let returned = match checks {
            Some(of) => format!("{}, {} AS rowproof_hash", target.columns(of), self.hash(of)),
            None => "1".to_owned(),
        };
        let spoiled = match checks {
            Some(_) => format!(
                "SELECT {} AS key FROM rowproof_work w LEFT JOIN rowproof_batch b ON {} = {} \
                 WHERE b.rowproof_hash IS DISTINCT FROM w.rowproof_hash",
                target.as_json("w"),
                target.row("b"),
                target.row("w")
            ),
            None => "SELECT NULL::jsonb AS key WHERE false".to_owned(),
        };
        format!(
            "WITH rowproof_end AS MATERIALIZED (SELECT * FROM (
                 (SELECT {keys}, true AS rowproof_full FROM {table} t WHERE {within} ORDER BY {keys} \
                   OFFSET {} LIMIT 1) UNION ALL SELECT {}, false) e ORDER BY rowproof_full DESC LIMIT 1),
             rowproof_batch AS MATERIALIZED (SELECT {keys}{before} FROM {table} t WHERE {within} \
               AND {} <= (SELECT {bare} FROM rowproof_end){wanted} ORDER BY {keys} LIMIT {rows} FOR NO KEY UPDATE),
             rowproof_work AS ({}\n RETURNING {returned}),
             rowproof_spoiled AS ({spoiled})
             SELECT jsonb_build_object('last', (SELECT {} FROM rowproof_end WHERE rowproof_full),
               'seen', CASE WHEN (SELECT rowproof_full FROM rowproof_end) THEN {rows} \
                 ELSE (SELECT count(*) FROM (SELECT FROM {table} t WHERE {within} LIMIT {rows}) r) END,
               'matched', (SELECT count(*) FROM rowproof_batch),
               'changed', (SELECT count(*) FROM rowproof_work), 'spoiled', (SELECT count(*) FROM rowproof_spoiled),
               'sample', (SELECT jsonb_agg(key) FROM (SELECT key FROM rowproof_spoiled LIMIT 5) s))",
            rows.saturating_sub(1),
            target.literals(&range.upto),
            target.row("t"),
            rule.sql,
            target.as_json(""),
        )
    }

    /// The last key of the next rows, without their locks.
    pub(crate) fn step_over(&self, range: &Range, rows: u32) -> String {
        let target = self.target;
        let keys = target.columns("t");
        format!(
            "SELECT {} FROM (SELECT {keys} FROM {} t WHERE {} ORDER BY {keys} LIMIT {rows}) r \
             ORDER BY {} LIMIT 1",
            target.as_json("r"),
            target.table.quoted(),
            self.within(range),
            target.descending()
        )
    }

    /// Keys of some rows of a range that the rule was to be applied to; of those only that others hold
    /// locked, if so asked.
    pub(crate) fn left_over(&self, range: &Range, only_locked: bool) -> String {
        let target = self.target;
        let (table, keys) = (target.table.quoted(), target.columns("t"));
        let (within, wanted) = (self.within(range), self.wanted());
        let of = if only_locked {
            format!("AND {} NOT IN (SELECT {} FROM free)", target.row("t"), target.columns(""))
        } else {
            String::new()
        };
        format!(
            "WITH free AS MATERIALIZED (SELECT {keys} FROM {table} t WHERE {within}{wanted} \
               AND {only_locked} FOR NO KEY UPDATE SKIP LOCKED)
             SELECT {} FROM {table} t WHERE {within}{wanted} {of} ORDER BY {keys} LIMIT 5",
            target.as_json("t"),
        )
    }
}

/// The greatest key of the table; none when it is empty.
pub(crate) fn last_key(target: &Target) -> String {
    format!(
        "SELECT {} FROM {} t ORDER BY {} LIMIT 1",
        target.as_json("t"),
        target.table.quoted(),
        target.descending()
    )
}

/// What a plan reads of the target that grows with the table: names of relations.
pub(crate) fn whole_reads(plan: &serde_json::Value, target: &Target) -> Vec<String> {
    const SMALL: i64 = 10_000;
    let is_large = target.est_rows.is_none_or(|rows| rows > SMALL);
    let mut found = vec![];
    let mut left = vec![plan];
    while let Some(node) = left.pop() {
        if let Some(nodes) = node.as_array() {
            left.extend(nodes);
            continue;
        }
        left.extend(["Plan", "Plans"].iter().filter_map(|key| node.get(key)));
        let text = |key: &str| node.get(key).and_then(|value| value.as_str()).unwrap_or_default();
        let kind = text("Node Type");
        let (schema, name) = (text("Schema"), text("Relation Name"));
        let known = |one: &crate::target::Relation| one.schema == schema && one.name == name;
        let unbound =
            ["Index Scan", "Index Only Scan"].contains(&kind) && node.get("Index Cond").is_none();
        if target.relations.iter().any(known) && (kind == "Seq Scan" || (unbound && is_large)) {
            found.push(format!("{schema}.{name}"));
        }
    }
    found
}

/// `EXPLAIN` of a batch, as JSON with schemas.
pub(crate) fn explain(statement: &str) -> String {
    format!("EXPLAIN (VERBOSE, FORMAT JSON) {statement}")
}

/// A key as a JSON literal of SQL.
pub(crate) fn json_text(value: &impl serde::Serialize) -> String {
    quote_text(&serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
}
