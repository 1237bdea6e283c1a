//! Workers in any order, with lost answers, late writes and clocks that disagree by hours.

use std::collections::BTreeMap;

use super::fixtures::*;
use super::random::{Chance, Network};
use crate::ledger::*;
use crate::time::EpochSeconds;

const CHUNKS: u32 = 3;
const WORKERS: usize = 4;

struct Process {
    name: usize,
    run: Option<String>,
    clock_error: i64,
    holds: Option<Lease>,
}

#[derive(Default)]
struct Tally {
    done: usize,
    failed: usize,
    refused: usize,
    lost: usize,
    landed_late: usize,
}

struct World {
    store: Store,
    network: Network,
    chance: Chance,
    now: i64,
    acquisitions: usize,
    /// What a worker was told stands: the outcome of a chunk, `None` for a failure.
    told: BTreeMap<u32, Option<OutcomeRef>>,
    refused: usize,
}

impl World {
    fn new(seed: u64) -> World {
        World {
            store: Store::default(),
            network: Network::default(),
            chance: Chance::new(seed),
            now: NOW.0,
            acquisitions: 0,
            told: BTreeMap::new(),
            refused: 0,
        }
    }

    fn send(&mut self, write: &Write) -> Option<bool> {
        let answer = self.network.send(&mut self.store, write, &mut self.chance)?;
        self.refused += usize::from(!answer.stands());
        Some(answer.stands())
    }

    /// A worker reported a verdict; it must be the only one ever.
    fn tell(&mut self, chunk: u32, verdict: Option<OutcomeRef>) {
        let before = self.told.entry(chunk).or_insert_with(|| verdict.clone());
        assert_eq!(*before, verdict, "two verdicts on chunk {chunk}");
    }

    fn begin(&mut self, process: &mut Process, now: EpochSeconds) {
        let id = chunk_id(u32::try_from(self.chance.below(3)).unwrap());
        self.acquisitions += 1;
        let worker = Worker {
            owner: format!("{}-{}", process.name, self.acquisitions),
            run: process.run.clone(),
            lease_seconds: LEASE_SECONDS,
        };
        match acquire(&id, self.store.chunk(&id).as_ref(), &worker, now) {
            Acquire::Try(write, lease) => {
                if self.send(&write) == Some(true) {
                    process.holds = Some(lease);
                }
            }
            Acquire::GiveUp(lease) => {
                if self.send(&give_up(&lease, &failure("attempts"), now)) == Some(true) {
                    self.tell(id.chunk, None);
                }
            }
            Acquire::Done(outcome) => self.tell(id.chunk, Some(outcome)),
            Acquire::Failed => self.tell(id.chunk, None),
            Acquire::Split(split) => panic!("nobody splits here: {split:?}"),
            Acquire::Busy(until) => assert!(until >= now, "busy with an expired lease"),
        }
    }

    /// A write under a lease stands only while its epoch is the chunk's.
    fn fenced(&mut self, lease: &Lease, write: &Write) -> Option<bool> {
        let stands = self.send(write)?;
        let epoch = self.store.chunk(&lease.id).unwrap().epoch;
        assert!(!stands || epoch == lease.epoch, "{} of a fenced worker", write.name);
        Some(stands)
    }

    /// One step under a lease; the lease is gone unless the worker goes on.
    fn go_on(&mut self, lease: &Lease, now: EpochSeconds) -> bool {
        let chunk = lease.id.chunk;
        match self.chance.below(10) {
            0..3 => self.fenced(lease, &renew(lease, Stage::Sinking, now)) == Some(true),
            3..5 => {
                self.fenced(lease, &give_back(lease));
                false
            }
            5 => {
                if self.send(&give_up(lease, &failure("poison"), now)) == Some(true) {
                    self.tell(chunk, None);
                }
                false
            }
            6..8 => {
                // Attempts write different bytes here: the ledger must choose one of them.
                let outcome = outcome(&lease.owner);
                if self.send(&complete(lease, &outcome)) == Some(true) {
                    self.tell(chunk, Some(outcome));
                }
                false
            }
            8 => false, // killed
            _ => true,  // slow
        }
    }
}

/// What may never happen to a stored chunk, whatever lands.
fn check_step(before: Option<&Chunk>, after: Option<&Chunk>) {
    let Some(before) = before else { return };
    let after = after.unwrap();
    assert!(after.epoch >= before.epoch, "an epoch fell");
    if matches!(before.state, ChunkState::Done | ChunkState::Failed) {
        assert_eq!(after, before, "a verdict changed");
    }
    if let Some(outcome) = &after.outcome {
        let owner = after.owner.as_deref();
        assert_eq!(Some(outcome.sha256.as_str()), owner, "the outcome of a fenced worker");
    }
    let gave_way = matches!(after.state, ChunkState::Ready | ChunkState::Leased);
    if gave_way && after.epoch > before.epoch {
        assert_eq!(after.epoch, before.epoch + 1, "an epoch was skipped");
        assert_eq!(after.state, ChunkState::Leased, "only T4 raises the epoch");
    }
    let holder = |chunk: &Chunk| (chunk.epoch, chunk.owner.clone());
    if after.epoch == before.epoch {
        assert_eq!(holder(after), holder(before), "two holders of one epoch");
    }
}

