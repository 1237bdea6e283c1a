//! Streaming decompression under limits.

use std::fmt;

use super::sniff::{SNIFF_BYTES, check_inside};
use super::stream::{Progress, Stream};
use super::text::Text;
use super::{Codec, InputError};
use crate::block::Limits;

/// Plain bytes made at once, the grain at which limits are checked.
const STEP_BYTES: usize = 64 << 10;

/// Decompresses and transcodes one object in order.
///
/// ```
/// # use rowproof_core::{block::Limits, input::{Codec, Inflate}};
/// let mut inflate = Inflate::new(Codec::None, "utf-8", &Limits::default())?;
/// let (mut input, mut out) = (&b"id\n1\n"[..], Vec::new());
/// while inflate.push(&mut input, &mut out)? { /* take what is in `out`, then go on */ }
/// inflate.finish(&mut out)?;
/// assert_eq!(out, b"id\n1\n");
/// # Ok::<(), rowproof_core::input::InputError>(())
/// ```
pub struct Inflate {
    codec: Codec,
    stream: Stream,
    text: Text,
    /// One step's plain bytes in the declared encoding.
    scratch: Vec<u8>,
    /// First plain bytes, until there are enough to tell what they are.
    head: Option<Vec<u8>>,
    block_bytes: usize,
    bytes_max: u64,
    ratio_max: u64,
    ratio_after_bytes: u64,
    compressed: u64,
    decompressed: u64,
    plain: u64,
}

impl Inflate {
    /// A decoder for one object, whose text is in `encoding` (a WHATWG label).
    pub fn new(codec: Codec, encoding: &str, limits: &Limits) -> Result<Inflate, InputError> {
        Ok(Inflate {
            codec,
            stream: Stream::new(codec)?,
            text: Text::new(encoding)?,
            scratch: Vec::new(),
            head: (codec != Codec::None).then(Vec::new),
            block_bytes: limits.block_bytes.max(1),
            bytes_max: limits.decompressed_bytes_max,
            ratio_max: limits.ratio_max,
            ratio_after_bytes: limits.ratio_after_bytes,
            compressed: 0,
            decompressed: 0,
            plain: 0,
        })
    }

    /// Appends the plain text of the next bytes of the object to `out` and takes them off `input`.
    ///
    /// Returns whether there is more to come from them: about `block_bytes` have been appended, and the
    /// call wants repeating with what is left of `input`, be it nothing. When it returns `false`, `input` is
    /// used up. An error is an error of the object as a whole.
    pub fn push(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, InputError> {
        let before = out.len();
        loop {
            let start = out.len();
            let Progress { used, pending } = self.step(input, out)?;
            *input = input.get(used..).unwrap_or(&[]);
            self.plain += (out.len() - start) as u64;
            if input.is_empty() && !pending {
                return Ok(false);
            }
            if out.len() - before >= self.block_bytes {
                return Ok(true);
            }
        }
    }

    /// Ends the object: checks that the stream is complete and appends the last few bytes.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), InputError> {
        if !self.stream.is_complete(self.compressed) {
            return Err(InputError::Truncated { codec: self.codec, at: self.compressed });
        }
        if let Some(head) = self.head.take() {
            check_inside(self.codec, &head)?;
        }
        let start = out.len();
        self.text.push(&[], true, out);
        self.plain += (out.len() - start) as u64;
        Ok(())
    }

    /// Bytes of the object taken so far.
    pub fn compressed_bytes(&self) -> u64 {
        self.compressed
    }

    /// Bytes of UTF-8 text appended so far.
    pub fn plain_bytes(&self) -> u64 {
        self.plain
    }

    /// Takes some input and appends at most about `STEP_BYTES`.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Progress, InputError> {
        if let Stream::Plain = self.stream {
            let part = input.get(..STEP_BYTES).unwrap_or(input);
            self.text.push(part, false, out);
            self.count(part.len(), part.len())?;
            return Ok(Progress { used: part.len(), pending: false });
        }
        let room = STEP_BYTES.min(self.block_bytes);
        let progress = if self.text.is_passing() {
            let before = out.len();
            out.reserve(room);
            let progress = self.stream.decompress(self.compressed, input, out, room)?;
            self.look(out.get(before..).unwrap_or(&[]))?;
            self.count(progress.used, out.len() - before)?;
            progress
        } else {
            let mut made = std::mem::take(&mut self.scratch);
            made.clear();
            made.reserve(room);
            let progress = self.stream.decompress(self.compressed, input, &mut made, room)?;
            self.look(&made)?;
            self.text.push(&made, false, out);
            self.count(progress.used, made.len())?;
            self.scratch = made;
            progress
        };
        Ok(progress)
    }

    /// Looks at the first plain bytes: an archive, or something packed once more, is no text.
    fn look(&mut self, made: &[u8]) -> Result<(), InputError> {
        let Some(head) = &mut self.head else { return Ok(()) };
        let missing = SNIFF_BYTES - head.len();
        head.extend_from_slice(made.get(..missing).unwrap_or(made));
        if head.len() < SNIFF_BYTES {
            return Ok(());
        }
        check_inside(self.codec, head)?;
        self.head = None;
        Ok(())
    }

    /// Counts one step and checks the limits, before the next one makes more.
    fn count(&mut self, used: usize, made: usize) -> Result<(), InputError> {
        self.compressed += used as u64;
        self.decompressed += made as u64;
        if self.decompressed > self.bytes_max {
            return Err(InputError::TooManyBytes { max: self.bytes_max });
        }
        let allowed = self.compressed.saturating_mul(self.ratio_max);
        if self.codec != Codec::None
            && self.decompressed > self.ratio_after_bytes
            && self.decompressed > allowed
        {
            return Err(InputError::Ratio { max: self.ratio_max, after: self.ratio_after_bytes });
        }
        Ok(())
    }
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflate")
            .field("codec", &self.codec)
            .field("compressed", &self.compressed)
            .field("plain", &self.plain)
            .finish_non_exhaustive()
    }
}
