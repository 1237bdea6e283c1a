//! S3: the only module that calls it.

use std::path::Path;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumMode, Delete, ObjectIdentifier};
use bytes::Bytes;
use rowproof_core::ids::ObjectVersion;
use rowproof_core::time::EpochSeconds;

use crate::aws::error::AwsError;
use crate::clock::Clock;

/// Metadata key on every object that Rowproof writes: events of such objects start nothing.
pub const OWN_METADATA: &str = "rowproof-job";

/// What became of a write that must not overwrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is stored now.
    Created,
    /// The name was taken already.
    Existed,
}

/// What a HEAD request says about an object.
#[derive(Debug, Clone)]
pub struct Head {
    /// The version.
    pub object: ObjectVersion,
    /// The job that wrote it, when Rowproof did.
    pub written_by: Option<String>,
}

/// One page of a listing.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// In the order of their keys. Listings tell no version ids.
    pub objects: Vec<ObjectVersion>,
    /// Whether more come after the last of them.
    pub more: bool,
}

/// Objects of all buckets.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    clock: Clock,
}

/// A conditional request that met another one in flight is sent again this often.
const CONFLICT_TRIES: u32 = 6;

impl Store {
    /// Over this client, waiting on this clock.
    pub fn new(client: Client, clock: Clock) -> Store {
        Store { client, clock }
    }

    /// What is under the key now; `None` when nothing is.
    pub async fn head(&self, bucket: &str, key: &str) -> Result<Option<Head>, AwsError> {
        let answer = self.client.head_object().bucket(bucket).key(key).send().await;
        let head = match answer {
            Ok(head) => head,
            Err(error) => {
                let error = AwsError::of(format!("HeadObject s3://{bucket}/{key}"), error);
                return if error.is_not_found() { Ok(None) } else { Err(error) };
            }
        };
        let written_by = head.metadata().and_then(|map| map.get(OWN_METADATA)).cloned();
        let object = ObjectVersion {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            etag: head.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
            size: head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            version_id: head.version_id().filter(|id| *id != "null").map(str::to_owned),
            last_modified: EpochSeconds(head.last_modified().map_or(0, |time| time.secs())),
        };
        Ok(Some(Head { object, written_by }))
    }

    /// Bytes `[start, end)` of this very version, as a stream. An overwritten or removed object is an
    /// error with status 412 or 404.
    pub async fn read(
        &self,
        object: &ObjectVersion,
        start: u64,
        end: u64,
    ) -> Result<ByteStream, AwsError> {
        let request = self
            .client
            .get_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .if_match(format!("\"{}\"", object.etag))
            .range(format!("bytes={start}-{}", end.saturating_sub(1)));
        match request.send().await {
            Ok(answer) => Ok(answer.body),
            Err(error) => Err(AwsError::of(format!("GetObject {}", object.uri()), error)),
        }
    }

