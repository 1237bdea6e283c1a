//! Tags of objects. They are stored and given back; nothing here depends on them.

use std::os::unix::fs::MetadataExt;

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::Storage;
use super::bucket::Bucket;
use super::commit::io_error;
use super::meta::hash_of;
use super::output::{Answer, ok, on_disk};
use super::read::{self, Wanted};
use super::tag_list::{Tags, checked};

impl Bucket {
    /// Gives the tags of a version of a key, or sets them; and the version's id.
    fn tags(&self, wanted: &Wanted, set: Option<Tags>) -> S3Result<(Tags, Option<String>)> {
        let Some(tags) = set else {
            let meta = read::open(self, wanted)?.meta;
            return Ok((meta.described.tags, meta.version));
        };
        // Opened once without the lock, for a file that is to be taken in takes it itself.
        read::open(self, wanted)?;
        let _guard = self.lock(&wanted.key);
        let current = self.object_locked(&wanted.key).map_err(io_error)?;
        let mut changed = vec![];
        if let Some(object) = current
            && wanted.version.as_ref().is_none_or(|id| object.meta.version.as_ref() == Some(id))
        {
            let inode = object.file.metadata().map_err(io_error)?.ino();
            let path = self.meta_path(&hash_of(&wanted.key), inode);
            changed.push((path, object.meta));
        }
        let id = wanted.version.clone().or_else(|| changed.first()?.1.version.clone());
        if let Some(id) = &id {
            let path = self.versions_of(&wanted.key).join(format!("{id}.json"));
            changed.extend(super::meta::Meta::read(&path).map(|meta| (path, meta)));
        }
        if changed.is_empty() {
            return Err(s3_error!(NoSuchKey, "The specified key does not exist: {}", wanted.key));
        }
        for (path, mut meta) in changed {
            meta.described.tags.clone_from(&tags);
            meta.write(&self.disk, &path, &self.scratch()).map_err(io_error)?;
        }
        Ok((tags, id))
    }
}

impl Storage {
    async fn tags_of(
        &self,
        bucket: &str,
        key: String,
        version: Option<String>,
        set: Option<Tags>,
    ) -> S3Result<(Tags, Option<String>)> {
        let bucket = self.bucket(bucket)?;
        let wanted = Wanted { key, version, ..Wanted::default() };
        on_disk(move || bucket.tags(&wanted, set)).await
    }

    pub(super) async fn read_tags(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> Answer<GetObjectTaggingOutput> {
        let input = request.input;
        let (tags, version_id) =
            self.tags_of(&input.bucket, input.key, input.version_id, None).await?;
        let tags = tags.into_iter();
        let tag_set = tags.map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect();
        ok(GetObjectTaggingOutput { tag_set, version_id })
    }

    pub(super) async fn write_tags(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> Answer<PutObjectTaggingOutput> {
        let input = request.input;
        let pairs = input.tagging.tag_set.into_iter();
        let pairs = pairs.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
        let tags = checked(pairs.collect())?;
        let (_, version_id) =
            self.tags_of(&input.bucket, input.key, input.version_id, Some(tags)).await?;
        ok(PutObjectTaggingOutput { version_id })
    }

    pub(super) async fn drop_tags(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        let input = request.input;
        let none = Some(Tags::new());
        let (_, version_id) =
            self.tags_of(&input.bucket, input.key, input.version_id, none).await?;
        ok(DeleteObjectTaggingOutput { version_id })
    }
}
