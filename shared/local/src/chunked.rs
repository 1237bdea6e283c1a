//! Decodes `aws-chunked` bodies: `<hex size>[;chunk-signature=…]\r\n<data>\r\n … 0\r\n<trailers>\r\n`.
//!
//! The data is handed on as slices of what came from the socket, as soon as it comes: a client may
//! send a whole object as one chunk, so collecting a chunk would mean collecting the object.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};

/// No size line or trailer is longer than this in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What followed the last chunk; empty until the body has been read to its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trailers(Arc<Mutex<HeaderMap>>);

impl Trailers {
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    }
}

enum State {
    SizeLine,
    Data(u64),
    DataEnd,
    Trailer,
    Done,
}

/// The decoded body of a request sent as `aws-chunked`.
pub(crate) struct ChunkedBody<B> {
    inner: B,
    buffered: Bytes,
    line: BytesMut,
    state: State,
    remaining: u64,
    trailers: Trailers,
}

impl<B> ChunkedBody<B> {
    /// `length` is the number of bytes after decoding, as the request announced it.
    pub(crate) fn new(inner: B, length: u64, trailers: Trailers) -> Self {
        let (buffered, line) = (Bytes::new(), BytesMut::new());
        Self { inner, buffered, line, state: State::SizeLine, remaining: length, trailers }
    }

    /// Takes one line out of the buffer, without its line end. `None` if it has not all come yet.
    fn take_line(&mut self) -> Result<Option<Bytes>, BoxError> {
        let end = self.buffered.iter().position(|&byte| byte == b'\n');
        let part = self.buffered.split_to(end.map_or(self.buffered.len(), |end| end + 1));
        self.line.extend_from_slice(&part);
        if self.line.len() > LINE_BYTES_MAX {
            return Err("aws-chunked body: a size line or trailer is too long".into());
        }
        if end.is_none() {
            return Ok(None);
        }
        let line = self.line.split().freeze();
        let text = line.trim_ascii_end().len();
        Ok(Some(line.slice(..text)))
    }

    fn size_of(line: &[u8]) -> Result<u64, BoxError> {
        let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
        let digits = std::str::from_utf8(digits)?.trim();
        Ok(u64::from_str_radix(digits, 16)?)
    }

    fn keep_trailer(&self, line: &[u8]) -> Result<(), BoxError> {
        let text = std::str::from_utf8(line)?;
        let (name, value) =
            text.split_once(':').ok_or("aws-chunked body: a trailer has no colon")?;
        let name = HeaderName::from_bytes(name.trim().to_ascii_lowercase().as_bytes())?;
        let value = HeaderValue::from_str(value.trim())?;
        self.trailers.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value);
        Ok(())
    }

    /// Works on what is buffered: the next slice of data, or `None` if more has to come first.
    fn advance(&mut self) -> Result<Option<Bytes>, BoxError> {
        while !self.buffered.is_empty() {
            match self.state {
                State::SizeLine => {
                    let Some(line) = self.take_line()? else {
                        return Ok(None);
                    };
                    let size = Self::size_of(&line)?;
                    self.state = if size == 0 { State::Trailer } else { State::Data(size) };
                }
                State::Data(left) => {
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffered.len());
                    let data = self.buffered.split_to(take);
                    let left = left - data.len() as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    self.remaining = self.remaining.saturating_sub(data.len() as u64);
                    return Ok(Some(data));
                }
                State::DataEnd => {
                    let Some(line) = self.take_line()? else {
                        return Ok(None);
                    };
                    if !line.is_empty() {
                        return Err("aws-chunked body: a chunk is longer than its size line".into());
                    }
                    self.state = State::SizeLine;
                }
                State::Trailer => {
                    let Some(line) = self.take_line()? else {
                        return Ok(None);
                    };
                    if line.is_empty() {
                        self.state = State::Done;
                    } else {
                        self.keep_trailer(&line)?;
                    }
                }
                State::Done => self.buffered.clear(),
            }
        }
        Ok(None)
    }
}

impl<B> Body for ChunkedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            match this.advance() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(None) => {}
            }
            match std::task::ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && data.has_remaining()
                    {
                        this.buffered = data;
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                // The trailers of the SDK may end without an empty line.
                None if matches!(this.state, State::Done | State::Trailer) => {
                    return Poll::Ready(None);
                }
                None => return Poll::Ready(Some(Err("aws-chunked body ends early".into()))),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};

    async fn decode(pieces: &[&'static [u8]], length: u64) -> Result<(Bytes, Trailers), BoxError> {
        let frames: Vec<Result<Frame<Bytes>, BoxError>> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from_static(piece)))).collect();
        let trailers = Trailers::default();
        let body =
            ChunkedBody::new(StreamBody::new(stream::iter(frames)), length, trailers.clone());
        Ok((body.collect().await?.to_bytes(), trailers))
    }

    #[tokio::test]
    async fn the_way_a_body_is_cut_does_not_matter() {
        let whole: &'static [u8] =
            b"5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA==\r\n\r\n";
        for size in 1..whole.len() {
            let pieces: Vec<&'static [u8]> = whole.chunks(size).collect();
            let (data, trailers) = decode(&pieces, 11).await.unwrap();
            assert_eq!(data, "hello world");
            assert_eq!(trailers.get("x-amz-checksum-crc32").unwrap(), "AAAA==");
        }
    }

    #[tokio::test]
    async fn a_body_cut_short_is_an_error() {
        assert!(decode(&[b"5\r\nhel"], 5).await.is_err());
        assert!(decode(&[b"5\r\nhello\r\n"], 5).await.is_err());
        assert!(decode(&[b"zz\r\nhello\r\n"], 5).await.is_err());
    }
}
