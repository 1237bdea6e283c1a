//! What the model's states refer to by number: ledger items, writes, documents, files.
//!
//! A state holds small numbers; the things themselves stand here once. So the transition functions run
//! once for each distinct input, and a step of the model costs a few look-ups.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use rowproof_core::ids::JobId;
use rowproof_core::ledger::{Item, Key, Value, WRITE_ID, Write};

use crate::hash::Fast;
use crate::mutants::{Clause, Mutant, clauses_of, mutate};
use crate::parsed::Parsed;
use crate::rules;

/// Number of an item, write, or document; 0 is "none".
pub(crate) type Id = u16;

/// What a decision function of the ledger said, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing to do.
    Nothing,
    /// Send this write.
    Send(Id),
    /// Send this write; a job of this generation becomes the head.
    NewHead { write: Id, generation: u8 },
    /// The head job stands already, at this generation.
    IsHead { generation: u8 },
    /// A later file holds the slot.
    Older,
    /// Send this write; if it stands, the lease has this epoch and these attempts.
    Lease { write: Id, epoch: u8, attempts: u8, isolate: bool },
    /// The attempts are used up: the lease that was not taken.
    GiveUp { epoch: u8, attempts: u8 },
}

/// Names a decision and what it was made from.
pub(crate) type Memo = (&'static str, u32, u32, u32);

/// What a write does to an item: what is stored then, and the rules that this broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) item: Id,
    pub(crate) broken: u32,
}

/// A document on S3.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Document {
    /// An intent or a manifest: the outcomes of a job's chunks, and the files they come to.
    List { job: u8, generation: i64, revision: u32, outcomes: Vec<String>, files: u64 },
    /// What a replay changes: outcomes of these chunks, by number, and the files that come with them.
    Changes { fresh: Vec<(u8, String, String)>, files: u64, list: Id },
    /// A slot's pointer to a manifest.
    Current { generation: i64, revision: u32, job: u8, manifest: Id },
}

