//! T10 and T11, as a worker does them: outcomes, intent, publish, manifest, slot, pointer, removal, end.

use rowproof_core::ledger::{self, Chunk, ChunkState, HoldReason, JobState, PlanRef};
use rowproof_core::names;

use crate::fixed::NOW;
use crate::machine::Machine;
use crate::parsed::Parsed;
use crate::rules;
use crate::state::{Op, Pc, Publish, State};
use crate::world::{Document, Id};

impl Machine {
    fn intent_name(&self, job: u8, read: Id) -> Id {
        let memo = ("intent", job.into(), 0, 0);
        self.world.named(memo, || self.with_job(read, |job| names::intent(&job.facts)))
    }

    fn manifest_name(&self, job: u8, read: Id, revision: u32) -> Id {
        let memo = ("manifest", job.into(), revision, 0);
        self.world.named(memo, || self.with_job(read, |job| names::manifest(&job.facts, revision)))
    }

    pub(crate) fn current_name(&self) -> Id {
        self.world.named(("current", 0, 0, 0), || names::current(&crate::fixed::slot_id()))
    }

    pub(crate) fn with_job<T>(&self, read: Id, with: impl FnOnce(&ledger::Job) -> T) -> T {
        let parsed = self.parsed(read);
        with(&parsed.as_deref().and_then(Parsed::job).expect("a job was read").job)
    }

    pub(crate) fn job_item(&self, state: &State, job: u8) -> Id {
        state.item(self.job_key(job))
    }

    pub(crate) fn start_commit(&self, state: &mut State, worker: u8, job: u8) {
        let read = self.job_item(state, job);
        match self.with_job(read, |job| job.state) {
            JobState::Running => {
                state.worker(worker).pc = Pc::Scanning { job, read, at: 0, got: [0; 3] };
            }
            JobState::Committing => self.publish(state, worker, job, read),
            _ => state.rest(worker),
        }
    }

    pub(crate) fn chunk_count(&self, read: Id) -> Option<u8> {
        self.with_job(read, |job| job.chunk_count).and_then(|count| u8::try_from(count).ok())
    }

    /// Reads one more chunk; with all of them, T10.
    pub(crate) fn step_scanning(&self, state: &mut State, worker: u8, scan: (u8, Id, u8, [Id; 3])) {
        let (job, read, at, mut got) = scan;
        let count = self.chunk_count(read).unwrap_or(0);
        let item = state.item(self.chunk_key(job, at));
        let done = self.chunk(state, job, at).is_some_and(|chunk| chunk.state == ChunkState::Done);
        if !done {
            return state.rest(worker);
        }
        got[usize::from(at)] = item;
        if at + 1 < count {
            state.worker(worker).pc = Pc::Scanning { job, read, at: at + 1, got };
            return;
        }
        let memo = ("close", job.into(), count.into(), 0);
        let write = self.world.write_of(memo, || {
            let chunks: Vec<Chunk> = self.got(&got);
            let id = self.world.job_id(job);
            ledger::close_group(&id, 0, count.into(), &chunks).expect("every chunk is DONE")
        });
        state.ask(worker, Op::Write(write), Pc::Closing { job, read, got });
    }

    fn got(&self, got: &[Id; 3]) -> Vec<Chunk> {
        let chunk = |item: &Id| self.parsed(*item).and_then(|item| item.chunk().cloned());
        got.iter().filter_map(chunk).collect()
    }

