//! Who may work on a migration: the row with the newest epoch. It is a lease, so a dead runner keeps nobody
//! out for long, and every transaction asks for it, so a late one writes nothing.

use rowproof_core::sql::quote_text;

use crate::error::MigrateError;
use crate::link::Link;

/// How long a runner that is not heard of keeps the migration, in seconds.
pub(crate) const LEASE_SECONDS: u64 = 30;

/// First statement of each transaction: a row, with what others ask of the runner, while the epoch is ours.
pub(crate) fn heartbeat(id: &str, epoch: i64) -> String {
    let id = quote_text(id);
    format!(
        "UPDATE rowproof_migrate.migration SET lease_until = clock_timestamp() + interval '{LEASE_SECONDS} s' \
         WHERE id = {id} AND epoch = {epoch} RETURNING coalesce((SELECT to_jsonb(c) FROM \
         rowproof_migrate.control c WHERE c.migration_id = id), '{{}}')"
    )
}

/// Takes the lease if it is free, or this owner's own from before its connection broke. Without waiting: the
/// new epoch, or nothing.
pub(crate) async fn take(
    link: &mut Link,
    id: &str,
    owner: &str,
) -> Result<Option<i64>, MigrateError> {
    let id = quote_text(id);
    // A row that is locked belongs to a transaction of its owner, or of another taker.
    let sql = format!(
        "UPDATE rowproof_migrate.migration SET epoch = epoch + 1, owner = {owner}, \
         lease_until = clock_timestamp() + interval '{LEASE_SECONDS} s' WHERE id IN \
         (SELECT id FROM rowproof_migrate.migration WHERE id = {id} AND \
          (lease_until IS NULL OR lease_until < clock_timestamp() OR owner = {owner}) \
          FOR UPDATE SKIP LOCKED) \
         RETURNING epoch",
        owner = quote_text(owner)
    );
    let answer = link.run("take the lease", &sql).await?;
    Ok(answer.number(0, 0))
}

/// Gives the lease back, so that the next call need not wait for its end.
pub(crate) fn release(id: &str, epoch: i64) -> String {
    format!(
        "UPDATE rowproof_migrate.migration SET lease_until = clock_timestamp(), updated_at = clock_timestamp() \
         WHERE id = {} AND epoch = {epoch}",
        quote_text(id)
    )
}
