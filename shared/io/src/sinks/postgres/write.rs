//! A chunk's rows into the table: compared by hash, copied, and applied as a set.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use rowproof_core::block::Digest;
use rowproof_core::copy::{Sql, keys_repeat, tuples};
use rowproof_core::ledger::{ChunkId, JobFacts};
use rowproof_core::pipeline::WriteMode;
use rowproof_core::receipt::Counts;
use rowproof_core::sink::Refusal;
use tokio_postgres::Row;

use super::refuse;
use crate::postgres::error::PostgresError;
use crate::postgres::session::{Session, number, pieces};

/// Rows of a sample that tells whether a comparison by hash is worth it.
const SAMPLE: usize = 1000;

/// Where rows come from, which decides between two with one key.
pub(super) struct Origin<'a> {
    pub(super) facts: &'a JobFacts,
    pub(super) id: &'a ChunkId,
    pub(super) fix: u32,
    /// Number of the chunk's row in `rowproof.loads`.
    pub(super) load: i64,
}

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
    pub(super) session: &'a Session,
    pub(super) sql: &'a Sql,
    pub(super) origin: Origin<'a>,
    bytes: Bytes,
    rows: usize,
    keys: usize,
    /// The table holds none of the staged keys.
    fresh: bool,
    /// Rows that differ from the table, when that was asked first; all others are unchanged.
    differing: Option<HashSet<u64>>,
    unchanged: HashSet<u64>,
    superseded: HashSet<u64>,
    pub(super) refused: BTreeMap<u64, Refusal>,
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
        let (unchanged, superseded, refused) = Default::default();
        let (fresh, differing) = (false, None);
        Write {
            session,
            sql,
            origin,
            bytes,
            rows,
            keys,
            fresh,
            differing,
            unchanged,
            superseded,
            refused,
        }
    }

    /// Writes the rows; nothing is committed.
    pub(super) async fn run(mut self) -> Result<Written, PostgresError> {
        if self.rows == 0 {
            return Ok(Written::default());
        }
        let upserts = self.sql.plan().sink.mode == WriteMode::Upsert;
        if upserts {
            self.stage_upsert().await?
        } else {
            self.stage(None).await?
        }
        refuse::apply(&mut self).await?;
        Ok(self.sum_up())
    }

    async fn stage_upsert(&mut self) -> Result<(), PostgresError> {
        let rows = self.session.rows("look at the table", &self.sql.is_empty(), &[]).await?;
        self.fresh = rows.first().and_then(|row| row.try_get(0).ok()).unwrap_or(false);
        let skips = self.sql.plan().sink.skip_unchanged;
        let repeat = keys_repeat(&self.bytes, self.keys);
        // A key that comes twice is settled among the staged rows first.
        if skips
            && !self.fresh
            && !repeat
            && self.sql.keys_compare()
            && self.is_mostly_known().await?
        {
            return self.stage_differing().await;
        }
        self.stage(None).await?;
        refuse::keys_that_are_none(self).await?;
        if repeat {
            let gone = self.session.numbers("settle keys", &self.sql.drop_repeated()).await?;
            self.superseded.extend(gone);
        }
        if !self.fresh && skips {
            let gone = self.session.numbers("compare rows", &self.sql.drop_unchanged()).await?;
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
        self.fresh = differing.values().all(|probed| probed.is_new);
        self.differing = Some(differing.into_keys().collect());
        if self.is_over() {
            return Ok(());
        }
        self.stage(Some(&staged)).await?;
        if self.sql.ages_by_column() { self.drop_older().await } else { Ok(()) }
    }

    async fn drop_older(&mut self) -> Result<(), PostgresError> {
        if !self.fresh {
            let Origin { facts, id, fix, .. } = &self.origin;
            let sql = self.sql.drop_older(facts, id, *fix);
            self.superseded.extend(self.session.numbers("compare ages", &sql).await?);
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
        self.session.run("compare rows", &self.sql.create_probe()).await?;
        let fields = self.keys + 2;
        let mut probe = Vec::new();
        for tuple in tuples(&self.bytes, self.keys).step_by(every) {
            tuple.put_probe(fields, &mut probe);
        }
        self.session.copy(&self.sql.copy_probe(), pieces(probe.into())).await?;
        let Origin { facts, id, fix, .. } = &self.origin;
        let differing = self.sql.differing(facts, id, *fix);
        let rows = self.session.rows("compare rows", &differing, &[]).await?;
        let flag = |row: &Row, at| row.try_get(at).unwrap_or(false);
        let found = rows
            .iter()
            .map(|row| (number(row, 0), Probed { is_new: flag(row, 1), is_older: flag(row, 2) }));
        Ok(found.collect())
    }

    /// Copies these rows, or all, into the staging table.
    async fn stage(&self, only: Option<&HashSet<u64>>) -> Result<(), PostgresError> {
        self.session.run("stage rows", &self.sql.create_stage()).await?;
        let copy = self.sql.copy_stage();
        let Some(only) = only else {
            return self.session.copy(&copy, pieces(self.bytes.clone())).await;
        };
        let mut bytes = Vec::new();
        let chosen = tuples(&self.bytes, self.keys).filter(|tuple| only.contains(&tuple.row));
        chosen.for_each(|tuple| bytes.extend_from_slice(tuple.whole));
        self.session.copy(&copy, pieces(bytes.into())).await
    }

    /// The statement that takes staged rows into the table.
    pub(super) fn apply(&self, rows: Option<(u64, u64)>) -> String {
        self.sql.apply(self.origin.load, self.fresh, rows)
    }

    /// The table may hold staged keys after all: somebody else writes to it.
    pub(super) fn is_not_fresh(&mut self) -> bool {
        std::mem::replace(&mut self.fresh, false)
    }

    /// No row differs from the table that is not older: nothing is left to apply.
    pub(super) fn is_over(&self) -> bool {
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
            } else if !self.refused.contains_key(&tuple.row) {
                written.loaded += 1;
                written.loaded_digest.add(tuple.hash);
            }
        }
        written.refused = self.refused;
        written
    }
}
