//! The checksums of an object that was uploaded in parts.

use data_encoding::BASE64;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::{S3Result, s3_error};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::meta::Sums;

/// What a client says of the object that its parts become.
#[derive(Debug, Default)]
pub(crate) struct Whole {
    pub(crate) size: Option<i64>,
    pub(crate) sums: Sums,
}

impl Whole {
    pub(super) fn check(&self, parts: &[(i32, PartMeta)], sums: &Sums) -> S3Result<()> {
        let size: u64 = parts.iter().map(|(_, part)| part.size).sum();
        if self.size.is_some_and(|promised| u64::try_from(promised) != Ok(size)) {
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header does not match what was uploaded: \
                 {size} bytes"
            ));
        }
        for ((algorithm, computed), (_, promised)) in sums.each().into_iter().zip(self.sums.each())
        {
            // With or without the number of parts behind it.
            let bare = computed.and_then(|sum| sum.split('-').next());
            if let (Some(computed), Some(promised)) = (computed, promised)
                && computed != promised
                && bare != Some(promised)
            {
                return Err(s3_error!(
                    BadDigest,
                    "The {algorithm} you specified did not match the calculated checksum."
                ));
            }
        }
        Ok(())
    }
}

/// The object's sum: for CRCs over the whole object if asked for, else over the parts' sums, with
/// `-N` at the end. An algorithm that not every part has is left out.
pub(super) fn joined_sums(parts: &[(i32, PartMeta)], full_object: bool) -> S3Result<Sums> {
    let mut joined = Sums { composite: !full_object, ..Sums::default() };
    for algorithm in ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"] {
        let mut raw: Vec<(Vec<u8>, u64)> = Vec::with_capacity(parts.len());
        for (_, part) in parts {
            let sum = part.sums.each().into_iter().find(|(name, _)| *name == algorithm);
            let Some(sum) = sum.and_then(|(_, sum)| sum) else {
                break;
            };
            let bytes = BASE64.decode(sum.as_bytes());
            raw.push((bytes.map_err(|_| s3_error!(InvalidPart))?, part.size));
        }
        if raw.len() != parts.len() {
            continue;
        }
        let sum = match (full_object, algorithm) {
            (true, "crc32") => combine(crc_fast::CrcAlgorithm::Crc32IsoHdlc, &raw, 4),
            (true, "crc32c") => combine(crc_fast::CrcAlgorithm::Crc32Iscsi, &raw, 4),
            (true, "crc64nvme") => combine(crc_fast::CrcAlgorithm::Crc64Nvme, &raw, 8),
            (true, _) => continue,
            (false, _) => format!("{}-{}", over_sums(algorithm, &raw), parts.len()),
        };
        joined.set(algorithm, sum);
    }
    Ok(joined)
}

fn combine(algorithm: crc_fast::CrcAlgorithm, raw: &[(Vec<u8>, u64)], width: usize) -> String {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    let mut sums = raw.iter().map(|(bytes, size)| (number(bytes), *size));
    let (first, _) = sums.next().unwrap_or_default();
    let whole = sums
        .fold(first, |sum, (next, size)| crc_fast::checksum_combine(algorithm, sum, next, size));
    let bytes = whole.to_be_bytes();
    BASE64.encode(bytes.get(8 - width..).unwrap_or(&bytes))
}

fn over_sums(algorithm: &str, raw: &[(Vec<u8>, u64)]) -> String {
    let mut hasher = ChecksumHasher::default();
    match algorithm {
        "crc32" => hasher.crc32 = Some(Crc32::new()),
        "crc32c" => hasher.crc32c = Some(Crc32c::new()),
        "crc64nvme" => hasher.crc64nvme = Some(Crc64Nvme::new()),
        "sha1" => hasher.sha1 = Some(Sha1::new()),
        _ => hasher.sha256 = Some(Sha256::new()),
    }
    for (bytes, _) in raw {
        hasher.update(bytes);
    }
    let sums = Sums::from(hasher.finalize());
    sums.each().into_iter().find_map(|(_, sum)| sum.cloned()).unwrap_or_default()
}

/// A part. Its bytes are in a file of their own, so that this alone says which of two that were sent
/// under one number counts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PartMeta {
    pub(super) etag: String,
    pub(super) size: u64,
    pub(super) sums: Sums,
    /// Beside this one. `None`: its name is the number, as an earlier version had it.
    #[serde(default)]
    pub(super) file: Option<String>,
}

impl PartMeta {
    pub(super) fn path(&self, folder: &Path, number: i32) -> PathBuf {
        folder.join(self.file.clone().unwrap_or_else(|| number.to_string()))
    }
}
