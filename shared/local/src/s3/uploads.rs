//! Operations on multipart uploads.

use s3s::S3Request;
use s3s::dto::*;

use super::commit::{WriteCondition, io_error};
use super::copy::{Source, source_of};
use super::joined::Whole;
use super::meta::{Sums, http_time};
use super::multipart::Upload;
use super::output::{Answer, described, ok, on_disk};
use super::receive::{Promise, receive};
use super::{Storage, copy, pages, read};

impl Storage {
    pub(super) async fn start_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let described = described(&request.headers)?;
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let crc64 = |name: &ChecksumAlgorithm| name.as_str() == ChecksumAlgorithm::CRC64NVME;
        let full_object = match &input.checksum_type {
            Some(kind) => kind.as_str() == ChecksumType::FULL_OBJECT,
            None => input.checksum_algorithm.as_ref().is_some_and(crc64),
        };
        let upload = Upload {
            key: input.key.clone(),
            described,
            full_object,
            algorithm: input.checksum_algorithm.as_ref().map(|name| name.as_str().to_owned()),
            initiated: bucket.clock.now_ms(),
        };
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

    pub(super) async fn store_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> Answer<UploadPartOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        bucket.upload(&request.input.upload_id, &request.input.key)?;
        let body = request.input.body.take();
        let received =
            receive(&bucket, body, Promise::of(&request.headers, &request.extensions)).await?;
        let etag = Some(ETag::Strong(received.etag.clone()));
        let mut output = UploadPartOutput { e_tag: etag, ..Default::default() };
        set_sums!(output, &received.sums);
        let (id, number) = (request.input.upload_id, request.input.part_number);
        on_disk(move || bucket.put_part(&id, number, &received)).await?;
        ok(output)
    }

    /// A part whose bytes are those of an object, or of a range of one.
    pub(super) async fn copy_part(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        let input = request.input;
        let Source { bucket: from, wanted } = source_of!(input)?;
        let (from, to) = (self.bucket(&from)?, self.bucket(&input.bucket)?);
        let (_, upload) = to.upload(&input.upload_id, &input.key)?;
        let object = on_disk(move || copy::open_source(&from, &wanted)).await?;
        let span = copy::part_range(input.copy_source_range.as_deref(), object.meta.size)?;
        let body = read::stream(object.file, &span).map_err(io_error)?;
        let promise = Promise::none(upload.algorithm.as_deref());
        let received = receive(&to, Some(body), promise).await?;
        let mut result = CopyPartResult {
            e_tag: Some(ETag::Strong(received.etag.clone())),
            last_modified: Some(http_time(to.clock.now_ms())),
            ..Default::default()
        };
        set_sums!(result, &received.sums);
        let (id, number) = (input.upload_id, input.part_number);
        on_disk(move || to.put_part(&id, number, &received)).await?;
        ok(UploadPartCopyOutput {
            copy_part_result: Some(result),
            copy_source_version_id: object.meta.version,
            ..Default::default()
        })
    }

    pub(super) async fn stored_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> Answer<ListPartsOutput> {
        let input = request.input;
        let after = input.part_number_marker.unwrap_or(0);
        let mut parts = self.bucket(&input.bucket)?.parts(&input.upload_id, &input.key)?;
        parts.retain(|part| part.part_number > Some(after));
        let max = pages::page(input.max_parts);
        let more = parts.len() > max;
        parts.truncate(max);
        ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(more),
            max_parts: i32::try_from(max).ok(),
            part_number_marker: Some(after),
            next_part_number_marker: parts.last().and_then(|part| part.part_number),
            parts: Some(parts),
            ..Default::default()
        })
    }

    pub(super) async fn finish_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let condition =
            WriteCondition { if_match: input.if_match, if_none_match: input.if_none_match };
        let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let promised = Whole {
            size: input.mpu_object_size,
            sums: Sums {
                crc32: input.checksum_crc32,
                crc32c: input.checksum_crc32c,
                crc64nvme: input.checksum_crc64nvme,
                sha1: input.checksum_sha1,
                sha256: input.checksum_sha256,
                composite: false,
            },
        };
        let (id, key) = (input.upload_id, input.key.clone());
        let done = move || bucket.complete_upload(&id, &key, &parts, &promised, &condition);
        let meta = on_disk(done).await?;
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

    pub(super) async fn drop_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        on_disk(move || bucket.abort_upload(&request.input.upload_id)).await?;
        ok(AbortMultipartUploadOutput::default())
    }
}
