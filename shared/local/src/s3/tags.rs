//! Tags of objects. They are stored and given back; nothing here depends on them.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::Storage;
use super::bucket::Bucket;
use super::commit::io_error;
use super::meta::hash_of;
use super::output::{Answer, ok, on_disk};
use super::read::{self, Wanted};
use crate::events::percent_decode;

/// As many as S3 takes, and as long.
const TAGS_MAX: usize = 10;
const NAME_CHARACTERS_MAX: usize = 128;
const VALUE_CHARACTERS_MAX: usize = 256;

type Tags = BTreeMap<String, String>;

/// Reads the header `x-amz-tagging`: `name=value&name=value`, encoded as in a URL.
pub(super) fn parse(header: &str) -> S3Result<Tags> {
    let decoded = |text: &str| {
        percent_decode(&text.replace('+', " "))
            .map_err(|error| s3_error!(error, InvalidTag, "x-amz-tagging is not UTF-8"))
    };
    let mut pairs = vec![];
    for pair in header.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decoded(name)?, decoded(value)?));
    }
    checked(pairs)
}

fn checked(pairs: Vec<(String, String)>) -> S3Result<Tags> {
    let count = pairs.len();
    if count > TAGS_MAX {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than {TAGS_MAX}"));
    }
    let too_long = pairs.iter().find(|(name, value)| {
        name.is_empty()
            || name.chars().count() > NAME_CHARACTERS_MAX
            || value.chars().count() > VALUE_CHARACTERS_MAX
    });
    if too_long.is_some() {
        return Err(s3_error!(InvalidTag, "a tag has no name, or its name or value is too long"));
    }
    let tags: Tags = pairs.into_iter().collect();
    if tags.len() != count {
        return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
    }
    Ok(tags)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_a_header_are_decoded() {
        let tags = parse("a=1&b=x%20y+z&%C3%BC=").unwrap();
        let tags: Vec<_> =
            tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("a", "1"), ("b", "x y z"), ("ü", "")]);
        assert!(parse("").unwrap().is_empty());
        assert!(parse("a=1&a=2").is_err());
        assert!(parse(&"x=1&".repeat(11)).is_err());
    }
}
