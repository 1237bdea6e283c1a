//! A11, as a worker does it: what changes is frozen, the parent is locked, files are published, the
//! outcomes swapped, the manifest raised, and the parent let go. From the lock on anybody can go on.

use rowproof_core::ids::JobId;
use rowproof_core::ledger::{
    self, JobFacts, JobState, OutcomeRef, PlanRef, ReplayFacts, ReplayLock,
};
use rowproof_core::names;

use crate::fixed::NOW;
use crate::machine::Machine;
use crate::parsed::Parsed;
use crate::rules;
use crate::state::{Op, Pc, Replay, State};
use crate::world::{Document, Id};

/// Rows that each request selects, by bit: two that differ and overlap.
const SELECTED: [u8; 2] = [1, 3];

/// Rows of every chunk, all of them rejected at first.
const ROWS: u8 = 3;

/// The outcome of a chunk with these rows loaded, after so many replays.
pub(crate) fn outcome_name(job: u8, chunk: u8, loaded: u8, fix: u32) -> String {
    format!("{job}c{chunk}L{loaded}x{fix}")
}

/// Rows loaded, and replays so far.
fn loaded(outcome: &str) -> (u8, u32) {
    let (_, rest) = outcome.split_once('L').expect("an outcome of rows");
    let (loaded, fix) = rest.split_once('x').expect("an outcome of rows");
    (loaded.parse().expect("rows"), fix.parse().expect("a number"))
}

fn outcome(name: &str) -> OutcomeRef {
    OutcomeRef {
        key: format!("_staging/{name}"),
        sha256: name.to_owned(),
        rows: 1,
        next: None,
        end_of_object: false,
    }
}

/// One replay, on its way: its job, its parent, what it changes, and the next step.
type At = (u8, u8, Id, Replay);

impl Machine {
    /// The job whose rows may be replayed: HELD, or COMMITTED and still the slot's; and nobody else's.
    pub(crate) fn replayable(&self, state: &State) -> Option<u8> {
        let (shown, _) = self.committed(state);
        let free = |job: &u8| {
            let is_shown = *job == shown;
            self.with_job(self.job_item(state, *job), |job| {
                let rests =
                    job.state == JobState::Held || job.state == JobState::Committed && is_shown;
                rests && job.replay.is_none()
            })
        };
        self.jobs(state).iter().map(|(job, _)| *job).rev().find(free)
    }

    fn replay_facts(&self, parent: &ledger::Job, request: u8) -> JobFacts {
        let request = PlanRef { key: format!("request {request}"), sha256: request.to_string() };
        let job = format!("replay-{}-{}-{}", request.sha256, parent.rev, parent.facts.job);
        let replay =
            ReplayFacts { parent: parent.facts.job.clone(), parent_rev: parent.rev, request };
        JobFacts { job: JobId(job), replay: Some(replay), ..parent.facts.clone() }
    }

    /// Plans a replay of what is failed now.
    pub(crate) fn start_replay(&self, state: &mut State, worker: u8, request: u8) {
        let Some(parent) = self.replayable(state) else { return state.rest(worker) };
        let read = self.job_item(state, parent);
        let mut outcomes = vec![];
        let (mut files, mut fresh) = (0, vec![]);
        for number in 0..self.bounds.chunks {
            let stored = self.chunk(state, parent, number).and_then(|chunk| chunk.outcome);
            let from = stored.expect("its chunks are DONE").sha256;
            let (rows, fix) = loaded(&from);
            let gained = !rows & ROWS & SELECTED[usize::from(request)];
            if gained == 0 {
                outcomes.push(from);
                continue;
            }
            let to = outcome_name(parent, number, rows | gained, fix + 1);
            files |= 1 << self.file_of(read, parent, number, &to);
            outcomes.push(to.clone());
            fresh.push((number, from, to));
        }
        if fresh.is_empty() {
            state.replays &= !(1 << request);
            return state.rest(worker);
        }
        let generation = self.with_job(read, |job| job.facts.generation);
        let (revision, old) = self.shown_list(state, parent).unwrap_or((0, 0));
        let (job, revision) = (parent, revision + 1);
        let list = Document::List { job, generation, revision, outcomes, files: files | old };
        let list = self.world.document(&list);
        let changes = self.world.document(&Document::Changes { fresh, files, list });
        let facts = self.with_job(read, |job| self.replay_facts(job, request));
        let replay = self.world.job(&facts.job);
        self.create_replay(&facts, replay);
        self.replay_step(state, worker, (replay, parent, changes, Replay::Create));
    }