    /// The whole of a small object; `None` when it is not there.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Option<Bytes>, AwsError> {
        Ok(self.get_tagged(bucket, key).await?.map(|(bytes, _)| bytes))
    }

    /// The whole of a small object and its entity tag; `None` when it is not there.
    pub async fn get_tagged(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<(Bytes, String)>, AwsError> {
        let operation = || format!("GetObject s3://{bucket}/{key}");
        let answer = match self.client.get_object().bucket(bucket).key(key).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = AwsError::of(operation(), error);
                return if error.is_not_found() { Ok(None) } else { Err(error) };
            }
        };
        let etag = answer.e_tag().unwrap_or_default().to_owned();
        let bytes = answer.body.collect().await.map_err(|error| AwsError {
            operation: operation(),
            code: "body cut off".into(),
            status: 0,
            message: error.to_string(),
        })?;
        Ok(Some((bytes.into_bytes(), etag)))
    }

    /// Stores bytes under a name that no two contents share, unless it is taken.
    pub async fn put_new(
        &self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        job: &str,
    ) -> Result<Stored, AwsError> {
        self.put_if(bucket, key, bytes, job, Condition::Absent).await
    }

    /// Stores bytes over the version with this entity tag (`None`: over nothing).
    pub async fn swap(
        &self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        job: &str,
        over: Option<&str>,
    ) -> Result<Stored, AwsError> {
        let condition = over.map_or(Condition::Absent, Condition::Match);
        self.put_if(bucket, key, bytes, job, condition).await
    }

    async fn put_if(
        &self,
        bucket: &str,
        key: &str,
        bytes: Bytes,
        job: &str,
        condition: Condition<'_>,
    ) -> Result<Stored, AwsError> {
        for attempt in 0..CONFLICT_TRIES {
            let request = self
                .client
                .put_object()
                .bucket(bucket)
                .key(key)
                .metadata(OWN_METADATA, job)
                .body(ByteStream::from(bytes.clone()));
            let request = match condition {
                Condition::Absent => request.if_none_match("*"),
                Condition::Match(etag) => request.if_match(etag),
            };
            let error = match request.customize().disable_payload_signing().send().await {
                Ok(_) => return Ok(Stored::Created),
                Err(error) => AwsError::of(format!("PutObject s3://{bucket}/{key}"), error),
            };
            if error.is_precondition() {
                return Ok(Stored::Existed);
            }
            if !error.is_conflict() {
                return Err(error);
            }
            crate::aws::retry::pause(self.clock, attempt).await;
        }
        Err(still_in_conflict(format!("PutObject s3://{bucket}/{key}")))
    }

    /// Copies an object inside a bucket to a name that is not taken. The bytes do not travel.
    pub async fn copy_new(&self, bucket: &str, from: &str, to: &str) -> Result<Stored, AwsError> {
        let operation = || format!("CopyObject s3://{bucket}/{from} to {to}");
        for attempt in 0..CONFLICT_TRIES {
            let answer = self
                .client
                .copy_object()
                .bucket(bucket)
                .copy_source(format!("{bucket}/{}", encode_key(from)))
                .key(to)
                .if_none_match("*")
                .send()
                .await;
            let error = match answer {
                Ok(_) => return Ok(Stored::Created),
                Err(error) => AwsError::of(operation(), error),
            };
            if error.is_precondition() {
                return Ok(Stored::Existed);
            }
            if !error.is_conflict() {
                return Err(error);
            }
            crate::aws::retry::pause(self.clock, attempt).await;
        }
        Err(still_in_conflict(operation()))
    }

    /// All keys under a prefix, in order.
    pub async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, AwsError> {
        let mut keys = vec![];
        let mut pages =
            self.client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| {
                AwsError::of(format!("ListObjectsV2 s3://{bucket}/{prefix}"), error)
            })?;
            keys.extend(
                page.contents().iter().filter_map(|object| object.key().map(str::to_owned)),
            );
        }
        Ok(keys)
    }

    /// Up to 1000 objects under a prefix whose keys come after `after`.
    pub async fn page(&self, bucket: &str, prefix: &str, after: &str) -> Result<Page, AwsError> {
        let request = self.client.list_objects_v2().bucket(bucket).prefix(prefix);
        let request = if after.is_empty() { request } else { request.start_after(after) };
        let answer = request.send().await.map_err(|error| {
            AwsError::of(format!("ListObjectsV2 s3://{bucket}/{prefix} after {after}"), error)
        })?;
        let listed = answer.contents().iter().filter_map(|object| {
            Some(ObjectVersion {
                bucket: bucket.to_owned(),
                key: object.key()?.to_owned(),
                etag: object.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
                size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                version_id: None,
                last_modified: EpochSeconds(object.last_modified().map_or(0, |time| time.secs())),
            })
        });
        Ok(Page { objects: listed.collect(), more: answer.is_truncated().unwrap_or(false) })
    }

    /// Removes objects; names that are not there are no error.
    pub async fn delete(&self, bucket: &str, keys: &[String]) -> Result<(), AwsError> {
        for batch in keys.chunks(1000) {
            let operation = || format!("DeleteObjects s3://{bucket} ({} keys)", batch.len());
            let objects = batch
                .iter()
                .map(|key| ObjectIdentifier::builder().key(key).build())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| build_error(operation(), &error))?;
            let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
            let delete = delete.map_err(|error| build_error(operation(), &error))?;
            let answer = self.client.delete_objects().bucket(bucket).delete(delete).send().await;
            let answer = answer.map_err(|error| AwsError::of(operation(), error))?;
            if let Some(failed) = answer.errors().first() {
                return Err(AwsError {
                    operation: operation(),
                    code: failed.code().unwrap_or("Unknown").to_owned(),
                    status: 200,
                    message: failed.message().unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Stores a local file under a key, unconditionally. S3 refuses it unless its CRC-64/NVME
    /// (base64) is `crc64`; sent ahead, it spares the framing that a checksum behind the body needs.
    pub async fn upload(
        &self,
        bucket: &str,
        key: &str,
        path: &Path,
        crc64: &str,
    ) -> Result<(), AwsError> {
        let operation = || format!("PutObject s3://{bucket}/{key}");
        let body = ByteStream::read_from().path(path).buffer_size(1 << 20).build().await;
        let body = body.map_err(|error| build_error(operation(), &error))?;
        let request = self.client.put_object().bucket(bucket).key(key).body(body);
        let request = request.checksum_crc64_nvme(crc64);
        let answer = request.customize().disable_payload_signing().send().await;
        answer.map(drop).map_err(|error| AwsError::of(operation(), error))
    }

    /// Stores bytes under a key, unconditionally.
    pub async fn put(&self, bucket: &str, key: &str, bytes: Bytes) -> Result<(), AwsError> {
        let body = ByteStream::from(bytes);
        let answer = self.client.put_object().bucket(bucket).key(key).body(body).send().await;
        answer.map(drop).map_err(|e| AwsError::of(format!("PutObject s3://{bucket}/{key}"), e))
    }

    /// Size and CRC-64/NVME (base64) of what is under the key; `None` when nothing is, or when it
    /// was stored without one.
    pub async fn checksum(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<Option<(u64, String)>, AwsError> {
        let request = self.client.head_object().bucket(bucket).key(key);
        let head = match request.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(head) => head,
            Err(error) => {
                let error = AwsError::of(format!("HeadObject s3://{bucket}/{key}"), error);
                return if error.is_not_found() { Ok(None) } else { Err(error) };
            }
        };
        let size = head.content_length().and_then(|size| u64::try_from(size).ok());
        Ok(size.zip(head.checksum_crc64_nvme().map(str::to_owned)))
    }
}

#[derive(Clone, Copy)]
enum Condition<'a> {
    Absent,
    Match(&'a str),
}

fn still_in_conflict(operation: String) -> AwsError {
    AwsError {
        operation,
        code: "ConditionalRequestConflict".into(),
        status: 409,
        message: "other conditional requests for the key kept coming in between".into(),
    }
}

fn build_error(operation: String, error: &dyn std::error::Error) -> AwsError {
    AwsError {
        operation,
        code: "request could not be built".into(),
        status: 0,
        message: error.to_string(),
    }
}

/// A key as `CopySource` wants it: percent-encoded but for unreserved characters and slashes.
fn encode_key(key: &str) -> String {
    let mut encoded = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encode_key;

    #[test]
    fn a_copy_source_keeps_slashes_and_encodes_the_rest() {
        assert_eq!(encode_key("a b/c=ü+.parquet"), "a%20b/c%3D%C3%BC%2B.parquet");
    }
}
