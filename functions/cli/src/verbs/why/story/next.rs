//! What to type next, for a job as it stands.

use rowproof_core::decode::REJECTS_ALL;
use rowproof_core::ledger::{HoldReason, Job, JobState};

use super::{Story, Today};

impl Story {
    /// Commands that help, best first.
    pub(crate) fn next(&self) -> Vec<String> {
        let (id, dir) = (&self.job.facts.job, &self.dir);
        let rerun = format!("rowproof rerun {id} --out {dir}");
        let discard = format!("rowproof discard {id} --out {dir} --reason \"...\"");
        match self.job.state {
            JobState::Planning | JobState::Running | JobState::Committing if self.runs => {
                vec![format!("rowproof status --out {dir} --follow")]
            }
            JobState::Planning | JobState::Running | JobState::Committing => {
                vec![
                    "the `rowproof run` command again, which goes on where it stopped".to_owned(),
                    format!("rowproof dev --out {dir}"),
                ]
            }
            JobState::Held => {
                let approve = format!("rowproof approve {id} --out {dir} --reason \"...\"");
                let unbalanced = self.job.hold.as_ref();
                let unbalanced = unbalanced.is_some_and(|h| h.reason == HoldReason::Unbalanced);
                match unbalanced {
                    true => vec![discard, rerun],
                    false if self.approval_loads_nothing() => vec![discard, approve],
                    false => vec![approve, discard],
                }
            }
            JobState::Blocked => vec![format!("rowproof redrive --job {id} --out {dir}"), rerun],
            JobState::Failed => vec![
                rerun,
                "correct the file or the pipeline file, then `rowproof run` them".to_owned(),
            ],
            JobState::Superseded => {
                let newer = self.head.as_ref().filter(|head| *head != id);
                newer.map(|newer| format!("rowproof why {newer} --out {dir}")).into_iter().collect()
            }
            JobState::Committed => {
                let mut next = match self.today != Today::Same && self.is_visible() {
                    true => vec![rerun],
                    false if self.table.is_some() => {
                        vec![format!("rowproof verify {id} --out {dir}")]
                    }
                    false => {
                        vec![format!("rowproof files {} --out {dir}", self.job.facts.pipeline)]
                    }
                };
                let goes_back = self.table.as_ref().is_none_or(|table| table.goes_back);
                if self.is_visible() && self.came_before() && goes_back {
                    let key = &self.job.facts.object.key;
                    next.push(format!("rowproof revert '{key}' --out {dir}"));
                }
                next
            }
        }
    }

    fn approval_loads_nothing(&self) -> bool {
        let told = self.job.hold.as_ref().is_some_and(|hold| hold.message.contains(REJECTS_ALL));
        let counts = self.manifest.as_ref().map(|manifest| manifest.totals.counts);
        told || counts.is_some_and(|counts| counts.read > 0 && counts.loaded == 0)
    }

    /// Whether an earlier version's rows were visible before its own.
    fn came_before(&self) -> bool {
        let generation = self.job.facts.generation;
        let earlier = |other: &Job| {
            other.state == JobState::Committed
                && other.facts.generation < generation
                && other.facts.replay.is_none()
        };
        self.others.iter().any(earlier)
    }

    fn is_visible(&self) -> bool {
        self.visible.as_ref().is_some_and(|visible| visible.facts.job == self.job.facts.job)
    }
}
