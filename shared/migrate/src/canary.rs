//! Real batches on the real rows, taken back at once.

use std::time::Instant;

use serde::Serialize;

use crate::batch::{Batches, Outcome, Range, last_key};
use crate::engine::Engine;
use crate::error::{Key, MigrateError};
use crate::link::Link;
use crate::progress::{Direction, Progress};
use crate::run::{Limits, settings};
use crate::state::State;
use crate::target::Target;

/// Nobody waits longer for a canary's row locks.
const CAP_MS: u64 = 1_000;

/// What a canary saw. Nothing of it remains but dead rows.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Canary {
    /// Batches that ran.
    pub batches: u32,
    /// Rows that they walked over.
    pub rows_seen: u64,
    /// Rows that the rule changed.
    pub rows_changed: u64,
    /// Each batch, in milliseconds.
    pub batch_ms: Vec<f64>,
    /// The time for all of them was over before they were through.
    pub cut_off: bool,
}

impl Engine {
    /// Runs so many batches from where the walk stands, in one transaction that is rolled back, and for at
    /// most a second. It takes no lease and writes nothing: a live run goes on.
    ///
    /// # Errors
    /// The expanded schema is not there yet, or the rule fails.
    pub async fn canary(&self, batches: u32) -> Result<Canary, MigrateError> {
        let (mut link, record) = self.known().await?;
        let wrong = |what: &str| MigrateError::WrongState {
            id: self.id().to_owned(),
            state: record.state.to_string(),
            what: what.to_owned(),
        };
        if !matches!(record.state, State::Expanded | State::Backfilling) {
            return Err(wrong("a canary runs between expand and the end of the backfill"));
        }
        let Some(rule) = &self.folder.backfill else {
            return Err(wrong("there is no backfill.sql to try"));
        };
        let target = Target::find(&mut link, &self.folder.config.target).await?;
        let begin = format!(
            "BEGIN; {} SET LOCAL jit = off; SET LOCAL enable_seqscan = off",
            settings(Limits { lock_ms: CAP_MS / 4, statement_ms: CAP_MS }, self.id(), 0)
        );
        let range = match Progress::read(&mut link, self.id(), Direction::Forward).await? {
            Some(progress) => progress.next_range(),
            None => {
                let upto = link.run("look at the last key", &last_key(&target)).await?;
                upto.json::<Key>()?.map(|upto| Range { after: None, upto })
            }
        };
        link.run("begin", &begin).await?;
        let backfill = &self.folder.config.backfill;
        let form = Batches {
            target: &target,
            rule,
            needs: backfill.needs.as_deref(),
            preserve: &backfill.preserve,
            quarantined: vec![],
        };
        let seen = try_batches(&mut link, &form, range, backfill.start, batches).await;
        link.roll_back().await;
        seen
    }
}

async fn try_batches(
    link: &mut Link,
    form: &Batches<'_>,
    range: Option<Range>,
    rows: u32,
    batches: u32,
) -> Result<Canary, MigrateError> {
    let began = Instant::now();
    let mut canary = Canary::default();
    let mut next = range;
    while let Some(range) = next.take().filter(|_| canary.batches < batches) {
        let batch = Instant::now();
        let answer = match link.run("run a batch", &form.statement(&range, rows)).await {
            Ok(answer) => answer,
            Err(error) if error.state() == Some("57014") => {
                canary.cut_off = true;
                break;
            }
            Err(source) => {
                let (file, line) = (form.rule.phase.file().to_owned(), form.rule.line);
                return Err(MigrateError::Statement { file, line, source });
            }
        };
        let Some(outcome) = answer.json::<Outcome>()? else { break };
        if outcome.spoiled > 0 {
            let sample = outcome.sample.unwrap_or_default();
            return Err(MigrateError::PreserveViolated { rows: outcome.spoiled, sample });
        }
        canary.batches += 1;
        canary.rows_seen += outcome.seen;
        canary.rows_changed += outcome.changed;
        canary.batch_ms.push(batch.elapsed().as_secs_f64() * 1000.0);
        if began.elapsed().as_millis() >= u128::from(CAP_MS) {
            canary.cut_off = canary.batches < batches;
            break;
        }
        next = outcome.last.map(|last| Range { after: Some(last), upto: range.upto });
    }
    Ok(canary)
}