    fn create_replay(&self, facts: &JobFacts, replay: u8) -> Id {
        self.world.write_of(("create replay", replay.into(), 0, 0), || {
            ledger::create_replay(facts, &crate::fixed::plan_ref(0), 1, NOW)
        })
    }

    fn file_of(&self, read: Id, job: u8, chunk: u8, outcome: &str) -> u8 {
        let facts = self.with_job(read, |job| job.facts.clone());
        let id = self.chunk_id(job, chunk);
        self.world.file(&names::published("t", &[], &facts, &id, outcome))
    }

    /// Revision and files of the manifest that the slot shows of a job.
    fn shown_list(&self, state: &State, job: u8) -> Option<(u32, u64)> {
        let parsed = self.parsed(state.item(self.slot_key()));
        let slot = parsed.as_deref().and_then(Parsed::slot).filter(|slot| slot.committed == job)?;
        let list = state.document(self.world.name(slot.slot.manifest.as_ref()?));
        match (list != 0).then(|| self.world.read_document(list))? {
            Document::List { revision, files, .. } => Some((revision, files)),
            Document::Changes { .. } | Document::Current { .. } => None,
        }
    }

    /// Takes a replay on that somebody left behind.
    pub(crate) fn resume_replay(&self, state: &mut State, worker: u8, replay: u8) {
        let read = self.job_item(state, replay);
        let (facts, intent) = self.with_job(read, |job| (job.facts.clone(), job.intent.clone()));
        let replayed = facts.replay.expect("a replay");
        let parent = self.world.job(&replayed.parent);
        let held = self.with_job(self.job_item(state, parent), |job| job.replay.clone());
        let mine = held.filter(|lock| lock.job == facts.job).map(|lock| lock.changes);
        let known = |changes: &PlanRef| state.document(self.world.name(&changes.key));
        let is_committing = intent.is_some();
        let (changes, step) = match (&mine, is_committing) {
            (Some(mine), true) => (known(mine), Replay::Copy(0)),
            // Whoever locked it died before saying so in the replay's own item.
            (Some(mine), false) => (known(mine), Replay::Begin),
            (None, true) => (known(intent.as_ref().expect("COMMITTING")), Replay::End(true)),
            (None, false) => {
                let now = self.with_job(self.job_item(state, parent), |job| job.rev);
                if now == replayed.parent_rev && self.replayable(state) == Some(parent) {
                    let request = replayed.request.sha256.parse().expect("a request's number");
                    return self.start_replay(state, worker, request);
                }
                // The parent has changed since: what is left of the wish is planned anew.
                return state.ask(worker, Op::Write(self.supersede(replay)), Pc::Last);
            }
        };
        self.replay_step(state, worker, (replay, parent, changes, step));
    }

    fn changes(&self, state: &State, replay: u8, parent: u8, changes: Id) -> PlanRef {
        let sha256 = format!("list {changes}");
        let facts = self.with_job(self.job_item(state, parent), |job| job.facts.clone());
        PlanRef { key: names::changes(&facts, &self.world.job_id(replay), &sha256), sha256 }
    }

    fn fresh(&self, changes: Id, at: u8) -> Option<(u8, String, String)> {
        match self.world.read_document(changes) {
            Document::Changes { fresh, .. } => fresh.get(usize::from(at)).cloned(),
            Document::List { .. } | Document::Current { .. } => None,
        }
    }

    fn list_of(&self, changes: Id) -> (Id, u32) {
        let Document::Changes { list, .. } = self.world.read_document(changes) else {
            panic!("a replay changes something")
        };
        match self.world.read_document(list) {
            Document::List { revision, .. } => (list, revision),
            Document::Changes { .. } | Document::Current { .. } => panic!("a list was frozen"),
        }
    }

