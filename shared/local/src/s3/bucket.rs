//! A bucket: a folder of plain files, and beside it a folder of ours with what else is known.
//!
//! ```text
//! <root>/<bucket>/<key>                        the objects
//! <root>/.rowproof/s3/<bucket>/bucket.json     the bucket exists; its settings
//!                             /meta/ab/<hash of key>-<inode>   see `Meta`
//!                             /odd/<hash of key>               objects whose key cannot be a path
//!                             /versions/<hash of key>/<version id>{,.json}
//!                             /uploads/<upload id>/            multipart uploads under way
//!                             /tmp/                            swept at the start
//! ```
//!
//! A process may be killed between any two changes of the disk. So what has a reader is written under
//! `tmp` and renamed into place, what belongs together is written so that the last change alone decides,
//! and what was never finished is swept when the bucket is opened.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::etag::{self, Kind};
use super::meta::{Meta, hash_of};
use crate::clock::Clock;
use crate::disk::{Disk, at, is_absent};

/// Keys share locks by their hash; two writers of one key never run at once.
const LOCKS: usize = 64;
/// The longest file name of common file systems, in bytes.
const FILE_NAME_BYTES_MAX: usize = 255;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    pub(crate) versioned: bool,
    /// Versioning was switched on at some time, so its status is reported.
    pub(crate) suspended: bool,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) name: String,
    /// The folder of plain files.
    pub(super) files: PathBuf,
    /// Our folder.
    pub(super) private: PathBuf,
    pub(super) clock: Clock,
    pub(super) disk: Disk,
    settings: Mutex<Settings>,
    versioned: AtomicBool,
    /// Keys that are stored under `odd`.
    odd: RwLock<BTreeSet<String>>,
    locks: Vec<Mutex<()>>,
}

/// An open object. The file stays readable when the key is overwritten or deleted.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) file: File,
    pub(crate) meta: Meta,
}

impl Bucket {
    /// Opens a bucket, or makes it if there is none. What a crash left behind is swept.
    pub(crate) fn open(root: &Path, name: &str, clock: Clock, disk: Disk) -> io::Result<Self> {
        let private = root.join(".rowproof/s3").join(name);
        let files = root.join(name);
        disk.make_folders(&files)?;
        disk.remove_folder(&private.join("tmp"))?;
        for folder in ["tmp", "meta", "odd", "versions", "uploads"] {
            disk.make_folders(&private.join(folder))?;
        }
        let mut bucket = Self {
            name: name.to_owned(),
            files,
            private,
            clock,
            disk,
            versioned: AtomicBool::default(),
            settings: Mutex::default(),
            odd: RwLock::default(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
        };
        let settings = bucket.read_settings()?;
        bucket.versioned = AtomicBool::new(settings.versioned);
        bucket.settings = Mutex::new(settings);
        bucket.find_odd()?;
        bucket.sweep_uploads()?;
        Ok(bucket)
    }

    /// Of a bucket that is being made, the new ones.
    fn read_settings(&self) -> io::Result<Settings> {
        let path = self.private.join("bucket.json");
        match fs::read(&path) {
            // A file cut short is one whose bucket was being made when the process was killed.
            Ok(bytes) => {
                if let Ok(settings) = serde_json::from_slice(&bytes) {
                    return Ok(settings);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&path)(error)),
        }
        let settings = Settings { created: self.clock.now_ms(), ..Settings::default() };
        self.write_settings(&settings)?;
        Ok(settings)
    }

    fn write_settings(&self, settings: &Settings) -> io::Result<()> {
        let path = self.private.join("bucket.json");
        self.disk.replace(&path, &serde_json::to_vec(settings)?, &self.scratch())
    }

    fn find_odd(&self) -> io::Result<()> {
        let mut odd = self.odd.write().unwrap_or_else(PoisonError::into_inner);
        let folder = self.private.join("odd");
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let entry = entry?;
            let hash = entry.file_name().to_string_lossy().into_owned();
            if let Some(meta) = Meta::read(&self.meta_path(&hash, entry.metadata()?.ino())) {
                odd.insert(meta.key);
            }
        }
        Ok(())
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_versioned(&self, versioned: bool) -> io::Result<()> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.suspended = !versioned && (settings.versioned || settings.suspended);
        settings.versioned = versioned;
        self.write_settings(&settings)?;
        self.versioned.store(versioned, Ordering::Release);
        Ok(())
    }

    pub(crate) fn is_versioned(&self) -> bool {
        self.versioned.load(Ordering::Acquire)
    }

