//! A chunk's rows into the table: compared by hash, copied, and applied as a set.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use rowproof_core::block::Digest;
use rowproof_core::block::Refusal;
use rowproof_core::copy::{Sql, keys_repeat, tuples};
use rowproof_core::pipeline::WriteMode;
use rowproof_core::receipt::Counts;
use tokio_postgres::Row;

use super::origin::Origin;
use super::refuse::{self, Staged};
use crate::postgres::error::PostgresError;
use crate::postgres::session::{Session, number, pieces};

/// Rows of a sample that tells whether a comparison by hash is worth it.
const SAMPLE: usize = 1000;

/// What became of a chunk's rows.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) loaded: u64,
    pub(super) unchanged: u64,
    pub(super) superseded: u64,
    /// Sum over the rows that were loaded.
    pub(super) loaded_digest: Digest,
    /// Rows that Postgres refuses, by their number in the file.
    pub(super) refused: BTreeMap<u64, Refusal>,
}

impl Written {
    /// Adds what became of other rows of the chunk.
    pub(super) fn add(&mut self, more: Written) {
        self.loaded += more.loaded;
        self.unchanged += more.unchanged;
        self.superseded += more.superseded;
        self.loaded_digest += more.loaded_digest;
        self.refused.extend(more.refused);
    }

    /// Rows that the table has, or has newer ones of.
    pub(super) fn landed(&self) -> u64 {
        self.loaded + self.unchanged + self.superseded
    }

    /// The classes of the chunk's rows.
    pub(super) fn tell(&self, counts: &mut Counts) {
        counts.loaded = self.loaded;
        counts.unchanged = self.unchanged;
        counts.superseded = self.superseded;
    }
}

/// How a row stands to the table.
struct Probed {
    /// The table does not have its key.
    is_new: bool,
    /// What the table has is newer.
    is_older: bool,
}

/// A chunk on its way.
pub(super) struct Write<'a> {
    staged: Staged<'a>,
    bytes: Bytes,
    rows: usize,
    keys: usize,
    /// Rows that differ from the table, when that was asked first; all others are unchanged.
    differing: Option<HashSet<u64>>,
    unchanged: HashSet<u64>,
    superseded: HashSet<u64>,
}

