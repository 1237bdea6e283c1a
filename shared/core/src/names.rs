//! Names of everything Rowproof stores on S3. A name ends in the content's hash wherever two attempts
//! could write different bytes.

use crate::ids::{JobId, SlotId};
use crate::ledger::{ChunkId, JobFacts};

/// Parsed pipelines, content-addressed: what jobs run under.
pub fn frozen_pipeline(sha256: &str) -> String {
    format!("_plans/pipelines/{sha256}.json")
}

/// Folder of the pipeline files that new objects are matched against.
pub const PIPELINES: &str = "_pipelines/";

/// Sealed plan of a job.
pub fn plan(job: &JobId, sha256: &str) -> String {
    format!("_plans/{job}/plan-{}.json", short(sha256))
}

/// Chunk ranges of one group.
pub fn segment(job: &JobId, group: u32, sha256: &str) -> String {
    format!("_plans/{job}/{group:04}-{}.json", short(sha256))
}

/// A chunk's outcome document.
pub fn outcome(id: &ChunkId, sha256: &str) -> String {
    format!("_staging/{}/{}-{}.json", id.job, id.padded(), short(sha256))
}

/// A chunk's data file before the commit.
pub fn staged(id: &ChunkId, sha256: &str) -> String {
    format!("_staging/{}/{}-{}.parquet", id.job, id.padded(), short(sha256))
}

/// A chunk's data file after the commit: `<path>/<column>=<value>/<gen>-<job>-<n>-<sha16>.parquet`.
/// The generation and the job are part of it: the same rows of a later version get another name.
pub fn published(
    path: &str,
    partition: &[(String, String)],
    facts: &JobFacts,
    id: &ChunkId,
    sha256: &str,
) -> String {
    let mut name = path.to_owned();
    for (column, value) in partition {
        name.push_str(&format!("/{column}={value}"));
    }
    name.push_str(&format!(
        "/{:06}-{}-{}-{}.parquet",
        facts.generation,
        facts.job,
        id.padded(),
        short(sha256)
    ));
    name
}

/// A chunk's rejected rows, in the failures bucket; `fix` counts its replays.
pub fn archived(facts: &JobFacts, id: &ChunkId, fix: u32, sha256: &str) -> String {
    format!(
        "pipeline={}/dt={}/{}-{}-{fix:03}-{}.parquet",
        facts.pipeline,
        facts.created_at.day(),
        facts.job,
        id.padded(),
        short(sha256)
    )
}

/// All manifests and intents of a slot.
pub fn slot_manifests(slot: &SlotId) -> String {
    format!("manifests/{slot}/")
}

/// The frozen outcome list of a job.
pub fn intent(facts: &JobFacts, sha256: &str) -> String {
    let (slot, generation, job) = (&facts.slot, facts.generation, &facts.job);
    format!("manifests/{slot}/{generation:06}/{job}-{}-intent.json", short(sha256))
}

/// The frozen list of what a replay changes about `parent`, the job whose rows it fixes.
pub fn changes(parent: &JobFacts, replay: &JobId, sha256: &str) -> String {
    let (slot, generation, job) = (&parent.slot, parent.generation, &parent.job);
    format!("manifests/{slot}/{generation:06}/{job}-{replay}-{}-intent.json", short(sha256))
}

/// What a replay into a table came to, which the table decides.
pub fn settled(parent: &JobFacts, replay: &JobId) -> String {
    let (slot, generation, job) = (&parent.slot, parent.generation, &parent.job);
    format!("manifests/{slot}/{generation:06}/{job}-{replay}-settled.json")
}

/// What a replay was asked for: which rows, and what becomes of them.
pub fn replay_request(sha256: &str) -> String {
    format!("_replays/{}.json", short(sha256))
}

/// The corrected export of a replay.
pub fn replay_rows(sha256: &str) -> String {
    format!("_replays/{}.csv", short(sha256))
}

/// The manifest of a job.
pub fn manifest(facts: &JobFacts, revision: u32) -> String {
    format!("manifests/{}/{:06}/{}-{revision}.json", facts.slot, facts.generation, facts.job)
}

/// Generation of an intent's key, `None` for any other key.
pub fn intent_generation(key: &str) -> Option<i64> {
    let mut parts = key.strip_suffix("-intent.json")?.strip_prefix("manifests/")?.split('/');
    let (_slot, generation, _job) = (parts.next()?, parts.next()?, parts.next()?);
    let of_an_intent = parts.next().is_none() && generation.bytes().all(|b| b.is_ascii_digit());
    generation.parse().ok().filter(|_| of_an_intent)
}

/// Generation and job of a manifest's key, `None` for any other key.
pub fn manifest_job(key: &str) -> Option<(i64, JobId)> {
    let mut parts = key.strip_prefix("manifests/")?.split('/').skip(1);
    let (generation, name) = (parts.next()?.parse().ok()?, parts.next()?);
    let (job, revision) = name.strip_suffix(".json")?.split_once('-')?;
    let is_revision = !revision.is_empty() && revision.bytes().all(|byte| byte.is_ascii_digit());
    (is_revision && parts.next().is_none()).then(|| (generation, JobId(job.to_owned())))
}

/// Folder of the pointers to the slots' newest manifests.
pub const CURRENT: &str = "current/";

/// The pointer to a slot's newest manifest.
pub fn current(slot: &SlotId) -> String {
    format!("{CURRENT}{slot}.json")
}

fn short(sha256: &str) -> &str {
    sha256.get(..16).unwrap_or(sha256)
}

#[cfg(test)]
mod tests;