fn run_seed(seed: u64, runs: &[Option<&str>], clock_errors: bool, tally: &mut Tally) {
    let mut world = World::new(seed);
    let mut processes: Vec<Process> = (0..WORKERS)
        .map(|name| Process {
            name,
            run: runs[name % runs.len()].map(str::to_owned),
            clock_error: match (clock_errors, name) {
                (true, 1) => 86_400,
                (true, 2) => -86_400,
                _ => 0,
            },
            holds: None,
        })
        .collect();
    for _ in 0..120 {
        let before: Vec<_> = (0..CHUNKS).map(|n| world.store.chunk(&chunk_id(n))).collect();
        let at = world.chance.below(WORKERS);
        let process = &mut processes[at];
        let now = EpochSeconds(world.now + process.clock_error);
        match process.holds.take() {
            None => world.begin(process, now),
            Some(lease) if world.go_on(&lease, now) => process.holds = Some(lease),
            Some(_) => {}
        }
        world.now += i64::try_from(world.chance.below(30)).unwrap();
        let middle: Vec<_> = (0..CHUNKS).map(|n| world.store.chunk(&chunk_id(n))).collect();
        let World { network, store, chance, .. } = &mut world;
        network.land(store, chance);
        for n in 0..CHUNKS {
            let at = usize::try_from(n).unwrap();
            let after = world.store.chunk(&chunk_id(n));
            check_step(before[at].as_ref(), middle[at].as_ref());
            check_step(middle[at].as_ref(), after.as_ref());
            if let Some(told) = world.told.get(&n) {
                let after = after.unwrap();
                assert_eq!(after.outcome, *told, "seed {seed}: not what a worker was told");
                assert_eq!(after.state == ChunkState::Failed, told.is_none());
            }
        }
    }
    tally.done += world.told.values().filter(|told| told.is_some()).count();
    tally.failed += world.told.values().filter(|told| told.is_none()).count();
    tally.refused += world.refused;
    tally.lost += world.network.lost;
    tally.landed_late += world.network.landed_late;
}

/// The runs must have met what they are about.
fn check_tally(tally: &Tally) {
    let Tally { done, failed, refused, lost, landed_late } = tally;
    let least = [done, failed, refused, lost, landed_late].into_iter().min().unwrap();
    assert!(*least >= 50, "{done} {failed} {refused} {lost} {landed_late}");
}

#[test]
fn a_chunk_has_one_verdict_in_any_order_of_workers_and_writes() {
    let mut tally = Tally::default();
    for seed in 0..300 {
        run_seed(seed, &[None], false, &mut tally);
    }
    check_tally(&tally);
}

#[test]
fn clocks_a_day_apart_cost_work_and_never_a_verdict() {
    let mut tally = Tally::default();
    for seed in 0..300 {
        run_seed(seed, &[None], true, &mut tally);
    }
    check_tally(&tally);
}

#[test]
fn runs_that_overlap_by_mistake_cost_work_and_never_a_verdict() {
    let mut tally = Tally::default();
    for seed in 0..300 {
        run_seed(seed, &[Some("one"), Some("two"), None], true, &mut tally);
    }
    check_tally(&tally);
}

#[test]
fn every_chunk_gets_its_verdict_once_faults_end() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        let mut process = Process { name: 0, run: None, clock_error: 0, holds: None };
        for _ in 0..40 {
            world.begin(&mut process, EpochSeconds(world.now));
            if let Some(lease) = process.holds.take() {
                world.go_on(&lease, EpochSeconds(world.now));
            }
            world.now += 7;
        }
        world.now += LEASE_SECONDS + 1;
        for n in 0..CHUNKS {
            let id = chunk_id(n);
            let now = EpochSeconds(world.now);
            match acquire(&id, world.store.chunk(&id).as_ref(), &worker("last"), now) {
                Acquire::Try(write, lease) => {
                    world.store.must(&write);
                    world.store.must(&complete(&lease, &outcome("last")));
                }
                Acquire::GiveUp(lease) => {
                    world.store.must(&give_up(&lease, &failure("attempts"), now));
                }
                Acquire::Done(_) | Acquire::Split(_) | Acquire::Failed => {}
                Acquire::Busy(until) => panic!("seed {seed}: stuck until {until:?}"),
            }
        }
    }
}