struct Numbered<T> {
    all: Vec<T>,
    numbers: HashMap<T, Id, Fast>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Numbered<T> {
        Numbered { all: vec![], numbers: HashMap::default() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Numbered<T> {
    /// The thing's number, from 1, and whether it is new.
    fn number(&mut self, thing: &T) -> (Id, bool) {
        if let Some(number) = self.numbers.get(thing) {
            return (*number, false);
        }
        self.all.push(thing.clone());
        let number = Id::try_from(self.all.len()).expect("too many distinct things for one model");
        self.numbers.insert(thing.clone(), number);
        (number, true)
    }

    fn get(&self, number: Id) -> &T {
        &self.all[usize::from(number) - 1]
    }
}

struct KnownWrite {
    write: Write,
    key: u8,
}

#[derive(Default)]
struct Known {
    keys: Numbered<Key>,
    items: Numbered<Item>,
    parsed: Vec<Arc<Parsed>>,
    writes: Vec<KnownWrite>,
    write_numbers: HashMap<String, Id, Fast>,
    jobs: Numbered<JobId>,
    files: Numbered<String>,
    names: Numbered<String>,
    documents: Numbered<Document>,
    decisions: HashMap<Memo, Decision, Fast>,
    numbers: HashMap<Memo, u64, Fast>,
    applied: HashMap<(Id, Id), Option<Applied>, Fast>,
    judged: HashMap<(Id, Id, bool), bool, Fast>,
    clauses: Vec<Clause>,
}

/// Everything that states refer to, and the mutant that is in force.
pub(crate) struct World {
    mutant: Option<Mutant>,
    known: Mutex<Known>,
}

impl World {
    pub(crate) fn new(mutant: Option<Mutant>) -> World {
        World { mutant, known: Mutex::new(Known::default()) }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("no thread panics while it holds the lock")
    }

    pub(crate) fn key(&self, key: &Key) -> u8 {
        small(self.known().keys.number(key).0)
    }

    pub(crate) fn job(&self, job: &JobId) -> u8 {
        small(self.known().jobs.number(job).0)
    }

    /// The bit of a file's final name.
    pub(crate) fn file(&self, name: &str) -> u8 {
        let bit = small(self.known().files.number(&name.to_owned()).0) - 1;
        assert!(bit < 64, "too many files for one model");
        bit
    }

    pub(crate) fn name(&self, name: &str) -> Id {
        self.known().names.number(&name.to_owned()).0
    }

    pub(crate) fn text_of_name(&self, name: Id) -> String {
        self.known().names.get(name).clone()
    }

    pub(crate) fn document(&self, document: &Document) -> Id {
        self.known().documents.number(document).0
    }

    pub(crate) fn read_document(&self, document: Id) -> Document {
        self.known().documents.get(document).clone()
    }

    /// An item as its typed form, with the numbers of what it names.
    pub(crate) fn parsed(&self, item: Id) -> Arc<Parsed> {
        self.known().parsed[usize::from(item) - 1].clone()
    }

    pub(crate) fn item(&self, item: Id) -> Item {
        self.known().items.get(item).clone()
    }

    fn number_item(&self, item: &Item) -> Id {
        let (number, is_new) = self.known().items.number(item);
        if is_new {
            let parsed = Arc::new(Parsed::from_item(self, item));
            self.known().parsed.push(parsed);
        }
        number
    }

    /// Makes a decision once for each distinct input.
    pub(crate) fn decide(&self, memo: Memo, make: impl FnOnce() -> Decision) -> Decision {
        if let Some(found) = self.known().decisions.get(&memo) {
            return *found;
        }
        let decision = make();
        self.known().decisions.insert(memo, decision);
        decision
    }

    /// A number that is a function of what the memo names.
    pub(crate) fn number(&self, memo: Memo, make: impl FnOnce() -> u64) -> u64 {
        if let Some(found) = self.known().numbers.get(&memo) {
            return *found;
        }
        let number = make();
        self.known().numbers.insert(memo, number);
        number
    }

    /// Number of an item's key that is a function of what the memo names.
    pub(crate) fn place(&self, memo: Memo, make: impl FnOnce() -> Key) -> u8 {
        let key = self.number(memo, || u64::from(self.key(&make())));
        u8::try_from(key).expect("keys fit")
    }

    /// Number of a name on S3 that is a function of what the memo names.
    pub(crate) fn named(&self, memo: Memo, make: impl FnOnce() -> String) -> Id {
        let name = self.number(memo, || u64::from(self.name(&make())));
        Id::try_from(name).expect("names fit")
    }

    pub(crate) fn job_id(&self, job: u8) -> JobId {
        self.known().jobs.get(Id::from(job)).clone()
    }

    /// A decision that comes to one write.
    pub(crate) fn write_of(&self, memo: Memo, make: impl FnOnce() -> Write) -> Id {
        match self.decide(memo, || Decision::Send(self.number_write(make()))) {
            Decision::Send(write) => write,
            other => panic!("{memo:?} decided {other:?}"),
        }
    }

    /// Takes a write in as production made it, notes its clauses, and mutates it if asked to.
    pub(crate) fn number_write(&self, mut write: Write) -> Id {
        // Leases say when to try, never who wins: every lease lasts equally long in the model.
        if let Some(until) = write.set.get_mut("lease_until") {
            *until = Value::N(crate::fixed::LIVE.0);
        }
        for clause in clauses_of(&write) {
            let mut known = self.known();
            if !known.clauses.contains(&clause) {
                known.clauses.push(clause);
            }
        }
        if let Some(mutant) = &self.mutant {
            mutate(&mut write, mutant);
        }
        let key = self.key(&write.key);
        let text = format!("{write:?}");
        let mut known = self.known();
        if let Some(number) = known.write_numbers.get(&text) {
            return *number;
        }
        known.writes.push(KnownWrite { write, key });
        let number = Id::try_from(known.writes.len()).expect("too many writes for one model");
        known.write_numbers.insert(text, number);
        number
    }

    pub(crate) fn write(&self, write: Id) -> Write {
        self.known().writes[usize::from(write) - 1].write.clone()
    }

    pub(crate) fn name_of(&self, write: Id) -> &'static str {
        self.known().writes[usize::from(write) - 1].write.name
    }

    /// Where a write goes.
    pub(crate) fn key_of(&self, write: Id) -> u8 {
        self.known().writes[usize::from(write) - 1].key
    }

    /// What a write does to what is stored; `None` when its guard refuses.
    pub(crate) fn apply(&self, write: Id, stored: Id) -> Option<Applied> {
        if let Some(found) = self.known().applied.get(&(write, stored)) {
            return *found;
        }
        let applied = self.apply_first(write, stored);
        self.known().applied.insert((write, stored), applied);
        applied
    }

    fn apply_first(&self, write: Id, stored: Id) -> Option<Applied> {
        let write = self.write(write);
        let before = (stored != 0).then(|| self.item(stored));
        let mut after = write.apply(before.as_ref(), "")?;
        // Who wrote an item last stands in the state, for those who still wait for an answer.
        after.remove(WRITE_ID);
        let item = self.number_item(&after);
        let parsed = (stored != 0).then(|| self.parsed(stored));
        let broken = rules::broken(&write, parsed.as_deref(), &self.parsed(item));
        Some(Applied { item, broken })
    }

    /// The own-write rule on what is stored. `is_mine`: this very write stored it last.
    pub(crate) fn stands(&self, write: Id, stored: Id, is_mine: bool) -> bool {
        let memo = (write, stored, is_mine);
        if let Some(found) = self.known().judged.get(&memo) {
            return *found;
        }
        let mut item = (stored != 0).then(|| self.item(stored));
        if let Some(item) = &mut item {
            let writer = if is_mine { "mine" } else { "another" };
            item.insert(WRITE_ID.to_owned(), Value::from(writer));
        }
        let write_made = self.write(write);
        let naive = self.mutant.as_ref().is_some_and(|m| m.is_naive_about(write_made.name));
        let stands = !naive && write_made.judge(item, "mine").stands();
        self.known().judged.insert(memo, stands);
        stands
    }

    /// Every clause of every write that was made in this world.
    pub(crate) fn clauses(&self) -> Vec<Clause> {
        self.known().clauses.clone()
    }

    /// An item changed by the passing of time, which is no write.
    pub(crate) fn altered(&self, stored: Id, alter: impl FnOnce(&mut Item)) -> Id {
        let mut item = self.item(stored);
        alter(&mut item);
        self.number_item(&item)
    }
}

fn small(number: Id) -> u8 {
    u8::try_from(number).expect("too many of them for one model")
}
