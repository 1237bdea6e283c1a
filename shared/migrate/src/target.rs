//! The table whose rows are walked: its key, its partitions, and whether it can be walked at all.

use rowproof_core::sql::{quote, quote_text};
use serde::Deserialize;

use crate::config::Target as Wanted;
use crate::error::{Key, MigrateError};
use crate::link::Link;
use crate::values::TableName;

/// A column of the key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct KeyColumn {
    pub(crate) name: String,
    /// Its type as SQL.
    pub(crate) sql_type: String,
}

/// A table or partition.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Relation {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
}

/// The target as the catalog has it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) table: TableName,
    pub(crate) key: Vec<KeyColumn>,
    /// Itself and its partitions.
    pub(crate) relations: Vec<Relation>,
    /// The planner's estimate; none before the first ANALYZE.
    pub(crate) est_rows: Option<i64>,
}

#[derive(Deserialize)]
struct Found {
    kind: String,
    hides_rows: bool,
    has_children: bool,
    rows: f64,
    relations: Vec<Relation>,
    keys: Vec<Candidate>,
}

/// A unique index of whole columns that are never NULL.
#[derive(Deserialize)]
struct Candidate {
    columns: Vec<KeyColumn>,
}

fn query(table: &TableName) -> String {
    format!(
        "SELECT jsonb_build_object('kind', c.relkind, 'hides_rows', row_security_active(c.oid),
          'has_children', c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid),
          'rows', (SELECT coalesce(sum(p.reltuples), -1) FROM pg_class p
             WHERE p.relkind = 'r' AND p.oid = ANY(tree.oids)),
          'relations', (SELECT jsonb_agg(jsonb_build_object('oid', p.oid::bigint, 'schema', pn.nspname,
             'name', p.relname)) FROM pg_class p JOIN pg_namespace pn ON pn.oid = p.relnamespace
             WHERE p.oid = ANY(tree.oids)),
          'keys', (SELECT coalesce(jsonb_agg(jsonb_build_object('columns', k.columns)
              ORDER BY NOT k.indisprimary, k.indexrelid), '[]') FROM (
             SELECT i.indisprimary, i.indexrelid, jsonb_agg(jsonb_build_object('name', a.attname,
                 'sql_type', format_type(a.atttypid, a.atttypmod)) ORDER BY u.at) AS columns
             FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
             CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY u (attnum, at)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
             WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
               AND i.indpred IS NULL AND i.indexprs IS NULL AND am.amname = 'btree' AND u.at <= i.indnkeyatts
             GROUP BY i.indisprimary, i.indexrelid HAVING bool_and(a.attnotnull)) k))
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         CROSS JOIN LATERAL (SELECT array_agg(oid) AS oids FROM (SELECT c.oid UNION
            SELECT relid::oid FROM pg_partition_tree(c.oid)) all_of_it) tree
         WHERE n.nspname = {} AND c.relname = {}",
        quote_text(&table.schema),
        quote_text(&table.name)
    )
}

impl Target {
    /// Looks the target up and refuses what cannot be walked.
    pub(crate) async fn find(link: &mut Link, wanted: &Wanted) -> Result<Target, MigrateError> {
        let table = &wanted.table;
        let answer = link.run("look the target up", &query(table)).await?;
        let unsupported = |what: &str| {
            Err(MigrateError::UnsupportedTable { table: table.to_string(), what: what.to_owned() })
        };
        let Some(found) = answer.json::<Found>()? else {
            return unsupported("there is no such table, or the role may not see it");
        };
        if !["r", "p"].contains(&found.kind.as_str()) {
            return unsupported(
                "it is no table: a view, a foreign table or the like has no rows to lock",
            );
        }
        if found.has_children {
            return unsupported(
                "tables inherit from it, so no key is unique in it; migrate each of them",
            );
        }
        if found.hides_rows {
            return Err(MigrateError::RowSecurity { table: table.to_string() });
        }
        let named = |candidate: &Candidate| {
            candidate.columns.iter().map(|column| &column.name).eq(&wanted.key)
        };
        let no_key =
            |what: String| Err(MigrateError::NoUsableKey { table: table.to_string(), what });
        let mut keys = found.keys.into_iter();
        let key = if wanted.key.is_empty() { keys.next() } else { keys.find(named) };
        let Some(key) = key else {
            return no_key(match wanted.key.as_slice() {
                [] => "it has no unique index over columns that are NOT NULL".to_owned(),
                named => format!(
                    "({}) are not exactly the columns, in order, of a unique index over columns that are \
                     NOT NULL (a partial, deferrable or expression index does not count)",
                    named.join(", ")
                ),
            });
        };
        #[allow(clippy::cast_possible_truncation, reason = "an estimate far below 2^53")]
        let est_rows = (found.rows >= 0.0).then_some(found.rows as i64);
        let (table, key) = (table.clone(), key.columns);
        Ok(Target { table, key, relations: found.relations, est_rows })
    }

    /// `t."a", t."b"`, or without a name before them.
    pub(crate) fn columns(&self, of: &str) -> String {
        let dot = if of.is_empty() { "" } else { "." };
        let columns = self.key.iter().map(|column| format!("{of}{dot}{}", quote(&column.name)));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// The same, each from the greatest down.
    pub(crate) fn descending(&self) -> String {
        let columns = self.key.iter().map(|column| format!("{} DESC", quote(&column.name)));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// A key as JSON: an array of texts.
    pub(crate) fn as_json(&self, of: &str) -> String {
        let dot = if of.is_empty() { "" } else { "." };
        let texts = self.key.iter().map(|column| format!("{of}{dot}{}::text", quote(&column.name)));
        format!("jsonb_build_array({})", texts.collect::<Vec<_>>().join(", "))
    }

    /// The key's columns as one value to compare.
    pub(crate) fn row(&self, of: &str) -> String {
        format!("({})", self.columns(of))
    }

    /// A key's values as one value to compare.
    pub(crate) fn values(&self, key: &Key) -> String {
        format!("({})", self.literals(key))
    }

    /// A key's values, one after the other.
    pub(crate) fn literals(&self, key: &Key) -> String {
        let values = self.key.iter().zip(key);
        let values =
            values.map(|(column, value)| format!("{}::{}", quote_text(value), column.sql_type));
        values.collect::<Vec<_>>().join(", ")
    }

    /// Names of the key's columns, for messages.
    pub(crate) fn key_names(&self) -> String {
        let names: Vec<&str> = self.key.iter().map(|column| column.name.as_str()).collect();
        names.join(", ")
    }

    /// The target's and its partitions' oids, as an array in SQL.
    pub(crate) fn oids(&self) -> String {
        let oids: Vec<String> = self.relations.iter().map(|one| one.oid.to_string()).collect();
        format!("ARRAY[{}]::oid[]", oids.join(","))
    }
}
