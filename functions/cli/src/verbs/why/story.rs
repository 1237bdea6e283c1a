//! A job's story in plain sentences: a pure function of what was read.

use rowproof_core::ids::JobId;
use rowproof_core::ledger::{Failure, HoldReason, Job, JobState};
use rowproof_core::receipt::Manifest;
use serde::Serialize;

use crate::show::jobs::Tally;
use crate::show::report::{approval_of, counted, grouped};

/// Chunks that were given up and later jobs, named one by one.
const GIVEN_UP_MAX: usize = 5;
const LATER_MAX: usize = 3;

/// The pipeline file that is stored now, beside the one the job ran under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Today {
    /// They are one.
    Same,
    /// Another one, of this hash.
    Differs(String),
    /// None of this name is stored.
    Gone,
}

/// A chunk that failed for good. The keys are a contract: more may come, none is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct GivenUp {
    /// `3`, or `3.01` for a part of it.
    pub(crate) chunk: String,
    /// Why.
    #[serde(flatten)]
    pub(crate) failure: Failure,
}

/// The table in a database that rows went into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// With its schema.
    pub(crate) name: String,
    /// Rows of an earlier version can be put back.
    pub(crate) goes_back: bool,
}

/// Everything that is known about a job.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) job: Job,
    pub(crate) tally: Tally,
    pub(crate) given_up: Vec<GivenUp>,
    /// Other jobs of its place, oldest first.
    pub(crate) others: Vec<Job>,
    /// The job that an operator put in its place by going back from it.
    pub(crate) went_back_to: Option<JobId>,
    /// Its manifest, or the totals it was judged by.
    pub(crate) manifest: Option<Manifest>,
    /// Job of the newest version in its place.
    pub(crate) head: Option<JobId>,
    /// The job whose rows are visible in its place.
    pub(crate) visible: Option<Job>,
    pub(crate) visible_manifest: Option<Manifest>,
    pub(crate) today: Today,
    /// How the file's columns differ from the contract and from the file before it.
    pub(crate) columns: Option<String>,
    /// Where the rows are, unless they are in files.
    pub(crate) table: Option<Table>,
    /// Its key still has an object in the input bucket.
    pub(crate) is_stored: bool,
    /// A process runs the folder's functions.
    pub(crate) runs: bool,
    pub(crate) dir: String,
}

impl Story {
    /// One sentence or two a line.
    pub(crate) fn tell(&self) -> Vec<String> {
        let mut lines = vec![self.headline(), self.file(), self.pipeline()];
        lines.extend(self.removed());
        lines.extend(self.origin());
        lines.extend(self.columns.as_ref().map(|text| format!("columns: {text}")));
        lines.extend(self.work());
        lines.extend(self.rows());
        lines.extend(self.hold());
        lines.extend(self.failure());
        lines.push(self.visible());
        lines.extend(self.afterwards());
        lines
    }

    fn headline(&self) -> String {
        let meaning = match self.job.state {
            JobState::Planning => "its chunks are being found",
            JobState::Running => "its chunks are being processed",
            JobState::Blocked => "a chunk failed for good, so it cannot end",
            JobState::Held => "it waits for your decision; nothing of it is visible",
            JobState::Committing => "its rows are being published",
            JobState::Committed => "its rows were published and its books balance",
            JobState::Superseded => "a newer file or run took its place before it was published",
            JobState::Failed => "it ended without publishing a row",
        };
        format!("job {} is {}: {meaning}", self.job.facts.job, self.job.state.as_str())
    }

    fn file(&self) -> String {
        let object = &self.job.facts.object;
        let version = object.version_id.as_ref();
        let version = version.map(|id| format!(", version {id}")).unwrap_or_default();
        format!(
            "file: {} of {} bytes, stored {} (etag {}{version})",
            object.uri(),
            grouped(object.size),
            object.last_modified.rfc3339(),
            object.etag
        )
    }

    /// What becomes of rows whose file was deleted.
    fn removed(&self) -> Option<String> {
        (!self.is_stored).then(|| {
            "  it is not in its bucket any more; rows that it loaded stay, and only a newer file takes \
             their place"
                .to_owned()
        })
    }

    fn pipeline(&self) -> String {
        let facts = &self.job.facts;
        let today = match &self.today {
            Today::Same => "the pipeline file stored now is the same".to_owned(),
            Today::Differs(sha256) => {
                format!("the pipeline file stored now is another one, {}", short(sha256))
            }
            Today::Gone => "no pipeline file of this name is stored now".to_owned(),
        };
        format!(
            "pipeline: {} as of {}, begun {}; {today}",
            facts.pipeline,
            short(&facts.pipeline_sha),
            facts.created_at.rfc3339()
        )
    }

