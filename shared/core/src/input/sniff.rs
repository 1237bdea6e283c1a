//! Compression and container formats by their first bytes.

use super::exotic::{block_of_hadoop, is_tar, packed_by_name, zlib};
use super::refused::Refused;
use super::refused::is_control;
use super::{Codec, InputError};

/// First bytes of an object that [`sniff`] wants; fewer only if the object is shorter. A tar archive has
/// its sign within this many.
pub const SNIFF_BYTES: usize = 512;

const DECOMPRESS: &str = "decompress it, or use gzip or zstd";
const EXPORT: &str = "export it as CSV or JSON Lines";
const UNPACK: &str = "upload the files inside it by themselves, plain or as gzip or zstd";

/// Recognised, by leading bytes, and refused. None of them is how a text begins.
const REFUSED: [(&[u8], &str, &str); 21] = [
    (b"PK\x05\x06", "an empty zip archive", UNPACK),
    (b"PK\x07\x08", "a part of a zip archive", UNPACK),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive", UNPACK),
    (b"Rar!\x1A\x07", "a rar archive", UNPACK),
    (b"\xFD7zXZ\0", "xz", DECOMPRESS),
    (b"LZIP\x01", "lzip", DECOMPRESS),
    (b"\x5D\0\0\x80\0\xFF\xFF\xFF", "lzma", DECOMPRESS),
    (b"\x1F\x9D", "compress (.Z)", DECOMPRESS),
    (b"\x89LZO\0\r\n\x1A\n", "lzo", DECOMPRESS),
    (b"\xFF\x06\0\0sNaPpY", "snappy", DECOMPRESS),
    (b"\x04\x22\x4D\x18", "lz4", DECOMPRESS),
    (b"\x02\x21\x4C\x18", "lz4 in its old form", DECOMPRESS),
    (b"\x37\xA4\x30\xEC", "a zstd dictionary", "upload the data, compressed without a dictionary"),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old Office file (.xls)", EXPORT),
    (b"Obj\x01", "Avro", EXPORT),
    (b"SEQ\x06", "a Hadoop sequence file", EXPORT),
    (b"RCF\x01", "a Hive RCFile", EXPORT),
    (b"ARROW1\0\0", "an Arrow file (Feather)", EXPORT),
    (b"SQLite format 3\0", "a SQLite database", EXPORT),
    (b"PGCOPY\n\xFF\r\n\0", "Postgres' binary COPY", "export it with COPY, as CSV or as text"),
    (b"%PDF-1.", "a PDF", EXPORT),
];

/// The same, of signs that are words: a column may have the name, so binary data has to follow.
const REFUSED_WORDS: [(&[u8], &str, &str); 4] = [
    (b"PAR1", "Parquet", EXPORT),
    (b"PARE", "encrypted Parquet", EXPORT),
    (b"ORC", "ORC", EXPORT),
    (b"PGDMP", "an archive of pg_dump", "export it with COPY, as CSV or as text"),
];

/// Tells an object's compression from its first bytes ([`SNIFF_BYTES`] of them).
///
/// A format that is not read is an error that names it; what is not recognised is plain text. `name`, the
/// object's key, only helps to name what is no text: it never decides how an object is read.
pub fn sniff(first: &[u8], name: &str) -> Result<Codec, InputError> {
    match first {
        [0x1F, 0x8B, ..] => return Ok(Codec::Gzip),
        // A frame, or a skippable one before it.
        [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => {
            return Ok(Codec::Zstd);
        }
        _ => {}
    }
    match by_magic(first).or_else(|| by_structure(first, name)) {
        Some((found, advice)) => Err(InputError::Unsupported { found, advice }),
        None => Ok(Codec::None),
    }
}

/// Refuses text that turns out to be packed once more, from the first bytes behind `codec`.
pub(super) fn check_inside(codec: Codec, first: &[u8]) -> Result<(), InputError> {
    match sniff(first, "") {
        Ok(Codec::None) => Ok(()),
        Ok(inner) => Err(InputError::Twice { codec, inner }),
        Err(InputError::Unsupported { found, advice }) => {
            Err(InputError::Inside { codec, found, advice })
        }
        Err(other) => Err(other),
    }
}

fn by_magic(first: &[u8]) -> Option<Refused> {
    match first {
        [b'P', b'K', 3, 4, ..] => return Some(zip(first)),
        // The digits of pi keep a text that starts with `BZh9` apart.
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
        | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => {
            return Some(("bzip2", DECOMPRESS));
        }
        [0x1E | 0x22..=0x27, 0xB5, 0x2F, 0xFD, ..] => {
            return Some(("zstd of a version before 1.0", "compress it again with zstd of today"));
        }
        _ => {}
    }
    let has_control = first.iter().take(64).any(is_control);
    let mut known = REFUSED_WORDS.iter().filter(|_| has_control).chain(&REFUSED);
    let found = known.find(|(magic, ..)| first.starts_with(magic));
    found.map(|(_, found, advice)| (*found, *advice))
}

/// What has no sign of its own, only a shape.
fn by_structure(first: &[u8], name: &str) -> Option<Refused> {
    if is_tar(first) {
        return Some(("a tar archive", UNPACK));
    }
    block_of_hadoop(first).or_else(|| zlib(first)).or_else(|| packed_by_name(first, name))
}

/// Office writes one of these names first.
fn zip(first: &[u8]) -> Refused {
    let name = first.get(30..).unwrap_or(&[]);
    let office = [&b"[Content_Types].xml"[..], b"_rels/", b"xl/", b"docProps/"];
    if office.iter().any(|start| name.starts_with(start)) {
        return ("an Excel file (.xlsx)", EXPORT);
    }
    if name.starts_with(b"mimetypeapplication/vnd.oasis") {
        return ("an OpenDocument file (.ods)", EXPORT);
    }
    ("a zip archive", UNPACK)
}
