//! Operations on multipart uploads.

use s3s::S3Request;
use s3s::dto::*;

use super::Storage;
use super::commit::{WriteCondition, io_error};
use super::multipart::Upload;
use super::output::{Answer, described, ok, on_disk};
use super::receive::{Promise, receive};

impl Storage {
    pub(super) async fn start_upload(
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

    pub(super) async fn store_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> Answer<UploadPartOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        bucket.check_upload(&request.input.upload_id, &request.input.key)?;
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

    pub(super) async fn stored_parts(
        &self,
        request: S3Request<ListPartsInput>,
    ) -> Answer<ListPartsOutput> {
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

    pub(super) async fn finish_upload(
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

    pub(super) async fn drop_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        on_disk(move || bucket.abort_upload(&request.input.upload_id)).await?;
        ok(AbortMultipartUploadOutput::default())
    }
}
