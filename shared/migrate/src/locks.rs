//! The modes in which Postgres locks a table.

use std::fmt;

use serde::Serialize;

/// A mode, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// Readers.
    AccessShare,
    /// Readers that lock rows.
    RowShare,
    /// Writers.
    RowExclusive,
    /// VACUUM, VALIDATE CONSTRAINT, CREATE INDEX CONCURRENTLY.
    ShareUpdateExclusive,
    /// CREATE INDEX.
    Share,
    /// CREATE TRIGGER, ADD FOREIGN KEY.
    ShareRowExclusive,
    /// REFRESH MATERIALIZED VIEW CONCURRENTLY.
    Exclusive,
    /// Most forms of ALTER TABLE.
    AccessExclusive,
}

impl LockMode {
    const NAMES: [(LockMode, &str); 8] = [
        (LockMode::AccessShare, "AccessShareLock"),
        (LockMode::RowShare, "RowShareLock"),
        (LockMode::RowExclusive, "RowExclusiveLock"),
        (LockMode::ShareUpdateExclusive, "ShareUpdateExclusiveLock"),
        (LockMode::Share, "ShareLock"),
        (LockMode::ShareRowExclusive, "ShareRowExclusiveLock"),
        (LockMode::Exclusive, "ExclusiveLock"),
        (LockMode::AccessExclusive, "AccessExclusiveLock"),
    ];

    /// By the name that `pg_locks` has for it.
    pub fn parse(name: &str) -> Option<LockMode> {
        LockMode::NAMES.iter().find(|(_, known)| *known == name).map(|(mode, _)| *mode)
    }

    /// Whether readers wait.
    pub fn blocks_reads(self) -> bool {
        self == LockMode::AccessExclusive
    }

    /// Whether writers wait.
    pub fn blocks_writes(self) -> bool {
        self >= LockMode::Share
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = LockMode::NAMES.iter().find(|(mode, _)| mode == self);
        formatter.write_str(found.map_or("", |(_, name)| name))
    }
}
