//! What may be cleaned up: decided from names, job states and ages alone. Whatever is not understood
//! is kept.

use crate::ids::JobId;
use crate::ledger::{Job, JobState};
use crate::time::EpochSeconds;

/// Committed generations of a slot whose staged files are kept: the visible one, and the one to go
/// back to.
pub const GENERATIONS_KEPT: usize = 2;

/// Seconds for which the files of a FAILED job are kept, since it may be brought back: 30 days, as
/// long as a hold may last.
pub const FAILED_KEPT_SECONDS: i64 = 30 * 86_400;

/// Characters of a job's id.
const JOB_ID_CHARS: usize = 26;

/// The job whose working files a key below `_staging/` or `_plans/` belongs to.
pub fn job_of_working_file(key: &str) -> Option<JobId> {
    let rest = key.strip_prefix("_staging/").or_else(|| key.strip_prefix("_plans/"))?;
    job_id_of(rest.split_once('/')?.0)
}

/// Generation and job in the name of a published data file; `None` for anybody else's file.
pub fn publisher(key: &str) -> Option<(i64, JobId)> {
    let (_, name) = key.rsplit_once('/')?;
    let mut parts = name.strip_suffix(".parquet")?.splitn(3, '-');
    let (generation, job, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let starts_with_chunk = rest.split(['-', '.']).next().is_some_and(digits);
    if !digits(generation) || !starts_with_chunk {
        return None;
    }
    Some((generation.parse().ok()?, job_id_of(job)?))
}

/// Generation and job of a manifest's or intent's key.
pub fn documented(key: &str) -> Option<(i64, JobId)> {
    let mut parts = key.strip_suffix(".json")?.strip_prefix("manifests/")?.split('/');
    let (_slot, generation, name) = (parts.next()?, parts.next()?, parts.next()?);
    let job = job_id_of(name.split_once('-')?.0)?;
    Some((generation.parse().ok()?, job)).filter(|_| parts.next().is_none())
}

fn job_id_of(text: &str) -> Option<JobId> {
    let base32 = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
    let is_id = text.len() == JOB_ID_CHARS && text.bytes().all(base32);
    is_id.then(|| JobId(text.to_owned()))
}

/// What is to be done with the files that a job worked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are needed, or may be.
    Keep,
    /// Nobody will ask for them again.
    Remove,
    /// They may go unless one of the slot's [`GENERATIONS_KEPT`] last committed manifests names them.
    RemoveUnlessNamed,
}

/// What becomes of the files that a job left below `_staging/` and `_plans/`. A job that the ledger
/// does not know keeps them: the ledger may have been restored.
pub fn fate_of_working_files(job: Option<&Job>, now: EpochSeconds, grace_seconds: i64) -> Fate {
    let Some(job) = job else { return Fate::Keep };
    let is_older = |seconds: i64| job.updated_at.plus(seconds) < now;
    match job.state {
        JobState::Superseded if is_older(grace_seconds) => Fate::Remove,
        JobState::Failed if is_older(grace_seconds.max(FAILED_KEPT_SECONDS)) => Fate::Remove,
        JobState::Committed if is_older(grace_seconds) => Fate::RemoveUnlessNamed,
        JobState::Superseded
        | JobState::Failed
        | JobState::Committed
        | JobState::Planning
        | JobState::Running
        | JobState::Blocked
        | JobState::Held
        | JobState::Committing => Fate::Keep,
    }
}

/// Whether a published file that no manifest or intent of its job names may go: its job is over, and
/// a worker that was cut off may have written it long ago.
pub fn is_stray(
    job: Option<&Job>,
    stored_at: EpochSeconds,
    now: EpochSeconds,
    grace_seconds: i64,
) -> bool {
    let is_over = job.is_some_and(|job| match job.state {
        JobState::Committed | JobState::Superseded | JobState::Failed => {
            job.updated_at.plus(grace_seconds) < now
        }
        JobState::Planning
        | JobState::Running
        | JobState::Blocked
        | JobState::Held
        | JobState::Committing => false,
    });
    is_over && stored_at.plus(grace_seconds) < now
}

#[cfg(test)]
mod tests;
