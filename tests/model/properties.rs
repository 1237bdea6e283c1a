//! What holds in every state.

use rowproof_core::ledger::{ChunkState, JobState};

use crate::bounds::may;
use crate::machine::Machine;
use crate::parsed::Parsed;
use crate::rules::RULES;
use crate::state::{Pc, State};
use crate::world::Document;

const STATES: usize = 14;

/// Whether a property holds in a state.
pub(crate) type Holds = fn(&Machine, &State) -> bool;

macro_rules! rules {
    ($($bit:literal)*) => {
        [$((RULES[$bit], (|_, state| state.broken & (1 << $bit) == 0) as Holds)),*]
    };
}

const OF_WRITES: [(&str, Holds); RULES.len()] =
    rules!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21);

const OF_STATES: [(&str, Holds); STATES] = [
    ("what is committed is complete, and as its chunks say", |machine, state| {
        machine.committed_is_complete(state)
    }),
    ("every file that readers are sent to is there", |machine, state| {
        let shown = machine.shown_files(state);
        state.files & shown == shown
    }),
    ("a COMMITTED job had the slot", |machine, state| {
        machine
            .jobs(state)
            .iter()
            .all(|(job, is)| *is != JobState::Committed || state.had & (1 << job) != 0)
    }),
    ("the slot's committed job is COMMITTING or COMMITTED", |machine, state| {
        let (committed, _) = machine.committed(state);
        machine.jobs(state).iter().all(|(job, is)| {
            *job != committed || matches!(is, JobState::Committing | JobState::Committed)
        })
    }),
    ("unfinished work is listed as due", |machine, state| machine.unfinished_is_due(state)),
    ("without a death the plain listing is what current names", |machine, state| {
        let undisturbed = state.crashes == machine.bounds.crashes
            && state.faults == machine.bounds.faults
            && state.is_quiet();
        let publishing = machine.jobs(state).iter().any(|(_, is)| *is == JobState::Committing);
        !undisturbed || publishing || state.files == machine.shown_files(state)
    }),
    ("the chunks of a chain tile it", |machine, state| machine.chains_tile(state)),
    ("two workers never hold one epoch of a chunk", |_, state| {
        let held = |worker: &crate::state::Worker| match worker.pc {
            Pc::Working { held, .. } => Some((held.job, held.chunk, held.epoch)),
            _ => None,
        };
        let all: Vec<_> = state.workers.iter().filter_map(held).collect();
        all.iter().enumerate().all(|(at, held)| !all[..at].contains(held))
    }),
    ("the parts of a chunk tile it", |machine, state| machine.parts_tile(state)),
    ("only a poison record is archived as one", |machine, state| {
        machine.bounds.poison == 0 || machine.poisoned(state) & !machine.bounds.poison == 0
    }),
    (
        "an outage that stands is told, unless its mark is a late copy or a dead worker's",
        |machine, state| !state.is_quiet() || state.is_ghost || machine.is_told(state),
    ),
    ("no two jobs have one generation", |machine, state| {
        let all: Vec<_> = machine.jobs(state);
        let generation = |(job, _): &(u8, JobState)| {
            machine.with_job(machine.job_item(state, *job), |job| job.facts.generation)
        };
        let generations: Vec<_> = all.iter().map(generation).filter(|one| *one > 0).collect();
        generations.iter().enumerate().all(|(at, one)| !generations[..at].contains(one))
    }),
    ("a slot that an operator took back remembers from what", |machine, state| {
        let parsed = machine.parsed(state.item(machine.slot_key()));
        let slot = parsed.as_deref().and_then(Parsed::slot);
        slot.is_none_or(|slot| {
            let head = machine.job_item(state, slot.head);
            let reverts = head != 0 && machine.with_job(head, |job| job.facts.reverts.is_some());
            !reverts || slot.slot.reverted.is_some()
        })
    }),
    ("everything in the ledger can be read", |machine, state| {
        let readable = |item| !matches!(&*machine.world.parsed(item), Parsed::Unreadable);
        state.items.iter().all(|(_, item)| readable(*item))
    }),
];

