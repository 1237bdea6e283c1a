//! Multipart uploads: a folder an upload, a file and its description a part.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::BASE64;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{CompletedPart, Part};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::bucket::Bucket;
use super::commit::{Temp, WriteCondition, io_error};
use super::meta::{Described, Meta, Sums};
use super::receive::Received;
use super::versions::is_plain_name;

/// Every part but the last has at least this many bytes.
pub(crate) const PART_BYTES_MIN: u64 = 5 << 20;
/// As many parts as S3 takes.
pub(crate) const PARTS_MAX: i32 = 10_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) described: Described,
    /// The sum at the end is over the object, not over the parts' sums.
    pub(crate) full_object: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct PartMeta {
    etag: String,
    size: u64,
    sums: Sums,
}

impl Bucket {
    fn upload_folder(&self, upload: &str) -> S3Result<PathBuf> {
        let folder = self.private.join("uploads").join(upload);
        if is_plain_name(upload) && folder.join("upload.json").exists() {
            return Ok(folder);
        }
        Err(s3_error!(NoSuchUpload, "The specified multipart upload does not exist."))
    }

    fn upload(&self, id: &str, key: &str) -> S3Result<(PathBuf, Upload)> {
        let folder = self.upload_folder(id)?;
        let bytes = fs::read(folder.join("upload.json")).map_err(io_error)?;
        let upload: Upload =
            serde_json::from_slice(&bytes).map_err(|error| io_error(error.into()))?;
        if upload.key != key {
            return Err(s3_error!(NoSuchUpload, "The upload is for another key."));
        }
        Ok((folder, upload))
    }

    pub(crate) fn create_upload(&self, upload: &Upload) -> io::Result<String> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let folder = self.private.join("uploads").join(&id);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("upload.json"), serde_json::to_vec(upload)?)?;
        Ok(id)
    }

    pub(crate) fn check_upload(&self, id: &str, key: &str) -> S3Result<()> {
        self.upload(id, key).map(|_| ())
    }

    pub(crate) fn put_part(&self, id: &str, number: i32, part: &Received) -> S3Result<()> {
        if !(1..=PARTS_MAX).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be from 1 to {PARTS_MAX}"));
        }
        let folder = self.upload_folder(id)?;
        let meta = PartMeta { etag: part.etag.clone(), size: part.size, sums: part.sums.clone() };
        let write = || -> io::Result<()> {
            fs::write(folder.join(format!("{number}.json")), serde_json::to_vec(&meta)?)?;
            fs::rename(&part.temp.0, folder.join(number.to_string()))
        };
        write().map_err(io_error)
    }

    pub(crate) fn abort_upload(&self, id: &str) -> S3Result<()> {
        fs::remove_dir_all(self.upload_folder(id)?).map_err(io_error)
    }

    pub(crate) fn parts(&self, id: &str, key: &str) -> S3Result<Vec<Part>> {
        let (folder, _) = self.upload(id, key)?;
        let mut parts = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io_error)? {
            let name = entry.map_err(io_error)?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let meta = read_part(&folder, number)?;
            parts.push(Part {
                part_number: Some(number),
                size: i64::try_from(meta.size).ok(),
                e_tag: Some(s3s::dto::ETag::Strong(meta.etag)),
                ..Part::default()
            });
        }
        parts.sort_unstable_by_key(|part| part.part_number);
        Ok(parts)
    }

    /// Joins the parts and commits the object. The parts stay if the condition does not hold.
    pub(crate) fn complete_upload(
        self: &Arc<Self>,
        id: &str,
        key: &str,
        wanted: &[CompletedPart],
        condition: &WriteCondition,
    ) -> S3Result<Meta> {
        let (folder, upload) = self.upload(id, key)?;
        let parts = check_parts(&folder, wanted)?;
        let sums = joined_sums(&parts, upload.full_object)?;
        let tags: String = parts.iter().map(|(_, part)| part.etag.as_str()).collect();
        let temp = self.join(&folder, &parts).map_err(io_error)?;
        let meta = Meta {
            key: key.to_owned(),
            etag: format!("{:032x}-{}", xxh3_128(tags.as_bytes()), parts.len()),
            parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
            sums,
            described: upload.described,
            ..Meta::default()
        };
        let meta = self.commit(&temp, meta, condition)?;
        fs::remove_dir_all(folder).map_err(io_error)?;
        Ok(meta)
    }

    /// One file of all parts. The kernel copies; a lone part is linked.
    fn join(&self, folder: &Path, parts: &[(i32, PartMeta)]) -> io::Result<Temp> {
        let temp = Temp(self.scratch());
        if let [(number, _)] = parts {
            fs::hard_link(folder.join(number.to_string()), &temp.0)?;
            return Ok(temp);
        }
        let mut whole = File::create_new(&temp.0)?;
        for (number, _) in parts {
            io::copy(&mut File::open(folder.join(number.to_string()))?, &mut whole)?;
        }
        Ok(temp)
    }
}

fn read_part(folder: &Path, number: i32) -> S3Result<PartMeta> {
    let missing = || s3_error!(InvalidPart, "Part {number} was not uploaded");
    let bytes = fs::read(folder.join(format!("{number}.json"))).map_err(|_| missing())?;
    serde_json::from_slice(&bytes).map_err(|_| missing())
}

fn check_parts(folder: &Path, wanted: &[CompletedPart]) -> S3Result<Vec<(i32, PartMeta)>> {
    let mut parts: Vec<(i32, PartMeta)> = Vec::with_capacity(wanted.len());
    for part in wanted {
        let number = part.part_number.unwrap_or_default();
        if parts.last().is_some_and(|(last, _)| *last >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let meta = read_part(folder, number)?;
        if part.e_tag.as_ref().is_some_and(|etag| etag.value() != meta.etag) {
            return Err(s3_error!(InvalidPart, "The ETag of part {number} did not match"));
        }
        let given = [
            ("crc32", &part.checksum_crc32),
            ("crc32c", &part.checksum_crc32c),
            ("crc64nvme", &part.checksum_crc64nvme),
            ("sha1", &part.checksum_sha1),
            ("sha256", &part.checksum_sha256),
        ];
        for ((algorithm, stored), (_, given)) in meta.sums.each().into_iter().zip(given) {
            if let (Some(stored), Some(given)) = (stored, given)
                && stored != given
            {
                return Err(s3_error!(
                    InvalidPart,
                    "The {algorithm} of part {number} did not match"
                ));
            }
        }
        parts.push((number, meta));
    }
    if parts.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    let all_but_last = parts.len() - 1;
    if let Some((number, meta)) =
        parts.iter().take(all_but_last).find(|(_, meta)| meta.size < PART_BYTES_MIN)
    {
        return Err(s3_error!(
            EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size: part {number} has {} bytes",
            meta.size
        ));
    }
    Ok(parts)
}

/// The object's sum: for CRCs over the whole object if asked for, else over the parts' sums, with
/// `-N` at the end. An algorithm that not every part has is left out.
fn joined_sums(parts: &[(i32, PartMeta)], full_object: bool) -> S3Result<Sums> {
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
