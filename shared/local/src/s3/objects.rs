//! Operations on objects.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::attributes::part_span;
use super::bucket::Bucket;
use super::commit::{WriteCondition, io_error};
use super::copy::{Source, source_of};
use super::meta::Meta;
use super::output::{Answer, described, ok, on_disk};
use super::read::{self, Wanted};
use super::receive::{Promise, receive};
use super::{Storage, copy};

impl Storage {
    pub(super) async fn put(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> Answer<PutObjectOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        let described = described(&request.headers)?;
        let body = request.input.body.take();
        let received =
            receive(&bucket, body, Promise::of(&request.headers, &request.extensions)).await?;
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

    pub(super) async fn get(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = request.input;
        let bucket = self.bucket(&input.bucket)?;
        let wanted = Wanted::from(&input);
        let object = on_disk(move || read::open(&bucket, &wanted)).await?;
        let span = span(&object.meta, input.range.as_ref(), input.part_number)?;
        let length = span.end - span.start;
        let mut output =
            GetObjectOutput { content_length: i64::try_from(length).ok(), ..Default::default() };
        // A sum is of the whole object, so it goes out with the whole object only.
        let with_sums = input.checksum_mode.is_some() && length == object.meta.size;
        describe!(output, &object.meta, with_sums);
        let tags = object.meta.described.tags.len();
        output.tag_count = i32::try_from(tags).ok().filter(|tags| *tags > 0);
        if input.range.is_some() || input.part_number.is_some() {
            let last = span.end.saturating_sub(1);
            output.content_range =
                Some(format!("bytes {}-{last}/{}", span.start, object.meta.size));
        }
        output.body = Some(read::stream(object.file, &span).map_err(io_error)?);
        ok(output)
    }

    pub(super) async fn head(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> Answer<HeadObjectOutput> {
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
        let span = span(&object.meta, input.range.as_ref(), input.part_number)?;
        let mut output = HeadObjectOutput {
            content_length: i64::try_from(span.end - span.start).ok(),
            ..Default::default()
        };
        describe!(output, &object.meta, input.checksum_mode.is_some());
        ok(output)
    }

    pub(super) async fn copy(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> Answer<CopyObjectOutput> {
        let condition = copy::destination_condition(&request.headers)?;
        let described = described(&request.headers)?;
        let input = request.input;
        let Source { bucket: from, wanted } = source_of!(input)?;
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

    pub(super) async fn delete(
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

    pub(super) async fn delete_many(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        let bucket = self.bucket(&request.input.bucket)?;
        let wanted = request.input.delete;
        let output = on_disk(move || Ok(delete_all(&bucket, wanted))).await?;
        ok(output)
    }
}

/// The bytes that a read asks for.
fn span(meta: &Meta, range: Option<&Range>, part: Option<i32>) -> S3Result<std::ops::Range<u64>> {
    match (range, part) {
        (Some(_), Some(_)) => Err(s3_error!(
            InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter"
        )),
        (range, None) => read::span(range, meta.size),
        (None, Some(number)) => part_span(meta, number),
    }
}

fn delete_all(bucket: &Bucket, wanted: Delete) -> DeleteObjectsOutput {
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in wanted.objects {
        let if_match = object.e_tag.map(ETagCondition::ETag);
        let further = object.last_modified_time.is_some() || object.size.is_some();
        let done = match &object.version_id {
            _ if further => Err(s3_error!(
                NotImplemented,
                "deleting under a condition on size or time is not supported by the local S3"
            )),
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
