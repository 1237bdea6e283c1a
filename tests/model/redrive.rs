//! T13, as whoever serves the request does it: every FAILED chunk, then the job.

use rowproof_core::ledger::{self, ChunkState, JobState};

use crate::fixed::NOW;
use crate::machine::Machine;
use crate::rules;
use crate::state::{Op, Pc, State};

impl Machine {
    /// Whether an operator may ask to have the job brought back.
    pub(crate) fn may_ask(&self, state: &State, job: u8, is: JobState) -> bool {
        let failed = matches!(is, JobState::Blocked | JobState::Failed);
        state.deeds > 0 && failed && state.asked & (1 << job) == 0
    }

    /// The next chunk that failed, behind those that were `asked`, or else the job.
    pub(crate) fn redrive(&self, state: &mut State, worker: u8, job: u8, asked: u8) {
        for (chunk, at) in self.leaves(state, job).into_iter().zip(1..).skip(asked.into()) {
            let key = self.chunk_key(job, chunk);
            let stored = state.item(key);
            let Some(read) = self.chunk(state, job, chunk) else { continue };
            if read.state == ChunkState::Failed {
                // The request is named by what is left to ask, which no later one has.
                let request = format!("request {}", state.deeds);
                let memo = ("redrive", stored.into(), state.deeds.into(), key.into());
                let write = self.world.write_of(memo, || {
                    let id = self.chunk_id(job, chunk);
                    ledger::redrive_chunk(&id, &read, &request).expect("the chunk is FAILED")
                });
                let epoch = u8::try_from(read.epoch).expect("few epochs");
                return state.ask(
                    worker,
                    Op::Write(write),
                    Pc::Redriving { job, asked: at, chunk, epoch },
                );
            }
        }
        let read = self.job_item(state, job);
        let revived = self.with_job(read, |job| ledger::redrive_job(job, NOW));
        let Some(revived) = revived else {
            state.asked &= !(1 << job);
            return state.rest(worker);
        };
        let write = self.world.write_of(("revive", read.into(), 0, 0), || revived);
        state.ask(worker, Op::Write(write), Pc::Reviving { job });
    }

    /// One chunk was asked for; a refusal means that it came back, and maybe failed again.
    pub(crate) fn redriven(&self, state: &mut State, worker: u8, stands: bool) {
        let Pc::Redriving { job, asked, chunk, epoch } = state.worker(worker).pc else { return };
        let now = self.chunk(state, job, chunk);
        let is_as_read =
            now.is_some_and(|now| now.state == ChunkState::Failed && now.epoch == i64::from(epoch));
        if !stands && is_as_read {
            state.broken |= rules::ALARM;
        }
        self.redrive(state, worker, job, asked);
    }

    pub(crate) fn revived(&self, state: &mut State, worker: u8, job: u8, stands: bool) {
        if stands {
            state.asked &= !(1 << job);
        }
        state.rest(worker);
    }
}
