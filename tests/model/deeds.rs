//! What comes from outside: the first state, versions that arrive, operators, T12 and its like from
//! whoever sees that they are due.

use rowproof_core::ledger::{self, Acquire, ChunkState, JobState, Worker};

use crate::bounds::may;
use crate::fixed::{self, FAST, NOW};
use crate::machine::{Action, Deed, Machine};
use crate::parsed::Parsed;
use crate::rules;
use crate::state::{Held, How, NOBODY, Op, Pc, State, Worker as WorkerState};
use crate::world::{Decision, Id};

impl Machine {
    pub(crate) fn first(&self) -> State {
        let bounds = &self.bounds;
        let idle = WorkerState { pc: Pc::Idle, is_mine: false, life: 0 };
        let mut state = State {
            items: vec![],
            documents: vec![],
            files: 0,
            source: [0; 3],
            network: vec![],
            workers: vec![idle; bounds.workers.into()],
            crashes: bounds.crashes,
            faults: bounds.faults,
            deeds: bounds.deeds,
            discarded: 0,
            asked: 0,
            replays: bounds.replays,
            had: 0,
            marked_at: 0,
            is_ghost: false,
            marked: 0,
            told: 0,
            broken: 0,
        };
        if !bounds.allows(may::ARRIVE) {
            for key in 0..bounds.versions.len() {
                state.source[key] = 1;
            }
        }
        if bounds.allows(may::PLANNED) {
            let job = self.planned(&mut state);
            if bounds.allows(may::WORN) {
                for attempt in 1..self.bounds.deaths() {
                    self.acquired(&mut state, job, 0, &format!("dead {attempt}"));
                    self.expire(&mut state, self.chunk_key(job, 0));
                }
            }
        }
        state
    }

    /// Performs a write that nothing disturbs, so that it must stand.
    fn at_once(&self, state: &mut State, write: Id) {
        if !self.land_write(state, write, NOBODY) {
            state.broken |= rules::ALARM;
        }
    }

    /// The source's version of the first key as the head, with a planned job.
    fn planned(&self, state: &mut State) -> u8 {
        let slot = state.item(self.slot_key());
        let (decision, seen) = self.observe(state, 0, slot, How::Observe);
        let Decision::NewHead { write, .. } = decision else { panic!("{decision:?}") };
        self.at_once(state, write);
        self.at_once(state, self.create_write(seen));
        let job = self.job_of(seen);
        let write = self.seal(self.job_item(state, job), 0);
        self.at_once(state, write);
        job
    }

    fn acquired(&self, state: &mut State, job: u8, chunk: u8, owner: &str) -> Held {
        let key = self.chunk_key(job, chunk);
        let parsed = self.parsed(state.item(key));
        let read = parsed.as_deref().and_then(Parsed::chunk);
        let who =
            Worker { owner: owner.to_owned(), run: None, lease_seconds: ledger::LEASE_SECONDS };
        let acquire = ledger::acquire(&self.chunk_id(job, chunk), read, &who, FAST);
        let Acquire::Try(write, lease) = acquire else {
            state.broken |= rules::ALARM;
            return Held { job, chunk, epoch: 0, attempts: 0, isolate: false, start: 0, rows: 0 };
        };
        self.at_once(state, self.world.number_write(*write));
        let small = |number| u8::try_from(number).expect("few attempts");
        let (epoch, attempts): (u8, u8) = (small(lease.epoch), small(lease.attempts));
        Held { job, chunk, epoch, attempts, isolate: false, start: 0, rows: 0 }
    }

    /// The next version, with all its chunks DONE.
    pub(crate) fn arrive(&self, state: &mut State) {
        state.source[0] += 1;
        let job = self.planned(state);
        for chunk in 0..self.bounds.chunks {
            let held = self.acquired(state, job, chunk, "arrival");
            let lease = ledger::Lease {
                id: self.chunk_id(job, chunk),
                epoch: held.epoch.into(),
                owner: "arrival".into(),
                attempts: held.attempts.into(),
                seconds: ledger::LEASE_SECONDS,
                isolate: false,
            };
            let complete = ledger::complete(&lease, &self.outcome(held, 0));
            self.at_once(state, self.world.number_write(complete));
        }
    }

