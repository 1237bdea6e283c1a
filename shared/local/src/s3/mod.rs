//! S3 over a folder: the protocol is `s3s`, the objects are plain files.

#[macro_use]
mod output;
mod attributes;
mod bucket;
mod commit;
mod copy;
mod etag;
mod form;
mod joined;
mod list;
mod meta;
mod multipart;
mod objects;
mod pages;
mod read;
mod receive;
mod service;
mod settings;
mod tag_list;
mod tags;
mod upload_pages;
mod uploads;
mod version_pages;
mod versions;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use s3s::{S3Result, s3_error};

use self::bucket::Bucket;
pub(crate) use self::form::service_of;
use crate::clock::Clock;
use crate::disk::{Disk, at};
use crate::events::{Created, Events};

/// All buckets below one folder.
#[derive(Debug, Clone)]
pub(crate) struct Storage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    buckets: RwLock<HashMap<String, Arc<Bucket>>>,
    events: Events,
    clock: Clock,
    disk: Disk,
}

impl Storage {
    /// Opens the buckets that exist below `root`.
    pub(crate) fn open(
        root: PathBuf,
        events: Events,
        clock: Clock,
        disk: Disk,
    ) -> io::Result<Self> {
        let private = root.join(".rowproof/s3");
        disk.make_folders(&private)?;
        let mut buckets = HashMap::new();
        for entry in fs::read_dir(&private).map_err(at(&private))? {
            let Ok(name) = entry?.file_name().into_string() else {
                continue;
            };
            if private.join(&name).join("bucket.json").exists() {
                let bucket = Bucket::open(&root, &name, clock.clone(), disk.clone())?;
                buckets.insert(name, Arc::new(bucket));
            }
        }
        Ok(Self(Arc::new(Inner { root, buckets: RwLock::new(buckets), events, clock, disk })))
    }

    /// Makes a bucket; `false` if it was there.
    pub(crate) fn create_bucket(&self, name: &str) -> io::Result<bool> {
        let mut buckets = self.0.buckets.write().unwrap_or_else(PoisonError::into_inner);
        if buckets.contains_key(name) {
            return Ok(false);
        }
        let (clock, disk) = (self.0.clock.clone(), self.0.disk.clone());
        let bucket = Bucket::open(&self.0.root, name, clock, disk)?;
        buckets.insert(name.to_owned(), Arc::new(bucket));
        Ok(true)
    }

    pub(crate) fn set_versioned(&self, name: &str, versioned: bool) -> io::Result<()> {
        let buckets = self.0.buckets.read().unwrap_or_else(PoisonError::into_inner);
        buckets.get(name).map_or(Ok(()), |bucket| bucket.set_versioned(versioned))
    }

    fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        let buckets = self.0.buckets.read().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.get(name).cloned();
        bucket.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist: {name}"))
    }

    fn buckets(&self) -> Vec<Arc<Bucket>> {
        let buckets = self.0.buckets.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = buckets.values().cloned().collect();
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Removes an empty bucket.
    fn remove_bucket(&self, name: &str) -> S3Result<()> {
        let bucket = self.bucket(name)?;
        let first = list::ListRequest { max: 1, ..list::ListRequest::default() };
        if !bucket.list(&first).map_err(commit::io_error)?.contents.is_empty() {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        self.0.buckets.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        // Without this file there is no bucket, whatever else is left of it.
        let disk = &self.0.disk;
        disk.remove_if_there(&bucket.private.join("bucket.json"))
            .and_then(|()| disk.remove_folder(&bucket.private))
            .and_then(|()| disk.remove_folder(&bucket.files))
            .map_err(commit::io_error)
    }

    fn created(&self, bucket: &str, meta: &meta::Meta, reason: &'static str) {
        self.0.events.created(&Created {
            bucket,
            key: &meta.key,
            size: meta.size,
            etag: &meta.etag,
            version: meta.version.as_deref(),
            sequencer: &meta.sequencer_hex(),
            at_ms: meta.last_modified,
            reason,
        });
    }
}