    /// The outcome list, under its name, which only one content may ever have.
    pub(crate) fn list(&self, state: &mut State, worker: u8, job: u8, read: Id, got: [Id; 3]) {
        let memo = ("list", u32::from(job) << 16 | u32::from(got[0]), got[1].into(), got[2].into());
        let list = self.world.number(memo, || {
            let facts = self.with_job(read, |job| job.facts.clone());
            let chunks = self.got(&got);
            let outcomes: Vec<String> =
                chunks.into_iter().filter_map(|chunk| chunk.outcome).map(|o| o.sha256).collect();
            let mut files = 0;
            for (chunk, sha256) in (0..).zip(&outcomes) {
                files |= 1 << self.world.file(&names::published("t", &[], &facts, chunk, sha256));
            }
            let generation = facts.generation;
            let list = Document::List { job, generation, revision: 1, outcomes, files };
            self.world.document(&list).into()
        });
        let list = Id::try_from(list).expect("documents fit");
        let name = self.intent_name(job, read);
        state.ask(worker, Op::Put { name, document: list }, Pc::Listing { job, read, list });
    }

    /// T14, or T11a.
    pub(crate) fn begin(&self, state: &mut State, worker: u8, job: u8, read: Id, list: Id) {
        let intent = PlanRef {
            key: self.world.text_of_name(self.intent_name(job, read)),
            sha256: format!("list {list}"),
        };
        let parsed = self.parsed(read);
        let item = parsed.as_deref().and_then(Parsed::job).expect("a job was read");
        if rules::is_over_limit(item) && !item.job.is_approved(&intent.sha256) {
            let write = self.world.write_of(("hold", read.into(), list.into(), 0), || {
                ledger::hold(&item.job, HoldReason::Rejected, "too many", &intent.sha256, NOW)
            });
            return state.ask(worker, Op::Write(write), Pc::Last);
        }
        let write = self.world.write_of(("begin", read.into(), list.into(), 0), || {
            ledger::begin_commit(&item.job, &intent, NOW)
        });
        state.ask(worker, Op::Write(write), Pc::Beginning { job });
    }

    /// From the intent that the ledger names: whoever finds a job COMMITTING goes on here.
    fn publish(&self, state: &mut State, worker: u8, job: u8, read: Id) {
        let list = state.document(self.intent_name(job, read));
        let step = Publish::Copy(0);
        self.publish_step(state, worker, (job, list, step, false));
    }

    fn files_of(&self, list: Id) -> u64 {
        self.world.number(("files", list.into(), 0, 0), || match self.world.read_document(list) {
            Document::List { files, .. } => files,
            Document::Current { .. } => 0,
        })
    }

    /// Files of the list under a name; none when there is no list.
    pub(crate) fn files_under(&self, state: &State, name: Id) -> u64 {
        match state.document(name) {
            0 => 0,
            list => self.files_of(list),
        }
    }

    /// Sends what the step says, or goes on when there is nothing to send.
    fn publish_step(&self, state: &mut State, worker: u8, at: (u8, Id, Publish, bool)) {
        let (job, list, step, won) = at;
        let pc = Pc::Publishing { job, list, step, won };
        let read = self.job_item(state, job);
        let op = match step {
            Publish::Copy(copied) => {
                let mut files = self.files_of(list);
                for _ in 0..copied {
                    files &= files - 1;
                }
                Op::Copy(u8::try_from(files.trailing_zeros()).expect("files fit"))
            }
            Publish::Manifest => Op::Put { name: self.manifest_name(job, read, 1), document: list },
            Publish::Slot => Op::Write(self.commit_slot(job, read)),
            Publish::Current => {
                let target = if won { self.pointer(job, read, list) } else { self.winner(state) };
                let over = state.document(self.current_name());
                if target == 0 || self.rank(over) >= self.rank(target) {
                    return self.publish_step(state, worker, (job, list, Publish::Remove, won));
                }
                Op::Swap { over, new: target }
            }
            Publish::Remove => match self.replaced(state) {
                0 => return self.publish_step(state, worker, (job, list, Publish::End, won)),
                files => Op::Delete(files),
            },
            Publish::End => Op::Write(self.end(job, read, won)),
        };
        state.ask(worker, op, pc);
    }

