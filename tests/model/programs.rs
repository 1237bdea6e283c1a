//! Who may begin what, and what comes next for whom.

use rowproof_core::ledger::{ChunkState, JobState};

use crate::bounds::may;
use crate::chunk::halves_of;
use crate::machine::{Deed, Machine, Task};
use crate::parsed::Parsed;
use crate::rules;
use crate::state::{How, NOBODY, Op, Pc, State};
use crate::world::Id;

impl Machine {
    /// Everything that an idle worker may begin.
    pub(crate) fn tasks(&self, state: &State, mut found: impl FnMut(Task)) {
        let may = |what| self.bounds.allows(what);
        for key in 0..u8::try_from(self.bounds.versions.len()).expect("few keys") {
            let observe = |how| Task::Observe { key, how };
            if may(may::OBSERVE) && (may(may::REPEAT) || self.is_news(state, key)) {
                found(observe(How::Observe));
            }
            if may(may::RESTART) && state.deeds > 0 {
                found(observe(How::Restart));
            }
            if may(may::FORCE) && state.deeds > 0 {
                found(observe(How::Force));
            }
        }
        for (job, is) in self.jobs(state) {
            self.tasks_of_job(state, job, is, &mut found);
        }
        for (job, _) in self.jobs(state) {
            let asked = state.asked & (1 << job) != 0;
            if asked && self.may_revive(self.job_item(state, job)) {
                found(Task::Redrive(job));
            }
        }
        for request in 0..8 {
            if state.replays & (1 << request) != 0 && self.replayable(state).is_some() {
                found(Task::Replay(request));
            }
        }
        for replay in self.open_replays(state) {
            found(Task::Resume(replay));
        }
        if may(may::OUTAGE) && self.has_sink_news(state) {
            found(Task::Sink);
        }
        if may(may::RECONCILE) && self.replaced(state) & state.files != 0 {
            found(Task::Reconcile);
        }
    }

    fn tasks_of_job(&self, state: &State, job: u8, is: JobState, found: &mut impl FnMut(Task)) {
        let may = |what| self.bounds.allows(what);
        let read = self.job_item(state, job);
        if is == JobState::Planning && may(may::PLAN) {
            let ways = self.with_job(read, |job| self.plan_ways(job));
            (0..ways).for_each(|way| found(Task::Plan { job, way }));
        }
        if state.deeds > 0 && may(may::REVERT) && self.may_revert(state, job) {
            found(Task::Revert(job));
        }
        if state.deeds > 0 {
            let mut offer = |deed| {
                if self.deed(state, deed, job).is_some() {
                    found(Task::Decide(deed, job));
                }
            };
            if may(may::DECIDE) && is == JobState::Held {
                offer(Deed::Approve);
                offer(Deed::Discard);
            }
            if may(may::FAIL) && matches!(is, JobState::Planning | JobState::Running) {
                offer(Deed::Fail);
            }
        }
        let takes = matches!(is, JobState::Running | JobState::Blocked) && may(may::CHUNK);
        if takes {
            for chunk in self.leaves(state, job) {
                if self.is_open(state, job, chunk) {
                    found(Task::Chunk { job, chunk });
                }
            }
        }
        let count = self.chunk_count(read);
        if takes && count.is_none() {
            for chunk in 0..self.bounds.chunks {
                let stored = self.chunk(state, job, chunk).and_then(|chunk| chunk.outcome);
                if stored.is_some_and(|outcome| outcome.end_of_object) {
                    found(Task::Count { job, count: chunk + 1 });
                }
            }
        }
        if may(may::COMMIT) {
            let ready = is == JobState::Running
                && count.is_some()
                && (0..count.unwrap_or(0)).all(|chunk| self.is_done(state, job, chunk));
            if ready || is == JobState::Committing {
                found(Task::Commit { job });
            }
        }
    }

    pub(crate) fn is_done(&self, state: &State, job: u8, chunk: u8) -> bool {
        match self.chunk(state, job, chunk).map(|chunk| chunk.state) {
            Some(ChunkState::Done) => true,
            Some(ChunkState::Split) => {
                halves_of(chunk).iter().all(|half| self.is_done(state, job, *half))
            }
            _ => false,
        }
    }

