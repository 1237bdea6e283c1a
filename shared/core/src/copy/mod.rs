//! Good rows as Postgres reads them: tuples of its binary COPY format, and the SQL around them.
//!
//! A tuple is the number of its fields (int16), then for each its length (int32, -1 for NULL) and bytes,
//! all big-endian (PostgreSQL manual, COPY, "Binary Format"). The fields are, in this order:
//!
//! 1. `_rowproof_row`: the record's number in the file, from 1 (int8)
//! 2. `_rowproof_hash`: the row's hash as in [`crate::digest`] (uuid)
//! 3. the key columns, in the contract's order
//! 4. all other columns of the contract, then the added ones
//!
//! So the first fields of a tuple are all that a comparison with the table takes, and how a row is found
//! there is decided before the rest of it is sent.

mod age;
mod decode;
mod encode;
mod plan;
mod sql;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::ids::sha256_hex;
use crate::table::TableFile;
use xxhash_rust::xxh3::xxh3_64;

pub use self::decode::{Found, TableDigest};
pub use self::encode::{CopyWriter, Refused};
pub use self::plan::{CopyColumn, CopyPlan, Kind};
pub use self::sql::{OWN_TABLES, Sql};

/// What a COPY stream begins with: the signature, no flags, no header extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub const TRAILER: &[u8] = &[0xff, 0xff];

/// The fastest level: what is staged is read once.
const PACK_LEVEL: i32 = 1;
/// Fields before the key.
const OWN_FIELDS: usize = 2;
/// Bytes of a tuple up to the key: the count, the row's number, the hash.
const OWN_BYTES: usize = 2 + (4 + 8) + (4 + 16);

/// Tuples of one chunk, in the order of their rows, without header and trailer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyRows {
    /// The tuples.
    pub bytes: Vec<u8>,
    /// How many.
    pub rows: u64,
}

/// A tuple that was found in [`CopyRows`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuple<'a> {
    /// The record's number in the file.
    pub row: u64,
    /// The row's hash.
    pub hash: u128,
    /// The encoded fields of the key.
    pub key: &'a [u8],
    /// The whole tuple.
    pub whole: &'a [u8],
}

impl Tuple<'_> {
    /// Appends a tuple of the first fields only.
    pub fn put_probe(&self, fields: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&u16::try_from(fields).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(self.whole.get(2..OWN_BYTES).unwrap_or_default());
        out.extend_from_slice(self.key);
    }
}

impl CopyRows {
    /// As a file that is staged: packed, with the hash of what it holds then.
    ///
    /// # Errors
    /// When the packer fails.
    pub fn pack(&self) -> std::io::Result<TableFile> {
        let bytes = zstd::bulk::compress(&self.bytes, PACK_LEVEL)?;
        let (partition, sha256) = (vec![], sha256_hex(&bytes));
        Ok(TableFile { partition, bytes, rows: self.rows, sha256 })
    }

    /// What [`CopyRows::pack`] made a file of.
    ///
    /// # Errors
    /// When the bytes are no such file.
    pub fn unpack(file: &[u8], rows: u64) -> std::io::Result<CopyRows> {
        Ok(CopyRows { bytes: zstd::stream::decode_all(file)?, rows })
    }
}

/// The tuples in these bytes, whose keys have so many fields. Ends early where the bytes are no tuples.
pub fn tuples(bytes: &[u8], keys: usize) -> impl Iterator<Item = Tuple<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let tuple = tuple(rest, keys)?;
        rest = rest.get(tuple.whole.len()..)?;
        Some(tuple)
    })
}

/// Whether two of these tuples may have one key. Never false when two have.
pub fn keys_repeat(bytes: &[u8], keys: usize) -> bool {
    let mut seen = HashSet::new();
    !tuples(bytes, keys).all(|tuple| seen.insert(xxh3_64(tuple.key)))
}

/// The tuple that the bytes begin with.
fn tuple(bytes: &[u8], keys: usize) -> Option<Tuple<'_>> {
    let fields = u16::from_be_bytes(bytes.first_chunk().copied()?);
    let row = u64::from_be_bytes(bytes.get(6..14)?.try_into().ok()?);
    let hash = u128::from_be_bytes(bytes.get(18..34)?.try_into().ok()?);
    let mut at = OWN_BYTES;
    let mut key_end = at;
    for field in OWN_FIELDS..usize::from(fields) {
        let length = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
        at += 4 + usize::try_from(length).unwrap_or(0);
        if field < OWN_FIELDS + keys {
            key_end = at;
        }
    }
    Some(Tuple { row, hash, key: bytes.get(OWN_BYTES..key_end)?, whole: bytes.get(..at)? })
}
