//! `CopyObject`: a hard link, so that publishing a staged file costs no bytes.

use std::fs;
use std::sync::Arc;

use hyper::HeaderMap;
use s3s::dto::{CopyObjectInput, CopySource, ETagCondition, MetadataDirective};
use s3s::{S3Result, s3_error};

use super::bucket::Bucket;
use super::commit::{Temp, WriteCondition, io_error, matches_etag, precondition_failed};
use super::meta::{Described, Meta};
use super::read::{self, Wanted};

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

/// The bucket, key and version that a request copies from.
pub(crate) fn source_of(input: &CopyObjectInput) -> S3Result<(String, Wanted)> {
    let CopySource::Bucket { bucket, key, version_id } = &input.copy_source else {
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
    Ok((bucket.to_string(), wanted))
}

fn check_source(input: &CopyObjectInput, source: &Meta) -> S3Result<()> {
    if let Some(condition) = &input.copy_source_if_match
        && !matches_etag(condition, source)
    {
        return Err(precondition_failed("x-amz-copy-source-If-Match"));
    }
    if let Some(condition) = &input.copy_source_if_none_match
        && matches_etag(condition, source)
    {
        return Err(precondition_failed("x-amz-copy-source-If-None-Match"));
    }
    Ok(())
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
    let temp = Temp(to.scratch());
    let source = link_source(from, wanted, &temp)?;
    check_source(input, &source)?;
    let replace = input
        .metadata_directive
        .as_ref()
        .is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
    let meta = Meta {
        key: input.key.clone(),
        etag: source.etag.clone(),
        parts: source.parts,
        sums: source.sums.clone(),
        described: if replace { described } else { source.described.clone() },
        ..Meta::default()
    };
    let meta = to.commit(&temp, meta, condition)?;
    Ok((source, meta))
}

/// Links the source's file to `temp`, under the source's lock so that file and meta belong together.
fn link_source(from: &Bucket, wanted: &Wanted, temp: &Temp) -> S3Result<Meta> {
    if let Some(version) = &wanted.version {
        let object = read::open(from, wanted)?;
        let kept = from.versions_of(&wanted.key).join(version);
        let path = if kept.exists() { kept } else { from.path(&wanted.key) };
        fs::hard_link(path, &temp.0).map_err(io_error)?;
        return Ok(object.meta);
    }
    let _guard = from.lock(&wanted.key);
    let Some(object) = from.object_locked(&wanted.key).map_err(io_error)? else {
        return Err(s3_error!(NoSuchKey, "The specified key does not exist: {}", wanted.key));
    };
    fs::hard_link(from.path(&wanted.key), &temp.0).map_err(io_error)?;
    Ok(object.meta)
}
