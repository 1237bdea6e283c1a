//! `CopyObject`: a hard link, so that publishing a staged file costs no bytes; and the source of a
//! part that is copied.

use std::sync::Arc;

use hyper::HeaderMap;
use s3s::dto::{
    CopyObjectInput, CopySource, ETagCondition, MetadataDirective, TaggingDirective, Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::bucket::{Bucket, Object};
use super::commit::{Temp, WriteCondition, io_error, precondition_failed};
use super::meta::{Described, Meta};
use super::read::{self, Wanted};
use crate::disk::Disk;

/// The condition on the destination: newer than the protocol crate's type, so from the headers.
pub(crate) fn destination_condition(headers: &HeaderMap) -> S3Result<WriteCondition> {
    let parse = |name: &str| match headers.get(name) {
        None => Ok(None),
        Some(value) => ETagCondition::parse_http_header(value.as_bytes())
            .map(Some)
            .map_err(|error| s3_error!(error, InvalidArgument, "invalid header: {name}")),
    };
    Ok(WriteCondition { if_match: parse("if-match")?, if_none_match: parse("if-none-match")? })
}

/// What a request copies from, and what has to hold of it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) bucket: String,
    pub(crate) wanted: Wanted,
}

/// Reads the source out of the inputs of `CopyObject` and `UploadPartCopy`, which share these fields.
macro_rules! source_of {
    ($input:expr) => {{
        let input = &$input;
        $crate::s3::copy::Source::new(&input.copy_source).map(|source| {
            source.under(
                input.copy_source_if_match.clone(),
                input.copy_source_if_none_match.clone(),
                input.copy_source_if_modified_since.clone(),
                input.copy_source_if_unmodified_since.clone(),
            )
        })
    }};
}
pub(super) use source_of;

impl Source {
    pub(crate) fn new(source: &CopySource) -> S3Result<Self> {
        let CopySource::Bucket { bucket, key, version_id } = source else {
            return Err(s3_error!(
                NotImplemented,
                "copy from an access point is not supported locally"
            ));
        };
        let wanted = Wanted {
            key: key.to_string(),
            version: version_id.as_deref().map(str::to_owned),
            ..Wanted::default()
        };
        Ok(Self { bucket: bucket.to_string(), wanted })
    }

    pub(crate) fn under(
        mut self,
        if_match: Option<ETagCondition>,
        if_none_match: Option<ETagCondition>,
        if_modified_since: Option<Timestamp>,
        if_unmodified_since: Option<Timestamp>,
    ) -> Self {
        let wanted = self.wanted;
        self.wanted =
            Wanted { if_match, if_none_match, if_modified_since, if_unmodified_since, ..wanted };
        self
    }
}

/// A copy never answers `304 Not Modified`: it is not a read.
fn as_precondition(error: S3Error) -> S3Error {
    if *error.code() == S3ErrorCode::NotModified {
        return precondition_failed("x-amz-copy-source-If-None-Match or -If-Modified-Since");
    }
    error
}

/// Opens the source of a copy if its conditions hold.
pub(crate) fn open_source(from: &Bucket, wanted: &Wanted) -> S3Result<Object> {
    read::open(from, wanted).map_err(as_precondition)
}

/// Copies within the disk. Returns the source's meta and the new object's.
pub(crate) fn copy(
    from: &Arc<Bucket>,
    wanted: &Wanted,
    to: &Arc<Bucket>,
    input: &CopyObjectInput,
    described: Described,
    condition: &WriteCondition,
) -> S3Result<(Meta, Meta)> {
    let temp = to.temp();
    let source = link_source(from, wanted, &temp, &to.disk)?;
    let replaces = |directive: Option<&str>| directive == Some(MetadataDirective::REPLACE);
    let with_headers = replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str));
    let with_tags = replaces(input.tagging_directive.as_ref().map(TaggingDirective::as_str));
    let mut kept = source.described.clone();
    let mut given = described;
    let tags =
        if with_tags { std::mem::take(&mut given.tags) } else { std::mem::take(&mut kept.tags) };
    let described = Described { tags, ..if with_headers { given } else { kept } };
    let meta = Meta {
        key: input.key.clone(),
        etag: source.etag.clone(),
        parts: source.parts,
        part_sizes: source.part_sizes.clone(),
        sums: source.sums.clone(),
        described,
        ..Meta::default()
    };
    let meta = to.commit(&temp, meta, condition)?;
    Ok((source, meta))
}

/// Links the source's file to `temp`, under the source's lock so that file and meta belong together.
fn link_source(from: &Bucket, wanted: &Wanted, temp: &Temp, disk: &Disk) -> S3Result<Meta> {
    if let Some(version) = &wanted.version {
        let object = open_source(from, wanted)?;
        let kept = from.versions_of(&wanted.key).join(version);
        let path = if kept.exists() { kept } else { from.path(&wanted.key) };
        disk.link(&path, &temp.path).map_err(io_error)?;
        return Ok(object.meta);
    }
    let _guard = from.lock(&wanted.key);
    let Some(object) = from.object_locked(&wanted.key).map_err(io_error)? else {
        return Err(s3_error!(NoSuchKey, "The specified key does not exist: {}", wanted.key));
    };
    wanted.check(&object.meta).map_err(as_precondition)?;
    disk.link(&from.path(&wanted.key), &temp.path).map_err(io_error)?;
    Ok(object.meta)
}

/// The bytes that a part is copied from. S3 takes `bytes=first-last` here and nothing else.
pub(crate) fn part_range(range: Option<&str>, size: u64) -> S3Result<std::ops::Range<u64>> {
    let Some(text) = range else { return Ok(0..size) };
    let parsed = text.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
    let parsed = parsed.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let Some((first, last)) = parsed.filter(|(first, last): &(u64, u64)| first <= last) else {
        return Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy"
        ));
    };
    if last >= size {
        return Err(s3_error!(
            InvalidRange,
            "Range specified is not valid for source object of size: {size}"
        ));
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_copied_from_a_whole_range_or_not_at_all() {
        assert_eq!(part_range(None, 10).unwrap(), 0..10);
        assert_eq!(part_range(Some("bytes=0-9"), 10).unwrap(), 0..10);
        assert_eq!(part_range(Some("bytes=3-3"), 10).unwrap(), 3..4);
        for wrong in ["bytes=3-", "bytes=-3", "3-4", "bytes=4-3", "bytes=a-b", "bytes=0-1,3-4"] {
            let error = part_range(Some(wrong), 10).unwrap_err();
            assert_eq!(*error.code(), S3ErrorCode::InvalidArgument, "{wrong}");
        }
        let error = part_range(Some("bytes=0-10"), 10).unwrap_err();
        assert_eq!(*error.code(), S3ErrorCode::InvalidRange);
    }
}
