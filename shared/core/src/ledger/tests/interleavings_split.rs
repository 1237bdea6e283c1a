//! Workers that die, split chunks, give them up, bring them back and replay their rows, in any order.

use std::collections::{BTreeMap, BTreeSet};

use super::fixtures::*;
use super::random::{Chance, Network};
use crate::ledger::*;
use crate::time::EpochSeconds;

const CHUNKS: u32 = 2;
const ROWS: u64 = 4;
const WORKERS: usize = 4;
const TURNS: usize = 160;

/// What a worker was told stands.
#[derive(Debug, Clone)]
enum Told {
    /// This outcome, or one made from it.
    Done(String),
    Split(Split),
    /// It was given up at this epoch.
    Failed(i64),
}

#[derive(Default)]
struct Tally {
    done: usize,
    split: usize,
    nested: usize,
    failed: usize,
    brought_back: usize,
    swapped: usize,
    landed_late: usize,
}

struct World {
    store: Store,
    network: Network,
    chance: Chance,
    now: i64,
    names: usize,
    holds: [Option<Lease>; WORKERS],
    told: Vec<(ChunkId, Told)>,
    /// Chunks and the requests that brought them back.
    back: BTreeSet<(ChunkId, String)>,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            store: Store::default(),
            network: Network::default(),
            chance: Chance::new(seed),
            now: NOW.0,
            names: 0,
            holds: Default::default(),
            told: vec![],
            back: BTreeSet::new(),
        }
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    fn send(&mut self, write: &Write) -> bool {
        let answer = self.network.send(&mut self.store, write, &mut self.chance);
        answer.is_some_and(|performed| performed.stands())
    }

    fn chunks(&self) -> BTreeMap<ChunkId, Chunk> {
        self.store.group(&facts(1).job).into_iter().collect()
    }

    /// Ids that anybody may come to work on, with their rows: whole chunks, and halves of split ones.
    fn open(&self) -> Vec<(ChunkId, u64)> {
        let stored = self.chunks();
        let mut open: Vec<_> = (0..CHUNKS).map(|chunk| (chunk_id(chunk), ROWS)).collect();
        let mut at = 0;
        while at < open.len() {
            let (id, rows) = open[at].clone();
            if stored.get(&id).is_some_and(|chunk| chunk.state == ChunkState::Split) {
                open.extend(id.halves().map(|half| (half, rows / 2)));
            }
            at += 1;
        }
        open
    }

    fn begin(&mut self, at: usize) {
        let open = self.open();
        let (id, _) = open[self.chance.below(open.len())].clone();
        let now = EpochSeconds(self.now);
        let worker = worker(&self.name("worker"));
        match acquire(&id, self.store.chunk(&id).as_ref(), &worker, now) {
            Acquire::Try(write, lease) => {
                if self.send(&write) {
                    self.holds[at] = Some(lease);
                }
            }
            Acquire::GiveUp(lease) => self.give_up(&lease),
            Acquire::Done(_) => self.replay(&id),
            Acquire::Failed => self.bring_back(&id),
            Acquire::Split(split) => self.told.push((id, Told::Split(split))),
            Acquire::Busy(_) => {}
        }
    }

    fn give_up(&mut self, lease: &Lease) {
        if self.send(&give_up(lease, &failure("poison"), EpochSeconds(self.now))) {
            let epoch = self.store.chunk(&lease.id).unwrap().epoch;
            self.told.push((lease.id.clone(), Told::Failed(epoch)));
        }
    }

    fn bring_back(&mut self, id: &ChunkId) {
        let request = format!("request {}", self.chance.below(6));
        let chunk = self.store.chunk(id).unwrap();
        self.send(&redrive_chunk(id, &chunk, &request).unwrap());
    }

    /// The outcome's name grows by a link with every swap.
    fn replay(&mut self, id: &ChunkId) {
        let chunk = self.store.chunk(id).unwrap();
        let from = chunk.outcome.unwrap();
        let to = outcome(&format!("{}+{}", from.sha256, self.name("swap")));
        if self.send(&swap_outcome(id, &from, &to)) {
            self.told.push((id.clone(), Told::Done(to.sha256)));
        }
    }

    /// One step under a lease; whether the worker goes on.
    fn go_on(&mut self, lease: &Lease) -> bool {
        let now = EpochSeconds(self.now);
        let rows = ROWS >> lease.id.part.len();
        match self.chance.below(12) {
            0..2 => {
                let stages = [Stage::Reading, Stage::Decoding, Stage::Sinking];
                let stage = stages[self.chance.below(stages.len())];
                return self.send(&renew(lease, stage, now));
            }
            2..4 => drop(self.send(&give_back(lease))),
            4..6 => self.give_up(lease),
            6..8 if rows > 1 => {
                // Cuts of two attempts differ here: the ledger must choose one of them.
                let packed_bytes = u64::try_from(lease.epoch).ok();
                let cut = Split { packed_bytes, ..cut(&range(0, rows)).unwrap() };
                if self.send(&split(lease, &cut)) {
                    self.told.push((lease.id.clone(), Told::Split(cut)));
                }
            }
            6..9 => {
                let outcome = outcome(&lease.owner);
                if self.send(&complete(lease, &outcome)) {
                    self.told.push((lease.id.clone(), Told::Done(outcome.sha256)));
                }
            }
            9 => return true, // slow
            _ => {}           // killed
        }
        false
    }

    fn turn(&mut self) {
        let at = self.chance.below(WORKERS);
        match self.holds[at].take() {
            None => self.begin(at),
            Some(lease) if self.go_on(&lease) => self.holds[at] = Some(lease),
            Some(_) => {}
        }
        self.now += i64::try_from(self.chance.below(30)).unwrap();
    }

    /// What may never happen to a stored chunk, whatever lands.
    fn check_step(&mut self, id: &ChunkId, before: &Chunk, after: &Chunk) {
        if before == after {
            return;
        }
        assert!(after.epoch >= before.epoch, "an epoch fell: {id}");
        let fenced = (after.epoch, &after.owner) == (before.epoch, &before.owner);
        match before.state {
            ChunkState::Split => panic!("a split chunk changed: {id} {after:?}"),
            ChunkState::Done => {
                let name = |chunk: &Chunk| chunk.outcome.clone().unwrap().sha256;
                assert!(after.state == ChunkState::Done && fenced, "{id} {after:?}");
                let link = name(after).strip_prefix(&name(before)).unwrap().to_owned();
                assert_eq!(
                    link.matches('+').count(),
                    1,
                    "not made from the outcome before: {link}"
                );
            }
            ChunkState::Failed => {
                assert_eq!((after.state, after.epoch), (ChunkState::Ready, before.epoch + 1));
                assert_eq!((after.attempts, after.sink_deaths), (0, 0));
                let item = &self.store.items[&id.key()];
                let request = Fields(item).need_text("redrive").unwrap().to_owned();
                self.back.insert((id.clone(), request));
            }
            ChunkState::Ready | ChunkState::Leased => match after.state {
                ChunkState::Leased if after.epoch > before.epoch => {
                    assert_eq!(after.epoch, before.epoch + 1, "an epoch was skipped");
                }
                ChunkState::Leased | ChunkState::Ready | ChunkState::Done | ChunkState::Split => {
                    assert!(fenced && before.state == ChunkState::Leased, "{id} {after:?}");
                }
                ChunkState::Failed => assert!(fenced, "{id} {after:?}"),
            },
        }
    }

    fn check(&mut self, before: &BTreeMap<ChunkId, Chunk>) -> BTreeMap<ChunkId, Chunk> {
        let after = self.chunks();
        for (id, was) in before {
            self.check_step(id, was, &after[id]);
        }
        for (id, told) in &self.told {
            let chunk = &after[id];
            match told {
                Told::Done(name) => {
                    let now = chunk.outcome.as_ref().map(|outcome| &outcome.sha256);
                    assert!(now.is_some_and(|now| now.starts_with(name)), "{id} {told:?} {now:?}");
                }
                Told::Split(split) => assert_eq!(chunk.split.as_ref(), Some(split)),
                Told::Failed(epoch) => {
                    let failed = chunk.state == ChunkState::Failed;
                    assert!(chunk.epoch > *epoch || (failed && chunk.epoch == *epoch), "{id}");
                }
            }
        }
        for (id, _) in after.iter().filter(|(id, _)| id.parent().is_some()) {
            let (parent, _) = id.parent().unwrap();
            assert_eq!(after[&parent].state, ChunkState::Split, "a part of a whole chunk: {id}");
        }
        after
    }

    /// Once faults end, one worker and one operator bring every row to an outcome.
    fn finish(&mut self) {
        self.now += LEASE_SECONDS + 1;
        let now = EpochSeconds(self.now);
        while let Some((id, _)) = self.open().into_iter().find(|(id, _)| {
            let chunk = self.store.chunk(id);
            !chunk.is_some_and(|c| matches!(c.state, ChunkState::Done | ChunkState::Split))
        }) {
            match acquire(&id, self.store.chunk(&id).as_ref(), &worker("last"), now) {
                Acquire::Try(write, lease) => {
                    self.store.must(&write);
                    self.store.must(&complete(&lease, &outcome("last")));
                }
                Acquire::GiveUp(lease) => {
                    self.store.must(&give_up(&lease, &failure("attempts"), now));
                }
                Acquire::Failed => {
                    let chunk = self.store.chunk(&id).unwrap();
                    self.store.must(&redrive_chunk(&id, &chunk, "last").unwrap());
                }
                other @ (Acquire::Done(_) | Acquire::Split(_) | Acquire::Busy(_)) => {
                    panic!("stuck: {id} {other:?}")
                }
            }
        }
        let stored = self.store.group(&facts(1).job);
        assert!(close_group(&facts(1).job, 0, CHUNKS, &stored).is_some());
        assert!(leaves(&stored).all(|(_, chunk)| chunk.state == ChunkState::Done));
    }
}

#[test]
fn split_chunks_stay_split_and_done_ones_change_only_by_replays_of_what_they_are() {
    let mut tally = Tally::default();
    for seed in 0..120 {
        let mut world = World::new(seed);
        let mut before = world.chunks();
        for _ in 0..TURNS {
            world.turn();
            before = world.check(&before);
            let World { network, store, chance, .. } = &mut world;
            network.land(store, chance);
            before = world.check(&before);
        }
        for (id, told) in &world.told {
            match told {
                Told::Done(name) if name.contains('+') => tally.swapped += 1,
                Told::Done(_) => tally.done += 1,
                Told::Split(_) if !id.part.is_empty() => tally.nested += 1,
                Told::Split(_) => tally.split += 1,
                Told::Failed(_) => tally.failed += 1,
            }
        }
        tally.brought_back += world.back.len();
        tally.landed_late += world.network.landed_late;
        world.finish();
    }
    let Tally { done, split, nested, failed, brought_back, swapped, landed_late } = tally;
    let met = [done, split, nested, failed, brought_back, swapped, landed_late];
    assert!(met.iter().all(|count| *count >= 100), "{met:?}");
}
