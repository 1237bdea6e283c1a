//! Observers, planners, operators and committers in any order over one slot.

use std::collections::{BTreeMap, BTreeSet};

use super::fixtures::*;
use super::interleavings_replay::{OF_RECOVERY, check_index, check_lock};
use super::random::{Chance, Network};
use crate::ids::JobId;
use crate::ledger::*;

/// From and to, by name.
type Step = (&'static str, &'static str);

pub(super) struct World {
    pub(super) store: Store,
    network: Network,
    pub(super) chance: Chance,
    pub(super) jobs: BTreeSet<JobId>,
    versions: i64,
    steps: BTreeSet<Step>,
    /// Kinds of decisions that stood.
    stood: BTreeMap<&'static str, usize>,
}

impl World {
    pub(super) fn send(&mut self, write: &Write) -> Option<bool> {
        let answer = self.network.send(&mut self.store, write, &mut self.chance)?;
        *self.stood.entry(write.name).or_default() += usize::from(answer.stands());
        Some(answer.stands())
    }

    /// HEAD of one of two keys: usually the current version, now and then a new one.
    fn observe(&mut self) {
        let slot = self.store.slot();
        self.versions += i64::from(self.chance.once_in(4));
        let key = ["a.csv", "b.csv"][self.chance.below(2)];
        let modified = self.versions - i64::from(key == "a.csv");
        let object = object(key, &format!("v{modified}"), modified);
        let again = self.chance.once_in(12);
        let observed = match again {
            true => restart(&slot_id(), slot.as_ref(), &object, false, NOW, 0),
            false => observe(&slot_id(), slot.as_ref(), &object, NOW, 0),
        };
        let generation = match observed {
            Observed::NewHead { write, generation, .. } => {
                if self.send(&write) != Some(true) {
                    return;
                }
                generation
            }
            Observed::IsHead { .. }
                if slot.as_ref().is_some_and(|slot| slot.reverted.is_some()) =>
            {
                return self.create_reverted();
            }
            Observed::Reverted => return self.create_reverted(),
            Observed::IsHead { generation, .. } => generation,
            Observed::Older => return,
        };
        self.create(&facts_of(object, generation));
    }

    pub(super) fn create(&mut self, facts: &JobFacts) {
        self.jobs.insert(facts.job.clone());
        self.send(&create(facts, NOW));
    }

    /// Reads a job and does whatever one may do about it, whoever else is doing so.
    fn work(&mut self, job: &JobId) {
        let (Some(job), Some(slot)) = (self.store.job(job), self.store.slot()) else {
            return;
        };
        let id = &job.facts.job;
        if slot.generation > job.facts.generation && self.chance.once_in(3) {
            self.send(&supersede(id, NOW));
            return;
        }
        if self.chance.once_in(10) {
            self.send(&postpone_job(&job, NOW));
            return;
        }
        match job.state {
            JobState::Planning => self.plan(&job),
            JobState::Running => self.run(&job),
            JobState::Held if self.chance.once_in(2) => self.replay(&job),
            JobState::Held => self.decide(&job, slot.generation),
            JobState::Committing => self.publish(&job),
            JobState::Committed if self.chance.once_in(2) => self.replay(&job),
            JobState::Committed => drop(self.send(&settle_slot(&job))),
            JobState::Superseded => self.replay(&job),
            JobState::Blocked | JobState::Failed => self.bring_back(&job),
        }
    }

    fn plan(&mut self, job: &Job) {
        let write = match self.chance.below(5) {
            0 => hold(job, HoldReason::Drift, "a column is gone", "header", NOW),
            1 => save_planning(job, &format!("at {}", self.versions), NOW),
            2 if self.chance.once_in(4) => fail(job, &failure("codec"), NOW),
            _ => seal_plan(job, &plan_ref(&job.facts.job.0), Some(3), NOW),
        };
        self.send(&write);
    }

    fn run(&mut self, job: &Job) {
        let write = match self.chance.below(8) {
            0 => hold(job, HoldReason::Rejected, "too many", "totals", NOW),
            1 => hold(job, HoldReason::Unbalanced, "a bug", "totals", NOW),
            2 | 3 if self.chance.once_in(2) => block(job, &failure("poison"), NOW),
            // Another revision freezes another list.
            _ => begin_commit(job, &plan_ref(&format!("list at {}", job.rev)), NOW),
        };
        self.send(&write);
    }

    fn decide(&mut self, job: &Job, head_generation: i64) {
        let decision = match self.chance.once_in(4) {
            true => discard(job, "ann", "no", NOW),
            false => approve(job, "ann", "fine", head_generation, NOW),
        };
        if let Ok(write) = decision {
            self.send(&write);
        }
    }

    fn publish(&mut self, job: &Job) {
        let manifest = format!("{}-0", job.facts.job);
        let Some(published) = self.send(&commit_slot(job, &manifest)) else {
            return;
        };
        let id = &job.facts.job;
        match published {
            true => self.send(&end_commit(job, &manifest, NOW)),
            false => self.send(&supersede_committing(id, NOW)),
        };
    }

