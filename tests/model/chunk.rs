//! One chunk, as a worker does it: T4, renewals, T6, T7, T8; and the chain from chunk to chunk.

use rowproof_core::ledger::{
    self, Acquire, ChainStart, Chunk, ChunkId, ChunkState, Lease, OutcomeRef, Stage, Worker,
};
use rowproof_core::time::EpochSeconds;

use crate::bounds::may;
use crate::fixed::{self, FAST, NOW};
use crate::machine::Machine;
use crate::parsed::Parsed;
use crate::rules;
use crate::state::{Held, Op, Pc, State};
use crate::world::{Decision, Id};

/// What a worker does next with a chunk that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Renew,
    /// T7; on a chain the chunk ends here.
    Complete(u8),
    GiveBack,
    /// The object cannot be loaded.
    Refuse,
    GiveUp,
}

impl Machine {
    pub(crate) fn chunk_id(&self, job: u8, chunk: u8) -> ChunkId {
        ChunkId { job: self.world.job_id(job), chunk: chunk.into() }
    }

    pub(crate) fn chunk_key(&self, job: u8, chunk: u8) -> u8 {
        let memo = ("chunk", job.into(), chunk.into(), 0);
        self.world.place(memo, || self.chunk_id(job, chunk).key())
    }

    /// A chunk as stored, if it is.
    pub(crate) fn chunk(&self, state: &State, job: u8, chunk: u8) -> Option<Chunk> {
        let item = self.parsed(state.item(self.chunk_key(job, chunk)))?;
        item.chunk().cloned()
    }

    /// Leases decide only when to try, so by default every lease seems over to everybody.
    fn clock(&self) -> EpochSeconds {
        if self.bounds.allows(may::HONEST) { NOW } else { FAST }
    }

    /// Unique for every acquisition at one epoch: a worker that died comes back under another name.
    fn owner(state: &State, worker: u8) -> (u8, String) {
        let life = state.workers[usize::from(worker)].life;
        (worker << 4 | life, format!("worker {worker}.{life}"))
    }

    fn lease(&self, state: &State, worker: u8, held: Held) -> Lease {
        Lease {
            id: self.chunk_id(held.job, held.chunk),
            epoch: held.epoch.into(),
            owner: Machine::owner(state, worker).1,
            attempts: held.attempts.into(),
        }
    }

    /// Where a chunk of a chain begins; `None` before its turn.
    fn chain_start(&self, state: &State, job: u8, chunk: u8) -> Option<u8> {
        if self.bounds.chain == 0 || chunk == 0 {
            return Some(0);
        }
        let before = self.chunk(state, job, chunk - 1)?.outcome?;
        u8::try_from(before.next?.byte).ok()
    }

    pub(crate) fn start_chunk(&self, state: &mut State, worker: u8, job: u8, chunk: u8) {
        match self.chain_start(state, job, chunk) {
            Some(start) => self.take(state, worker, job, chunk, start),
            None => state.rest(worker),
        }
    }

    fn take(&self, state: &mut State, worker: u8, job: u8, chunk: u8, start: u8) {
        let key = self.chunk_key(job, chunk);
        let stored = state.item(key);
        let (number, owner) = Machine::owner(state, worker);
        let memo = ("acquire", stored.into(), number.into(), key.into());
        let decision = self.world.decide(memo, || {
            let parsed = self.parsed(stored);
            let read = parsed.as_deref().and_then(Parsed::chunk);
            let who = Worker { owner, run: None };
            let small = |number| u8::try_from(number).expect("few epochs");
            match ledger::acquire(&self.chunk_id(job, chunk), read, &who, self.clock()) {
                Acquire::Try(write, lease) => Decision::Lease {
                    write: self.world.number_write(*write),
                    epoch: small(lease.epoch),
                    attempts: small(lease.attempts),
                },
                Acquire::GiveUp(lease) => {
                    Decision::GiveUp { epoch: small(lease.epoch), attempts: small(lease.attempts) }
                }
                Acquire::Done(_) | Acquire::Busy(_) | Acquire::Failed => Decision::Nothing,
            }
        });
        match decision {
            Decision::Lease { write, epoch, attempts } => {
                let held = Held { job, chunk, epoch, attempts, start };
                state.ask(worker, Op::Write(write), Pc::Taking(held));
            }
            Decision::GiveUp { epoch, attempts } => {
                self.give_up(state, worker, Held { job, chunk, epoch, attempts, start });
            }
            _ => state.rest(worker),
        }
    }

    fn give_up(&self, state: &mut State, worker: u8, held: Held) {
        let lease = self.lease(state, worker, held);
        let write = self.held_write("give up", state, worker, held, || {
            ledger::give_up(&lease, &fixed::failure("attempts"), self.clock())
        });
        state.ask(worker, Op::Write(write), Pc::GivingUp { job: held.job });
    }