/// All properties, in order.
pub(crate) const PROPERTIES: [(&str, Holds); RULES.len() + STATES] = {
    let mut all = [OF_WRITES[0]; RULES.len() + STATES];
    let mut at = 0;
    while at < all.len() {
        all[at] = if at < RULES.len() { OF_WRITES[at] } else { OF_STATES[at - RULES.len()] };
        at += 1;
    }
    all
};

impl Machine {
    /// The slot's committed job and its generation.
    pub(crate) fn committed(&self, state: &State) -> (u8, i64) {
        let parsed = self.parsed(state.item(self.slot_key()));
        let slot = parsed.as_deref().and_then(Parsed::slot);
        slot.map_or((0, 0), |slot| (slot.committed, slot.slot.committed_generation))
    }

    /// I1, I2, I3 and I7: the manifest lists the outcome of every chunk, and no other.
    fn committed_is_complete(&self, state: &State) -> bool {
        let parsed = self.parsed(state.item(self.slot_key()));
        let Some(slot) = parsed.as_deref().and_then(Parsed::slot) else { return true };
        let Some(manifest) = &slot.slot.manifest else { return true };
        let job = slot.committed;
        let list = state.document(self.world.name(manifest));
        if list == 0 {
            return false;
        }
        let Document::List { outcomes, job: of, .. } = self.world.read_document(list) else {
            return false;
        };
        let stored: Option<Vec<String>> = self
            .leaves(state, job)
            .into_iter()
            .filter_map(|leaf| self.chunk(state, job, leaf))
            .filter(|chunk| chunk.state != ChunkState::Split)
            .map(|chunk| chunk.outcome.filter(|_| chunk.state == ChunkState::Done))
            .map(|outcome| outcome.map(|outcome| outcome.sha256))
            .collect();
        // Under a replay's lock the outcomes run ahead of the manifest.
        let locked = self.with_job(self.job_item(state, job), |job| job.replay.is_some());
        of == job && (locked || stored.is_some_and(|stored| stored == outcomes))
    }

    /// Files that a reader who goes through the pointer is sent to.
    pub(crate) fn shown_files(&self, state: &State) -> u64 {
        let current = state.document(self.current_name());
        if current == 0 {
            return 0;
        }
        let Document::Current { manifest, .. } = self.world.read_document(current) else {
            return 0;
        };
        self.files_under(state, manifest)
    }

    fn unfinished_is_due(&self, state: &State) -> bool {
        state.items.iter().all(|(_, item)| match &*self.world.parsed(*item) {
            Parsed::Slot(slot) => {
                let is_found = self.job_item(state, slot.head) != 0;
                slot.is_due || slot.head == slot.committed || is_found
            }
            Parsed::Job(job) => job.is_due || job.job.state.is_settled(),
            _ => true,
        })
    }

    /// I10: each DONE chunk begins where the one before it ended, the last ends with the object, and
    /// nothing is DONE behind it.
    fn chains_tile(&self, state: &State) -> bool {
        if self.bounds.chain == 0 {
            return true;
        }
        self.jobs(state).iter().all(|(job, _)| self.chain_tiles(state, *job))
    }

    /// I10: the halves of a split chunk hold its records, each once.
    fn parts_tile(&self, state: &State) -> bool {
        let rows = self.bounds.rows;
        rows == 0 || self.jobs(state).iter().all(|(job, _)| self.tiles(state, *job, 0, (0, rows)))
    }