    /// Whose rows it is about, when it reads no file itself.
    fn origin(&self) -> Option<String> {
        let facts = &self.job.facts;
        let replay = facts.replay.as_ref();
        let replays =
            replay.map(|replay| format!("it replays failed rows of job {}", replay.parent));
        let reverts = facts.reverts.as_ref();
        let reverts = reverts
            .map(|earlier| format!("an operator went back: its rows are those of job {earlier}"));
        replays.or(reverts)
    }

    /// What others did to its rows since.
    fn afterwards(&self) -> Vec<String> {
        let (id, generation) = (&self.job.facts.job, self.job.facts.generation);
        let mut lines = vec![];
        if let Some(lock) = &self.job.replay {
            lines.push(format!("now: job {} is changing its rows by a replay", lock.job));
        }
        let is_replay = |other: &&Job| other.facts.replay.as_ref().map(|r| &r.parent) == Some(id);
        for replay in self.others.iter().filter(is_replay) {
            let (replay, state) = (&replay.facts.job, replay.state.as_str());
            lines.push(format!("replay: job {replay} of its failed rows is {state}"));
        }
        if let Some(job) = &self.went_back_to {
            lines.push(format!("later: an operator went back from this version, by job {job}"));
        }
        let is_later =
            |other: &&Job| other.facts.generation > generation && other.facts.replay.is_none();
        let later: Vec<_> = self.others.iter().filter(is_later).collect();
        for other in later.iter().rev().take(LATER_MAX) {
            let (facts, state) = (&other.facts, other.state.as_str());
            let stored = facts.object.last_modified.rfc3339();
            let (job, uri) = (&facts.job, facts.object.uri());
            lines.push(format!("later: job {job} of {uri}, stored {stored}, is {state}"));
        }
        if later.len() > LATER_MAX {
            lines.push(format!("  and {} before them", counted_of(later.len() - LATER_MAX, "job")));
        }
        lines
    }