    pub(crate) fn start(&self, state: &mut State, worker: u8, task: Task) {
        match task {
            Task::Observe { key, how } => self.start_observe(state, worker, key, how),
            Task::Plan { job, way } => self.plan(state, worker, job, way),
            Task::Chunk { job, chunk } => self.start_chunk(state, worker, job, chunk),
            Task::Commit { job } => self.start_commit(state, worker, job),
            Task::Count { job, count } => self.count(state, worker, job, count),
            Task::Decide(deed, job) => {
                let op = self.deed(state, deed, job).expect("the deed was on offer");
                state.deeds -= 1;
                state.ask(worker, op, Pc::Last);
            }
            Task::Revert(to) => self.revert(state, worker, to),
            Task::Redrive(job) => self.redrive(state, worker, job),
            Task::Replay(request) => self.start_replay(state, worker, request),
            Task::Resume(replay) => self.resume_replay(state, worker, replay),
            Task::Sink => self.try_sink(state, worker),
            Task::Reconcile => {
                let files = self.replaced(state);
                state.ask(worker, Op::Delete(files), Pc::Last);
            }
        }
    }

    /// In how many ways a worker that waits for nothing may go on.
    pub(crate) fn ways(&self, _state: &State, pc: Pc) -> u8 {
        match pc {
            Pc::Working { held, renewed } => {
                u8::try_from(self.working_ways(held, renewed)).expect("few ways")
            }
            _ => 1,
        }
    }

    pub(crate) fn step(&self, state: &mut State, worker: u8, way: u8) {
        match state.worker(worker).pc {
            Pc::Head { key, slot, how } => self.step_head(state, worker, key, slot, how),
            Pc::Working { held, renewed } => self.step_working(state, worker, held, renewed, way),
            Pc::Scanning { job, read, at, got } => {
                self.step_scanning(state, worker, (job, read, at, got));
            }
            other => panic!("a worker waits for nothing at {other:?}"),
        }
    }

    pub(crate) fn answered(&self, state: &mut State, worker: u8, stands: bool) {
        match state.worker(worker).pc {
            Pc::Idle | Pc::Last => state.rest(worker),
            Pc::Swapping { seen, old } => self.answered_swap(state, worker, seen, old, stands),
            Pc::Reverting { to, generation } if stands => {
                self.create_revert(state, worker, to, generation);
            }
            Pc::Reverting { .. } => state.rest(worker),
            Pc::Overtaking { seen } => self.create(state, worker, seen),
            Pc::Taking(held) | Pc::Renewing(held) if stands => {
                let renewed = matches!(state.worker(worker).pc, Pc::Renewing(_));
                state.worker(worker).pc = Pc::Working { held, renewed };
            }
            Pc::Taking(_) | Pc::Renewing(_) => state.rest(worker),
            Pc::Completing { held, end } => {
                self.answered_complete(state, worker, held, end, stands);
            }
            Pc::Counting => self.answered_count(state, worker, stands),
            Pc::Refusing { job } => {
                let read = self.job_item(state, job);
                match self.with_job(read, |job| job.state) {
                    JobState::Planning | JobState::Running => {
                        state.ask(worker, Op::Write(self.fail(read)), Pc::Last);
                    }
                    _ => state.rest(worker),
                }
            }
            Pc::Redriving { .. } => self.redriven(state, worker, stands),
            Pc::Reviving { job } => self.revived(state, worker, job, stands),
            Pc::Marking { mark } => {
                if stands && !self.is_standing(state, mark) {
                    state.broken |= rules::TOLD_TWICE;
                }
                state.told |= u64::from(stands) << mark;
                state.rest(worker);
            }
            Pc::Replaying { replay, parent, list, step } => {
                self.replayed(state, worker, (replay, parent, list, step), stands);
            }
            Pc::GivingUp { job } if stands => {
                state.ask(worker, Op::Write(self.block(self.job_item(state, job))), Pc::Last);
            }
            Pc::GivingUp { .. } => state.rest(worker),
            Pc::Closing { job, read, got } => self.list(state, worker, job, read, got),
            Pc::Listing { job, read, list } => {
                if !stands {
                    state.broken |= rules::TWO_CONTENTS;
                }
                self.begin(state, worker, job, read, list);
            }
            Pc::Beginning { job } => {
                // Whatever the answer was: read again, and go on if somebody publishes.
                let read = self.job_item(state, job);
                match self.with_job(read, |job| job.state) {
                    JobState::Committing => self.start_commit(state, worker, job),
                    _ => state.rest(worker),
                }
            }
            Pc::Publishing { job, list, step, won } => {
                self.published(state, worker, (job, list, step, won), stands);
            }
            Pc::Head { .. } | Pc::Working { .. } | Pc::Scanning { .. } => {
                panic!("an answer to nobody's question");
            }
        }
    }