impl<'a> Write<'a> {
    /// `bytes` hold the tuples of so many rows.
    pub(super) fn new(
        session: &'a Session,
        sql: &'a Sql,
        origin: Origin<'a>,
        bytes: Bytes,
        rows: u64,
    ) -> Write<'a> {
        let keys = sql.plan().keys();
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let staged = Staged { session, sql, origin, fresh: false, refused: BTreeMap::new() };
        let (differing, unchanged, superseded) = Default::default();
        Write { staged, bytes, rows, keys, differing, unchanged, superseded }
    }

    /// Writes the rows; nothing is committed.
    pub(super) async fn run(mut self) -> Result<Written, PostgresError> {
        if self.rows == 0 {
            return Ok(Written::default());
        }
        let upserts = self.staged.sql.plan().sink.mode == WriteMode::Upsert;
        if upserts {
            self.stage_upsert().await?
        } else {
            self.stage(None).await?
        }
        if !self.is_over() {
            refuse::apply(&mut self.staged).await?;
        }
        Ok(self.sum_up())
    }

    async fn stage_upsert(&mut self) -> Result<(), PostgresError> {
        let rows =
            self.staged.session.rows("look at the table", &self.staged.sql.is_empty(), &[]).await?;
        self.staged.fresh = rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false);
        let skips = self.staged.sql.plan().sink.skip_unchanged;
        let repeat = keys_repeat(&self.bytes, self.keys);
        // A key that comes twice is settled among the staged rows first.
        if skips
            && !self.staged.fresh
            && !repeat
            && self.staged.sql.keys_compare()
            && self.is_mostly_known().await?
        {
            return self.stage_differing().await;
        }
        self.stage(None).await?;
        refuse::unreadable_keys(&mut self.staged).await?;
        if repeat {
            let gone = self
                .staged
                .session
                .numbers("settle keys", &self.staged.sql.drop_repeated())
                .await?;
            self.superseded.extend(gone);
        }
        if !self.staged.fresh && skips {
            let gone = self
                .staged
                .session
                .numbers("compare rows", &self.staged.sql.drop_unchanged())
                .await?;
            self.unchanged.extend(gone);
        }
        self.drop_older().await
    }

    /// Stages the rows that the table does not have just so.
    async fn stage_differing(&mut self) -> Result<(), PostgresError> {
        let differing = self.probe(1).await?;
        let rows = differing.iter().filter(|(_, probed)| !probed.is_older);
        let staged: HashSet<u64> = rows.map(|(row, _)| *row).collect();
        let older = differing.iter().filter(|(_, probed)| probed.is_older);
        self.superseded.extend(older.map(|(row, _)| *row));
        self.staged.fresh = differing.values().all(|probed| probed.is_new);
        self.differing = Some(differing.into_keys().collect());
        if self.is_over() {
            return Ok(());
        }
        self.stage(Some(&staged)).await?;
        if self.staged.sql.ages_by_column() { self.drop_older().await } else { Ok(()) }
    }

    async fn drop_older(&mut self) -> Result<(), PostgresError> {
        if !self.staged.fresh {
            let Origin { facts, id, fix, .. } = &self.staged.origin;
            let sql = self.staged.sql.drop_older(facts, id, *fix);
            self.superseded.extend(self.staged.session.numbers("compare ages", &sql).await?);
        }
        Ok(())
    }

    /// Whether the table has most of the keys, by a sample.
    async fn is_mostly_known(&self) -> Result<bool, PostgresError> {
        if self.rows <= SAMPLE {
            return Ok(true);
        }
        let found = self.probe(self.rows.div_ceil(SAMPLE)).await?;
        let new = found.values().filter(|probed| probed.is_new).count();
        Ok(new < SAMPLE / 2)
    }

    /// Compares keys and hashes of every so-manieth row with the table: those that it does not have just
    /// so.
    async fn probe(&self, every: usize) -> Result<HashMap<u64, Probed>, PostgresError> {
        self.staged.session.run("compare rows", &self.staged.sql.create_probe()).await?;
        let fields = self.keys + 2;
        let mut probe = Vec::new();
        for tuple in tuples(&self.bytes, self.keys).step_by(every) {
            tuple.put_probe(fields, &mut probe);
        }
        self.staged.session.copy(&self.staged.sql.copy_probe(), pieces(probe.into())).await?;
        let Origin { facts, id, fix, .. } = &self.staged.origin;
        let differing = self.staged.sql.differing(facts, id, *fix);
        let rows = self.staged.session.rows("compare rows", &differing, &[]).await?;
        let flag = |row: &Row, at| row.try_get(at).unwrap_or(false);
        let found = rows
            .iter()
            .map(|row| (number(row, 0), Probed { is_new: flag(row, 1), is_older: flag(row, 2) }));
        Ok(found.collect())
    }

    /// Copies these rows, or all, into the staging table.
    async fn stage(&self, only: Option<&HashSet<u64>>) -> Result<(), PostgresError> {
        self.staged.session.run("stage rows", &self.staged.sql.create_stage()).await?;
        let copy = self.staged.sql.copy_stage();
        let Some(only) = only else {
            return self.staged.session.copy(&copy, pieces(self.bytes.clone())).await;
        };
        let mut bytes = Vec::new();
        let chosen = tuples(&self.bytes, self.keys).filter(|tuple| only.contains(&tuple.row));
        chosen.for_each(|tuple| bytes.extend_from_slice(tuple.whole));
        self.staged.session.copy(&copy, pieces(bytes.into())).await
    }

    /// No row differs from the table that is not older: nothing is left to apply.
    fn is_over(&self) -> bool {
        self.differing.as_ref().is_some_and(|rows| rows.len() == self.superseded.len())
    }

    fn sum_up(self) -> Written {
        let mut written = Written::default();
        for tuple in tuples(&self.bytes, self.keys) {
            let differs = self.differing.as_ref().is_none_or(|rows| rows.contains(&tuple.row));
            if !differs || self.unchanged.contains(&tuple.row) {
                written.unchanged += 1;
            } else if self.superseded.contains(&tuple.row) {
                written.superseded += 1;
            } else if !self.staged.refused.contains_key(&tuple.row) {
                written.loaded += 1;
                written.loaded_digest.add(tuple.hash);
            }
        }
        written.refused = self.staged.refused;
        written
    }
}