    pub(crate) fn published(
        &self,
        state: &mut State,
        worker: u8,
        at: (u8, Id, Publish, bool),
        stands: bool,
    ) {
        let (job, list, step, won) = at;
        let next = match step {
            Publish::Copy(copied) if u32::from(copied) + 1 == self.files_of(list).count_ones() => {
                (Publish::Manifest, won)
            }
            Publish::Copy(copied) => (Publish::Copy(copied + 1), won),
            Publish::Manifest => {
                if !stands {
                    state.broken |= rules::TWO_CONTENTS;
                }
                (Publish::Slot, won)
            }
            Publish::Slot => (Publish::Current, stands),
            // Whether it was swapped or not: read again.
            Publish::Current => (Publish::Current, won),
            Publish::Remove => (Publish::End, won),
            Publish::End if won => {
                let write = self.settle(job, self.job_item(state, job));
                return state.ask(worker, Op::Write(write), Pc::Last);
            }
            Publish::End => return state.rest(worker),
        };
        self.publish_step(state, worker, (job, list, next.0, next.1));
    }

    fn commit_slot(&self, job: u8, read: Id) -> Id {
        self.world.write_of(("commit slot", job.into(), 0, 0), || {
            let manifest = self.world.text_of_name(self.manifest_name(job, read, 1));
            self.with_job(read, |job| ledger::commit_slot(job, &manifest))
        })
    }

    fn end(&self, job: u8, read: Id, won: bool) -> Id {
        self.world.write_of(("end", job.into(), won.into(), 0), || match won {
            true => {
                let manifest = self.world.text_of_name(self.manifest_name(job, read, 1));
                self.with_job(read, |job| ledger::end_commit(job, &manifest, NOW))
            }
            false => ledger::supersede_committing(&self.world.job_id(job), NOW),
        })
    }

    fn settle(&self, job: u8, read: Id) -> Id {
        let memo = ("settle", job.into(), 0, 0);
        self.world.write_of(memo, || self.with_job(read, ledger::settle_slot))
    }

    fn pointer(&self, job: u8, read: Id, list: Id) -> Id {
        let pointer = self.world.number(("pointer", list.into(), 0, 0), || {
            let Document::List { generation, revision, .. } = self.world.read_document(list) else {
                return 0;
            };
            let manifest = self.manifest_name(job, read, revision);
            let current = Document::Current { generation, revision, job, manifest };
            self.world.document(&current).into()
        });
        Id::try_from(pointer).expect("documents fit")
    }

    /// The pointer that belongs to the slot's committed job, as the slot says now.
    fn winner(&self, state: &State) -> Id {
        let parsed = self.parsed(state.item(self.slot_key()));
        let committed = parsed.as_deref().and_then(Parsed::slot).map_or(0, |slot| slot.committed);
        if committed == 0 {
            return 0;
        }
        let read = self.job_item(state, committed);
        match state.document(self.manifest_name(committed, read, 1)) {
            0 => 0,
            list => self.pointer(committed, read, list),
        }
    }

    /// Generation and revision of a pointer.
    pub(crate) fn rank(&self, pointer: Id) -> u64 {
        if pointer == 0 {
            return 0;
        }
        self.world.number(("rank", pointer.into(), 0, 0), || {
            match self.world.read_document(pointer) {
                Document::Current { generation, revision, .. } => {
                    u64::try_from(generation).expect("from 1") << 32 | u64::from(revision)
                }
                Document::List { .. } => 0,
            }
        })
    }

    /// Files of every intent of a generation below the one that the pointer names.
    pub(crate) fn replaced(&self, state: &State) -> u64 {
        let shown = i64::try_from(self.rank(state.document(self.current_name())) >> 32);
        let shown = shown.expect("few generations");
        let mut files = 0;
        for (name, list) in &state.documents {
            let generation = self.world.number(("generation", (*name).into(), 0, 0), || {
                let text = self.world.text_of_name(*name);
                let generation = names::intent_generation(&text).unwrap_or(i64::MAX);
                u64::try_from(generation).expect("from 1")
            });
            if i64::try_from(generation).is_ok_and(|generation| generation < shown) {
                files |= self.files_of(*list);
            }
        }
        files
    }
}
