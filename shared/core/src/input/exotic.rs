//! Formats that have no sign at their start, told by their shape. Each is refused: this is for the message.

use flate2::{Decompress, FlushDecompress};

use super::refused::{Refused, is_binary};

const HADOOP: &str = "have Hadoop or Spark write gzip, which other programs read as well";
const ZLIB: &str =
    "decompress it (for example by `pigz -dz`), or have its program write gzip or zstd";

/// Where a tar archive has the checksum of its first header, and how long that header is.
const TAR_SUM: std::ops::Range<usize> = 148..156;
const TAR_HEADER_BYTES: usize = 512;

/// Whether the first header of a tar archive stands here: its checksum is right.
pub(super) fn is_tar(first: &[u8]) -> bool {
    let Some(header) = first.get(..TAR_HEADER_BYTES) else { return false };
    let digits = header.get(TAR_SUM).unwrap_or(&[]);
    let octal = |sum: u64, byte: &u8| sum * 8 + u64::from(byte - b'0');
    let stated: Vec<u8> = digits.iter().copied().filter(|b| (b'0'..=b'7').contains(b)).collect();
    let sum = header.iter().enumerate().map(|(at, byte)| match TAR_SUM.contains(&at) {
        true => u64::from(b' '),
        false => u64::from(*byte),
    });
    let all_blank = || digits.iter().all(|byte| matches!(byte, b'0'..=b'7' | b' ' | 0));
    !stated.is_empty() && all_blank() && stated.iter().fold(0, octal) == sum.sum::<u64>()
}

/// Text in a block is at most this long: far more than what any program writes.
const BLOCK_BYTES_MAX: u32 = 64 << 20;

/// Hadoop's own form of snappy and lz4: how long the text of a block is, how long its first packed piece
/// is, both big-endian, then the piece. The tools of snappy and lz4 do not open it.
pub(super) fn block_of_hadoop(first: &[u8]) -> Option<Refused> {
    let number = |from: usize| {
        let bytes = first.get(from..from + 4)?;
        bytes.try_into().ok().map(u32::from_be_bytes)
    };
    let (text, piece) = (number(0)?, number(4)?);
    let data = first.get(8..)?;
    let longest = text.checked_add(text / 6)?.checked_add(64)?;
    if text == 0 || text > BLOCK_BYTES_MAX || piece < 2 || piece > longest {
        return None;
    }
    let piece = usize::try_from(piece).unwrap_or(usize::MAX);
    let data = data.get(..piece).unwrap_or(data);
    if is_snappy(data, text) {
        return Some(("snappy in Hadoop's blocks", HADOOP));
    }
    is_lz4(data, text).then_some(("lz4 in Hadoop's blocks", HADOOP))
}

/// Snappy: the text's length in groups of seven bits, then a literal.
fn is_snappy(data: &[u8], text_max: u32) -> bool {
    let mut length = 0_u64;
    for (at, byte) in data.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let literal = data.get(at + 1).is_some_and(|tag| tag & 3 == 0);
            return literal && length > 0 && length <= u64::from(text_max);
        }
    }
    false
}

/// Lz4: literals and copies in turn, none of which reaches back before the text's start. Goes through
/// what is there.
fn is_lz4(data: &[u8], text_max: u32) -> bool {
    let mut made = 0_usize;
    let mut bytes = data.iter().copied();
    let mut sequences = 0;
    while let Some(token) = bytes.next() {
        let Some(literals) = lz4_length(token >> 4, &mut bytes) else { return sequences > 0 };
        for _ in 0..literals {
            if bytes.next().is_none() {
                return sequences > 0 || made == 0;
            }
        }
        made += literals;
        let (Some(low), Some(high)) = (bytes.next(), bytes.next()) else { break };
        let back = usize::from(u16::from_le_bytes([low, high]));
        if back == 0 || back > made {
            return false;
        }
        let Some(copied) = lz4_length(token & 15, &mut bytes) else { break };
        made += copied + 4;
        sequences += 1;
    }
    made > 0 && made <= usize::try_from(text_max).unwrap_or(usize::MAX)
}

/// A length of lz4: four bits, and further bytes when these are full. `None` when the data ends in it.
fn lz4_length(bits: u8, bytes: &mut impl Iterator<Item = u8>) -> Option<usize> {
    let mut length = usize::from(bits);
    if bits < 15 {
        return Some(length);
    }
    loop {
        let byte = bytes.next()?;
        length += usize::from(byte);
        if byte < 255 {
            return Some(length);
        }
    }
}

/// Zlib, which Hadoop calls deflate: two bytes that a text may begin with, so the data has to be right too.
pub(super) fn zlib(first: &[u8]) -> Option<Refused> {
    let headed = matches!(first, [0x78, 0x01 | 0x5E | 0x9C | 0xDA, ..]);
    let is_text = std::str::from_utf8(first).is_ok();
    (headed && !is_text && inflates(first, true))
        .then_some(("zlib (Hadoop's and Spark's .deflate)", ZLIB))
}

/// Whether the data is deflate as far as it goes.
fn inflates(first: &[u8], with_zlib_header: bool) -> bool {
    let mut room = vec![0; 64 << 10];
    let mut inflate = Decompress::new(with_zlib_header);
    let status = inflate.decompress(first, &mut room, FlushDecompress::None);
    status.is_ok() && inflate.total_out() > 0
}

/// What has no shape either: no text, and a name that says what it is.
pub(super) fn packed_by_name(first: &[u8], name: &str) -> Option<Refused> {
    const DECOMPRESS: &str = "decompress it, or use gzip or zstd";
    let (_, extension) = name.rsplit_once('.')?;
    if !is_binary(first) {
        return None;
    }
    match extension.to_ascii_lowercase().as_str() {
        "deflate" | "zz" | "zlib" if inflates(first, false) => {
            Some(("deflate without a header", "have its program write gzip or zstd"))
        }
        "snappy" | "sz" => Some(("snappy, by its name", DECOMPRESS)),
        "lz4" => Some(("lz4, by its name", DECOMPRESS)),
        "lzo" | "lzo_deflate" => Some(("lzo, by its name", DECOMPRESS)),
        "lzma" => Some(("lzma, by its name", DECOMPRESS)),
        "br" => Some(("brotli, by its name", DECOMPRESS)),
        _ => None,
    }
}
