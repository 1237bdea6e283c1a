//! Streaming decompression under limits.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::text::Text;
use super::{Codec, InputError};
use crate::block::Limits;

/// Plain bytes made at once, the grain at which limits are checked.
const STEP_BYTES: usize = 64 << 10;

/// Window bits of gzip, and the largest window that a zstd frame may ask for (128 MiB).
const GZIP_WINDOW_LOG: u8 = 15;
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

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
    block_bytes: usize,
    bytes_max: u64,
    ratio_max: u64,
    ratio_after_bytes: u64,
    compressed: u64,
    decompressed: u64,
    plain: u64,
}

enum Stream {
    Plain,
    Gzip { member: Member, inflate: Box<Decompress> },
    Zstd { at_frame_end: bool, decoder: Box<Decoder<'static>> },
}

/// Where a gzip stream stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    /// Before the first member.
    First,
    Inside,
    /// Behind a complete member: another one, zeros, or the end.
    Between,
    /// In the zeros behind the last one.
    Padding,
}

/// Bytes taken, and whether the stream may hold more output for what it has taken.
struct Progress {
    used: usize,
    pending: bool,
}

impl Inflate {
    /// A decoder for one object, whose text is in `encoding` (a WHATWG label).
    pub fn new(codec: Codec, encoding: &str, limits: &Limits) -> Result<Inflate, InputError> {
        let stream = match codec {
            Codec::None => Stream::Plain,
            Codec::Gzip => Stream::Gzip {
                member: Member::First,
                inflate: Box::new(Decompress::new_gzip(GZIP_WINDOW_LOG)),
            },
            Codec::Zstd => Stream::Zstd { at_frame_end: true, decoder: Box::new(zstd_decoder()?) },
        };
        Ok(Inflate {
            codec,
            stream,
            text: Text::new(encoding)?,
            scratch: Vec::new(),
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
        let complete = match &self.stream {
            Stream::Plain => true,
            Stream::Gzip { member, .. } => matches!(member, Member::Between | Member::Padding),
            Stream::Zstd { at_frame_end, .. } => *at_frame_end && self.compressed > 0,
        };
        if !complete {
            return Err(InputError::Truncated { codec: self.codec, at: self.compressed });
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
            let progress = decompress(&mut self.stream, self.compressed, input, out, room)?;
            self.count(progress.used, out.len() - before)?;
            progress
        } else {
            self.scratch.clear();
            self.scratch.reserve(room);
            let scratch = &mut self.scratch;
            let progress = decompress(&mut self.stream, self.compressed, input, scratch, room)?;
            self.text.push(scratch, false, out);
            self.count(progress.used, self.scratch.len())?;
            progress
        };
        Ok(progress)
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
            return Err(InputError::Ratio { max: self.ratio_max });
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

fn decompress(
    stream: &mut Stream,
    at: u64,
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
) -> Result<Progress, InputError> {
    match stream {
        Stream::Plain => Ok(Progress { used: 0, pending: false }),
        Stream::Gzip { member, inflate } => gunzip(member, inflate, at, input, out, room),
        Stream::Zstd { at_frame_end, decoder } => {
            unzstd(at_frame_end, decoder, at, input, out, room)
        }
    }
}

fn gunzip(
    member: &mut Member,
    inflate: &mut Decompress,
    at: u64,
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
) -> Result<Progress, InputError> {
    let corrupt = |reason| InputError::Corrupt { codec: Codec::Gzip, at, reason };
    match (*member, input.first()) {
        (Member::First, Some(_)) => *member = Member::Inside,
        (Member::First | Member::Between | Member::Padding, None) => {
            return Ok(Progress { used: 0, pending: false });
        }
        (Member::Between, Some(0x1F)) => {
            inflate.reset(true);
            *member = Member::Inside;
        }
        (Member::Between | Member::Padding, Some(0)) => {
            *member = Member::Padding;
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            return Ok(Progress { used: zeros, pending: false });
        }
        (Member::Between | Member::Padding, Some(_)) => {
            return Err(corrupt("bytes follow the last member that are no gzip"));
        }
        (Member::Inside, _) => {}
    }
    let (in_before, made_before) = (inflate.total_in(), out.len());
    let status = with_room(out, room, |target| {
        let made = inflate.total_out();
        let status = inflate.decompress(input, target, FlushDecompress::None);
        (inflate.total_out() - made, status)
    });
    let status = status.map_err(|error| corrupt(gzip_reason(error.message())))?;
    if status == Status::StreamEnd {
        *member = Member::Between;
    }
    let used = usize::try_from(inflate.total_in() - in_before).unwrap_or(input.len());
    let filled = out.len() - made_before == room;
    if used == 0 && out.len() == made_before && status != Status::StreamEnd && !input.is_empty() {
        return Err(corrupt("the data makes no progress"));
    }
    Ok(Progress { used, pending: filled && *member == Member::Inside })
}

fn gzip_reason(message: Option<&str>) -> &'static str {
    match message {
        Some("incorrect data check") => "its checksum does not match",
        Some("incorrect length check") => "its length does not match",
        Some("incorrect header check" | "unknown header flags set" | "header crc mismatch") => {
            "a member's header is damaged"
        }
        Some(_) | None => "its data is damaged",
    }
}

/// Lets `write` fill up to `room` bytes behind `out`.
fn with_room<T>(out: &mut Vec<u8>, room: usize, write: impl FnOnce(&mut [u8]) -> (u64, T)) -> T {
    let before = out.len();
    out.resize(before + room, 0);
    let (made, result) = write(out.get_mut(before..).unwrap_or(&mut []));
    out.truncate(before + usize::try_from(made).unwrap_or(room));
    result
}

fn zstd_decoder() -> Result<Decoder<'static>, InputError> {
    let failed = |_| InputError::Corrupt { codec: Codec::Zstd, at: 0, reason: "no decoder" };
    let mut decoder = Decoder::new().map_err(failed)?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)).map_err(failed)?;
    Ok(decoder)
}

fn unzstd(
    at_frame_end: &mut bool,
    decoder: &mut Decoder<'static>,
    at: u64,
    input: &[u8],
    out: &mut Vec<u8>,
    room: usize,
) -> Result<Progress, InputError> {
    if *at_frame_end && input.is_empty() {
        return Ok(Progress { used: 0, pending: false });
    }
    let mut source = InBuffer::around(input);
    let (filled, hint) = with_room(out, room, |target| {
        let mut target = OutBuffer::around(target);
        let hint = decoder.run(&mut source, &mut target);
        (target.pos() as u64, (target.pos() == room, hint))
    });
    let hint = hint.map_err(|error| {
        let reason = zstd_reason(&error.to_string());
        InputError::Corrupt { codec: Codec::Zstd, at, reason }
    })?;
    *at_frame_end = hint == 0;
    Ok(Progress { used: source.pos(), pending: filled && hint != 0 })
}

fn zstd_reason(message: &str) -> &'static str {
    if message.contains("too much memory") {
        "it needs a window over 128 MiB"
    } else if message.contains("Dictionary") {
        "it needs a dictionary"
    } else if message.contains("checksum") {
        "its checksum does not match"
    } else if message.contains("Unknown frame") {
        "bytes follow the last frame that are no zstd"
    } else {
        "its data is damaged"
    }
}
