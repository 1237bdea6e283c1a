//! The phases of a migration, each from one state to the next.

use serde_json::json;

use crate::config::OnEmpty;
use crate::drive::Drive;
use crate::error::MigrateError;
use crate::measure;
use crate::phase::Phase;
use crate::progress::Direction;
use crate::queries::Queries;
use crate::run::{Run, Turn};
use crate::state::State;
use crate::target::Target;
use crate::walk::{Walk, begin_walk};

impl Run<'_> {
    /// Looks whether the database is what the migration was written for, and measures it.
    pub(crate) async fn precheck(&mut self) -> Result<Turn, MigrateError> {
        let folder = self.folder;
        let target = Target::find(&mut self.link, &folder.config.target).await?;
        let mut queries = Queries::begin(self).await?;
        let checked = queries.precheck(&target).await;
        queries.end().await;
        checked?;
        self.try_probes().await?;
        self.begin(self.long_limits()).await?;
        let done =
            self.measure_and_advance(&target, "baseline", State::Pending, State::Prechecked).await;
        self.end(done).await?;
        Ok(Turn::Next)
    }

    async fn measure_and_advance(
        &mut self,
        target: &Target,
        phase: &str,
        from: State,
        to: State,
    ) -> Result<(), MigrateError> {
        let sql = measure::record(self.id(), target, phase);
        self.link.run("measure the target", &sql).await?;
        self.measure_queries(phase).await?;
        self.advance(from, to, json!({})).await
    }

    /// `expand.sql`, in one transaction.
    pub(crate) async fn expand(&mut self) -> Result<Turn, MigrateError> {
        let (from, to) = (State::Prechecked, State::Expanded);
        let end = self.one_transaction(Phase::Expand, from, to, &json!({})).await?;
        Ok(end.map_or(Turn::Next, Turn::End))
    }

    /// `online.sql`, then the end of the walk is frozen: whatever comes later, the expanded schema fills.
    pub(crate) async fn online(&mut self) -> Result<Turn, MigrateError> {
        if let Some(end) = self.online_statements().await? {
            return Ok(Turn::End(end));
        }
        let folder = self.folder;
        if folder.backfill.is_none() {
            return self
                .move_on(State::Expanded, State::Swept, json!({ "backfill": "none" }))
                .await;
        }
        // Rows that nothing brings back wait for the gates as a drop does.
        let passed = match folder.config.reversible {
            true => vec![],
            false => self.evidence_gates().await?,
        };
        let target = Target::find(&mut self.link, &folder.config.target).await?;
        self.begin(self.limits()).await?;
        let mut done = begin_walk(self, &target, Direction::Forward).await;
        if done.is_ok() {
            let detail = json!({ "gates": passed });
            done = self.advance(State::Expanded, State::Backfilling, detail).await;
        }
        self.end(done).await?;
        Ok(Turn::Next)
    }

    /// `backfill.sql`, for all rows up to the frozen end.
    pub(crate) async fn backfill(&mut self) -> Result<Turn, MigrateError> {
        let Some(rule) = &self.folder.backfill else {
            return Err(MigrateError::Bug { what: "a walk without a rule".into() });
        };
        let mut walk = Walk::resume(self, rule, Direction::Forward).await?;
        if let Some(end) = walk.go(self).await? {
            return Ok(Turn::End(end));
        }
        let (seen, changed) = (walk.progress.rows_seen, walk.progress.rows_changed);
        let detail = json!({ "rows_seen": seen, "rows_changed": changed,
            "quarantined": walk.progress.quarantined });
        self.move_on(State::Backfilling, State::Swept, detail).await
    }

    /// `validate.sql` and the invariants, in one snapshot.
    pub(crate) async fn validate(&mut self) -> Result<Turn, MigrateError> {
        let mut queries = Queries::begin(self).await?;
        let checked = queries.validate().await;
        queries.end().await;
        match checked {
            Ok(results) => {
                self.begin(self.limits()).await?;
                let mut done = self.measure_queries("validated").await;
                if done.is_ok() {
                    let detail = json!({ "held": results });
                    done = self.advance(State::Swept, State::Validated, detail).await;
                }
                self.end(done).await?;
                Ok(Turn::Next)
            }
            Err(error) => self.invalid(error).await,
        }
    }

    async fn invalid(&mut self, error: MigrateError) -> Result<Turn, MigrateError> {
        let folder = self.folder;
        let failed = matches!(error, MigrateError::InvariantFailed { .. });
        let rolls_back = folder.config.on_invalid == crate::config::OnInvalid::Rollback;
        if !(failed && rolls_back && folder.config.reversible) {
            return Err(error);
        }
        let detail = json!({ "code": error.code(), "message": error.to_string() });
        self.move_on(State::Swept, State::RollingBack, detail).await
    }

    /// `undo_backfill.sql` for all rows, if the rule was applied to any, then `down.sql`.
    pub(crate) async fn roll_back(&mut self) -> Result<Turn, MigrateError> {
        if let Some(end) = self.take_contract_back().await? {
            return Ok(Turn::End(end));
        }
        if let Some(end) = self.undo_rows().await? {
            return Ok(Turn::End(end));
        }
        let (from, to) = (State::RollingBack, State::RolledBack);
        let end = self.one_transaction(Phase::Down, from, to, &json!({})).await?;
        Ok(end.map_or(Turn::Next, Turn::End))
    }

    async fn undo_rows(&mut self) -> Result<Option<Drive>, MigrateError> {
        let folder = self.folder;
        let id = self.id().to_owned();
        let begun = Walk::is_begun(self, Direction::Forward).await?;
        let Some(rule) = folder.undo_backfill.as_ref().filter(|_| begun) else {
            return Ok(None);
        };
        if !Walk::is_begun(self, Direction::Undo).await? {
            let target = Target::find(&mut self.link, &folder.config.target).await?;
            self.begin(self.limits()).await?;
            let done = begin_walk(self, &target, Direction::Undo).await;
            self.end(done).await?;
        }
        tracing::info!(migration = id, "rows are taken back");
        Walk::resume(self, rule, Direction::Undo).await?.go(self).await
    }

    /// Rows at least, as the folder expects them.
    pub(crate) fn refuses_empty(&self) -> Option<u64> {
        let expected = self.folder.config.target.expect_rows?;
        (expected.on_empty == OnEmpty::Abort).then_some(expected.min)
    }
}

impl Walk<'_> {
    async fn is_begun(run: &mut Run<'_>, direction: Direction) -> Result<bool, MigrateError> {
        let id = run.id().to_owned();
        let found = crate::progress::Progress::read(&mut run.link, &id, direction).await?;
        Ok(found.is_some())
    }
}
