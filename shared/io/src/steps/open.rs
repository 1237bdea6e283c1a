//! The chunks of a job that are not DONE.

use rowproof_core::ids::CHUNKS_PER_GROUP;
use rowproof_core::ledger::{self, Chunk, ChunkId, ChunkState, Failure, Job};

use crate::app::App;
use crate::error::StepError;

/// Chunks of a job that are not DONE.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// Nobody works on these.
    pub(crate) waiting: Vec<ChunkId>,
    /// Somebody works on so many.
    pub(crate) leased: u32,
    /// These were given up, for this reason.
    pub(crate) failed: Vec<(ChunkId, Option<Failure>)>,
}

impl Open {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.leased == 0 && self.failed.is_empty()
    }

    /// Adds a chunk, or what stands in its place.
    fn add(&mut self, app: &App, id: ChunkId, stored: &[(ChunkId, Chunk)]) {
        let Some((_, chunk)) = stored.iter().find(|(found, _)| *found == id) else {
            self.waiting.push(id);
            return;
        };
        match chunk.state {
            ChunkState::Done => {}
            ChunkState::Ready => self.waiting.push(id),
            ChunkState::Leased => {
                let over = chunk.lease_until < app.clock.now() || chunk.run != app.settings.run;
                if over { self.waiting.push(id) } else { self.leased += 1 }
            }
            ChunkState::Failed => self.failed.push((id, chunk.failure.clone())),
            ChunkState::Split => {
                id.halves().into_iter().for_each(|half| self.add(app, half, stored));
            }
        }
    }
}

/// Chunks of a job with a known number of them.
pub(crate) async fn open_chunks(app: &App, job: &Job, count: u32) -> Result<Open, StepError> {
    let mut open = Open::default();
    let id = &job.facts.job;
    for group in 0..ledger::group_count(count) {
        let stored = app.ledger.chunks_of_group(id, group).await?;
        let first = group * CHUNKS_PER_GROUP;
        for chunk in first..first + ledger::group_len(count, group) {
            open.add(app, ChunkId::whole(id, chunk), &stored);
        }
    }
    Ok(open)
}

/// The first chunk of a chain that is not DONE, or its parts. Whoever reads the end of the object makes
/// sure that the job knows it: its finder may have died before saying so.
pub(crate) async fn open_of_chain(app: &App, job: &Job) -> Result<Open, StepError> {
    let mut open = Open::default();
    for group in 0.. {
        let stored = app.ledger.chunks_of_group(&job.facts.job, group).await?;
        let first = group * CHUNKS_PER_GROUP;
        for chunk in first..first + CHUNKS_PER_GROUP {
            let id = ChunkId::whole(&job.facts.job, chunk);
            let found = stored.iter().find(|(found, _)| *found == id);
            if found.is_some_and(|(_, chunk)| chunk.ends_object()) {
                note_end(app, job, chunk).await?;
            }
            if !ledger::is_done(&id, &stored) {
                open.add(app, id, &stored);
                return Ok(open);
            }
            if found.is_some_and(|(_, chunk)| chunk.ends_object()) {
                return Ok(open);
            }
        }
    }
    Ok(open)
}

/// The object ends with this chunk of a chain.
pub(crate) async fn note_end(app: &App, job: &Job, last_chunk: u32) -> Result<(), StepError> {
    let id = &job.facts.job;
    let count = ledger::set_chunk_count(id, last_chunk + 1);
    if !app.ledger.perform(&count).await?.stands() {
        return Err(StepError::Broken(format!("job {id} has another chunk count than its chain")));
    }
    Ok(())
}
