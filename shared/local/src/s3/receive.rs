//! Writes a request's body to a temporary file, hashing on the way, and checks what was promised.

use std::fs::File;
use std::io::{self, IoSlice};
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::BASE64;
use futures_util::StreamExt;
use hyper::http::Extensions;
use hyper::{HeaderMap, header};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::{PostObjectInput, StreamingBlob};
use s3s::{S3Error, S3Result, s3_error};
use tokio::task::{JoinHandle, spawn_blocking};

use super::bucket::Bucket;
use super::commit::{Temp, io_error};
use super::etag::{Digest, Kind};
use super::meta::Sums;
use crate::chunked::Trailers;
use crate::disk::Disk;
use crate::signer::OwnRequest;

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
    /// The kind of the entity tag.
    kind: Kind,
}

impl Promise {
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let text =
            |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut promise = Self {
            length: text(header::CONTENT_LENGTH.as_str()).and_then(|value| value.parse().ok()),
            md5: text("content-md5"),
            trailers: extensions.get::<Trailers>().cloned(),
            kind: match extensions.get::<OwnRequest>() {
                Some(OwnRequest) => Kind::Quick,
                None => Kind::Md5,
            },
            ..Self::default()
        };
        for name in headers.keys().filter_map(|name| name.as_str().strip_prefix(PREFIX)) {
            if let Some(sum) = text(&format!("{PREFIX}{name}")).filter(|_| is_algorithm(name)) {
                promise.expect_sum(name, sum);
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

    /// Nothing is promised; this sum is wanted.
    pub(crate) fn none(algorithm: Option<&str>) -> Self {
        let algorithms = algorithm.into_iter().map(str::to_ascii_lowercase).collect();
        Self { algorithms, ..Self::default() }
    }

    /// What the fields of a form say; its headers speak of the form.
    pub(crate) fn of_form(input: &PostObjectInput) -> Self {
        let mut promise = Self { md5: input.content_md5.clone(), ..Self::default() };
        let sums = [
            ("crc32", &input.checksum_crc32),
            ("crc32c", &input.checksum_crc32c),
            ("crc64nvme", &input.checksum_crc64nvme),
            ("sha1", &input.checksum_sha1),
            ("sha256", &input.checksum_sha256),
        ];
        for (name, sum) in sums {
            if let Some(sum) = sum {
                promise.expect_sum(name, sum.clone());
            }
        }
        promise
    }

    fn expect_sum(&mut self, algorithm: &str, sum: String) {
        self.sums.push((algorithm.to_owned(), sum));
        self.algorithms.push(algorithm.to_owned());
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

pub(crate) fn is_algorithm(name: &str) -> bool {
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
    temp: Temp,
    disk: Disk,
    size: u64,
    etag: Digest,
    sums: ChecksumHasher,
    /// Where it is promised and the tag is another one.
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
        self.disk.append(&mut self.file, &mut slices, &self.temp.path)
    }
}

/// Reads the body to its end. Memory does not grow with its size.
pub(crate) async fn receive(
    bucket: &Arc<Bucket>,
    body: Option<StreamingBlob>,
    promise: Promise,
) -> S3Result<Received> {
    let temp = bucket.temp();
    let mut writer = Handed::Idle(Box::new(Writer {
        file: bucket.disk.create(&temp.path).map_err(io_error)?,
        temp,
        disk: bucket.disk.clone(),
        size: 0,
        etag: Digest::new(promise.kind),
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
    let (temp, etag) = (writer.temp, writer.etag.finish());
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
