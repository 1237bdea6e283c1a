//! T13, as whoever serves the request does it: the job, then every FAILED chunk.

use rowproof_core::ledger::{self, ChunkState, JobState};

use crate::fixed::NOW;
use crate::machine::Machine;
use crate::rules;
use crate::state::{Op, Pc, State};
use crate::world::{Decision, Id};

/// Revisions up to which a job is brought back: it may be blocked again each time.
const REVISIONS: i64 = 4;

impl Machine {
    /// Whether the bounds let the job be brought back once more.
    pub(crate) fn may_revive(&self, read: Id) -> bool {
        self.with_job(read, |job| {
            let failed = matches!(job.state, JobState::Blocked | JobState::Failed);
            !failed || job.rev < REVISIONS
        })
    }

    /// Whether an operator may ask to have the job brought back.
    pub(crate) fn may_ask(&self, state: &State, job: u8, is: JobState) -> bool {
        let failed = matches!(is, JobState::Blocked | JobState::Failed);
        state.deeds > 0 && failed && state.asked & (1 << job) == 0
    }

    /// Whether the bounds leave room to serve what was asked: the job may be blocked in between.
    pub(crate) fn has_room(&self, state: &State, job: u8) -> bool {
        let asked = state.asked & (1 << job) != 0;
        let room = if asked { REVISIONS - 2 } else { REVISIONS };
        self.with_job(self.job_item(state, job), |job| job.rev < room)
    }

    /// The job, and behind it every chunk that failed.
    pub(crate) fn redrive(&self, state: &mut State, worker: u8, job: u8) {
        let read = self.job_item(state, job);
        match self.revive(read) {
            Some(write) => state.ask(worker, Op::Write(write), Pc::Reviving { job }),
            None => self.redrive_chunks(state, worker, job, 0),
        }
    }

    /// T13 of a job that is BLOCKED or FAILED.
    pub(crate) fn revive(&self, read: Id) -> Option<Id> {
        let decision = self.world.decide(("revive", read.into(), 0, 0), || {
            match self.with_job(read, |job| ledger::redrive_job(job, NOW)) {
                Some(write) => Decision::Send(self.world.number_write(write)),
                None => Decision::Nothing,
            }
        });
        match decision {
            Decision::Send(write) => Some(write),
            _ => None,
        }
    }

    pub(crate) fn revived(&self, state: &mut State, worker: u8, job: u8, stands: bool) {
        match stands {
            true => self.redrive_chunks(state, worker, job, 0),
            // Decided otherwise meanwhile: the request is taken up again.
            false => state.rest(worker),
        }
    }

    /// The next chunk that failed, behind those that were `asked`.
    fn redrive_chunks(&self, state: &mut State, worker: u8, job: u8, asked: u8) {
        for (chunk, at) in self.leaves(state, job).into_iter().zip(1..).skip(asked.into()) {
            let key = self.chunk_key(job, chunk);
            let stored = state.item(key);
            let Some(read) = self.chunk(state, job, chunk) else { continue };
            if read.state != ChunkState::Failed {
                continue;
            }
            // The request is named by what is left to ask, which no later one has.
            let request = format!("request {}", state.deeds);
            let memo = ("redrive", stored.into(), state.deeds.into(), key.into());
            let write = self.world.write_of(memo, || {
                let id = self.chunk_id(job, chunk);
                ledger::redrive_chunk(&id, &read, &request).expect("the chunk is FAILED")
            });
            let epoch = u8::try_from(read.epoch).expect("few epochs");
            let pc = Pc::Redriving { job, asked: at, chunk, epoch };
            return state.ask(worker, Op::Write(write), pc);
        }
        // Whoever saw the job between the two steps has blocked it again: once more, then.
        let is = self.with_job(self.job_item(state, job), |job| job.state);
        if is != JobState::Blocked {
            state.asked &= !(1 << job);
        }
        state.rest(worker);
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
        self.redrive_chunks(state, worker, job, asked);
    }
}
