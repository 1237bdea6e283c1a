//! A state of the whole system: what is stored, what is under way, and what every worker does.

use crate::world::Id;

/// Who waits for the answer to a request that nobody waits for any more.
pub(crate) const NOBODY: u8 = u8::MAX;

/// A remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Op {
    /// A conditional write of the ledger.
    Write(Id),
    /// A staged file copied to its final name, if that is free.
    Copy(u8),
    /// A document stored under a name, if that is free.
    Put { name: Id, document: Id },
    /// The slot's pointer replaced, if it is still the one that was read.
    Swap { over: Id, new: Id },
    /// Files removed.
    Delete(u64),
}

/// A remote write that was sent and may be applied at any later time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) op: Op,
    /// The worker that waits for the answer.
    pub(crate) from: u8,
}

/// How an object is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum How {
    /// T1, for an event.
    Observe,
    /// T17, by an operator.
    Restart,
    /// T17, by an operator who insists on an older file.
    Force,
}

/// How far a publish has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Publish {
    Copy(u8),
    Manifest,
    Slot,
    Current,
    Remove,
    End,
}

/// How far a replay has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Replay {
    /// The replay's own job is being created.
    Create,
    /// The list of changes is being stored.
    Store,
    /// The parent is being locked.
    Lock,
    /// The replay's own T11a.
    Begin,
    Copy(u8),
    Swap(u8),
    Manifest,
    Slot,
    /// From here on with whether the slot still shows the parent.
    Current(bool),
    Remove(bool),
    Unlock(bool),
    End(bool),
}

/// A version of an object in a generation of the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) key: u8,
    pub(crate) version: u8,
    pub(crate) generation: u8,
}

/// A chunk that a worker holds, or tries to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Held {
    pub(crate) job: u8,
    pub(crate) chunk: u8,
    pub(crate) epoch: u8,
    pub(crate) attempts: u8,
    /// Its attempts are used up: the record that kills its workers is looked for.
    pub(crate) isolate: bool,
    /// Where it begins, on a chain; its first record, where records are counted.
    pub(crate) start: u8,
    /// Its records, where they are counted.
    pub(crate) rows: u8,
}

/// What a worker is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    Idle,
    /// One answer, and it is done.
    Last,
    /// It read the slot; HEAD comes next.
    Head {
        key: u8,
        slot: Id,
        how: How,
    },
    /// T1 or T17 is sent; `old` was the head.
    Swapping {
        seen: Seen,
        old: u8,
    },
    /// The swap to an earlier job's rows is sent; the job of this generation brings them back.
    Reverting {
        to: u8,
        generation: u8,
    },
    /// T12 of the old head is sent.
    Overtaking {
        seen: Seen,
    },
    /// T4 is sent.
    Taking(Held),
    /// It has the chunk.
    Working {
        held: Held,
        renewed: bool,
    },
    /// The lease is being renewed.
    Renewing(Held),
    /// T7 is sent; on a chain the chunk ends at `end`.
    Completing {
        held: Held,
        end: u8,
    },
    /// The chunk is given back because the object cannot be loaded.
    Refusing {
        job: u8,
    },
    /// T13 of a chunk is sent.
    Redriving {
        job: u8,
        asked: u8,
        chunk: u8,
        epoch: u8,
    },
    /// T13 of the job is sent.
    Reviving {
        job: u8,
    },
    /// The mark of an outage is sent: whoever's stands tells the operators.
    Marking {
        mark: u8,
    },
    /// It changes a job's outcomes, as a frozen list says.
    Replaying {
        replay: u8,
        parent: u8,
        list: Id,
        step: Replay,
    },
    /// T8 is sent.
    GivingUp {
        job: u8,
    },
    /// The chunk count of a chain is sent.
    Counting,
    /// It reads chunk after chunk.
    Scanning {
        job: u8,
        read: Id,
        at: u8,
        got: [Id; 3],
    },
    /// T10 is sent.
    Closing {
        job: u8,
        read: Id,
        got: [Id; 3],
    },
    /// The outcome list is being stored.
    Listing {
        job: u8,
        read: Id,
        list: Id,
    },
    /// T11a is sent.
    Beginning {
        job: u8,
    },
    /// It publishes a COMMITTING job.
    Publishing {
        job: u8,
        list: Id,
        step: Publish,
        won: bool,
    },
}

