//! One chunk, as a worker does it: T4, renewals, T6, T7, T8; and the chain from chunk to chunk.

use rowproof_core::ledger::{
    self, Acquire, ChainStart, Chunk, ChunkId, ChunkState, Lease, OutcomeRef, Split, Stage, Worker,
};
use rowproof_core::plan::PlannedChunk;
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
    /// T9.
    Split,
    /// A record of the chunk kills its worker.
    Die,
}

/// What a part is a half of, and whether it is the second one.
fn parent_of(part: u8) -> (u8, bool) {
    let code = (part >> 3) + 1;
    (part & 7 | ((code >> 1) - 1) << 3, code & 1 == 1)
}

/// The halves of a chunk, or of a part.
pub(crate) fn halves_of(chunk: u8) -> [u8; 2] {
    let code = (chunk >> 3) + 1;
    [0, 1].map(|half| chunk & 7 | (code * 2 + half - 1) << 3)
}

/// Where a chunk is cut.
fn halves(held: Held) -> Split {
    let half = |first: u8, rows: u8| PlannedChunk {
        start: first.into(),
        end: (first + rows).into(),
        first_row: first.into(),
        rows: rows.into(),
    };
    let first = held.rows / 2;
    Split {
        halves: [half(held.start, first), half(held.start + first, held.rows - first)],
        next: None,
        end_of_object: false,
        packed_bytes: None,
    }
}

impl Machine {
    pub(crate) fn chunk_id(&self, job: u8, chunk: u8) -> ChunkId {
        // The upper bits count the parts: none, `0`, `1`, `00`, `01` and so on.
        let part = format!("{:b}", (chunk >> 3) + 1)[1..].to_owned();
        ChunkId { job: self.world.job_id(job), chunk: (chunk & 7).into(), part }
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
            seconds: ledger::LEASE_SECONDS,
            isolate: held.isolate,
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
        match self.place_of(state, job, chunk) {
            Some(place) => self.take(state, worker, job, chunk, place),
            None => state.rest(worker),
        }
    }

    /// Where a chunk begins, and how many records it has; `None` before its turn.
    fn place_of(&self, state: &State, job: u8, chunk: u8) -> Option<(u8, u8)> {
        if chunk < 8 {
            return Some((self.chain_start(state, job, chunk)?, self.bounds.rows));
        }
        let (parent, second) = parent_of(chunk);
        let split = self.chunk(state, job, parent)?.split?;
        let half = split.halves[usize::from(second)];
        Some((u8::try_from(half.first_row).ok()?, u8::try_from(half.rows).ok()?))
    }

    fn take(&self, state: &mut State, worker: u8, job: u8, chunk: u8, place: (u8, u8)) {
        let (start, rows) = place;
        let key = self.chunk_key(job, chunk);
        let stored = state.item(key);
        let (number, owner) = Machine::owner(state, worker);
        let memo = ("acquire", stored.into(), number.into(), key.into());
        let decision = self.world.decide(memo, || {
            let parsed = self.parsed(stored);
            let read = parsed.as_deref().and_then(Parsed::chunk);
            let who = Worker { owner, run: None, lease_seconds: ledger::LEASE_SECONDS };
            let small = |number| u8::try_from(number).expect("few epochs");
            match ledger::acquire(&self.chunk_id(job, chunk), read, &who, self.clock()) {
                Acquire::Try(write, lease) => Decision::Lease {
                    write: self.world.number_write(*write),
                    epoch: small(lease.epoch),
                    attempts: small(lease.attempts),
                    isolate: lease.isolate,
                },
                Acquire::GiveUp(lease) => {
                    Decision::GiveUp { epoch: small(lease.epoch), attempts: small(lease.attempts) }
                }
                Acquire::Done(_) | Acquire::Split(_) | Acquire::Busy(_) | Acquire::Failed => {
                    Decision::Nothing
                }
            }
        });
        match decision {
            Decision::Lease { write, epoch, attempts, isolate } => {
                let held = Held { job, chunk, epoch, attempts, isolate, start, rows };
                state.ask(worker, Op::Write(write), Pc::Taking(held));
            }
            Decision::GiveUp { epoch, attempts } => {
                self.give_up(
                    state,
                    worker,
                    Held { job, chunk, epoch, attempts, isolate: false, start, rows },
                );
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
        if self.bounds.rows > 0 {
            return vec![self.with_records(held)];
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

    fn condemns(&self, held: Held) -> bool {
        let lease = Lease {
            id: self.chunk_id(held.job, held.chunk),
            epoch: held.epoch.into(),
            owner: String::new(),
            attempts: held.attempts.into(),
            seconds: ledger::LEASE_SECONDS,
            isolate: held.isolate,
        };
        lease.condemns()
    }

    /// What a chunk of counted records does to its worker.
    fn with_records(&self, held: Held) -> Way {
        let records = ((1_u16 << held.rows) - 1) << held.start;
        match held.isolate {
            true if held.rows > 1 => Way::Split,
            // Its outcome says that the record is poison.
            true if self.condemns(held) => Way::Complete(1),
            true | false if records & u16::from(self.bounds.poison) != 0 => Way::Die,
            true | false => Way::Complete(0),
        }
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
            Way::Split => {
                let split = || ledger::split(&lease, &halves(held));
                (self.held_write("split", state, worker, held, split), Pc::Last)
            }
            Way::Die => {
                let worker = state.worker(worker);
                worker.pc = Pc::Idle;
                worker.life += 1;
                return;
            }
        };
        state.ask(worker, Op::Write(write), pc);
    }

    /// Attempts may differ in what they find, so every one has an outcome of its own.
    pub(crate) fn outcome(&self, held: Held, end: u8) -> OutcomeRef {
        let name = format!("{}c{}e{}-{}-{end}", held.job, held.chunk, held.epoch, held.start);
        let name = match self.bounds.replays {
            0 => name,
            _ => crate::replay::outcome_name(held.job, held.chunk, 0, 0),
        };
        let name = match self.bounds.rows > 0 && end == 1 {
            true => format!("poison-{}", held.start),
            false => name,
        };
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
            return self.take(state, worker, held.job, held.chunk + 1, (end, 0));
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

    /// Every chunk and part of a job that is or may be stored.
    pub(crate) fn leaves(&self, state: &State, job: u8) -> Vec<u8> {
        let mut found: Vec<u8> = (0..self.bounds.chunks).rev().collect();
        let mut leaves = vec![];
        while let Some(chunk) = found.pop() {
            leaves.push(chunk);
            let split = self.bounds.rows > 0
                && self.chunk(state, job, chunk).is_some_and(|c| c.state == ChunkState::Split);
            if split {
                found.extend(halves_of(chunk).iter().rev());
            }
        }
        leaves
    }

    /// Whether somebody could take the chunk.
    pub(crate) fn is_open(&self, state: &State, job: u8, chunk: u8) -> bool {
        if self.place_of(state, job, chunk).is_none() {
            return false;
        }
        match self.chunk(state, job, chunk) {
            None => true,
            Some(chunk) => {
                let free = match chunk.state {
                    ChunkState::Ready => true,
                    ChunkState::Leased => chunk.lease_until < self.clock(),
                    ChunkState::Done | ChunkState::Failed | ChunkState::Split => false,
                };
                free && chunk.epoch < self.bounds.epochs.into()
            }
        }
    }
}