    /// A write under a lease.
    fn held_write(
        &self,
        name: &'static str,
        state: &State,
        worker: u8,
        held: Held,
        make: impl FnOnce() -> ledger::Write,
    ) -> Id {
        let key = self.chunk_key(held.job, held.chunk);
        let of =
            u32::from(held.epoch) << 16 | u32::from(held.attempts) << 8 | u32::from(held.start);
        let owner = Machine::owner(state, worker).0;
        self.world.write_of((name, key.into(), of, owner.into()), make)
    }

    fn working(&self, held: Held, renewed: bool) -> Vec<Way> {
        if self.bounds.allows(may::RENEW) && !renewed {
            return vec![Way::Renew];
        }
        let mut ways = match self.bounds.chain {
            0 => vec![Way::Complete(0)],
            // Chunks of a chain end where their worker's limits say, which need not be the same.
            length => (1..=2)
                .map(|cut| held.start + cut)
                .filter(|end| *end <= length)
                .map(Way::Complete)
                .collect(),
        };
        for (what, way) in [
            (may::GIVE_BACK, Way::GiveBack),
            (may::REFUSE, Way::Refuse),
            (may::GIVE_UP, Way::GiveUp),
        ] {
            if self.bounds.allows(what) {
                ways.push(way);
            }
        }
        ways
    }

    pub(crate) fn working_ways(&self, held: Held, renewed: bool) -> usize {
        self.working(held, renewed).len()
    }

    pub(crate) fn step_working(
        &self,
        state: &mut State,
        worker: u8,
        held: Held,
        renewed: bool,
        way: u8,
    ) {
        let lease = self.lease(state, worker, held);
        let way = self.working(held, renewed)[usize::from(way)];
        let (write, pc) = match way {
            Way::Renew => {
                let renew = || ledger::renew(&lease, Stage::Sinking, NOW);
                (self.held_write("renew", state, worker, held, renew), Pc::Renewing(held))
            }
            Way::Complete(end) => {
                let name = [
                    "complete",
                    "complete at 1",
                    "complete at 2",
                    "complete at 3",
                    "complete at 4",
                ][usize::from(end)];
                let complete = || ledger::complete(&lease, &self.outcome(held, end));
                let write = self.held_write(name, state, worker, held, complete);
                (write, Pc::Completing { held, end })
            }
            Way::GiveBack | Way::Refuse => {
                let back = || ledger::give_back(&lease);
                let pc = match way {
                    Way::Refuse => Pc::Refusing { job: held.job },
                    _ => Pc::Last,
                };
                (self.held_write("give back", state, worker, held, back), pc)
            }
            Way::GiveUp => return self.give_up(state, worker, held),
        };
        state.ask(worker, Op::Write(write), pc);
    }

    /// Attempts may differ in what they find, so every one has an outcome of its own.
    pub(crate) fn outcome(&self, held: Held, end: u8) -> OutcomeRef {
        let name = format!("{}c{}e{}-{}-{end}", held.job, held.chunk, held.epoch, held.start);
        let goes_on = end < self.bounds.chain;
        OutcomeRef {
            key: format!("_staging/{name}"),
            sha256: name,
            rows: 1,
            next: goes_on.then(|| ChainStart { byte: end.into(), row: end.into() }),
            end_of_object: self.bounds.chain > 0 && !goes_on,
        }
    }

    pub(crate) fn answered_complete(
        &self,
        state: &mut State,
        worker: u8,
        held: Held,
        end: u8,
        stands: bool,
    ) {
        if !stands || self.bounds.chain == 0 {
            return state.rest(worker);
        }
        if end == self.bounds.chain {
            return self.count(state, worker, held.job, held.chunk + 1);
        }
        if held.chunk + 1 < self.bounds.chunks {
            return self.take(state, worker, held.job, held.chunk + 1, end);
        }
        state.rest(worker);
    }

    /// The end of a chain is known: so is its number of chunks.
    pub(crate) fn count(&self, state: &mut State, worker: u8, job: u8, count: u8) {
        let memo = ("count", job.into(), count.into(), 0);
        let write = self
            .world
            .write_of(memo, || ledger::set_chunk_count(&self.world.job_id(job), count.into()));
        state.ask(worker, Op::Write(write), Pc::Counting);
    }

    pub(crate) fn answered_count(&self, state: &mut State, worker: u8, stands: bool) {
        if !stands {
            state.broken |= rules::ALARM;
        }
        state.rest(worker);
    }

    /// Whether somebody could take the chunk.
    pub(crate) fn is_open(&self, state: &State, job: u8, chunk: u8) -> bool {
        if self.chain_start(state, job, chunk).is_none() {
            return false;
        }
        match self.chunk(state, job, chunk) {
            None => true,
            Some(chunk) => {
                let free = match chunk.state {
                    ChunkState::Ready => true,
                    ChunkState::Leased => chunk.lease_until < self.clock(),
                    ChunkState::Done | ChunkState::Failed => false,
                };
                free && chunk.epoch < self.bounds.epochs.into()
            }
        }
    }
}