    fn tiles(&self, state: &State, job: u8, chunk: u8, of: (u8, u8)) -> bool {
        let Some(split) = self.chunk(state, job, chunk).and_then(|chunk| chunk.split) else {
            return true;
        };
        let [first, second] = split.halves.map(|half| (half.first_row, half.rows));
        let tiled = first.0 == u64::from(of.0)
            && second.0 == first.0 + first.1
            && first.1 + second.1 == u64::from(of.1)
            && first.1 > 0
            && second.1 > 0;
        let small = |part: (u64, u64)| (part.0 as u8, part.1 as u8);
        let [a, b] = crate::chunk::halves_of(chunk);
        tiled && self.tiles(state, job, a, small(first)) && self.tiles(state, job, b, small(second))
    }

    /// Records that were archived as poison, by bit.
    fn poisoned(&self, state: &State) -> u8 {
        let of_chunk = |(_, item): &(u8, crate::world::Id)| {
            let parsed = self.world.parsed(*item);
            let outcome = parsed.chunk().and_then(|chunk| chunk.outcome.clone())?;
            outcome.sha256.strip_prefix("poison-")?.parse::<u8>().ok()
        };
        state.items.iter().filter_map(of_chunk).fold(0, |bits, row| bits | 1 << row)
    }

    fn chain_tiles(&self, state: &State, job: u8) -> bool {
        let mut begins = Some(0);
        let count = self.chunk_count(self.job_item(state, job));
        for number in 0..self.bounds.chunks {
            let outcome = self.chunk(state, job, number).and_then(|chunk| chunk.outcome);
            let Some(outcome) = outcome else {
                begins = None;
                continue;
            };
            let start = outcome.sha256.split('-').nth(1).and_then(|start| start.parse().ok());
            if begins.is_none() || start != begins {
                return false;
            }
            if count.is_some_and(|count| (number + 1 == count) != outcome.end_of_object) {
                return false;
            }
            begins = outcome.next.map(|next| next.byte);
        }
        true
    }

    /// Where everything should end: nothing under way, the newest version committed, and readers, the
    /// listing and the ledger of one mind. What waits for an operator has ended too.
    pub(crate) fn is_settled(&self, state: &State) -> bool {
        let may = |what| self.bounds.allows(what);
        let asked = state.asked != 0 || (state.replays != 0 && self.replayable(state).is_some());
        if !state.is_quiet() || state.broken != 0 || asked || !self.open_replays(state).is_empty() {
            return false;
        }
        if may(may::OUTAGE) {
            return !Machine::is_away(state) && !self.has_sink_news(state);
        }
        let settled = self.jobs(state).iter().all(|(job, is)| match is {
            JobState::Planning => !may(may::PLAN),
            JobState::Running => {
                let done = |chunk| self.is_done(state, *job, chunk);
                !may(may::COMMIT) && (!may(may::CHUNK) || (0..self.bounds.chunks).all(done))
            }
            JobState::Blocked => self.leaves(state, *job).into_iter().any(|chunk| {
                self.chunk(state, *job, chunk).is_some_and(|c| c.state == ChunkState::Failed)
            }),
            JobState::Committing => false,
            JobState::Held | JobState::Committed | JobState::Superseded | JobState::Failed => true,
        });
        let arrived = (0..).zip(self.bounds.versions).all(|(key, versions)| {
            usize::from(state.source[usize::from(key)]) == versions.len()
                && (!may(may::OBSERVE) || !self.is_news(state, key))
        });
        settled && arrived && self.head_is_at_rest(state)
    }

    fn head_is_at_rest(&self, state: &State) -> bool {
        let parsed = self.parsed(state.item(self.slot_key()));
        let Some(slot) = parsed.as_deref().and_then(Parsed::slot) else { return false };
        let head = self.job_item(state, slot.head);
        let waits = head != 0
            && self.with_job(head, |job| {
                matches!(job.state, JobState::Held | JobState::Failed | JobState::Blocked)
            });
        let ends = waits || !self.bounds.allows(may::COMMIT) || slot.committed == slot.head;
        ends && state.files == self.shown_files(state)
    }
}
