//! Makes a new version of a key visible, or takes one away: condition and rename under one lock.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use s3s::dto::ETagCondition;
use s3s::{S3Error, S3Result, s3_error};

use super::bucket::{Bucket, open_file};
use super::meta::{Meta, hash_of};
use crate::disk::{Disk, advice, at};

/// What must hold of the key's present object for a write to happen.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteCondition {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl WriteCondition {
    fn check(&self, current: Option<&Meta>) -> S3Result<()> {
        if let Some(condition) = &self.if_match {
            let Some(current) = current else {
                return Err(s3_error!(NoSuchKey));
            };
            if !matches_etag(condition, current) {
                return Err(precondition_failed("If-Match"));
            }
        }
        match (&self.if_none_match, current) {
            (Some(condition), Some(current)) if matches_etag(condition, current) => {
                Err(precondition_failed("If-None-Match"))
            }
            _ => Ok(()),
        }
    }

    fn is_none(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }
}

pub(crate) fn matches_etag(condition: &ETagCondition, meta: &Meta) -> bool {
    condition.is_any() || condition.as_etag().is_some_and(|etag| etag.value() == meta.etag)
}

pub(crate) fn precondition_failed(header: &str) -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold: {header}"
    )
}

/// A file below `tmp` that goes away unless it is committed.
#[derive(Debug)]
pub(crate) struct Temp {
    pub(crate) path: PathBuf,
    disk: Disk,
}

impl Drop for Temp {
    fn drop(&mut self) {
        if let Err(error) = self.disk.remove_if_there(&self.path) {
            tracing::warn!(%error, "a temporary file stays behind");
        }
    }
}

pub(crate) fn io_error(error: io::Error) -> S3Error {
    let advice = advice(error.kind());
    s3_error!(InternalError, "the local disk: {error}{advice}")
}

/// What a delete did.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    pub(crate) version: Option<String>,
    pub(crate) delete_marker: bool,
}

impl Bucket {
    /// A free name for a file that is being made.
    pub(crate) fn temp(&self) -> Temp {
        Temp { path: self.scratch(), disk: self.disk.clone() }
    }

    /// Makes `temp` the newest version of `meta.key` if the condition holds. Fills in the meta's
    /// time, sequencer, version and size. The rename is the moment it happens; before and after it
    /// every reader sees a whole object with the meta that belongs to it.
    pub(crate) fn commit(
        &self,
        temp: &Temp,
        mut meta: Meta,
        condition: &WriteCondition,
    ) -> S3Result<Meta> {
        let key = meta.key.clone();
        let _guard = self.lock(&key);
        let versioned = self.is_versioned();
        let current = if condition.is_none() && !versioned {
            None
        } else {
            self.object_locked(&key).map_err(io_error)?.map(|object| object.meta)
        };
        condition.check(current.as_ref())?;
        self.publish(temp, &mut meta, current.as_ref(), versioned).map_err(io_error)?;
        Ok(meta)
    }

    fn publish(
        &self,
        temp: &Temp,
        meta: &mut Meta,
        current: Option<&Meta>,
        versioned: bool,
    ) -> io::Result<()> {
        let hash = hash_of(&meta.key);
        let stat = fs::metadata(&temp.path).map_err(at(&temp.path))?;
        meta.last_modified = self.clock.now_ms();
        meta.sequencer = self.clock.next_sequence();
        meta.version = versioned.then(|| new_version(meta.sequencer));
        meta.stamp(&stat);
        let target = self.path(&meta.key);
        let old_inode =
            fs::metadata(&target).ok().filter(fs::Metadata::is_file).map(|old| old.ino());
        if let Some(current) = current.filter(|_| versioned) {
            self.keep_current(current, &target)?;
        }
        meta.write(&self.disk, &self.meta_path(&hash, stat.ino()), &self.scratch())?;
        self.place(&temp.path, &target, &meta.key)?;
        if versioned {
            self.keep_current(meta, &self.path(&meta.key))?;
        }
        if let Some(old) = old_inode.filter(|old| *old != stat.ino()) {
            self.disk.remove_if_there(&self.meta_path(&hash, old))?;
        }
        Ok(())
    }

