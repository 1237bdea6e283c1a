//! The schema as the catalog has it, to tell whether undoing brought it back.

use crate::error::MigrateError;
use crate::link::Link;

/// Every object outside of the engine's and the server's own, one line each.
const OBJECTS: &str = "WITH own AS (SELECT oid, nspname FROM pg_namespace
   WHERE nspname NOT IN ('pg_catalog', 'information_schema', 'rowproof_migrate') AND nspname NOT LIKE 'pg\\_%')
 SELECT to_jsonb(line) FROM (
   SELECT 'relation ' || nspname || '.' || relname || ' ' || relkind::text || ' ' || coalesce(reloptions::text, '')
     || ' ' || relrowsecurity AS line FROM pg_class c JOIN own n ON n.oid = c.relnamespace
   UNION ALL SELECT 'column ' || nspname || '.' || relname || '.' || attname || ' '
     || format_type(atttypid, atttypmod) || ' not null ' || attnotnull || ' default '
     || coalesce(pg_get_expr(adbin, adrelid), '-') FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     JOIN own n ON n.oid = c.relnamespace LEFT JOIN pg_attrdef d ON (adrelid, adnum) = (attrelid, attnum)
     WHERE attnum > 0 AND NOT attisdropped
   UNION ALL SELECT 'constraint ' || nspname || '.' || relname || '.' || conname || ' '
     || pg_get_constraintdef(o.oid) FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid
     JOIN own n ON n.oid = c.relnamespace
   UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) || ' valid ' || indisvalid FROM pg_index i
     JOIN pg_class c ON c.oid = i.indexrelid JOIN own n ON n.oid = c.relnamespace
   UNION ALL SELECT 'trigger ' || nspname || '.' || relname || ' ' || pg_get_triggerdef(t.oid) || ' '
     || tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
     JOIN own n ON n.oid = c.relnamespace WHERE NOT tgisinternal
   UNION ALL SELECT 'view ' || nspname || '.' || relname || ' ' || pg_get_viewdef(c.oid) FROM pg_class c
     JOIN own n ON n.oid = c.relnamespace WHERE relkind IN ('v', 'm')
   UNION ALL SELECT 'routine ' || pg_get_functiondef(p.oid) FROM pg_proc p JOIN own n ON n.oid = p.pronamespace
     WHERE prokind IN ('f', 'p')
   UNION ALL SELECT 'type ' || nspname || '.' || typname || ' ' || coalesce((SELECT string_agg(enumlabel, ','
     ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), '') FROM pg_type t
     JOIN own n ON n.oid = t.typnamespace WHERE typtype IN ('e', 'd')
   UNION ALL SELECT 'policy ' || nspname || '.' || relname || ' ' || polname || ' '
     || coalesce(pg_get_expr(polqual, polrelid), '-') FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
     JOIN own n ON n.oid = c.relnamespace) l ORDER BY line COLLATE \"C\"";

/// All objects, in order.
pub(crate) async fn objects(link: &mut Link) -> Result<Vec<String>, MigrateError> {
    link.run("read the schema", OBJECTS).await?.jsons()
}

/// What is in one and not in the other: `- ` before what is gone, `+ ` before what is new.
pub(crate) fn differences(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}
