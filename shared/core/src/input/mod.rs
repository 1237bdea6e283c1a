//! Bytes of an object to plain UTF-8 bytes: compression by magic bytes, then the text encoding.

mod exotic;
mod inflate;
mod refused;
mod sniff;
mod stream;
#[cfg(test)]
mod tests;
mod text;

pub use inflate::Inflate;
pub use sniff::{SNIFF_BYTES, sniff};

use std::fmt;

use serde::{Deserialize, Serialize};

/// Compression of an object, told by its first bytes and never by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// Plain.
    None,
    /// gzip, of one member or more.
    Gzip,
    /// Zstandard, of one frame or more.
    Zstd,
}

impl Codec {
    /// The name in the job record.
    pub fn as_str(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an object cannot be read at all. `at` is a compressed byte, from the object's start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// A format that is recognised but not read.
    #[error("the object is {found}, which is not read; {advice}")]
    Unsupported {
        /// What it is.
        found: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// A format that is not read, behind a compression that is.
    #[error("the object is {found} inside {codec}, which is not read; {advice}")]
    Inside {
        /// Compression of the object.
        codec: Codec,
        /// What is in it.
        found: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// Packed once more.
    #[error("the object is packed twice, {inner} inside {codec}; unpack it once and upload that")]
    Twice {
        /// Compression of the object.
        codec: Codec,
        /// Compression of what is in it.
        inner: Codec,
    },
    /// Zstandard that asks for more memory than is granted.
    #[error(
        "the zstd stream needs a window over 128 MiB, more than is granted; compress the data again \
         without --long, or with --long=27 at most"
    )]
    Window,
    /// Zstandard that was made with a dictionary.
    #[error(
        "the zstd stream needs the dictionary it was made with; compress the data again without one"
    )]
    Dictionary,
    /// No such text encoding.
    #[error(
        "`{label}` is no known text encoding; write a WHATWG label such as `utf-8` or `windows-1252`"
    )]
    UnknownEncoding {
        /// The label as declared.
        label: String,
    },
    /// The object ends before its compressed stream does.
    #[error("the {codec} stream is cut off at byte {at}; upload the object again, whole")]
    Truncated {
        /// Compression.
        codec: Codec,
        /// Bytes of the object.
        at: u64,
    },
    /// The compressed stream breaks its own rules or checksum.
    #[error(
        "the {codec} stream is corrupt at byte {at}: {reason}; compress and upload the object again"
    )]
    Corrupt {
        /// Compression.
        codec: Codec,
        /// About where.
        at: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// Something stands behind the compressed stream, which is complete.
    #[error("{what}, at byte {at}: {advice}")]
    Trailing {
        /// Its first byte.
        at: u64,
        /// What it is.
        what: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// More plain bytes than `decompressed_bytes_max`.
    #[error("the object decompresses to more than {max} bytes; split it or raise the limit")]
    TooManyBytes {
        /// The limit.
        max: u64,
    },
    /// More than `ratio_after_bytes` plain bytes, and more for each compressed one than `ratio_max`.
    #[error(
        "the object decompresses to more than {after} bytes and more than {max} times its size, as \
         decompression bombs do; if it is none, raise ROWPROOF_RATIO_MAX (RatioMax of the template)"
    )]
    Ratio {
        /// The limit of the ratio.
        max: u64,
        /// Bytes that are granted whatever the ratio is.
        after: u64,
    },
}

impl InputError {
    /// The code in the job record.
    pub fn code(&self) -> &'static str {
        match self {
            InputError::Unsupported { .. }
            | InputError::Inside { .. }
            | InputError::Twice { .. }
            | InputError::Window
            | InputError::Dictionary => "codec",
            InputError::UnknownEncoding { .. } => "encoding",
            InputError::Truncated { .. } => "truncated",
            InputError::Corrupt { .. } | InputError::Trailing { .. } => "corrupt",
            InputError::TooManyBytes { .. } | InputError::Ratio { .. } => "too_large",
        }
    }
}
