//! What the operations have in common: disk work, stored headers, and answers.

use std::collections::BTreeMap;

use hyper::HeaderMap;
use s3s::{S3Error, S3Response, S3Result};
use tokio::task::spawn_blocking;

use super::meta::Described;
use super::tag_list;

pub(super) type Answer<T> = S3Result<S3Response<T>>;

/// Disk work, off the threads that serve sockets.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> S3Result<T> + Send + 'static,
) -> S3Result<T> {
    spawn_blocking(work).await.map_err(S3Error::internal_error)?
}

pub(super) fn ok<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

pub(super) fn described(headers: &HeaderMap) -> S3Result<Described> {
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
    let tags = text("x-amz-tagging").as_deref().map(tag_list::parse).transpose()?;
    Ok(Described {
        content_type: text("content-type"),
        content_encoding: encoding,
        content_language: text("content-language"),
        content_disposition: text("content-disposition"),
        cache_control: text("cache-control"),
        user,
        tags: tags.unwrap_or_default(),
    })
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
