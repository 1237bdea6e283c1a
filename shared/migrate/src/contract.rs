//! `contract.sql`: each statement in a transaction of its own, together with the note that it is done.

use rowproof_core::sql::quote_text;
use serde::Deserialize;
use serde_json::json;

use crate::drive::Drive;
use crate::effect::{Effect, drops_rows};
use crate::error::MigrateError;
use crate::locked::{Failed, Tries};
use crate::measure;
use crate::phase::Phase;
use crate::run::{Limits, Run, Turn, event};
use crate::state::State;
use crate::statements::Statement;
use crate::target::Target;

#[derive(Debug, Deserialize)]
struct Done {
    ord: u32,
    destructive: bool,
    /// The statement that takes it back, where the statement itself does not tell.
    undo: Option<String>,
}

impl Run<'_> {
    /// The statements that are left, then the end.
    pub(crate) async fn contract(&mut self) -> Result<Turn, MigrateError> {
        let folder = self.folder;
        let effects = Effect::read_all(folder.statements(Phase::Contract));
        let done = self.contract_done().await?;
        for ((ord, statement), effect) in
            (0..).zip(folder.statements(Phase::Contract)).zip(&effects)
        {
            if done.iter().any(|step| step.ord == ord) {
                continue;
            }
            if let Some(end) = self.contract_statement(ord, statement, effect).await? {
                return Ok(Turn::End(end));
            }
        }
        let target = Target::find(&mut self.link, &folder.config.target).await;
        self.begin(self.limits()).await?;
        // The target may be what was dropped.
        let mut ended = Ok(());
        if let Ok(target) = target {
            let sql = measure::record(self.id(), &target, "after");
            ended = self
                .link
                .run("measure the target", &sql)
                .await
                .map(drop)
                .map_err(MigrateError::from);
        }
        if ended.is_ok() {
            ended = self.advance(State::Contracting, State::Done, json!({})).await;
        }
        self.end(ended).await?;
        Ok(Turn::Next)
    }

    async fn contract_done(&mut self) -> Result<Vec<Done>, MigrateError> {
        let sql = format!(
            "SELECT jsonb_build_object('ord', ord, 'destructive', destructive, 'undo', undo) \
             FROM rowproof_migrate.step WHERE migration_id = {} AND file = '{}' AND state = 'done' ORDER BY ord",
            self.sql_id(),
            Phase::Contract.file()
        );
        self.link.run("look at the steps", &sql).await?.jsons()
    }

    async fn contract_statement(
        &mut self,
        ord: u32,
        statement: &Statement,
        effect: &Effect,
    ) -> Result<Option<Drive>, MigrateError> {
        if drops_rows(statement)
            && let Some(end) = self.keep_for_now().await?
        {
            return Ok(Some(end));
        }
        self.fits_estimate(statement).await?;
        // VALIDATE keeps neither readers nor writers out, so it may take its time.
        let limits = match effect {
            Effect::Validates => self.long_limits(),
            Effect::Adds { .. }
            | Effect::Requires { .. }
            | Effect::Defaults { .. }
            | Effect::DropsOwn
            | Effect::Destroys => self.limits(),
        };
        let mut tries = Tries::default();
        loop {
            if let Some(end) = self.must_end(self.limits().lock_ms + self.limits().statement_ms)? {
                return Ok(Some(end));
            }
            let failed = match self.try_contract(ord, statement, effect, limits).await {
                Ok(()) => return Ok(None),
                Err(failed) => failed,
            };
            if let Some(end) = self.again(&mut tries, failed).await? {
                return Ok(Some(end));
            }
        }
    }

    async fn try_contract(
        &mut self,
        ord: u32,
        statement: &Statement,
        effect: &Effect,
        limits: Limits,
    ) -> Result<(), Failed> {
        let destroys = *effect == Effect::Destroys;
        self.begin(limits).await?;
        let mut undo = "NULL".to_owned();
        if let Some(query) = effect.default_before() {
            let found = self.link.run("look at the default", &query).await?;
            undo = found.text(0, 0).map_or(undo, quote_text);
        }
        self.statement(Phase::Contract, statement).await?;
        let sql = format!(
            "INSERT INTO rowproof_migrate.step \
             (migration_id, file, ord, line, sql_sha256, state, destructive, undo) \
             VALUES ({}, '{}', {ord}, {}, encode(sha256(convert_to({}, 'UTF8')), 'hex'), 'done', {destroys}, {}); {}",
            self.sql_id(),
            Phase::Contract.file(),
            statement.line,
            quote_text(&statement.text),
            undo,
            event(
                self.id(),
                "contracted",
                &json!({ "line": statement.line, "destructive": destroys,
                    "drops": drops_rows(statement) })
            )
        );
        self.commit(&sql).await?;
        Ok(())
    }

    /// Whether something was dropped that does not come back.
    pub(crate) async fn is_past_return(&mut self) -> Result<bool, MigrateError> {
        Ok(self.contract_done().await?.iter().any(|step| step.destructive))
    }

    /// Takes constraints back that the contract phase added, the last one first.
    pub(crate) async fn take_contract_back(&mut self) -> Result<Option<Drive>, MigrateError> {
        let folder = self.folder;
        let statements = folder.statements(Phase::Contract);
        let effects = Effect::read_all(statements);
        let mut done = self.contract_done().await?;
        done.reverse();
        for step in done {
            let at = usize::try_from(step.ord).unwrap_or(usize::MAX);
            let (Some(effect), Some(statement)) = (effects.get(at), statements.get(at)) else {
                return Err(MigrateError::Bug { what: "a step without a statement".into() });
            };
            let text = step.undo.or_else(|| effect.undone_by()).unwrap_or_default();
            let undo = Statement { text, line: statement.line };
            let mut tries = Tries::default();
            while let Err(failed) = self.try_undo(step.ord, &undo).await {
                if let Some(end) = self.again(&mut tries, failed).await? {
                    return Ok(Some(end));
                }
            }
        }
        Ok(None)
    }

    async fn try_undo(&mut self, ord: u32, undo: &Statement) -> Result<(), Failed> {
        self.begin(self.limits()).await?;
        if !undo.text.is_empty() {
            self.statement(Phase::Contract, undo).await?;
        }
        let sql = format!(
            "DELETE FROM rowproof_migrate.step WHERE migration_id = {} AND file = '{}' AND ord = {ord}",
            self.sql_id(),
            Phase::Contract.file()
        );
        self.commit(&sql).await?;
        Ok(())
    }
}