    fn check_slot(&self, before: &Slot) {
        let slot = self.store.slot().unwrap();
        assert!(slot.rev >= before.rev && slot.generation >= before.generation);
        assert!(slot.committed_generation >= before.committed_generation);
        if slot.committed_generation == before.committed_generation {
            assert_eq!(slot.committed_job, before.committed_job);
            assert!(revision(&slot) >= revision(before), "a manifest was taken back");
        }
        let named = slot.manifest.as_ref().zip(slot.committed_job.as_ref());
        assert!(named.is_none_or(|(manifest, job)| manifest.starts_with(&job.0)));
        let same_key = slot.head_uri == before.head_uri || slot.reverted.is_some();
        assert!(same_key || slot.head_modified >= before.head_modified);
        assert!(slot.committed_generation <= slot.generation);
        let settled = self.store.job(&slot.head_job).is_some();
        let due = self.store.items[&Slot::key(&slot_id())].contains_key("due_shard");
        assert!(due || settled, "unfinished, and in no index");
    }

    fn check_job(&mut self, before: &Job) {
        let job = self.store.job(&before.facts.job).unwrap();
        assert_eq!(job.facts, before.facts);
        assert!(job.rev >= before.rev, "a revision fell");
        check_lock(before, &job);
        check_index(&job, &self.store.items[&Job::key(&job.facts.job)]);
        // A replay that ends gives the job its next manifest, and with it another hash of it.
        let raised = before.manifest.is_some() && before.manifest != job.manifest;
        let intents = (&before.intent, if raised { &before.intent } else { &job.intent });
        for (was, is) in [(&before.plan, &job.plan), intents] {
            assert!(was.is_none() || was == is, "a sealed document changed");
        }
        assert!(before.chunk_count.is_none() || before.chunk_count == job.chunk_count);
        if job.state == JobState::Committed {
            let slot = self.store.slot().unwrap();
            assert!(slot.committed_generation >= job.facts.generation);
        }
        if matches!(job.state, JobState::Committing | JobState::Committed) {
            assert!(job.intent.is_some() && job.plan.is_some());
        }
        if before.state != job.state {
            self.steps.insert((before.state.as_str(), job.state.as_str()));
        }
        let unbalanced = |job: &Job| {
            let hold = job.hold.as_ref();
            hold.is_some_and(|hold| hold.reason == HoldReason::Unbalanced)
        };
        let replayed = before.replay.is_some() && job.replay.is_none();
        if unbalanced(before) && !unbalanced(&job) && !replayed && job.state != JobState::Superseded
        {
            assert_eq!(job.state, JobState::Failed, "unbalanced books were approved");
        }
    }
}

/// The revision of the manifest that a slot shows.
fn revision(slot: &Slot) -> Option<u32> {
    let (_, revision) = slot.manifest.as_ref()?.split_once('-')?;
    revision.parse().ok()
}

/// Every step a job may take; nothing leaves COMMITTED or SUPERSEDED.
fn allowed() -> BTreeSet<Step> {
    use JobState::*;
    let steps = [
        (Planning, vec![Running, Held, Failed, Superseded]),
        (Running, vec![Committing, Held, Blocked, Superseded]),
        (Held, vec![Planning, Running, Failed, Superseded]),
        (Blocked, vec![Running, Superseded]),
        (Failed, vec![Planning, Running, Superseded]),
        (Committing, vec![Committed, Superseded]),
    ];
    let steps = steps.into_iter();
    steps
        .flat_map(|(from, to)| to.into_iter().map(move |to| (from.as_str(), to.as_str())))
        .collect()
}

#[test]
fn a_slot_goes_forward_in_any_order_of_observers_operators_and_committers() {
    let (mut steps, mut late, mut committed) = (BTreeSet::new(), 0, 0);
    let mut stood = BTreeMap::new();
    for seed in 0..120 {
        let mut world = World {
            store: Store::default(),
            network: Network::default(),
            chance: Chance::new(seed),
            jobs: BTreeSet::new(),
            versions: 1,
            steps: BTreeSet::new(),
            stood: BTreeMap::new(),
        };
        for turn in 0..160 {
            let before = world.store.items.clone();
            let known: Vec<JobId> = world.jobs.iter().cloned().collect();
            match turn % 2 {
                0 if known.is_empty() || world.chance.once_in(5) => world.observe(),
                0 if world.chance.once_in(12) => world.go_back(),
                0 => {
                    let at = world.chance.below(known.len());
                    world.work(&known[at]);
                }
                _ => {
                    let World { network, store, chance, .. } = &mut world;
                    network.land(store, chance);
                }
            }
            for (key, item) in &before {
                let changed = world.store.items.get(key) != Some(item);
                match key.sk.as_str() {
                    "S" if changed => world.check_slot(&Slot::from_item(item).unwrap()),
                    "J" if changed => world.check_job(&Job::from_item(item).unwrap()),
                    _ => {}
                }
            }
        }
        late += world.network.landed_late;
        committed += usize::from(world.store.slot().is_some_and(|s| s.committed_generation > 1));
        steps.append(&mut world.steps);
        for (name, times) in world.stood {
            *stood.entry(name).or_insert(0) += times;
        }
    }
    assert_eq!(steps, allowed());
    assert!(late > 1_000 && committed > 20, "{late} {committed}");
    for name in OF_RECOVERY {
        assert!(stood.get(name).is_some_and(|times| *times >= 20), "{name} {stood:?}");
    }
}