    /// A parent that never committed has nothing on show yet.
    fn is_on_show(&self, state: &State, parent: u8) -> bool {
        self.with_job(self.job_item(state, parent), |job| job.manifest.is_some())
    }

    /// Sends what the step says, or goes on when there is nothing to send.
    fn replay_step(&self, state: &mut State, worker: u8, at: At) {
        let (replay, parent, changes, step) = at;
        match self.replay_op(state, at) {
            Ok(op) => state.ask(worker, op, Pc::Replaying { replay, parent, list: changes, step }),
            Err(next) => self.replay_step(state, worker, (replay, parent, changes, next)),
        }
    }

    fn replay_op(&self, state: &State, at: At) -> Result<Op, Replay> {
        let (replay, parent, changes, step) = at;
        let read = self.job_item(state, parent);
        Ok(match step {
            Replay::Store => {
                let name = self.world.name(&self.changes(state, replay, parent, changes).key);
                Op::Put { name, document: changes }
            }
            Replay::Create if state.item(self.job_key(replay)) != 0 => return Err(Replay::Store),
            Replay::Create => {
                let facts = self.with_job(read, |job| job.facts.clone());
                // Planned before, so that the facts are not asked for.
                Op::Write(self.create_replay(&facts, replay))
            }
            Replay::Begin | Replay::Lock => self.replay_begins(state, at),
            Replay::Copy(at) => match self.fresh(changes, at) {
                Some((number, _, to)) if self.is_on_show(state, parent) => {
                    Op::Copy(self.file_of(read, parent, number, &to))
                }
                _ => return Err(Replay::Swap(0)),
            },
            Replay::Swap(at) => match self.fresh(changes, at) {
                Some(fresh) => Op::Write(self.swap(parent, &fresh, changes)),
                None => return Err(Replay::Manifest),
            },
            Replay::Manifest if !self.is_on_show(state, parent) => {
                return Err(Replay::Unlock(false));
            }
            Replay::Manifest => {
                let (list, revision) = self.list_of(changes);
                Op::Put { name: self.manifest_name(parent, read, revision), document: list }
            }
            Replay::Slot => Op::Write(self.raise(read, parent, changes)),
            Replay::Current(shows) => {
                let target = match shows {
                    true => self.pointer(parent, read, self.list_of(changes).0),
                    false => self.winner(state),
                };
                let over = state.document(self.current_name());
                if self.rank(over) >= self.rank(target) {
                    return Err(Replay::Remove(shows));
                }
                Op::Swap { over, new: target }
            }
            Replay::Remove(shows) => match self.replaced(state) {
                0 => return Err(Replay::Unlock(shows)),
                files => Op::Delete(files),
            },
            Replay::Unlock(shows) => match self.unlock(state, at, shows) {
                Some(write) => Op::Write(write),
                None => {
                    return Err(Replay::End(shows || !self.is_on_show(state, parent)));
                }
            },
            Replay::End(done) => Op::Write(self.end_replay(state, replay, done)),
        })
    }

    fn replay_begins(&self, state: &State, at: At) -> Op {
        let (replay, parent, changes, step) = at;
        let read = self.job_item(state, replay);
        let intent = self.changes(state, replay, parent, changes);
        if step == Replay::Begin {
            let memo = ("begin replay", read.into(), changes.into(), 0);
            let begin = |job: &ledger::Job| ledger::begin_commit(job, &intent, NOW);
            return Op::Write(self.world.write_of(memo, || self.with_job(read, begin)));
        }
        let facts = self.with_job(read, |job| job.facts.clone());
        let planned_at = facts.replay.expect("a replay").parent_rev;
        let lock = ReplayLock { job: self.world.job_id(replay), changes: intent };
        let memo = ("lock", replay.into(), changes.into(), 0);
        let lock = |job: &ledger::Job| ledger::lock_for_replay(job, planned_at, &lock);
        Op::Write(self.world.write_of(memo, || self.with_job(self.job_item(state, parent), lock)))
    }

