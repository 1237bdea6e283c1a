//! T0 to T2 and T17, as a worker does them: read the slot, HEAD the object, swap the head, create the
//! job; and planning.

use rowproof_core::ledger::{self, Job, JobFacts, JobState, Observed, Slot};

use crate::fixed::{self, NOW};
use crate::machine::Machine;
use crate::parsed::Parsed;
use crate::state::{How, Op, Pc, Seen, State};
use crate::world::{Decision, Id};

impl Machine {
    pub(crate) fn slot_key(&self) -> u8 {
        self.world.place(("slot", 0, 0, 0), || Slot::key(&fixed::slot_id()))
    }

    pub(crate) fn job_key(&self, job: u8) -> u8 {
        self.world.place(("job", job.into(), 0, 0), || Job::key(&self.world.job_id(job)))
    }

    pub(crate) fn facts(&self, seen: Seen) -> JobFacts {
        let version = self.bounds.versions[usize::from(seen.key)][usize::from(seen.version) - 1];
        fixed::facts(fixed::object(seen.key, version), seen.generation.into())
    }

    /// The job of what was seen.
    pub(crate) fn job_of(&self, seen: Seen) -> u8 {
        let memo = ("job of", seen.key.into(), seen.version.into(), seen.generation.into());
        let job = self.world.number(memo, || self.world.job(&self.facts(seen).job).into());
        u8::try_from(job).expect("jobs fit")
    }

    pub(crate) fn start_observe(&self, state: &mut State, worker: u8, key: u8, how: How) {
        if how != How::Observe {
            state.deeds -= 1;
        }
        let slot = state.item(self.slot_key());
        state.worker(worker).pc = Pc::Head { key, slot, how };
    }

    /// HEAD, and T1 or T17 made from what was read before it.
    pub(crate) fn observe(&self, state: &State, key: u8, slot: Id, how: How) -> (Decision, Seen) {
        let version = state.source[usize::from(key)];
        let mut seen = Seen { key, version, generation: 0 };
        let memo = ("observe", slot.into(), u32::from(key) << 8 | u32::from(version), how as u32);
        let decision = self.world.decide(memo, || {
            let object = self.facts(seen).object;
            let parsed = self.parsed(slot);
            let read = parsed.as_deref().and_then(Parsed::slot).map(|slot| &slot.slot);
            let id = fixed::slot_id();
            let observed = match how {
                How::Observe => ledger::observe(&id, read, &object, NOW, 0),
                How::Restart => ledger::restart(&id, read, &object, false, NOW, 0),
                How::Force => ledger::restart(&id, read, &object, true, NOW, 0),
            };
            let small = |generation| u8::try_from(generation).expect("few generations");
            match observed {
                Observed::NewHead { write, generation, .. } => Decision::NewHead {
                    write: self.world.number_write(*write),
                    generation: small(generation),
                },
                Observed::IsHead { generation, .. } => {
                    Decision::IsHead { generation: small(generation) }
                }
                Observed::Older => Decision::Older,
                Observed::Reverted => Decision::Nothing,
            }
        });
        if let Decision::NewHead { generation, .. } | Decision::IsHead { generation } = decision {
            seen.generation = generation;
        }
        (decision, seen)
    }

    pub(crate) fn step_head(&self, state: &mut State, worker: u8, key: u8, slot: Id, how: How) {
        let (decision, seen) = self.observe(state, key, slot, how);
        match decision {
            Decision::NewHead { write, .. } => {
                let parsed = self.parsed(slot);
                let old = parsed.as_deref().and_then(Parsed::slot).map_or(0, |slot| slot.head);
                state.ask(worker, Op::Write(write), Pc::Swapping { seen, old });
            }
            Decision::Nothing => state.rest(worker),
            _ => self.create(state, worker, seen),
        }
    }

    pub(crate) fn answered_swap(
        &self,
        state: &mut State,
        worker: u8,
        seen: Seen,
        old: u8,
        stands: bool,
    ) {
        match (stands, old) {
            (false, _) => state.rest(worker),
            (true, 0) => self.create(state, worker, seen),
            (true, old) => {
                state.ask(worker, Op::Write(self.supersede(old)), Pc::Overtaking { seen });
            }
        }
    }

    /// T2, unless the job is there; a job of generation 0 was overtaken before it was seen.
    pub(crate) fn create(&self, state: &mut State, worker: u8, seen: Seen) {
        if state.item(self.job_key(self.job_of(seen))) != 0 {
            return state.rest(worker);
        }
        state.ask(worker, Op::Write(self.create_write(seen)), Pc::Last);
    }

    pub(crate) fn create_write(&self, seen: Seen) -> Id {
        let memo = ("create", seen.key.into(), seen.version.into(), seen.generation.into());
        self.world.write_of(memo, || match seen.generation {
            0 => ledger::create_superseded(&self.facts(seen), NOW),
            _ => ledger::create(&self.facts(seen), NOW),
        })
    }

    pub(crate) fn supersede(&self, job: u8) -> Id {
        let memo = ("supersede", job.into(), 0, 0);
        self.world.write_of(memo, || ledger::supersede(&self.world.job_id(job), NOW))
    }

    /// Ways in which a planner may end its turn.
    pub(crate) fn plan_ways(&self, job: &Job) -> u8 {
        let otherwise = self.bounds.allows(crate::bounds::may::PLAN_OTHERWISE);
        let more = job.planning.as_deref() != Some("3");
        match more && otherwise {
            true => self.bounds.plans + 2,
            false => self.bounds.plans,
        }
    }

    /// A planner that read the job in PLANNING seals its plan, runs out of time, or holds the job.
    pub(crate) fn plan(&self, state: &mut State, worker: u8, job: u8, way: u8) {
        let read = state.item(self.job_key(job));
        let write = self.seal(read, way);
        state.ask(worker, Op::Write(write), Pc::Last);
    }

    pub(crate) fn seal(&self, read: Id, way: u8) -> Id {
        self.world.write_of(("plan", read.into(), way.into(), 0), || {
            let parsed = self.parsed(read);
            let job = &parsed.as_deref().and_then(Parsed::job).expect("a job was read").job;
            let count = match self.bounds.chain {
                0 => Some(u32::from(self.bounds.chunks)),
                _ => None,
            };
            match way.checked_sub(self.bounds.plans) {
                None => ledger::seal_plan(job, &fixed::plan_ref(way), count, NOW),
                Some(0) => {
                    let sealed = job.planning.as_ref().map_or(0, |sealed| {
                        sealed.parse::<u8>().expect("the segments that are sealed")
                    });
                    ledger::save_planning(job, &(sealed + 1).to_string(), NOW)
                }
                Some(_) => ledger::hold(job, ledger::HoldReason::Drift, "header", "header", NOW),
            }
        })
    }

    /// Whether an event for this key would find something to do.
    pub(crate) fn is_news(&self, state: &State, key: u8) -> bool {
        let slot = state.item(self.slot_key());
        let (decision, seen) = self.observe(state, key, slot, How::Observe);
        match decision {
            Decision::NewHead { .. } => true,
            Decision::Nothing => false,
            _ => state.item(self.job_key(self.job_of(seen))) == 0,
        }
    }

    /// Jobs of objects in the ledger, by number, with their state.
    pub(crate) fn jobs(&self, state: &State) -> Vec<(u8, JobState)> {
        let job = |item: &Id| match &*self.world.parsed(*item) {
            Parsed::Job(job) if job.job.facts.replay.is_none() => Some((job.index, job.job.state)),
            _ => None,
        };
        state.items.iter().filter_map(|(_, item)| job(item)).collect()
    }
}
