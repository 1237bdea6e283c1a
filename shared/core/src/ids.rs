//! Identities: every id is a function of what it names, so a repeat finds the first one's work.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::pipeline::{Pipeline, Replaces};
use crate::time::EpochSeconds;

/// Chunks of one group: the partition of the ledger that one consistent query reads.
pub const CHUNKS_PER_GROUP: u32 = 64;

/// What one file takes over: the hash of the pipeline and of what `replaces` names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotId(pub String);

/// One version of one object in one generation of its slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub String);

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One object as a HEAD request saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectVersion {
    /// Bucket name.
    pub bucket: String,
    /// Key, not URL-encoded.
    pub key: String,
    /// Entity tag without quotes: reads are conditional on it.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// Version id on a versioned bucket.
    pub version_id: Option<String>,
    /// When S3 stored it.
    pub last_modified: EpochSeconds,
}

impl ObjectVersion {
    /// What tells this content from any other under the key: entity tag and size.
    ///
    /// The version id is left out on purpose: storing the same bytes again is no new version, and an
    /// object that goes A, B, A is told apart by the slot's generation.
    pub fn identity(&self) -> String {
        format!("{}:{}", self.etag, self.size)
    }

    /// `s3://bucket/key`.
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// The slot of an object: see [`Replaces`].
pub fn slot_id(
    pipeline: &Pipeline,
    object: &ObjectVersion,
    captures: &BTreeMap<String, String>,
) -> SlotId {
    let mut parts = vec![pipeline.name.clone()];
    match &pipeline.source.replaces {
        Replaces::Key => parts.extend(["key".into(), object.bucket.clone(), object.key.clone()]),
        Replaces::Captures(names) => {
            parts.push("captures".into());
            for name in names {
                parts.push(name.clone());
                parts.push(captures.get(name).cloned().unwrap_or_default());
            }
        }
        Replaces::Table => parts.push("table".into()),
        Replaces::Nothing => {
            let version = object.version_id.clone().unwrap_or_else(|| object.identity());
            parts.extend(["version".into(), object.bucket.clone(), object.key.clone(), version]);
        }
    }
    SlotId(hash(&parts, 20))
}

/// The job of a version in a generation of its slot.
pub fn job_id(slot: &SlotId, object: &ObjectVersion, generation: i64) -> JobId {
    let parts = [
        slot.0.clone(),
        object.bucket.clone(),
        object.key.clone(),
        object.identity(),
        generation.to_string(),
    ];
    JobId(hash(&parts, 26))
}

/// The job of a replay: equal wishes about one state of a job are one replay. `rev` is the job's
/// revision; `outcomes` are the hashes of its outcomes that are concerned.
pub fn replay_id(parent: &JobId, rev: i64, request_sha256: &str, outcomes: &[&str]) -> JobId {
    let mut parts = vec!["replay".to_owned(), parent.0.clone(), rev.to_string()];
    parts.push(request_sha256.to_owned());
    parts.extend(outcomes.iter().map(|sha256| (*sha256).to_owned()));
    JobId(hash(&parts, 26))
}

/// Lower-case base32 of SHA-256 over the length-prefixed parts, cut to `length` characters.
fn hash(parts: &[String], length: usize) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut text = data_encoding::BASE32_NOPAD.encode(&hasher.finalize()).to_ascii_lowercase();
    text.truncate(length);
    text
}

/// Lower-case hex SHA-256.
pub fn sha256_hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
pub(crate) mod tests;
