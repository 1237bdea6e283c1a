//! Listings, a page at a time.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::Storage;
use super::commit::io_error;
use super::list::{ListRequest, Listing};
use super::output::{Answer, ok, on_disk};
use crate::events::percent_encode;

/// Most keys of one page.
const PAGE_KEYS_MAX: i32 = 1000;

impl Storage {
    async fn list(
        &self,
        bucket: &str,
        request: ListRequest,
        encoding: Option<&EncodingType>,
    ) -> S3Result<(Listing, Vec<CommonPrefix>)> {
        let bucket = self.bucket(bucket)?;
        let mut listing = on_disk(move || bucket.list(&request).map_err(io_error)).await?;
        let encoded = encoder(encoding);
        for object in &mut listing.contents {
            object.key = object.key.as_deref().map(&encoded);
        }
        let prefixes = listing.common_prefixes(encoded);
        Ok((listing, prefixes))
    }

    pub(super) async fn page(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        let input = request.input;
        let token = input.continuation_token.as_deref().map(decode_token).transpose()?;
        let page = page(input.max_keys);
        let wanted = ListRequest {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: token.or_else(|| input.start_after.clone()).unwrap_or_default(),
            max: page,
        };
        let (listing, prefixes) =
            self.list(&input.bucket, wanted, input.encoding_type.as_ref()).await?;
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

    pub(super) async fn page_v1(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> Answer<ListObjectsOutput> {
        let input = request.input;
        let page = page(input.max_keys);
        let wanted = ListRequest {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.marker.clone().unwrap_or_default(),
            max: page,
        };
        let (listing, prefixes) =
            self.list(&input.bucket, wanted, input.encoding_type.as_ref()).await?;
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
}

pub(super) fn page(max: Option<i32>) -> usize {
    usize::try_from(max.unwrap_or(PAGE_KEYS_MAX).clamp(0, PAGE_KEYS_MAX)).unwrap_or(0)
}

/// How keys are written in an answer.
pub(super) fn encoder(encoding: Option<&EncodingType>) -> impl Fn(&str) -> String + use<> {
    let in_url = encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
    move |text| if in_url { percent_encode(text, "/") } else { text.to_owned() }
}

fn encode_token(after: &str) -> String {
    data_encoding::HEXLOWER.encode(after.as_bytes())
}

fn decode_token(token: &str) -> S3Result<String> {
    let bytes = data_encoding::HEXLOWER.decode(token.as_bytes()).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
