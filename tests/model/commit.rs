//! T10 and T11, as a worker does them: outcomes, intent, publish, manifest, slot, pointer, removal, end.

use rowproof_core::ledger::{self, Chunk, HoldReason, JobState, PlanRef};
use rowproof_core::names;

use crate::fixed::NOW;
use crate::machine::Machine;
use crate::parsed::Parsed;
use crate::rules;
use crate::state::{Op, Pc, Publish, State};
use crate::world::{Document, Id};

fn list_sha256(list: Id) -> String {
    format!("list {list}")
}

impl Machine {
    /// The list's name ends in its hash: two lists of one job stand beside each other.
    fn intent_name(&self, job: u8, read: Id, list: Id) -> Id {
        let memo = ("intent", job.into(), list.into(), 0);
        let sha256 = list_sha256(list);
        self.world.named(memo, || self.with_job(read, |job| names::intent(&job.facts, &sha256)))
    }

    pub(crate) fn manifest_name(&self, job: u8, read: Id, revision: u32) -> Id {
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
        if !self.is_done(state, job, at) {
            return state.rest(worker);
        }
        got[usize::from(at)] = item;
        if self.bounds.rows > 0 {
            // One query of a small group.
            let leaves = self.leaves(state, job);
            for (got, leaf) in got.iter_mut().zip(leaves) {
                *got = state.item(self.chunk_key(job, leaf));
            }
        }
        if at + 1 < count {
            state.worker(worker).pc = Pc::Scanning { job, read, at: at + 1, got };
            return;
        }
        let memo = ("close", u32::from(job) << 8 | u32::from(count), got[1].into(), got[2].into());
        let write = self.world.write_of(memo, || {
            let id = self.world.job_id(job);
            let chunks = self.got_with_ids(job, &got);
            ledger::close_group(&id, 0, count.into(), &chunks).expect("every chunk is DONE")
        });
        state.ask(worker, Op::Write(write), Pc::Closing { job, read, got });
    }

    fn got_with_ids(&self, job: u8, got: &[Id; 3]) -> Vec<(ledger::ChunkId, Chunk)> {
        let of = |item: &Id| {
            let fields = self.world.item(*item);
            let fields = ledger::Fields(&fields);
            let chunk = u32::try_from(fields.number("chunk")?).ok()?;
            let part = fields.text("part").unwrap_or_default().to_owned();
            let id = ledger::ChunkId { job: self.world.job_id(job), chunk, part };
            Some((id, self.parsed(*item)?.chunk()?.clone()))
        };
        got.iter().filter(|item| **item != 0).filter_map(of).collect()
    }

    /// The outcome list, under its name, which only one content may ever have.
    pub(crate) fn list(&self, state: &mut State, worker: u8, job: u8, read: Id, got: [Id; 3]) {
        let memo = ("list", u32::from(job) << 16 | u32::from(got[0]), got[1].into(), got[2].into());
        let list = self.world.number(memo, || {
            let facts = self.with_job(read, |job| job.facts.clone());
            let (mut outcomes, mut files) = (vec![], 0);
            for (id, chunk) in self.got_with_ids(job, &got) {
                let Some(outcome) = chunk.outcome else { continue };
                let name = names::published("t", &[], &facts, &id, &outcome.sha256);
                files |= 1 << self.world.file(&name);
                outcomes.push(outcome.sha256);
            }
            let generation = facts.generation;
            let list = Document::List { job, generation, revision: 1, outcomes, files };
            self.world.document(&list).into()
        });
        let list = Id::try_from(list).expect("documents fit");
        let name = self.intent_name(job, read, list);
        state.ask(worker, Op::Put { name, document: list }, Pc::Listing { job, read, list });
    }

    /// T14, or T11a.
    pub(crate) fn begin(&self, state: &mut State, worker: u8, job: u8, read: Id, list: Id) {
        let intent = PlanRef {
            key: self.world.text_of_name(self.intent_name(job, read, list)),
            sha256: list_sha256(list),
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
        let intent = self
            .with_job(read, |job| job.intent.clone())
            .map_or(0, |intent| self.world.name(&intent.key));
        let list = state.document(intent);
        let step = Publish::Copy(0);
        self.publish_step(state, worker, (job, list, step, false));
    }

    fn files_of(&self, list: Id) -> u64 {
        self.world.number(("files", list.into(), 0, 0), || match self.world.read_document(list) {
            Document::List { files, .. } | Document::Changes { files, .. } => files,
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

    pub(crate) fn pointer(&self, job: u8, read: Id, list: Id) -> Id {
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
    pub(crate) fn winner(&self, state: &State) -> Id {
        let parsed = self.parsed(state.item(self.slot_key()));
        let Some(slot) = parsed.as_deref().and_then(Parsed::slot) else { return 0 };
        let Some(manifest) = &slot.slot.manifest else { return 0 };
        let read = self.job_item(state, slot.committed);
        match state.document(self.world.name(manifest)) {
            0 => 0,
            list => self.pointer(slot.committed, read, list),
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
                Document::List { .. } | Document::Changes { .. } => 0,
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
