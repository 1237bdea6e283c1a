//! Reading and deleting one version of a key.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use s3s::{S3Result, s3_error};

use super::bucket::{Bucket, Object, open_file};
use super::commit::{Deleted, io_error};
use super::meta::{Meta, hash_of};
use crate::disk::at;

impl Bucket {
    /// Opens one version. `None` if there is none of this id; a delete marker is a
    /// `MethodNotAllowed` error, as in AWS.
    pub(crate) fn version(&self, key: &str, id: &str) -> S3Result<Option<Object>> {
        if !is_plain_name(id) {
            return Err(s3_error!(InvalidArgument, "Invalid version id specified"));
        }
        // The newest first: one that is older than versioning is called `null` like an older one may be.
        let current = self.object(key).map_err(io_error)?;
        let is_wanted = |meta: &Meta| meta.version.as_deref().unwrap_or("null") == id;
        if let Some(object) = current.filter(|object| is_wanted(&object.meta)) {
            return Ok(Some(object));
        }
        let folder = self.versions_of(key);
        let Some(meta) = Meta::read(&folder.join(format!("{id}.json"))) else {
            return Ok(None);
        };
        if meta.delete_marker {
            return Err(s3_error!(MethodNotAllowed));
        }
        let file = open_file(&folder.join(id)).map_err(io_error)?;
        Ok(file.map(|file| Object { file, meta }))
    }

    /// Whether the newest version is a delete marker; its id if so.
    pub(crate) fn delete_marker(&self, key: &str) -> io::Result<Option<String>> {
        let newest = self.versions(key)?.into_iter().max_by_key(|meta| meta.sequencer);
        Ok(newest.filter(|meta| meta.delete_marker).and_then(|meta| meta.version))
    }

    fn versions(&self, key: &str) -> io::Result<Vec<Meta>> {
        kept_in(&self.versions_of(key))
    }

    /// Deletes one version for good. If it was the newest, the one before it takes its place.
    pub(crate) fn delete_version(&self, key: &str, id: &str) -> S3Result<Deleted> {
        if !is_plain_name(id) {
            return Err(s3_error!(InvalidArgument, "Invalid version id specified"));
        }
        let _guard = self.lock(key);
        self.drop_version(key, id).map_err(io_error)
    }

    fn drop_version(&self, key: &str, id: &str) -> io::Result<Deleted> {
        let folder = self.versions_of(key);
        let description = folder.join(format!("{id}.json"));
        let marker = Meta::read(&description).is_some_and(|meta| meta.delete_marker);
        let current = self.object_locked(key)?.map(|object| object.meta);
        let is_current =
            current.as_ref().is_some_and(|meta| meta.version.as_deref().unwrap_or("null") == id);
        self.disk.remove_if_there(&description)?;
        self.disk.remove_if_there(&folder.join(id))?;
        if is_current {
            self.unlink(key)?;
        }
        // Without an object the newest version is a marker, also after a crash in this very place.
        if is_current || current.is_none() {
            self.restore_newest(key)?;
        }
        Ok(Deleted { version: Some(id.to_owned()), delete_marker: marker })
    }

    fn restore_newest(&self, key: &str) -> io::Result<()> {
        let newest = self.versions(key)?.into_iter().max_by_key(|meta| meta.sequencer);
        let Some(mut meta) = newest.filter(|meta| !meta.delete_marker) else {
            return Ok(());
        };
        let Some(id) = meta.version.clone() else {
            return Ok(());
        };
        let temp = self.temp();
        self.disk.link(&self.versions_of(key).join(&id), &temp.path)?;
        if id == "null" {
            meta.version = None;
        }
        let inode = fs::metadata(&temp.path)?.ino();
        meta.write(&self.disk, &self.meta_path(&hash_of(key), inode), &self.scratch())?;
        self.place(&temp.path, &self.path(key), key)
    }
}

/// The descriptions in a folder of versions.
pub(super) fn kept_in(folder: &Path) -> io::Result<Vec<Meta>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(at(folder))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.extend(Meta::read(&path));
        }
    }
    Ok(found)
}

/// Version and upload ids become file names.
pub(super) fn is_plain_name(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