    fn work(&self) -> Vec<String> {
        let tally = &self.tally;
        let mut lines = vec![];
        match (tally.total, &self.job.plan) {
            (None, None) if self.job.state == JobState::Superseded => {
                lines.push("work: none; it was overtaken before its plan was made".to_owned());
            }
            (None, None) => lines.push("work: no plan was made".to_owned()),
            (total, _) => {
                let total = match total {
                    Some(total) => counted(total.into(), "chunk"),
                    None => "chunks one after the other, their number not known yet".to_owned(),
                };
                let states = [
                    (tally.done, "done"),
                    (tally.leased, "with a worker"),
                    (tally.waiting(), "waiting"),
                    (tally.failed, "given up"),
                ];
                let states: Vec<_> = states
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, name)| format!("{count} {name}"))
                    .collect();
                lines.push(format!("work: {total}: {}", states.join(", ")));
            }
        }
        if tally.retaken > 0 {
            let chunks = counted(tally.retaken.into(), "chunk");
            lines.push(format!(
                "  {chunks} begun more than once: a worker died, was cut off or ran out of time"
            ));
        }
        if tally.split > 0 {
            let chunks = counted(tally.split.into(), "chunk");
            lines.push(format!("  {chunks} cut in two to find a record that kills its workers"));
        }
        for GivenUp { chunk, failure } in self.given_up.iter().take(GIVEN_UP_MAX) {
            let Failure { code, message } = failure;
            lines.push(format!("  chunk {chunk} given up: {code}: {message}"));
        }
        if self.given_up.len() > GIVEN_UP_MAX {
            let more = self.given_up.len() - GIVEN_UP_MAX;
            lines.push(format!("  and {} more given up", counted_of(more, "chunk")));
        }
        lines
    }

    fn rows(&self) -> Vec<String> {
        let Some(manifest) = &self.manifest else { return vec![] };
        let (counts, totals) = (&manifest.totals.counts, &manifest.totals);
        let loaded = if self.job.state == JobState::Held { "good" } else { "loaded" };
        let mut lines = vec![format!(
            "rows: {} read = {} {loaded} + {} unchanged + {} filtered + {} superseded + {} rejected",
            grouped(counts.read),
            grouped(counts.loaded),
            grouped(counts.unchanged),
            grouped(counts.filtered),
            grouped(counts.superseded),
            grouped(counts.rejected)
        )];
        if manifest.deleted > 0 {
            let gone = counted(manifest.deleted, "row");
            lines.push(format!("  {gone} of the table not in the file: deleted"));
        }
        lines.extend(manifest.problems.iter().map(|problem| format!("  not balanced: {problem}")));
        if totals.blank_lines > 0 {
            let blank = counted(totals.blank_lines, "line");
            lines
                .push(format!("  {blank} without a record: blank, a comment, or delimiters alone"));
        }
        for (kind, records) in totals.repairs.kinds() {
            lines.push(format!("  {} repaired: {kind}", grouped(records)));
        }
        for reason in totals.reasons.iter().take(3) {
            let column = reason.column.as_ref().map(|c| format!(" in {c}")).unwrap_or_default();
            lines.push(format!("  {} rejected: {}{column}", grouped(reason.rows), reason.code));
        }
        let poison = totals.reasons.iter().filter(|reason| reason.code == "poison");
        let poison: u64 = poison.map(|reason| reason.rows).sum();
        if poison > 0 {
            let records = counted(poison, "record");
            lines.push(format!("  {records} killed each worker that read it: archived as poison"));
        }
        lines
    }

    fn hold(&self) -> Vec<String> {
        let mut lines = vec![];
        if let Some(hold) = &self.job.hold {
            let kind = match hold.reason {
                HoldReason::Rejected => "too many rows were rejected",
                HoldReason::Missing => "too many rows of the table are missing from the file",
                HoldReason::Empty => "the file holds nothing",
                HoldReason::NoRows => "it would take rows away and bring none",
                HoldReason::Drift => "the file's header differs from the pipeline's columns",
                HoldReason::Unbalanced => {
                    "the books do not balance, which is a bug of rowproof: it cannot be approved"
                }
            };
            lines.push(format!("held: {kind}: {}", hold.message));
            let totals = self.manifest.as_ref().map(|manifest| &manifest.totals.counts);
            if let Some(counts) = totals.filter(|_| self.job.state == JobState::Held) {
                let told = approval_of(counts.read, counts.loaded, counts.rejected);
                lines.push(format!("  {told}"));
            }
        }
        if let Some(approval) = &self.job.approval {
            lines.push(format!("approved: by {}: {}", approval.by, approval.reason));
        }
        lines
    }

    fn failure(&self) -> Vec<String> {
        let Some(failure) = &self.job.failure else { return vec![] };
        let mut lines = vec![format!("failed: {}: {}", failure.code, failure.message)];
        lines.extend(meaning(failure).map(|text| format!("  {text}")));
        lines
    }

    fn visible(&self) -> String {
        let counts = self.visible_manifest.as_ref().map(|manifest| manifest.totals.counts);
        let counts = counts.unwrap_or_default();
        let rows = counted(counts.loaded, "row");
        let Some(visible) = &self.visible else {
            return "visible now: nothing in its place".to_owned();
        };
        let other = &visible.facts;
        if other.job == self.job.facts.job {
            if let Some(table) = &self.table {
                let unchanged = match counts.unchanged {
                    0 => String::new(),
                    rows => format!(", and {} that it found there", grouped(rows)),
                };
                return format!("visible now: its {rows} in table {}{unchanged}", table.name);
            }
            let files = self.visible_manifest.as_ref().map_or(0, |manifest| manifest.files.len());
            let files = counted(u64::try_from(files).unwrap_or(u64::MAX), "file");
            return format!("visible now: its {rows} in {files}");
        }
        let from = format!("job {} from {}", other.job, other.object.uri());
        match other.generation > self.job.facts.generation {
            true => format!(
                "visible now: the {rows} of {from}, which took its place {}",
                visible.updated_at.rfc3339()
            ),
            false => format!("visible now: still the {rows} of {from}, which came before it"),
        }
    }
}

/// What a failure's code means, in words.
fn meaning(failure: &Failure) -> Option<&'static str> {
    Some(match failure.code.as_str() {
        "poison" => "its workers died every time; a record may kill them, or memory was short",
        "undelivered" => "its message failed every time, before a worker could begin; see the log",
        "source_gone" => "the file was removed before all of it was read: store it again",
        "discarded" => "an operator dropped it; nothing of it was loaded",
        "bad_header" => "the header cannot be used, so no row could be read",
        "codec" => {
            "the file is of a kind that is not read: CSV and JSON Lines are, plain, gzip or zstd"
        }
        "encoding" => "the pipeline names a text encoding that does not exist",
        "truncated" => "the packed file ends too early: it was cut off; store it again",
        "corrupt" => "the packed file is damaged; store it again",
        "too_large" => "the file unpacks to more than is allowed",
        "sink" => "the rows cannot be written as the sink is set up; see [sink.parquet]",
        "block" => "a block of rows could not be built, which is a bug of rowproof",
        _ => return None,
    })
}

fn counted_of(number: usize, noun: &str) -> String {
    counted(u64::try_from(number).unwrap_or(u64::MAX), noun)
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

mod next;
#[cfg(test)]
mod tests;
