//! Bytes of an object to plain UTF-8 bytes: compression by magic bytes, then the text encoding.

mod inflate;
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
    /// More plain bytes than `decompressed_bytes_max`.
    #[error("the object decompresses to more than {max} bytes; split it or raise the limit")]
    TooManyBytes {
        /// The limit.
        max: u64,
    },
    /// More plain bytes for each compressed one than `ratio_max`.
    #[error(
        "the object decompresses to more than {max} times its size, as decompression bombs do; \
         if it is none, raise ROWPROOF_RATIO_MAX"
    )]
    Ratio {
        /// The limit.
        max: u64,
    },
}

impl InputError {
    /// The code in the job record.
    pub fn code(&self) -> &'static str {
        match self {
            InputError::Unsupported { .. } => "codec",
            InputError::UnknownEncoding { .. } => "encoding",
            InputError::Truncated { .. } => "truncated",
            InputError::Corrupt { .. } => "corrupt",
            InputError::TooManyBytes { .. } | InputError::Ratio { .. } => "too_large",
        }
    }
}
