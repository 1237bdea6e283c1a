//! Compression and container formats by their first bytes.

use super::{Codec, InputError};

/// First bytes of an object that [`sniff`] wants; fewer only if the object is shorter.
pub const SNIFF_BYTES: usize = 64;

const DECOMPRESS: &str = "decompress it, or use gzip or zstd";
const EXPORT: &str = "export it as CSV or JSON Lines";

/// Recognised, by leading bytes, and refused.
const REFUSED: [(&[u8], &str, &str); 8] = [
    (b"PK\x05\x06", "an empty zip archive", "upload the files by themselves"),
    (b"\xFD7zXZ\0", "xz", DECOMPRESS),
    (b"\xFF\x06\0\0sNaPpY", "snappy", DECOMPRESS),
    (b"\x04\x22\x4D\x18", "lz4", DECOMPRESS),
    (b"PAR1", "Parquet", EXPORT),
    (b"PARE", "encrypted Parquet", EXPORT),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old Office file (.xls)", EXPORT),
    (b"Obj\x01", "Avro", EXPORT),
];

/// Tells an object's compression from its first bytes ([`SNIFF_BYTES`] of them).
///
/// A format that is not read is an error that names it; what is not recognised is plain text.
pub fn sniff(first: &[u8]) -> Result<Codec, InputError> {
    match first {
        [0x1F, 0x8B, ..] => return Ok(Codec::Gzip),
        // A frame, or a skippable one before it.
        [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => {
            return Ok(Codec::Zstd);
        }
        [b'P', b'K', 3, 4, ..] => return Err(zip(first)),
        // The digits of pi keep a text that starts with `BZh9` apart.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => {
            return Err(InputError::Unsupported { found: "bzip2", advice: DECOMPRESS });
        }
        _ => {}
    }
    match REFUSED.iter().find(|(magic, ..)| first.starts_with(magic)) {
        Some((_, found, advice)) => Err(InputError::Unsupported { found, advice }),
        None => Ok(Codec::None),
    }
}

/// Office writes one of these names first.
fn zip(first: &[u8]) -> InputError {
    let name = first.get(30..).unwrap_or(&[]);
    let office = [&b"[Content_Types].xml"[..], b"_rels/", b"xl/", b"docProps/"];
    if office.iter().any(|start| name.starts_with(start)) {
        return InputError::Unsupported { found: "an Excel file (.xlsx)", advice: EXPORT };
    }
    let advice = "upload the files inside it by themselves, plain or as gzip or zstd";
    InputError::Unsupported { found: "a zip archive", advice }
}
