//! Finding a job, and where its chunks stand.

use rowproof_core::ids::JobId;
use rowproof_core::ledger::{Chunk, ChunkId, ChunkState, Job, group_count};
use rowproof_io::app::App;
use rowproof_io::settings::read_env;
use serde::Serialize;

use crate::exit::Usage;

/// The job with this id, or the only one whose id begins so.
pub(crate) async fn find(app: &App, text: &str) -> anyhow::Result<Job> {
    if let Some(job) = app.ledger.job(&JobId(text.to_owned())).await? {
        return Ok(job);
    }
    let mut jobs = app.ledger.all_jobs().await?;
    let known = jobs.len();
    jobs.retain(|job| job.facts.job.0.starts_with(text));
    match jobs.len() {
        1 if !text.is_empty() => jobs.pop().ok_or_else(|| unknown(text, known)),
        0 => Err(unknown(text, known)),
        _ => Err(ambiguous(text, &jobs)),
    }
}

fn unknown(text: &str, known: usize) -> anyhow::Error {
    let text = match known {
        0 => format!("there is no job {text}: the folder has none yet; `rowproof run` makes one"),
        _ => format!("there is no job {text} in this folder; `rowproof status` lists all {known}"),
    };
    Usage(text).into()
}

fn ambiguous(text: &str, jobs: &[Job]) -> anyhow::Error {
    let shown = jobs.iter().take(5).map(|job| {
        format!("\n  {} {} {}", job.facts.job, job.state.as_str(), job.facts.object.key)
    });
    let more = match jobs.len() {
        0..=5 => String::new(),
        all => format!("\n  and {} more", all - 5),
    };
    let shown: String = shown.collect();
    Usage(format!("`{text}` could be any of these jobs; give more of the id:{shown}{more}")).into()
}

/// Chunks of a job by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Tally {
    /// In all; `None` when the plan is not made or a chain's end is not found.
    pub(crate) total: Option<u32>,
    pub(crate) done: u32,
    /// With a worker.
    pub(crate) leased: u32,
    pub(crate) failed: u32,
    /// Begun more than once: a worker died or ran out of time.
    pub(crate) retaken: u32,
    /// Cut in two, to find a record that kills its workers; the halves count as chunks.
    pub(crate) split: u32,
    /// Rows in the done ones.
    pub(crate) rows: u64,
}

impl Tally {
    /// Counts what is stored.
    pub(crate) fn count<'a>(total: Option<u32>, chunks: impl Iterator<Item = &'a Chunk>) -> Tally {
        let mut tally = Tally { total, ..Tally::default() };
        for chunk in chunks {
            match chunk.state {
                ChunkState::Ready => {}
                ChunkState::Split => tally.split += 1,
                ChunkState::Leased => tally.leased += 1,
                ChunkState::Done => tally.done += 1,
                ChunkState::Failed => tally.failed += 1,
            }
            tally.retaken += u32::from(chunk.epoch > 1);
            tally.rows += chunk.outcome.as_ref().map_or(0, |outcome| outcome.rows);
        }
        // Two halves stand in the place of one.
        tally.total = total.map(|total| total + tally.split);
        tally
    }

    /// Chunks that nobody has begun or that were given back.
    pub(crate) fn waiting(&self) -> u32 {
        let begun = self.done + self.leased + self.failed;
        self.total.map_or(0, |total| total.saturating_sub(begun))
    }
}

/// The stored chunks of a job, in order.
pub(crate) async fn chunks(app: &App, job: &Job) -> anyhow::Result<Vec<(ChunkId, Chunk)>> {
    let mut all = vec![];
    // A chain has no count before its end; its chunks are there without a gap.
    let groups = job.chunk_count.map_or(u32::MAX, group_count);
    for group in 0..groups {
        let chunks = app.ledger.chunks_of_group(&job.facts.job, group).await?;
        if chunks.is_empty() && job.chunk_count.is_none() {
            break;
        }
        all.extend(chunks);
    }
    Ok(all)
}

/// See [`Tally`].
pub(crate) async fn tally(app: &App, job: &Job) -> anyhow::Result<Tally> {
    let chunks = chunks(app, job).await?;
    Ok(Tally::count(job.chunk_count, chunks.iter().map(|(_, chunk)| chunk)))
}

/// Who decides, for the record.
pub(crate) fn operator() -> String {
    read_env("USER").filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// The reason given for a decision, which must say something.
pub(crate) fn checked_reason(reason: &str) -> anyhow::Result<&str> {
    match reason.trim() {
        "" => {
            Err(Usage("--reason is empty; say why, for whoever looks at the job later".into())
                .into())
        }
        reason => Ok(reason),
    }
}

#[cfg(test)]
mod tests {
    use rowproof_core::ledger::OutcomeRef;
    use rowproof_core::time::EpochSeconds;

    use super::*;

    fn chunk(state: ChunkState, epoch: i64, rows: u64) -> Chunk {
        let outcome = OutcomeRef {
            key: "k".into(),
            sha256: "s".into(),
            rows,
            next: None,
            end_of_object: false,
        };
        Chunk {
            state,
            epoch,
            attempts: 1,
            sink_deaths: 0,
            stage: None,
            split: None,
            owner: None,
            run: None,
            lease_until: EpochSeconds(0),
            outcome: (state == ChunkState::Done).then_some(outcome),
            failure: None,
        }
    }

    #[test]
    fn chunks_that_are_not_stored_wait() {
        let stored = [
            chunk(ChunkState::Done, 1, 10),
            chunk(ChunkState::Done, 2, 5),
            chunk(ChunkState::Leased, 1, 0),
            chunk(ChunkState::Ready, 1, 0),
        ];
        let tally = Tally::count(Some(6), stored.iter());
        let expected =
            Tally { total: Some(6), done: 2, leased: 1, retaken: 1, rows: 15, ..Tally::default() };
        assert_eq!(tally, expected);
        assert_eq!(tally.waiting(), 3);
    }

    #[test]
    fn the_halves_of_a_split_chunk_stand_in_its_place() {
        let stored = [
            chunk(ChunkState::Split, 6, 0),
            chunk(ChunkState::Done, 1, 5),
            chunk(ChunkState::Failed, 1, 0),
        ];
        let tally = Tally::count(Some(2), stored.iter());
        assert_eq!((tally.total, tally.split, tally.waiting()), (Some(3), 1, 1));
    }

    #[test]
    fn a_reason_of_blanks_is_refused() {
        assert!(checked_reason("  ").is_err());
        assert_eq!(checked_reason(" known ").unwrap(), "known");
    }
}