/// One worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) pc: Pc,
    /// The item of the write it waits for was last stored by that very write.
    pub(crate) is_mine: bool,
    /// How often it died.
    pub(crate) life: u8,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The ledger: items by key.
    pub(crate) items: Vec<(u8, Id)>,
    /// Documents on S3 by name.
    pub(crate) documents: Vec<(Id, Id)>,
    /// Final files on S3, by bit.
    pub(crate) files: u64,
    /// The version under each key of the input bucket; 0 is none.
    pub(crate) source: [u8; 3],
    /// What was sent and not yet applied.
    pub(crate) network: Vec<Request>,
    pub(crate) workers: Vec<Worker>,
    /// Deaths that may still happen.
    pub(crate) crashes: u8,
    /// Lost answers and late duplicates that may still happen.
    pub(crate) faults: u8,
    /// Deeds of operators that may still happen.
    pub(crate) deeds: u8,
    /// Jobs that were discarded, by bit.
    pub(crate) discarded: u16,
    /// Jobs that somebody asked to bring back, by bit: the request is kept until it is done.
    pub(crate) asked: u16,
    /// Replays that were asked for and not yet done, by bit.
    pub(crate) replays: u8,
    /// Jobs that had the slot, by bit.
    pub(crate) had: u16,
    /// When the sink was away and marked as such last, by how often it changed.
    pub(crate) marked_at: u8,
    /// Outages that were marked.
    pub(crate) marked: u8,
    /// The mark that stands came from nobody who waits: a late copy, or a dead worker's.
    pub(crate) is_ghost: bool,
    /// Marks that operators were told of, by bit.
    pub(crate) told: u64,
    /// Rules that were broken, by bit.
    pub(crate) broken: u32,
}

impl State {
    /// What is stored under a key; 0 is nothing.
    pub(crate) fn item(&self, key: u8) -> Id {
        let found = self.items.binary_search_by_key(&key, |(key, _)| *key);
        found.map_or(0, |at| self.items[at].1)
    }

    pub(crate) fn set_item(&mut self, key: u8, item: Id) {
        match self.items.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => self.items[at].1 = item,
            Err(at) => self.items.insert(at, (key, item)),
        }
    }

    /// The document under a name; 0 is none.
    pub(crate) fn document(&self, name: Id) -> Id {
        let found = self.documents.binary_search_by_key(&name, |(name, _)| *name);
        found.map_or(0, |at| self.documents[at].1)
    }

    pub(crate) fn set_document(&mut self, name: Id, document: Id) {
        match self.documents.binary_search_by_key(&name, |(name, _)| *name) {
            Ok(at) => self.documents[at].1 = document,
            Err(at) => self.documents.insert(at, (name, document)),
        }
    }

    pub(crate) fn send(&mut self, op: Op, from: u8) {
        let request = Request { op, from };
        if let Err(at) = self.network.binary_search(&request) {
            self.network.insert(at, request);
        }
    }

    pub(crate) fn worker(&mut self, worker: u8) -> &mut Worker {
        &mut self.workers[usize::from(worker)]
    }

    /// Sends a worker's write and lets it wait for the answer as `pc`.
    pub(crate) fn ask(&mut self, worker: u8, op: Op, pc: Pc) {
        self.send(op, worker);
        let worker = self.worker(worker);
        worker.pc = pc;
        worker.is_mine = false;
    }

    pub(crate) fn rest(&mut self, worker: u8) {
        self.worker(worker).pc = Pc::Idle;
    }

    pub(crate) fn is_waiting(&self, worker: u8) -> bool {
        self.network.iter().any(|request| request.from == worker)
    }

    /// Nothing is under way and nobody works.
    pub(crate) fn is_quiet(&self) -> bool {
        self.network.is_empty() && self.workers.iter().all(|worker| worker.pc == Pc::Idle)
    }
}
