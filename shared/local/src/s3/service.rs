//! The S3 operations as the protocol crate calls them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use hyper::HeaderMap;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use tokio::task::spawn_blocking;

use super::Storage;
use super::bucket::Bucket;
use super::commit::{WriteCondition, io_error};
use super::copy;
use super::list::{ListRequest, Listing};
use super::meta::{Described, Meta};
use super::multipart::Upload;
use super::read::{self, Wanted};
use super::receive::{Promise, Received, receive};
use crate::events::percent_encode;

type Answer<T> = S3Result<S3Response<T>>;

/// Most keys of one page.
const PAGE_KEYS_MAX: i32 = 1000;

/// Disk work, off the threads that serve sockets.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    spawn_blocking(work).await.map_err(S3Error::internal_error)?
}

fn ok<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

fn described(headers: &HeaderMap) -> Described {
    let text =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // What is left of the transport's own encoding is no property of the object.
    let encoding = text("content-encoding").filter(|encoding| encoding != "aws-chunked");
    let user: BTreeMap<String, String> = headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("x-amz-meta-")?;
            Some((name.to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        })
        .collect();
    Described {
        content_type: text("content-type"),
        content_encoding: encoding,
        content_language: text("content-language"),
        content_disposition: text("content-disposition"),
        cache_control: text("cache-control"),
        user,
    }
}

macro_rules! set_sums {
    ($output:expr, $sums:expr) => {{
        let sums = $sums;
        $output.checksum_crc32 = sums.crc32.clone();
        $output.checksum_crc32c = sums.crc32c.clone();
        $output.checksum_crc64nvme = sums.crc64nvme.clone();
        $output.checksum_sha1 = sums.sha1.clone();
        $output.checksum_sha256 = sums.sha256.clone();
    }};
}

/// Sets the headers that GET and HEAD have in common.
macro_rules! describe {
    ($output:expr, $meta:expr, $with_sums:expr) => {{
        let meta: &Meta = $meta;
        let output = &mut $output;
        output.accept_ranges = Some("bytes".to_owned());
        output.e_tag = Some(meta.e_tag());
        output.last_modified = Some(meta.modified());
        output.version_id = meta.version.clone();
        let described = &meta.described;
        let default = "binary/octet-stream".to_owned();
        output.content_type = Some(described.content_type.clone().unwrap_or(default));
        output.content_encoding = described.content_encoding.clone();
        output.content_language = described.content_language.clone();
        output.content_disposition = described.content_disposition.clone();
        output.cache_control = described.cache_control.clone();
        output.metadata = Some(described.user.clone().into_iter().collect());
        output.parts_count = i32::try_from(meta.parts).ok().filter(|parts| *parts > 0);
        if $with_sums {
            set_sums!(*output, &meta.sums);
            output.checksum_type = meta.sums.kind();
        }
    }};
}

impl Storage {
    async fn list(
        &self,
        bucket: &str,
        request: ListRequest,
        encode: bool,
    ) -> S3Result<(Listing, Vec<CommonPrefix>)> {
        let bucket = self.bucket(bucket)?;
        let mut listing = on_disk(move || bucket.list(&request).map_err(io_error)).await?;
        let encoded = |text: &str| match encode {
            true => percent_encode(text, "/"),
            false => text.to_owned(),
        };
        for object in &mut listing.contents {
            object.key = object.key.as_deref().map(encoded);
        }
        let prefixes = listing.common_prefixes(encoded);
        Ok((listing, prefixes))
    }

    async fn store<T>(
        &self,
        request: &mut S3Request<T>,
        bucket: &Arc<Bucket>,
        body: Option<StreamingBlob>,
    ) -> S3Result<Received> {
        receive(bucket, body, Promise::of(&request.headers, &request.extensions)).await
    }
}

fn page(max: Option<i32>) -> usize {
    usize::try_from(max.unwrap_or(PAGE_KEYS_MAX).clamp(0, PAGE_KEYS_MAX)).unwrap_or(0)
}

fn wants_url_encoding(encoding: Option<&EncodingType>) -> bool {
    encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL)
}

#[async_trait]
impl S3 for Storage {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> Answer<CreateBucketOutput> {
        let (storage, name) = (self.clone(), request.input.bucket);
        let location = Some(format!("/{name}"));
        on_disk(move || storage.create_bucket(&name).map_err(io_error)).await?;
        ok(CreateBucketOutput { location, ..Default::default() })
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> Answer<DeleteBucketOutput> {
        let storage = self.clone();
        on_disk(move || storage.remove_bucket(&request.input.bucket)).await?;
        ok(DeleteBucketOutput::default())
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.bucket(&request.input.bucket)?;
        ok(HeadBucketOutput { bucket_region: Some(crate::REGION.to_owned()), ..Default::default() })
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.bucket(&request.input.bucket)?;
        ok(GetBucketLocationOutput::default())
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let buckets = self.buckets();
        let buckets = buckets.iter().map(|bucket| s3s::dto::Bucket {
            name: Some(bucket.name.clone()),
            creation_date: Some(
                (UNIX_EPOCH + Duration::from_millis(bucket.settings().created)).into(),
            ),
            ..Default::default()
        });
        ok(ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() })
    }