    pub(crate) fn lock(&self, key: &str) -> MutexGuard<'_, ()> {
        let slot = usize::try_from(xxh3_64(key.as_bytes()) % LOCKS as u64).unwrap_or(0);
        #[allow(clippy::indexing_slicing, reason = "a remainder of the length")]
        self.locks[slot].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new name for a temporary file.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.private.join("tmp").join(format!("{:x}", self.clock.next_sequence()))
    }

    pub(super) fn meta_path(&self, hash: &str, inode: u64) -> PathBuf {
        let shelf = hash.get(..2).unwrap_or("00");
        self.private.join("meta").join(shelf).join(format!("{hash}-{inode:x}"))
    }

    pub(super) fn odd_path(&self, key: &str) -> PathBuf {
        self.private.join("odd").join(hash_of(key))
    }

    pub(super) fn is_odd(&self, key: &str) -> bool {
        !can_be_path(key) || self.odd.read().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    pub(super) fn mark_odd(&self, key: &str, odd: bool) {
        let mut keys = self.odd.write().unwrap_or_else(PoisonError::into_inner);
        if odd {
            keys.insert(key.to_owned());
        } else {
            keys.remove(key);
        }
    }

    /// The odd keys that begin with `prefix`, in order.
    pub(crate) fn odd_keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.odd.read().unwrap_or_else(PoisonError::into_inner);
        keys.range(prefix.to_owned()..).take_while(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Where the object's file is, or would be.
    pub(crate) fn path(&self, key: &str) -> PathBuf {
        if self.is_odd(key) { self.odd_path(key) } else { self.files.join(key) }
    }

    /// Opens the newest version; `None` if there is no object of this key.
    pub(crate) fn object(&self, key: &str) -> io::Result<Option<Object>> {
        if let Some(object) = self.object_once(key)? {
            return Ok(object);
        }
        // Overwritten between opening the file and reading its meta, or written by somebody else:
        // the lock tells which.
        let _guard = self.lock(key);
        self.object_locked(key)
    }

    /// As [`Bucket::object`], for a caller that holds the key's lock.
    pub(crate) fn object_locked(&self, key: &str) -> io::Result<Option<Object>> {
        match self.object_once(key)? {
            Some(object) => Ok(object),
            None => self.adopt(key),
        }
    }

    /// `None` if the meta does not match the file; `Some(None)` if there is no file.
    fn object_once(&self, key: &str) -> io::Result<Option<Option<Object>>> {
        let Some(file) = open_file(&self.path(key))? else {
            return Ok(Some(None));
        };
        let stat = file.metadata()?;
        let meta = Meta::read(&self.meta_path(&hash_of(key), stat.ino()));
        Ok(meta.filter(|meta| meta.describes(&stat)).map(|meta| Some(Object { file, meta })))
    }

    /// Takes in a file that came into the folder without us, or was changed in place.
    fn adopt(&self, key: &str) -> io::Result<Option<Object>> {
        let path = self.path(key);
        let Some(file) = open_file(&path)? else {
            return Ok(None);
        };
        let stat = file.metadata()?;
        let mut meta = match self.known_content(key, &file, stat.len())? {
            Some(known) => known,
            None => Meta {
                key: key.to_owned(),
                etag: etag::of_file(&file, Kind::Md5, &[]).map_err(at(&path))?,
                ..Meta::default()
            },
        };
        meta.last_modified = u64::try_from(stat.mtime()).unwrap_or(0) * 1000;
        meta.sequencer = self.clock.next_sequence();
        meta.version = None;
        meta.stamp(&stat);
        if self.is_versioned() {
            self.keep_version(&mut meta, &path)?;
        }
        meta.write(&self.disk, &self.meta_path(&hash_of(key), stat.ino()), &self.scratch())?;
        Ok(Some(Object { file, meta }))
    }

    /// What is known of this key's content if the file holds it still: the folder was copied, or the
    /// file touched. Its tag stays what it was.
    fn known_content(&self, key: &str, file: &File, size: u64) -> io::Result<Option<Meta>> {
        let hash = hash_of(key);
        let Some(shelf) = self.meta_path(&hash, 0).parent().map(Path::to_owned) else {
            return Ok(None);
        };
        let Ok(entries) = fs::read_dir(shelf) else { return Ok(None) };
        for entry in entries {
            let entry = entry?;
            if !entry.file_name().to_string_lossy().starts_with(&hash) {
                continue;
            }
            let Some(meta) = Meta::read(&entry.path()).filter(|meta| meta.size == size) else {
                continue;
            };
            if etag::of_file(file, Kind::of(&meta.etag), &meta.part_sizes)? == meta.etag {
                return Ok(Some(meta));
            }
        }
        Ok(None)
    }
}

/// Opens a regular file; `None` if there is none (a folder is none).
pub(super) fn open_file(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Whether a key can be a path below the bucket's folder, and stays there.
fn can_be_path(key: &str) -> bool {
    let segments_fit = key
        .split('/')
        .all(|segment| !matches!(segment, "" | "." | "..") && segment.len() <= FILE_NAME_BYTES_MAX);
    segments_fit && !key.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_stay_in_the_folder_become_paths() {
        for key in ["a", "a/b.csv", "..a/b..", "a b/ü&%.csv", ".hidden", "-"] {
            assert!(can_be_path(key), "{key}");
        }
        for key in ["..", "a/../../b", "/etc/passwd", "a//b", "a/", "./a", "a\0b"] {
            assert!(!can_be_path(key), "{key}");
        }
        assert!(!can_be_path(&"x".repeat(256)));
    }
}
