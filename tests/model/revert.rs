//! Going back to the rows of an earlier job, as an operator's command does it.

use rowproof_core::ledger::{self, JobFacts};

use crate::fixed::NOW;
use crate::machine::Machine;
use crate::parsed::Parsed;
use crate::state::{Op, Pc, State};
use crate::world::{Decision, Id};

impl Machine {
    /// Whether the job is an earlier one of the slot, of an object of its own.
    pub(crate) fn may_revert(&self, state: &State, job: u8) -> bool {
        let parsed = self.parsed(state.item(self.slot_key()));
        let slot = parsed.as_deref().and_then(Parsed::slot);
        slot.is_some_and(|slot| {
            self.with_job(self.job_item(state, job), |job| {
                let generation = job.facts.generation;
                generation > 0 && generation < slot.slot.generation && job.facts.reverts.is_none()
            })
        })
    }

    pub(crate) fn revert(&self, state: &mut State, worker: u8, to: u8) {
        state.deeds -= 1;
        let read = state.item(self.slot_key());
        let facts = self.with_job(self.job_item(state, to), |job| job.facts.clone());
        let decision = self.world.decide(("revert", read.into(), to.into(), 0), || {
            let parsed = self.parsed(read);
            let slot = &parsed.as_deref().and_then(Parsed::slot).expect("a slot was read").slot;
            let (write, _, generation) = ledger::revert(slot, &facts, NOW);
            let generation = u8::try_from(generation).expect("few generations");
            Decision::NewHead { write: self.world.number_write(write), generation }
        });
        let Decision::NewHead { write, generation } = decision else { panic!("{decision:?}") };
        state.ask(worker, Op::Write(write), Pc::Reverting { to, generation });
    }

    /// T2 of the job that brings the rows of `to` back.
    pub(crate) fn create_revert(&self, state: &mut State, worker: u8, to: u8, generation: u8) {
        let earlier = self.with_job(self.job_item(state, to), |job| job.facts.clone());
        let again = crate::fixed::facts(earlier.object.clone(), generation.into());
        let facts = JobFacts { reverts: Some(earlier.job), ..again };
        let write: Id =
            self.world.write_of(("create revert", to.into(), generation.into(), 0), || {
                ledger::create(&facts, NOW)
            });
        state.ask(worker, Op::Write(write), Pc::Last);
    }
}
