//! GET and HEAD: conditions, ranges, and the file as a stream of large slices.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Seek};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use s3s::dto::{ETagCondition, GetObjectInput, Range, StreamingBlob, Timestamp};
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Result, StdError, s3_error};
use tokio::task::{JoinHandle, spawn_blocking};

use super::bucket::{Bucket, Object};
use super::commit::{io_error, matches_etag, precondition_failed};
use super::meta::Meta;

/// Bytes read from disk, and handed to the socket, at once.
const READ_BYTES: u64 = 512 * 1024;

/// Which object a request wants, and under which conditions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
    pub(crate) if_modified_since: Option<Timestamp>,
    pub(crate) if_unmodified_since: Option<Timestamp>,
}

impl From<&GetObjectInput> for Wanted {
    fn from(input: &GetObjectInput) -> Self {
        Self {
            key: input.key.clone(),
            version: input.version_id.clone(),
            if_match: input.if_match.clone(),
            if_none_match: input.if_none_match.clone(),
            if_modified_since: input.if_modified_since.clone(),
            if_unmodified_since: input.if_unmodified_since.clone(),
        }
    }
}

impl Wanted {
    /// The tag conditions win over the times, as RFC 9110 has it.
    pub(super) fn check(&self, meta: &Meta) -> S3Result<()> {
        let modified = meta.modified();
        match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) if !matches_etag(condition, meta) => {
                return Err(precondition_failed("If-Match"));
            }
            (None, Some(since)) if modified > *since => {
                return Err(precondition_failed("If-Unmodified-Since"));
            }
            _ => {}
        }
        match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) if matches_etag(condition, meta) => Err(s3_error!(NotModified)),
            (None, Some(since)) if modified <= *since => Err(s3_error!(NotModified)),
            _ => Ok(()),
        }
    }
}

/// Opens what is wanted, or says in S3's words why not.
pub(crate) fn open(bucket: &Bucket, wanted: &Wanted) -> S3Result<Object> {
    let found = match wanted.version.as_deref().filter(|version| !version.is_empty()) {
        Some(version) => {
            let found = bucket.version(&wanted.key, version)?;
            found.ok_or_else(|| s3_error!(NoSuchVersion))?
        }
        None => match bucket.object(&wanted.key).map_err(io_error)? {
            Some(object) => object,
            None => return Err(missing(bucket, &wanted.key)),
        },
    };
    wanted.check(&found.meta)?;
    Ok(found)
}

fn missing(bucket: &Bucket, key: &str) -> s3s::S3Error {
    let mut error = s3_error!(NoSuchKey, "The specified key does not exist: {key}");
    if let Ok(Some(marker)) = bucket.delete_marker(key)
        && let Ok(marker) = marker.parse()
    {
        let mut headers = hyper::HeaderMap::new();
        headers.insert("x-amz-delete-marker", hyper::header::HeaderValue::from_static("true"));
        headers.insert("x-amz-version-id", marker);
        error.set_headers(headers);
    }
    error
}

/// First and one-past-last byte of a range request; the whole object without one.
pub(crate) fn span(range: Option<&Range>, size: u64) -> S3Result<std::ops::Range<u64>> {
    match range {
        None => Ok(0..size),
        Some(range) => range.check(size).map_err(|_| {
            s3_error!(
                InvalidRange,
                "The requested range is not satisfiable: the object has {size} bytes"
            )
        }),
    }
}

/// A piece of a file as a response body. The next slice is read while one is sent.
struct FileStream {
    file: Arc<File>,
    /// Bytes not asked for yet.
    unread: u64,
    /// Bytes not handed out yet.
    remaining: u64,
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl FileStream {
    fn read_ahead(&mut self) {
        if self.unread == 0 {
            return;
        }
        let length = READ_BYTES.min(self.unread);
        self.unread -= length;
        let file = Arc::clone(&self.file);
        self.reading = Some(spawn_blocking(move || read_exactly(&file, length)));
    }
}

/// Reads on from where the file stands.
fn read_exactly(file: &File, length: u64) -> io::Result<Vec<u8>> {
    let mut buffer = Vec::with_capacity(usize::try_from(length).unwrap_or(usize::MAX));
    file.take(length).read_to_end(&mut buffer)?;
    if buffer.len() as u64 != length {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the object's file was cut short while it was read",
        ));
    }
    Ok(buffer)
}

impl Stream for FileStream {
    type Item = Result<Bytes, StdError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.reading.is_none() {
            this.read_ahead();
        }
        let Some(reading) = this.reading.as_mut() else {
            return Poll::Ready(None);
        };
        let read = std::task::ready!(Pin::new(reading).poll(context));
        this.reading = None;
        let buffer = match read {
            Ok(Ok(buffer)) => buffer,
            Ok(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Err(error) => return Poll::Ready(Some(Err(error.into()))),
        };
        this.remaining = this.remaining.saturating_sub(buffer.len() as u64);
        this.read_ahead();
        Poll::Ready(Some(Ok(Bytes::from(buffer))))
    }
}

impl ByteStream for FileStream {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(usize::try_from(self.remaining).unwrap_or(usize::MAX))
    }
}

/// `file` must be the caller's alone: its position moves.
pub(crate) fn stream(mut file: File, span: &std::ops::Range<u64>) -> io::Result<StreamingBlob> {
    file.seek(io::SeekFrom::Start(span.start))?;
    let length = span.end.saturating_sub(span.start);
    Ok(StreamingBlob::new(FileStream {
        file: Arc::new(file),
        unread: length,
        remaining: length,
        reading: None,
    }))
}
