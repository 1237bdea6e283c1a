//! What is known of an object besides its bytes, and the file name this is kept under.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use s3s::dto::{Checksum, ChecksumType, ETag, Timestamp};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::disk::Disk;

/// Base64 checksums as the client sent them, verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Sums {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    /// The sums are over the parts' sums, not over the object.
    pub(crate) composite: bool,
}

impl From<Checksum> for Sums {
    fn from(sum: Checksum) -> Self {
        Self {
            crc32: sum.checksum_crc32,
            crc32c: sum.checksum_crc32c,
            crc64nvme: sum.checksum_crc64nvme,
            sha1: sum.checksum_sha1,
            sha256: sum.checksum_sha256,
            composite: false,
        }
    }
}

impl Sums {
    pub(crate) fn is_empty(&self) -> bool {
        self.each().iter().all(|(_, sum)| sum.is_none())
    }

    /// Every algorithm by its header suffix, with its sum.
    pub(crate) fn each(&self) -> [(&'static str, Option<&String>); 5] {
        [
            ("crc32", self.crc32.as_ref()),
            ("crc32c", self.crc32c.as_ref()),
            ("crc64nvme", self.crc64nvme.as_ref()),
            ("sha1", self.sha1.as_ref()),
            ("sha256", self.sha256.as_ref()),
        ]
    }

    /// Sets the sum of one algorithm; an unknown name is ignored.
    pub(crate) fn set(&mut self, algorithm: &str, sum: String) {
        match algorithm {
            "crc32" => self.crc32 = Some(sum),
            "crc32c" => self.crc32c = Some(sum),
            "crc64nvme" => self.crc64nvme = Some(sum),
            "sha1" => self.sha1 = Some(sum),
            "sha256" => self.sha256 = Some(sum),
            _ => {}
        }
    }

    pub(crate) fn kind(&self) -> Option<ChecksumType> {
        let kind = if self.composite { ChecksumType::COMPOSITE } else { ChecksumType::FULL_OBJECT };
        (!self.is_empty()).then(|| ChecksumType::from_static(kind))
    }
}

/// The headers a client stores with an object and gets back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Described {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// `x-amz-meta-*`, without the prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) user: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
}

/// One object version. Kept as a JSON file whose name holds the hash of the key and the inode of
/// the object's file, so that the file on disk alone decides which of two is valid: it may be
/// written before the object is renamed into place and removed after, and a crash in between
/// leaves one that matches.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Meta {
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) size: u64,
    /// Of the object's file, in nanoseconds since 1970: tells that somebody else wrote to it.
    pub(crate) mtime_ns: i128,
    /// Milliseconds since 1970.
    pub(crate) last_modified: u64,
    pub(crate) sequencer: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    pub(crate) delete_marker: bool,
    /// 0 for an object that was not uploaded in parts.
    pub(crate) parts: u32,
    /// Bytes of each part; empty for an object in one piece, and for one of an earlier version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) part_sizes: Vec<u64>,
    pub(crate) sums: Sums,
    pub(crate) described: Described,
}

impl Meta {
    /// The state of the object's file at the time the meta was written.
    pub(crate) fn stamp(&mut self, file: &Metadata) {
        self.size = file.len();
        self.mtime_ns = mtime_ns(file);
    }

    pub(crate) fn describes(&self, file: &Metadata) -> bool {
        self.size == file.len() && self.mtime_ns == mtime_ns(file)
    }

    pub(crate) fn e_tag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    pub(crate) fn modified(&self) -> Timestamp {
        http_time(self.last_modified)
    }

    pub(crate) fn sequencer_hex(&self) -> String {
        format!("{:018X}", self.sequencer)
    }

    /// `None` if there is no such file or it is not ours.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Replaces the file at `path` as a whole; `scratch` is a free name on the same file system.
    pub(crate) fn write(&self, disk: &Disk, path: &Path, scratch: &Path) -> io::Result<()> {
        disk.replace(path, &serde_json::to_vec(self)?, scratch)
    }
}

/// A time in milliseconds since 1970. HTTP dates have whole seconds, so that is what a client can
/// compare with.
pub(crate) fn http_time(ms: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_secs(ms / 1000))
}

fn mtime_ns(file: &Metadata) -> i128 {
    i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec())
}

/// The name that stands for a key in folders of ours, whatever characters the key has.
pub(crate) fn hash_of(key: &str) -> String {
    format!("{:032x}", xxh3_128(key.as_bytes()))
}
