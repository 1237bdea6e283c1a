//! Numbers of the target at a moment, kept beside the migration.

use rowproof_core::sql::quote_text;

use crate::target::Target;

/// The statement that writes down what the statistics say now: rows, inserts, updates, deletes, bytes.
pub(crate) fn record(id: &str, target: &Target, phase: &str) -> String {
    format!(
        "INSERT INTO rowproof_migrate.measure (migration_id, name, phase, value)
         SELECT {}, 'target', {}, jsonb_build_object('est_rows', sum(c.reltuples), 'pages', sum(c.relpages),
           'bytes', sum(pg_table_size(c.oid)), 'inserted', sum(s.n_tup_ins), 'updated', sum(s.n_tup_upd),
           'deleted', sum(s.n_tup_del))
         FROM pg_class c LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
         WHERE c.relkind = 'r' AND c.oid = ANY({})
         ON CONFLICT (migration_id, name, phase) DO UPDATE SET value = excluded.value,
           taken_at = clock_timestamp()",
        quote_text(id),
        quote_text(phase),
        target.oids()
    )
}
