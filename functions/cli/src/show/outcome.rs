//! What became of one input: the line that `--json` prints.

use rowproof_core::block::Repairs;
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::receipt::{Counts, Manifest};
use rowproof_io::app::App;
use rowproof_io::documents::job::layout_of;
use serde::Serialize;

use crate::exit::{FAILED, HELD, OK};

/// The state of an input that is no data by its name, and has no job.
const SKIPPED: &str = "SKIPPED";

/// One input of a run. The keys are a contract: more may come, none is renamed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) input: String,
    pub(crate) job: Option<String>,
    pub(crate) state: String,
    pub(crate) rows_read: u64,
    pub(crate) rows_loaded: u64,
    pub(crate) rows_unchanged: u64,
    pub(crate) rows_filtered: u64,
    pub(crate) rows_superseded: u64,
    pub(crate) rows_rejected: u64,
    /// Rows of the table that the file does not have and that were deleted.
    pub(crate) rows_deleted: u64,
    /// Records that were not read as they are written.
    pub(crate) repairs: Repairs,
    pub(crate) chunks: u32,
    pub(crate) bytes_read: u64,
    pub(crate) seconds: f64,
    /// Published files, relative to the folder.
    pub(crate) data: Vec<String>,
    /// Failure archive files, relative to the folder.
    pub(crate) failures: Vec<String>,
    /// Relative to the folder.
    pub(crate) manifest: Option<String>,
    pub(crate) balanced: bool,
    /// This very file had been loaded before, under this very pipeline: nothing was written.
    pub(crate) already_loaded: bool,
    /// Columns of the file that the pipeline does not read.
    pub(crate) columns_not_read: Vec<String>,
    pub(crate) error: Option<String>,
    /// Reasons for rejection, most rows first.
    pub(crate) reasons: Vec<rowproof_core::receipt::Reason>,
}

impl Outcome {
    /// An input that has no job, for this reason.
    pub(crate) fn without_job(input: &str, error: &str) -> Outcome {
        Outcome::new(input, "FAILED", Some(error.to_owned()))
    }

    /// An input that is no data by its name.
    pub(crate) fn skipped(input: &str, what: &str) -> Outcome {
        Outcome::new(input, SKIPPED, Some(format!("skipped by its name: {what}")))
    }

    fn new(input: &str, state: &str, error: Option<String>) -> Outcome {
        Outcome {
            input: input.to_owned(),
            job: None,
            state: state.to_owned(),
            rows_read: 0,
            rows_loaded: 0,
            rows_unchanged: 0,
            rows_filtered: 0,
            rows_superseded: 0,
            rows_rejected: 0,
            rows_deleted: 0,
            repairs: Repairs::default(),
            chunks: 0,
            bytes_read: 0,
            seconds: 0.0,
            data: vec![],
            failures: vec![],
            manifest: None,
            balanced: false,
            already_loaded: false,
            columns_not_read: vec![],
            error,
            reasons: vec![],
        }
    }

    /// A job as it stands.
    pub(crate) async fn of(app: &App, input: &str, job: &Job) -> anyhow::Result<Outcome> {
        let mut outcome = Outcome::new(input, job.state.as_str(), error_text(job));
        outcome.job = Some(job.facts.job.0.clone());
        if let Some(manifest) = load_manifest(app, job).await? {
            outcome.take(&manifest);
            if job.state == JobState::Committed {
                outcome.data = prefixed("output", manifest.files.iter().map(|file| &file.key));
                outcome.manifest = job.manifest.as_ref().map(|key| format!("output/{key}"));
            }
            // The figures stand without the plan, whose file somebody may have removed.
            if let Ok(layout) = layout_of(app, job).await {
                outcome.columns_not_read = layout.new_columns;
            }
        } else if let Some(key) = &job.manifest {
            outcome.error = Some(format!(
                "output/{key} is gone: files of this folder were removed; load the input into another --out"
            ));
        }
        Ok(outcome)
    }

    fn take(&mut self, manifest: &Manifest) {
        let totals = &manifest.totals;
        let Counts { read, loaded, unchanged, filtered, superseded, rejected } = totals.counts;
        self.rows_read = read;
        self.rows_loaded = loaded;
        self.rows_unchanged = unchanged;
        self.rows_filtered = filtered;
        self.rows_superseded = superseded;
        self.rows_rejected = rejected;
        self.rows_deleted = manifest.deleted;
        self.repairs = totals.repairs;
        self.chunks = totals.chunks;
        self.bytes_read = totals.bytes_read;
        self.balanced = manifest.balanced();
        self.failures = prefixed("failures", manifest.failures.iter().map(|file| &file.key));
        self.reasons.clone_from(&totals.reasons);
    }

    /// Exit code of this input alone.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.state.as_str() {
            "COMMITTED" if self.balanced && self.error.is_none() => OK,
            "HELD" => HELD,
            SKIPPED => OK,
            _ => FAILED,
        }
    }
}

fn prefixed<'a>(bucket: &str, keys: impl Iterator<Item = &'a String>) -> Vec<String> {
    keys.map(|key| format!("{bucket}/{key}")).collect()
}

fn error_text(job: &Job) -> Option<String> {
    match job.state {
        JobState::Held => job.hold.as_ref().map(|hold| hold.message.clone()),
        JobState::Failed | JobState::Blocked => {
            job.failure.as_ref().map(|failure| format!("{}: {}", failure.code, failure.message))
        }
        JobState::Superseded => Some("a newer file holds its place".to_owned()),
        JobState::Planning | JobState::Running | JobState::Committing => {
            Some("it did not settle; run the same command again".to_owned())
        }
        JobState::Committed => None,
    }
}

/// The newest document with a job's totals: its manifest, or the outcome list it was judged by. A
/// replay has none: its rows are in the totals of the job that it replayed.
pub(crate) async fn load_manifest(app: &App, job: &Job) -> anyhow::Result<Option<Manifest>> {
    if job.facts.replay.is_some() {
        return Ok(None);
    }
    let held = job.hold.as_ref().map(|hold| rowproof_core::names::intent(&job.facts, &hold.shown));
    let intent = job.intent.as_ref().map(|intent| intent.key.clone());
    let Some(key) = job.manifest.clone().or(held).or(intent) else { return Ok(None) };
    let Some(bytes) = app.store.get(&app.settings.output_bucket, &key).await? else {
        return Ok(None);
    };
    Ok(Some(serde_json::from_slice(&bytes)?))
}