    /// What may come from outside now.
    pub(crate) fn deeds(&self, state: &State, actions: &mut Vec<Action>) {
        let may = |what| self.bounds.allows(what);
        if may(may::ARRIVE) && usize::from(state.source[0]) < self.bounds.versions[0].len() {
            actions.push(Action::Arrive);
        }
        let parsed = self.parsed(state.item(self.slot_key()));
        let head = parsed.as_deref().and_then(Parsed::slot).map_or(0, |slot| slot.head);
        let slot = parsed.as_deref().and_then(Parsed::slot);
        let rests = may(may::REST) && slot.is_some_and(|slot| slot.is_due);
        if rests
            && self.deed(state, Deed::RestSlot, head).is_some()
            && self.job_item(state, head) != 0
        {
            actions.push(Action::Do(Deed::RestSlot, head));
        }
        for (job, is) in self.jobs(state) {
            if may(may::REDRIVE) && self.may_ask(state, job, is) {
                actions.push(Action::Ask(job));
            }
            let mut offer = |deed: Deed| {
                if self.deed(state, deed, job).is_some() {
                    actions.push(Action::Do(deed, job));
                }
            };
            let before_end =
                !matches!(is, JobState::Committing | JobState::Committed | JobState::Superseded);
            if may(may::SUPERSEDE) && job != head && before_end {
                offer(Deed::Supersede);
            }
            if may(may::REST) && is == JobState::Blocked {
                offer(Deed::RestJob);
            }
            let failed =
                |n| self.chunk(state, job, n).is_some_and(|c| c.state == ChunkState::Failed);
            let has_failed = self.leaves(state, job).into_iter().any(failed);
            match is {
                JobState::Running if has_failed => offer(Deed::Block),
                JobState::Blocked if !has_failed && self.may_revive(self.job_item(state, job)) => {
                    offer(Deed::Revive);
                }
                _ => {}
            }
        }
        if may(may::OUTAGE) && (state.deeds > 0 || Machine::is_away(state)) {
            actions.push(Action::Toggle);
        }
        if may(may::HONEST) {
            self.expiries(state, actions);
        }
    }

    /// The time of a lease is over.
    pub(crate) fn expire(&self, state: &mut State, key: u8) {
        let item = self.world.altered(state.item(key), |item| {
            item.insert("lease_until".into(), fixed::PAST.0.into());
        });
        state.set_item(key, item);
    }

    fn expiries(&self, state: &State, actions: &mut Vec<Action>) {
        let may = |what| self.bounds.allows(what);
        for (key, item) in &state.items {
            let works = |worker: &WorkerState| match worker.pc {
                Pc::Working { held, .. } | Pc::Renewing(held) | Pc::Completing { held, .. } => {
                    self.chunk_key(held.job, held.chunk) == *key
                }
                Pc::Taking(held) => self.chunk_key(held.job, held.chunk) == *key,
                Pc::Last => true,
                _ => false,
            };
            let alive = may(may::PROMPT) && state.workers.iter().any(works);
            if rules::is_held(&self.world.parsed(*item)) && !alive {
                actions.push(Action::Expire(*key));
            }
        }
    }

    /// The write of a deed, made from what is stored now; `None` when it is under way already, or when
    /// the ledger refuses to make it.
    pub(crate) fn deed(&self, state: &State, deed: Deed, job: u8) -> Option<Op> {
        let read = self.job_item(state, job);
        let slot = self.parsed(state.item(self.slot_key()));
        let generation =
            slot.as_deref().and_then(Parsed::slot).map_or(0, |slot| slot.slot.generation);
        // What became of the slot matters to the decisions that read it.
        let of_slot = u32::from(state.item(self.slot_key()));
        let of_slot = if deed == Deed::RestSlot { of_slot } else { 0 };
        let memo =
            ("deed", read.into(), (deed as u32) << 16 | of_slot, generation.unsigned_abs() as u32);
        let decision = self.world.decide(memo, || {
            let write = match deed {
                Deed::Supersede => return Decision::Send(self.supersede(job)),
                Deed::Block => return Decision::Send(self.block(read)),
                Deed::RestSlot => {
                    let slot = slot.as_deref().and_then(Parsed::slot);
                    slot.map(|slot| ledger::rest_slot(&slot.slot))
                }
                Deed::Revive => {
                    return self.revive(read).map_or(Decision::Nothing, Decision::Send);
                }
                Deed::RestJob => Some(self.with_job(read, ledger::rest_job)),
                Deed::Fail => return Decision::Send(self.fail(read)),
                Deed::Approve => self.with_job(read, |job| {
                    ledger::approve(job, "ann", "fine", generation, NOW).ok()
                }),
                Deed::Discard => {
                    self.with_job(read, |job| ledger::discard(job, "ann", "no", NOW).ok())
                }
            };
            match write {
                Some(write) => Decision::Send(self.world.number_write(write)),
                None => Decision::Nothing,
            }
        });
        let Decision::Send(write) = decision else { return None };
        let op = Op::Write(write);
        let mut late = state.network.iter().filter(|request| request.from == NOBODY);
        // Where jobs come back again and again, one write at a time is late.
        let sent = match self.bounds.allows(may::REDRIVE) {
            true => late.next().is_some(),
            false => late.any(|request| request.op == op),
        };
        (!sent).then_some(op)
    }

    pub(crate) fn perform(&self, state: &mut State, deed: Deed, job: u8) {
        let op = self.deed(state, deed, job).expect("the deed was on offer");
        state.send(op, NOBODY);
    }

    pub(crate) fn block(&self, read: Id) -> Id {
        let failure = fixed::failure("attempts");
        self.world.write_of(("block", read.into(), 0, 0), || {
            self.with_job(read, |job| ledger::block(job, &failure, NOW))
        })
    }

    pub(crate) fn fail(&self, read: Id) -> Id {
        self.world.write_of(("fail", read.into(), 0, 0), || {
            self.with_job(read, |job| ledger::fail(job, &fixed::failure("codec"), NOW))
        })
    }
}