    /// Applies a conditional write; whether its sender hears that it stands.
    pub(crate) fn land_write(&self, state: &mut State, write: Id, from: u8) -> bool {
        let key = self.world.key_of(write);
        let stored = state.item(key);
        let Some(applied) = self.world.apply(write, stored) else {
            let is_mine = from != NOBODY && state.worker(from).is_mine;
            let stands = self.world.stands(write, stored, is_mine);
            if is_mine && !stands {
                state.broken |= rules::OWN_REFUSED;
            }
            return stands;
        };
        state.set_item(key, applied.item);
        state.broken |= applied.broken;
        let waiting: Vec<(u8, Op)> = state.network.iter().map(|r| (r.from, r.op)).collect();
        for (waiter, op) in waiting {
            let same_item = matches!(op, Op::Write(write) if self.world.key_of(write) == key);
            if waiter != NOBODY && same_item {
                state.worker(waiter).is_mine = false;
            }
        }
        if from != NOBODY {
            state.worker(from).is_mine = true;
        }
        if self.world.name_of(write) == "mark_unavailable" {
            self.marked(state, from);
        }
        self.after_write(state, write, stored, applied.item);
        true
    }

    /// What a rule needs to know beyond the item itself.
    fn after_write(&self, state: &mut State, write: Id, before: Id, after: Id) {
        if self.world.name_of(write) == "mark_unavailable" {
            state.marked += 1;
            if self.is_marked(before) {
                state.broken |= rules::TOLD_TWICE;
            }
        }
        if self.world.name_of(write) == "give_up"
            && !self.bounds.allows(may::GIVE_UP)
            && rules::is_fresh(&self.world.item(before))
        {
            state.broken |= rules::GIVEN_UP_EARLY;
        }
        if self.world.name_of(write) == "redrive_chunk"
            && rules::request(&self.world.item(before)) == rules::request(&self.world.item(after))
        {
            state.broken |= rules::BACK_TWICE;
        }
        let after = self.world.parsed(after);
        if let Parsed::Slot(slot) = &*after {
            state.had |= 1 << slot.committed;
        }
        if let Parsed::Job(job) = &*after {
            let bit = 1 << job.index;
            match self.world.name_of(write) {
                "discard" => state.discarded |= bit,
                "redrive_job" if state.discarded & bit != 0 => state.discarded &= !bit,
                "begin_commit" if state.discarded & bit != 0 => {
                    state.broken |= rules::DISCARDED_COMMITS;
                }
                _ => {}
            }
        }
        if self.bounds.allows(may::HONEST)
            && ["acquire", "give_up"].contains(&self.world.name_of(write))
            && self.parsed(before).is_some_and(|before| rules::is_held(&before))
        {
            state.broken |= rules::ROBBED;
        }
    }

    pub(crate) fn land_swap(&self, state: &mut State, over: Id, new: Id) -> bool {
        let name = self.current_name();
        let swaps = state.document(name) == over;
        if swaps {
            if self.rank(new) < self.rank(over) {
                state.broken |= rules::CURRENT_BACK;
            }
            state.set_document(name, new);
        }
        swaps
    }
}