    /// Renames into the folder, or under `odd` where a file or a folder is in the way.
    pub(super) fn place(&self, from: &Path, target: &Path, key: &str) -> io::Result<()> {
        let odd = self.is_odd(key);
        if !odd {
            match self.disk.rename_making_parents(from, target) {
                Ok(()) => return Ok(()),
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotADirectory
                            | io::ErrorKind::IsADirectory
                            | io::ErrorKind::AlreadyExists
                            | io::ErrorKind::DirectoryNotEmpty
                            | io::ErrorKind::InvalidFilename
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        self.disk.rename(from, &self.odd_path(key))?;
        self.mark_odd(key, true);
        Ok(())
    }

    /// Puts the file at `path` beside the newest version, under a version id that it sets.
    pub(super) fn keep_version(&self, meta: &mut Meta, path: &Path) -> io::Result<()> {
        meta.version = Some(new_version(meta.sequencer));
        self.keep_current(meta, path)
    }

    /// The same for an object that has a version id already, or none as it is older than versioning.
    /// Kept after an object got its place, and before the next one takes it, lest a crash between the
    /// two loses a version or shows one that never was.
    fn keep_current(&self, meta: &Meta, path: &Path) -> io::Result<()> {
        let id = meta.version.as_deref().unwrap_or("null");
        let folder = self.versions_of(&meta.key);
        if folder.join(format!("{id}.json")).exists() && id != "null" {
            return Ok(());
        }
        let meta = Meta { version: Some(id.to_owned()), ..meta.clone() };
        self.write_version(&meta, id, Some(path))
    }

    fn write_version(&self, meta: &Meta, id: &str, path: Option<&Path>) -> io::Result<()> {
        let folder = self.versions_of(&meta.key);
        self.disk.make_folders(&folder)?;
        if let Some(path) = path {
            self.disk.remove_if_there(&folder.join(id))?;
            self.disk.link(path, &folder.join(id))?;
        }
        meta.write(&self.disk, &folder.join(format!("{id}.json")), &self.scratch())
    }

    pub(super) fn versions_of(&self, key: &str) -> PathBuf {
        self.private.join("versions").join(hash_of(key))
    }

    /// Deletes the newest version (in a versioned bucket: covers it with a delete marker).
    pub(crate) fn delete(&self, key: &str, if_match: Option<&ETagCondition>) -> S3Result<Deleted> {
        let _guard = self.lock(key);
        let versioned = self.is_versioned();
        if versioned || if_match.is_some() {
            let current = self.object_locked(key).map_err(io_error)?;
            let condition =
                WriteCondition { if_match: if_match.cloned(), ..WriteCondition::default() };
            condition.check(current.as_ref().map(|object| &object.meta))?;
            if versioned {
                let current = current.map(|object| object.meta);
                return self.cover(key, current.as_ref()).map_err(io_error);
            }
        }
        self.unlink(key).map_err(io_error)?;
        Ok(Deleted::default())
    }

    fn cover(&self, key: &str, current: Option<&Meta>) -> io::Result<Deleted> {
        if let Some(current) = current {
            self.keep_current(current, &self.path(key))?;
        }
        let mut marker = Meta {
            key: key.to_owned(),
            last_modified: self.clock.now_ms(),
            sequencer: self.clock.next_sequence(),
            delete_marker: true,
            ..Meta::default()
        };
        let id = new_version(marker.sequencer);
        marker.version = Some(id.clone());
        self.write_version(&marker, &id, None)?;
        self.unlink(key)?;
        Ok(Deleted { version: Some(id), delete_marker: true })
    }

    /// Removes the object's file, its meta, and the folders that are empty then.
    pub(super) fn unlink(&self, key: &str) -> io::Result<()> {
        let path = self.path(key);
        let Some(file) = open_file(&path)? else {
            return Ok(());
        };
        self.disk.remove(&path)?;
        self.disk.remove_if_there(&self.meta_path(&hash_of(key), file.metadata()?.ino()))?;
        if self.is_odd(key) {
            self.mark_odd(key, false);
            return Ok(());
        }
        let above = path.ancestors().skip(1).take_while(|folder| *folder != self.files);
        for folder in above {
            if self.disk.remove_empty_folder(folder).is_err() {
                break;
            }
        }
        Ok(())
    }
}

fn new_version(sequencer: u64) -> String {
    format!("{sequencer:016x}{:08x}", fastrand::u32(..))
}
