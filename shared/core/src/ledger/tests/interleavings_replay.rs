//! The part of operators in the interleavings over one slot: they bring jobs back, replay rows and go
//! back to earlier versions.

use super::fixtures::*;
use super::interleavings_job::World;
use crate::ledger::*;

/// What the runs must have met.
pub(super) const OF_RECOVERY: [&str; 8] = [
    "redrive_job",
    "postpone_job",
    "rest_job",
    "rest_slot",
    "lock_for_replay",
    "raise_manifest",
    "unlock_after_replay",
    "revert",
];

impl World {
    pub(super) fn bring_back(&mut self, job: &Job) {
        let rests = job.state == JobState::Blocked && self.chance.once_in(2);
        let write = if rests { rest_job(job) } else { redrive_job(job, NOW).unwrap() };
        self.send(&write);
    }

    /// Begins a replay of the job, or goes on with the one that has it.
    pub(super) fn replay(&mut self, job: &Job) {
        let Some(lock) = &job.replay else {
            let name = format!("{} at {} by {}", job.facts.job, job.rev, self.chance.below(2));
            self.send(&lock_for_replay(job, job.rev, &replay_lock(&name)));
            return;
        };
        let raised = job.manifest.as_ref().map(|manifest| {
            let (id, revision) = manifest.split_once('-').unwrap();
            format!("{id}-{}", revision.parse::<u32>().unwrap() + 1)
        });
        let raised = raised.filter(|_| job.state == JobState::Committed);
        if let (Some(from), Some(to)) = (&job.manifest, &raised) {
            // Refused when a newer job is shown: then the parent alone is raised.
            if self.send(&raise_manifest(job, from, to)).is_none() || self.chance.once_in(3) {
                return;
            }
        }
        let raised = raised.map(|key| PlanRef { sha256: key.clone(), key });
        self.send(&unlock_after_replay(job, lock, raised.as_ref(), NOW));
    }

    /// Goes back to any committed job of the slot; or finds out that its head is in the index itself.
    pub(super) fn go_back(&mut self) {
        let Some(slot) = self.store.slot() else { return };
        if self.chance.once_in(2) {
            if self.store.job(&slot.head_job).is_some() {
                self.send(&rest_slot(&slot));
            }
            return;
        }
        let jobs = self.jobs.iter().filter_map(|job| self.store.job(job));
        let committed: Vec<_> = jobs.filter(|job| job.state == JobState::Committed).collect();
        if committed.is_empty() {
            return;
        }
        let to = &committed[self.chance.below(committed.len())];
        let (write, job, _) = revert(&slot, &to.facts, NOW);
        if self.send(&write) == Some(true) {
            let slot = self.store.slot().unwrap();
            assert_eq!(slot.head_job, job, "told that it goes back, and it does not");
            assert!(slot.reverted.is_some(), "an operator's wish is forgotten");
            self.create_reverted();
        }
    }

    /// Creates the job of a head that an operator went back to.
    pub(super) fn create_reverted(&mut self) {
        let Some(slot) = self.store.slot() else { return };
        let Some(to) = slot.reverted.and_then(|reverted| self.store.job(&reverted.to)) else {
            return;
        };
        let facts = JobFacts {
            job: slot.head_job,
            generation: slot.generation,
            reverts: Some(to.facts.chunks_of().clone()),
            ..to.facts
        };
        self.create(&facts);
    }
}

/// While a replay has a job nothing but a newer version moves it, and only its replay lets it go.
pub(super) fn check_lock(before: &Job, after: &Job) {
    match (&before.replay, &after.replay) {
        (Some(was), Some(is)) => {
            assert_eq!((was, before.rev), (is, after.rev), "decided while a replay has it");
            assert!(after.state == before.state || after.state == JobState::Superseded);
        }
        (None, Some(_)) => {
            assert_eq!((after.state, after.rev), (before.state, before.rev + 1));
            assert!(matches!(after.state, JobState::Held | JobState::Committed));
        }
        (Some(_), None) => {
            assert_eq!(after.rev, before.rev + 1);
            let judged_anew = before.state == JobState::Held;
            let from = before.hold.as_ref().map(|hold| hold.from).filter(|_| judged_anew);
            assert_eq!(after.state, from.unwrap_or(before.state));
            assert!(!judged_anew || (after.hold.is_none() && after.approval.is_none()));
        }
        (None, None) => {}
    }
    if matches!(before.state, JobState::Blocked | JobState::Failed) && after.state != before.state {
        let back = after.state != JobState::Superseded;
        assert!(!back || (after.failure.is_none() && after.approval.is_none()));
        assert_eq!(after.rev > before.rev, back);
    }
}

/// Unfinished jobs are in the index of unfinished work; BLOCKED ones while something of them may go on.
pub(super) fn check_index(job: &Job, item: &Item) {
    let due = item.contains_key("due_shard");
    match job.state {
        JobState::Planning | JobState::Running | JobState::Committing => assert!(due),
        JobState::Blocked => {}
        JobState::Held | JobState::Committed | JobState::Superseded | JobState::Failed => {
            assert!(!due, "{:?} in the index", job.state);
        }
    }
}