    async fn put_bucket_versioning(
        &self,
        request: S3Request<PutBucketVersioningInput>,
    ) -> Answer<PutBucketVersioningOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        let status = request.input.versioning_configuration.status;
        let on = status.is_some_and(|s| s.as_str() == BucketVersioningStatus::ENABLED);
        on_disk(move || bucket.set_versioned(on).map_err(io_error)).await?;
        ok(PutBucketVersioningOutput::default())
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        let settings = self.bucket(&request.input.bucket)?.settings();
        let status = match (settings.versioned, settings.suspended) {
            (true, _) => Some(BucketVersioningStatus::ENABLED),
            (false, true) => Some(BucketVersioningStatus::SUSPENDED),
            (false, false) => None,
        };
        let status = status.map(BucketVersioningStatus::from_static);
        ok(GetBucketVersioningOutput { status, ..Default::default() })
    }

    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        let body = request.input.body.take();
        let received = self.store(&mut request, &bucket, body).await?;
        let described = described(&request.headers);
        let input = request.input;
        let condition =
            WriteCondition { if_match: input.if_match, if_none_match: input.if_none_match };
        let meta = Meta {
            key: input.key,
            etag: received.etag,
            sums: received.sums,
            described,
            ..Meta::default()
        };
        let temp = received.temp;
        let meta = on_disk(move || bucket.commit(&temp, meta, &condition)).await?;
        self.created(&input.bucket, &meta, "PutObject");
        let mut output = PutObjectOutput {
            e_tag: Some(meta.e_tag()),
            version_id: meta.version.clone(),
            checksum_type: meta.sums.kind(),
            ..Default::default()
        };
        set_sums!(output, &meta.sums);
        ok(output)
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let wanted = Wanted::from(&input);
        let object = on_disk(move || read::open(&bucket, &wanted)).await?;
        let span = read::span(input.range.as_ref(), object.meta.size)?;
        let length = span.end - span.start;
        let mut output =
            GetObjectOutput { content_length: i64::try_from(length).ok(), ..Default::default() };
        // A sum is of the whole object, so it goes out with the whole object only.
        let with_sums = input.checksum_mode.is_some() && length == object.meta.size;
        describe!(output, &object.meta, with_sums);
        if input.range.is_some() {
            let last = span.end.saturating_sub(1);
            output.content_range =
                Some(format!("bytes {}-{last}/{}", span.start, object.meta.size));
        }
        output.body = Some(read::stream(object.file, &span).map_err(io_error)?);
        ok(output)
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let wanted = Wanted {
            key: input.key,
            version: input.version_id,
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        let object = on_disk(move || read::open(&bucket, &wanted)).await?;
        let span = read::span(input.range.as_ref(), object.meta.size)?;
        let mut output = HeadObjectOutput {
            content_length: i64::try_from(span.end - span.start).ok(),
            ..Default::default()
        };
        describe!(output, &object.meta, input.checksum_mode.is_some());
        ok(output)
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let condition = copy::destination_condition(&request.headers)?;
        let described = described(&request.headers);
        let input = request.input;
        let (from, wanted) = copy::source_of(&input)?;
        let (from, to) = (self.bucket(&from)?, self.bucket(&input.bucket)?);
        let bucket = input.bucket.clone();
        let (source, meta) =
            on_disk(move || copy::copy(&from, &wanted, &to, &input, described, &condition)).await?;
        self.created(&bucket, &meta, "CopyObject");
        let mut result = CopyObjectResult {
            e_tag: Some(meta.e_tag()),
            last_modified: Some(meta.modified()),
            checksum_type: meta.sums.kind(),
            ..Default::default()
        };
        set_sums!(result, &meta.sums);
        ok(CopyObjectOutput {
            copy_object_result: Some(result),
            copy_source_version_id: source.version,
            version_id: meta.version,
            ..Default::default()
        })
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> Answer<DeleteObjectOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let deleted = on_disk(move || match &input.version_id {
            Some(version) => bucket.delete_version(&input.key, version),
            None => bucket.delete(&input.key, input.if_match.as_ref()),
        })
        .await?;
        ok(DeleteObjectOutput {
            delete_marker: deleted.delete_marker.then_some(true),
            version_id: deleted.version,
            ..Default::default()
        })
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        let wanted = request.input.delete;
        let output = on_disk(move || Ok(delete_all(&bucket, wanted))).await?;
        ok(output)
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        let input = request.input;
        let token = input.continuation_token.as_deref().map(decode_token).transpose()?;
        let encode = wants_url_encoding(input.encoding_type.as_ref());
        let page = page(input.max_keys);
        let wanted = ListRequest {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: token.or_else(|| input.start_after.clone()).unwrap_or_default(),
            max: page,
        };
        let (listing, prefixes) = self.list(&input.bucket, wanted, encode).await?;
        let count = listing.contents.len() + prefixes.len();
        ok(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            start_after: input.start_after,
            max_keys: i32::try_from(page).ok(),
            key_count: i32::try_from(count).ok(),
            is_truncated: Some(listing.next.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token: listing.next.as_deref().map(encode_token),
            contents: Some(listing.contents),
            common_prefixes: Some(prefixes),
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> Answer<ListObjectsOutput> {
        let input = request.input;
        let encode = wants_url_encoding(input.encoding_type.as_ref());
        let page = page(input.max_keys);
        let wanted = ListRequest {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.marker.clone().unwrap_or_default(),
            max: page,
        };
        let (listing, prefixes) = self.list(&input.bucket, wanted, encode).await?;
        ok(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            marker: Some(input.marker.unwrap_or_default()),
            delimiter: input.delimiter,
            max_keys: i32::try_from(page).ok(),
            is_truncated: Some(listing.next.is_some()),
            next_marker: listing.next,
            contents: Some(listing.contents),
            common_prefixes: Some(prefixes),
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let described = described(&request.headers);
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let crc64 = |name: &ChecksumAlgorithm| name.as_str() == ChecksumAlgorithm::CRC64NVME;
        let full_object = match &input.checksum_type {
            Some(kind) => kind.as_str() == ChecksumType::FULL_OBJECT,
            None => input.checksum_algorithm.as_ref().is_some_and(crc64),
        };
        let upload = Upload { key: input.key.clone(), described, full_object };
        let id = on_disk(move || bucket.create_upload(&upload).map_err(io_error)).await?;
        ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..Default::default()
        })
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> Answer<UploadPartOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        bucket.check_upload(&request.input.upload_id, &request.input.key)?;
        let body = request.input.body.take();
        let received = self.store(&mut request, &bucket, body).await?;
        let etag = Some(ETag::Strong(received.etag.clone()));
        let mut output = UploadPartOutput { e_tag: etag, ..Default::default() };
        set_sums!(output, &received.sums);
        let (id, number) = (request.input.upload_id, request.input.part_number);
        on_disk(move || bucket.put_part(&id, number, &received)).await?;
        ok(output)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        let input = request.input;
        let parts = self.bucket(&input.bucket)?.parts(&input.upload_id, &input.key)?;
        ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(false),
            parts: Some(parts),
            ..Default::default()
        })
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let condition =
            WriteCondition { if_match: input.if_match, if_none_match: input.if_none_match };
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let (id, key) = (input.upload_id, input.key.clone());
        let meta = on_disk(move || bucket.complete_upload(&id, &key, &parts, &condition)).await?;
        self.created(&input.bucket, &meta, "CompleteMultipartUpload");
        let mut output = CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(meta.e_tag()),
            version_id: meta.version.clone(),
            checksum_type: meta.sums.kind(),
            ..Default::default()
        };
        set_sums!(output, &meta.sums);
        ok(output)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        on_disk(move || bucket.abort_upload(&request.input.upload_id)).await?;
        ok(AbortMultipartUploadOutput::default())
    }
}

fn delete_all(bucket: &Bucket, wanted: Delete) -> DeleteObjectsOutput {
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in wanted.objects {
        let if_match = object.e_tag.map(ETagCondition::ETag);
        let done = match &object.version_id {
            Some(version) => bucket.delete_version(&object.key, version),
            None => bucket.delete(&object.key, if_match.as_ref()),
        };
        match done {
            Ok(done) => deleted.push(DeletedObject {
                key: Some(object.key),
                version_id: object.version_id,
                delete_marker: done.delete_marker.then_some(true),
                delete_marker_version_id: done.version.filter(|_| done.delete_marker),
            }),
            Err(error) => errors.push(s3s::dto::Error {
                key: Some(object.key),
                version_id: object.version_id,
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
            }),
        }
    }
    if wanted.quiet == Some(true) {
        deleted.clear();
    }
    DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() }
}

fn encode_token(after: &str) -> String {
    data_encoding::HEXLOWER.encode(after.as_bytes())
}

fn decode_token(token: &str) -> S3Result<String> {
    let bytes = data_encoding::HEXLOWER.decode(token.as_bytes()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
