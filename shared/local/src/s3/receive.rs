//! Writes a request's body to a temporary file, hashing on the way, and checks what was promised.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::StreamExt;
use hyper::http::Extensions;
use hyper::{HeaderMap, header};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, s3_error};
use tokio::task::{JoinHandle, spawn_blocking};
use xxhash_rust::xxh3::Xxh3;

use super::bucket::Bucket;
use super::commit::{Temp, io_error};
use super::meta::Sums;
use crate::chunked::Trailers;

/// Bytes handed to the disk at once; twice this is held per upload.
const WRITE_BYTES: usize = 1 << 20;

/// What a request says about its body.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    length: Option<u64>,
    md5: Option<String>,
    /// Algorithms to compute.
    algorithms: Vec<String>,
    /// Sums that came in headers, by algorithm.
    sums: Vec<(String, String)>,
    trailers: Option<Trailers>,
}

impl Promise {
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let text =
            |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut promise = Self {
            length: text(header::CONTENT_LENGTH.as_str()).and_then(|value| value.parse().ok()),
            md5: text("content-md5"),
            trailers: extensions.get::<Trailers>().cloned(),
            ..Self::default()
        };
        for name in headers.keys().filter_map(|name| name.as_str().strip_prefix(PREFIX)) {
            if let Some(sum) = text(&format!("{PREFIX}{name}")).filter(|_| is_algorithm(name)) {
                promise.sums.push((name.to_owned(), sum));
                promise.algorithms.push(name.to_owned());
            }
        }
        let announced = text("x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
        for name in announced.split(',').filter_map(|name| name.trim().strip_prefix(PREFIX)) {
            promise.algorithms.push(name.to_owned());
        }
        promise
            .algorithms
            .extend(text("x-amz-sdk-checksum-algorithm").map(|name| name.to_ascii_lowercase()));
        promise
    }

    fn hasher(&self) -> ChecksumHasher {
        let wants = |name: &str| self.algorithms.iter().any(|algorithm| algorithm == name);
        ChecksumHasher {
            crc32: wants("crc32").then(Crc32::new),
            crc32c: wants("crc32c").then(Crc32c::new),
            crc64nvme: wants("crc64nvme").then(Crc64Nvme::new),
            sha1: wants("sha1").then(Sha1::new),
            sha256: wants("sha256").then(Sha256::new),
        }
    }

    fn check(&self, size: u64, md5: Option<[u8; 16]>, sums: &Sums) -> S3Result<()> {
        if self.length.is_some_and(|length| length != size) {
            return Err(s3_error!(IncompleteBody));
        }
        if let (Some(promised), Some(md5)) = (&self.md5, md5)
            && *promised != BASE64.encode(&md5)
        {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match"));
        }
        for (algorithm, computed) in sums.each() {
            let Some(computed) = computed else { continue };
            let in_header = self.sums.iter().find(|(name, _)| name == algorithm);
            let in_trailer =
                self.trailers.as_ref().and_then(|map| map.get(&format!("{PREFIX}{algorithm}")));
            let promised = in_header.map(|(_, sum)| sum).or(in_trailer.as_ref());
            if promised.is_some_and(|promised| promised != computed) {
                return Err(s3_error!(
                    BadDigest,
                    "The {} you specified did not match the calculated checksum.",
                    algorithm.to_ascii_uppercase()
                ));
            }
        }
        Ok(())
    }
}

const PREFIX: &str = "x-amz-checksum-";

fn is_algorithm(name: &str) -> bool {
    matches!(name, "crc32" | "crc32c" | "crc64nvme" | "sha1" | "sha256")
}

/// A body that is whole, verified and on disk.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) temp: Temp,
    pub(crate) etag: String,
    pub(crate) size: u64,
    pub(crate) sums: Sums,
}

struct Writer {
    file: File,
    size: u64,
    etag: Xxh3,
    sums: ChecksumHasher,
    md5: Option<Md5>,
}

impl Writer {
    fn write(&mut self, pieces: &[Bytes]) -> io::Result<()> {
        for piece in pieces {
            self.etag.update(piece);
            self.sums.update(piece);
            if let Some(md5) = &mut self.md5 {
                md5.update(piece);
            }
            self.size += piece.len() as u64;
        }
        let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match self.file.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Reads the body to its end. Memory does not grow with its size.
pub(crate) async fn receive(
    bucket: &Arc<Bucket>,
    body: Option<StreamingBlob>,
    promise: Promise,
) -> S3Result<Received> {
    let temp = Temp(bucket.scratch());
    let mut writer = Handed::Idle(Box::new(Writer {
        file: File::create_new(&temp.0).map_err(io_error)?,
        size: 0,
        etag: Xxh3::new(),
        sums: promise.hasher(),
        md5: promise.md5.is_some().then(Md5::new),
    }));
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut held = 0;
    if let Some(mut body) = body {
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| {
                s3_error!(IncompleteBody, "the request's body broke off: {error}")
            })?;
            held += piece.len();
            pieces.push(piece);
            if held >= WRITE_BYTES {
                // This batch is written while the next one is gathered.
                let batch = std::mem::take(&mut pieces);
                let mut idle = writer.wait().await?;
                writer = Handed::Busy(spawn_blocking(move || idle.write(&batch).map(|()| idle)));
                held = 0;
            }
        }
    }
    let mut writer = writer.wait().await?;
    let done = spawn_blocking(move || writer.write(&pieces).map(|()| writer)).await;
    let writer = *done.map_err(S3Error::internal_error)?.map_err(io_error)?;
    let sums = Sums::from(writer.sums.finalize());
    promise.check(writer.size, writer.md5.map(Md5::finalize), &sums)?;
    let etag = format!("{:032x}", writer.etag.digest128());
    Ok(Received { temp, etag, size: writer.size, sums })
}

/// The writer, here or on the thread that writes.
enum Handed {
    Idle(Box<Writer>),
    Busy(JoinHandle<io::Result<Box<Writer>>>),
}

impl Handed {
    async fn wait(self) -> S3Result<Box<Writer>> {
        match self {
            Self::Idle(writer) => Ok(writer),
            Self::Busy(task) => task.await.map_err(S3Error::internal_error)?.map_err(io_error),
        }
    }
}
