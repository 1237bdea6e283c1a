//! Multipart uploads: a folder an upload, a file and its description a part.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use s3s::dto::{CompletedPart, Part};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::bucket::Bucket;
use super::commit::{Temp, WriteCondition, io_error};
use super::etag;
use super::joined::PartMeta;
use super::joined::{Whole, joined_sums};
use super::meta::{Described, Meta};
use super::receive::Received;
use super::versions::is_plain_name;
use crate::disk::{at, is_absent};

/// Every part but the last has at least this many bytes.
pub(crate) const PART_BYTES_MIN: u64 = 5 << 20;
/// As many parts as S3 takes.
pub(crate) const PARTS_MAX: i32 = 10_000;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) described: Described,
    /// The sum at the end is over the object, not over the parts' sums.
    pub(crate) full_object: bool,
    /// The algorithm of the parts' sums, if the client named one.
    pub(crate) algorithm: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) initiated: u64,
}

impl Bucket {
    fn upload_folder(&self, upload: &str) -> S3Result<PathBuf> {
        let folder = self.private.join("uploads").join(upload);
        if is_plain_name(upload) && folder.join("upload.json").exists() {
            return Ok(folder);
        }
        Err(s3_error!(NoSuchUpload, "The specified multipart upload does not exist."))
    }

    pub(crate) fn upload(&self, id: &str, key: &str) -> S3Result<(PathBuf, Upload)> {
        let folder = self.upload_folder(id)?;
        let path = folder.join("upload.json");
        let bytes = fs::read(&path).map_err(|error| io_error(at(&path)(error)))?;
        let upload: Upload =
            serde_json::from_slice(&bytes).map_err(|error| io_error(error.into()))?;
        if upload.key != key {
            return Err(s3_error!(NoSuchUpload, "The upload is for another key."));
        }
        Ok((folder, upload))
    }

    pub(crate) fn create_upload(&self, upload: &Upload) -> io::Result<String> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let path = self.private.join("uploads").join(&id).join("upload.json");
        self.disk.replace(&path, &serde_json::to_vec(upload)?, &self.scratch())?;
        Ok(id)
    }

    /// The uploads under way, with their ids.
    pub(crate) fn uploads(&self) -> io::Result<Vec<(String, Upload)>> {
        let folder = self.private.join("uploads");
        let mut uploads = Vec::new();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry?;
            let bytes = fs::read(entry.path().join("upload.json"));
            let upload = bytes.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let id = entry.file_name().into_string().ok();
            uploads.extend(id.zip(upload));
        }
        Ok(uploads)
    }

    /// Removes the folders of uploads that nobody knows: their description never came, or is gone.
    pub(super) fn sweep_uploads(&self) -> io::Result<()> {
        let folder = self.private.join("uploads");
        let known: BTreeSet<String> = self.uploads()?.into_iter().map(|(id, _)| id).collect();
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| known.contains(name)) {
                self.disk.retire(&entry.path(), &self.scratch())?;
            }
        }
        Ok(())
    }

    pub(crate) fn put_part(&self, id: &str, number: i32, part: &Received) -> S3Result<()> {
        if !(1..=PARTS_MAX).contains(&number) {
            return Err(s3_error!(InvalidArgument, "Part number must be from 1 to {PARTS_MAX}"));
        }
        let folder = self.upload_folder(id)?;
        let old = read_part(&folder, number).ok();
        let file = format!("{number}-{:x}", self.clock.next_sequence());
        let meta = PartMeta {
            etag: part.etag.clone(),
            size: part.size,
            sums: part.sums.clone(),
            file: Some(file.clone()),
        };
        let write = || -> io::Result<()> {
            self.disk.rename(&part.temp.path, &folder.join(file))?;
            let description = folder.join(format!("{number}.json"));
            self.disk.replace(&description, &serde_json::to_vec(&meta)?, &self.scratch())?;
            old.map_or(Ok(()), |old| self.disk.remove_if_there(&old.path(&folder, number)))
        };
        write().map_err(io_error)
    }

    pub(crate) fn abort_upload(&self, id: &str) -> S3Result<()> {
        self.disk.retire(&self.upload_folder(id)?, &self.scratch()).map_err(io_error)
    }

    pub(crate) fn parts(&self, id: &str, key: &str) -> S3Result<Vec<Part>> {
        let (folder, _) = self.upload(id, key)?;
        let mut parts = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io_error)? {
            let name = entry.map_err(io_error)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            let Some(number) = number else { continue };
            let meta = read_part(&folder, number)?;
            let mut part = Part {
                part_number: Some(number),
                size: i64::try_from(meta.size).ok(),
                e_tag: Some(s3s::dto::ETag::Strong(meta.etag)),
                ..Part::default()
            };
            set_sums!(part, &meta.sums);
            parts.push(part);
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
        promised: &Whole,
        condition: &WriteCondition,
    ) -> S3Result<Meta> {
        let (folder, upload) = self.upload(id, key)?;
        let parts = check_parts(&folder, wanted)?;
        let sums = joined_sums(&parts, upload.full_object)?;
        promised.check(&parts, &sums)?;
        let temp = self.join(&folder, &parts).map_err(io_error)?;
        let meta = Meta {
            key: key.to_owned(),
            etag: etag::joined(parts.iter().map(|(_, part)| part.etag.as_str())),
            parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
            part_sizes: parts.iter().map(|(_, part)| part.size).collect(),
            sums,
            described: upload.described,
            ..Meta::default()
        };
        let meta = self.commit(&temp, meta, condition)?;
        match self.disk.retire(&folder, &self.scratch()) {
            // The same request, sent twice at once: the other one was first.
            Err(error) if is_absent(&error) => Ok(meta),
            retired => retired.map(|()| meta).map_err(io_error),
        }
    }

    /// One file of all parts. The kernel copies; a lone part is linked.
    fn join(&self, folder: &Path, parts: &[(i32, PartMeta)]) -> io::Result<Temp> {
        let temp = self.temp();
        if let [(number, part)] = parts {
            self.disk.link(&part.path(folder, *number), &temp.path)?;
            return Ok(temp);
        }
        let mut whole = self.disk.create(&temp.path)?;
        for (number, part) in parts {
            let path = part.path(folder, *number);
            let mut bytes = File::open(&path).map_err(at(&path))?;
            io::copy(&mut bytes, &mut whole).map_err(at(&temp.path))?;
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