    fn swap(&self, parent: u8, fresh: &(u8, String, String), changes: Id) -> Id {
        let (number, from, to) = fresh;
        self.world.write_of(("swap", changes.into(), (*number).into(), 0), || {
            let id = self.chunk_id(parent, *number);
            ledger::swap_outcome(&id, &outcome(from), &outcome(to))
        })
    }

    fn raise(&self, read: Id, parent: u8, changes: Id) -> Id {
        self.world.write_of(("raise", changes.into(), 0, 0), || {
            let (_, revision) = self.list_of(changes);
            let [from, to] = [revision - 1, revision].map(|revision| {
                self.world.text_of_name(self.manifest_name(parent, read, revision))
            });
            self.with_job(read, |job| ledger::raise_manifest(job, &from, &to))
        })
    }

    /// `None` when the parent is let go already.
    fn unlock(&self, state: &State, at: At, shows: bool) -> Option<Id> {
        let (replay, parent, changes, _) = at;
        let read = self.job_item(state, parent);
        let held = self.with_job(read, |job| job.replay.clone())?;
        if held.job != self.world.job_id(replay) {
            return None;
        }
        let memo = ("unlock", read.into(), changes.into(), shows.into());
        Some(self.world.write_of(memo, || {
            let (list, revision) = self.list_of(changes);
            let key = self.world.text_of_name(self.manifest_name(parent, read, revision));
            let manifest = PlanRef { key, sha256: format!("list {list}") };
            let manifest = shows.then_some(&manifest);
            self.with_job(read, |job| ledger::unlock_after_replay(job, &held, manifest, NOW))
        }))
    }

    fn end_replay(&self, state: &State, replay: u8, done: bool) -> Id {
        self.world.write_of(("end replay", replay.into(), done.into(), 0), || match done {
            true => {
                let end = |job: &ledger::Job| ledger::end_commit(job, "replayed", NOW);
                self.with_job(self.job_item(state, replay), end)
            }
            false => ledger::supersede_committing(&self.world.job_id(replay), NOW),
        })
    }

    pub(crate) fn replayed(&self, state: &mut State, worker: u8, at: At, stands: bool) {
        let (replay, parent, changes, step) = at;
        let next = match step {
            Replay::Create => Replay::Store,
            Replay::Store => Replay::Lock,
            Replay::Lock if stands => Replay::Begin,
            // Somebody decided about the parent, or has it.
            Replay::Lock => {
                return state.ask(worker, Op::Write(self.supersede(replay)), Pc::Last);
            }
            Replay::Begin => {
                // Whatever the answer: it goes on if the replay is on its way.
                let is = self.with_job(self.job_item(state, replay), |job| job.state);
                match is {
                    JobState::Committing => Replay::Copy(0),
                    _ => return state.rest(worker),
                }
            }
            Replay::Copy(at) => Replay::Copy(at + 1),
            Replay::Swap(at) if stands => Replay::Swap(at + 1),
            // A later replay changed it further: others brought this one to its end.
            Replay::Swap(_) => return state.rest(worker),
            Replay::Manifest => {
                if !stands {
                    state.broken |= rules::TWO_CONTENTS;
                }
                Replay::Slot
            }
            Replay::Slot => Replay::Current(stands),
            Replay::Current(shows) => Replay::Current(shows),
            Replay::Remove(shows) | Replay::Unlock(shows) => Replay::Unlock(shows),
            Replay::End(_) => return state.rest(worker),
        };
        self.replay_step(state, worker, (replay, parent, changes, next));
    }

    /// Replays in the ledger that are not over.
    pub(crate) fn open_replays(&self, state: &State) -> Vec<u8> {
        let open = |item: &Id| match &*self.world.parsed(*item) {
            Parsed::Job(job) if job.job.facts.replay.is_some() && !job.job.state.is_settled() => {
                Some(job.index)
            }
            _ => None,
        };
        state.items.iter().filter_map(|(_, item)| open(item)).collect()
    }
}
