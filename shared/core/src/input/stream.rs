//! gzip members and zstd frames, one after the other.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Codec, InputError};

/// Window bits of gzip, and the largest window that a zstd frame may ask for (128 MiB).
const GZIP_WINDOW_LOG: u8 = 15;
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// What to do about something behind the end.
const CUT: &str = "cut the object off there, or compress the data again";
const JOIN: &str = "decompress each part and compress the data again, as one";

/// One compressed stream.
pub(super) enum Stream {
    Plain,
    Gzip { member: Member, inflate: Box<Decompress> },
    Zstd { at_frame_end: bool, decoder: Box<Decoder<'static>> },
}

/// Where a gzip stream stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// Before the first member.
    First,
    Inside,
    /// Behind a complete member: another one, zeros, or the end.
    Between,
    /// In the zeros behind the last one.
    Padding,
}

/// Bytes taken, and whether the stream may hold more output for what it has taken.
pub(super) struct Progress {
    pub(super) used: usize,
    pub(super) pending: bool,
}

impl Stream {
    pub(super) fn new(codec: Codec) -> Result<Stream, InputError> {
        Ok(match codec {
            Codec::None => Stream::Plain,
            Codec::Gzip => Stream::Gzip {
                member: Member::First,
                inflate: Box::new(Decompress::new_gzip(GZIP_WINDOW_LOG)),
            },
            Codec::Zstd => Stream::Zstd { at_frame_end: true, decoder: Box::new(zstd_decoder()?) },
        })
    }

    /// Whether the stream may end here, after `taken` bytes.
    pub(super) fn is_complete(&self, taken: u64) -> bool {
        match self {
            Stream::Plain => true,
            Stream::Gzip { member, .. } => matches!(member, Member::Between | Member::Padding),
            Stream::Zstd { at_frame_end, .. } => *at_frame_end && taken > 0,
        }
    }

    /// Appends at most `room` bytes. `at` is the place of `input` in the object.
    pub(super) fn decompress(
        &mut self,
        at: u64,
        input: &[u8],
        out: &mut Vec<u8>,
        room: usize,
    ) -> Result<Progress, InputError> {
        match self {
            Stream::Plain => Ok(Progress { used: 0, pending: false }),
            Stream::Gzip { member, inflate } => gunzip(member, inflate, at, input, out, room),
            Stream::Zstd { at_frame_end, decoder } => {
                unzstd(at_frame_end, decoder, at, input, out, room)
            }
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
        (Member::Padding, Some(0x1F)) => {
            let what = "another member follows the zeros behind a gzip member";
            return Err(InputError::Trailing { at, what, advice: JOIN });
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
            let what = "bytes that are no gzip follow the last member";
            return Err(InputError::Trailing { at, what, advice: CUT });
        }
        (Member::Inside, _) => {}
    }
    let (in_before, made_before) = (inflate.total_in(), out.len());
    let status = with_room(out, room, |target| {
        let made = inflate.total_out();
        let status = inflate.decompress(input, target, FlushDecompress::None);
        (inflate.total_out() - made, status)
    });
    let status = status.map_err(|error| {
        let at = at + (inflate.total_in() - in_before);
        InputError::Corrupt { codec: Codec::Gzip, at, reason: gzip_reason(error.message()) }
    })?;
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
    let next = input.first();
    if *at_frame_end && next.is_none() {
        return Ok(Progress { used: 0, pending: false });
    }
    if *at_frame_end && !matches!(next, Some(0x28 | 0x50..=0x5F)) {
        let what = match next {
            Some(0) => "zeros follow the last frame",
            Some(_) | None => "bytes that are no zstd follow the last frame",
        };
        return Err(InputError::Trailing { at, what, advice: CUT });
    }
    let mut source = InBuffer::around(input);
    let (filled, hint) = with_room(out, room, |target| {
        let mut target = OutBuffer::around(target);
        let hint = decoder.run(&mut source, &mut target);
        (target.pos() as u64, (target.pos() == room, hint))
    });
    let hint = hint.map_err(|error| zstd_error(&error.to_string(), at))?;
    *at_frame_end = hint == 0;
    Ok(Progress { used: source.pos(), pending: filled && hint != 0 })
}

fn zstd_error(message: &str, at: u64) -> InputError {
    let corrupt = |reason| InputError::Corrupt { codec: Codec::Zstd, at, reason };
    if message.contains("too much memory") {
        InputError::Window
    } else if message.contains("Dictionary") {
        InputError::Dictionary
    } else if message.contains("checksum") {
        corrupt("its checksum does not match")
    } else if message.contains("Unknown frame") {
        let what = "bytes that are no zstd follow the last frame";
        InputError::Trailing { at, what, advice: CUT }
    } else {
        corrupt("its data is damaged")
    }
}
