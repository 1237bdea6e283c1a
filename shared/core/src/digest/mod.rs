//! The checksum of typed rows: the same rows give the same sum, whatever file format or order they are in.
//!
//! A row's canonical bytes are its contract columns in order (added columns are left out), each as:
//!
//! - NULL of any type: `00`.
//! - bool: `01`, then `00` or `01`.
//! - int8 to int64, date (days since 1970-01-01), time (microseconds since midnight), timestamp
//!   (microseconds since 1970 UTC): `01`, then 8 bytes, two's complement, little-endian.
//! - uint8 to uint64: `01`, then 8 bytes, little-endian.
//! - float32, float64: `01`, then the 8 bytes of the `f64`, little-endian; -0 as 0, every NaN as
//!   `7ff8000000000000`.
//! - decimal: `01`, one byte of scale, 16 bytes of the unscaled value, two's complement, little-endian;
//!   trailing zeros after the point are dropped first, so 1.50 is scale 1 and 15.
//! - text: `01`, the length in bytes as 4 bytes little-endian, the UTF-8 bytes.
//!
//! The row's hash is the xxh3-128 of these bytes; the digest is the sum of the hashes mod 2^128.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType, TimeUnit};
use xxhash_rust::xxh3::xxh3_128;

use crate::block::Digest;

#[cfg(test)]
mod tests;

/// Rows whose canonical bytes are written together, column by column.
const TILE_ROWS: usize = 512;

/// The sum over all rows of the batch, of its first `width` columns: those of the contract.
///
/// # Errors
/// When a column has a type that no contract column has, or the batch has fewer columns.
pub fn rows(width: usize, batch: &RecordBatch) -> Result<Digest, ArrowError> {
    let mut digest = Digest::default();
    each(width, batch, |hash| digest.add(hash))?;
    Ok(digest)
}

/// The hash of every row, of its first `width` columns.
///
/// # Errors
/// As [`rows`].
pub fn hashes(width: usize, batch: &RecordBatch) -> Result<Vec<u128>, ArrowError> {
    let mut hashes = Vec::with_capacity(batch.num_rows());
    each(width, batch, |hash| hashes.push(hash))?;
    Ok(hashes)
}

fn each(width: usize, batch: &RecordBatch, mut take: impl FnMut(u128)) -> Result<(), ArrowError> {
    let Some(columns) = batch.columns().get(..width) else {
        let found = batch.num_columns();
        let message = format!("expected {width} columns or more to hash, found {found}");
        return Err(ArrowError::InvalidArgumentError(message));
    };
    let mut scratch = Scratch::default();
    for first in (0..batch.num_rows()).step_by(TILE_ROWS) {
        let rows = TILE_ROWS.min(batch.num_rows() - first);
        scratch.start(rows);
        for column in columns {
            measure(&column.slice(first, rows), &mut scratch.ends)?;
        }
        scratch.place();
        for column in columns {
            write(&column.slice(first, rows), &mut scratch)?;
        }
        scratch.hash(&mut take);
    }
    Ok(())
}

/// Canonical bytes of one tile, row after row.
#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    /// First each row's length, then where its bytes end so far; after the last column, where it ends.
    ends: Vec<usize>,
}

impl Scratch {
    fn start(&mut self, rows: usize) {
        self.ends.clear();
        self.ends.resize(rows, 0);
    }

    /// Lengths become starts.
    fn place(&mut self) {
        let mut total = 0;
        for end in &mut self.ends {
            let length = *end;
            *end = total;
            total += length;
        }
        self.bytes.resize(total, 0);
    }

    fn hash(&self, take: &mut impl FnMut(u128)) {
        let mut start = 0;
        for end in &self.ends {
            take(xxh3_128(self.bytes.get(start..*end).unwrap_or_default()));
            start = *end;
        }
    }
}

/// Appends bytes to a row.
#[inline]
fn put(bytes: &mut [u8], end: &mut usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(*end..*end + value.len()) {
        place.copy_from_slice(value);
        *end += value.len();
    }
}

/// Adds the bytes that each row of the column takes.
fn measure(array: &dyn Array, lengths: &mut [usize]) -> Result<(), ArrowError> {
    if let Some(texts) = array.as_string_opt::<i32>() {
        for (length, ends) in lengths.iter_mut().zip(texts.value_offsets().array_windows()) {
            let [start, end] = ends;
            *length += usize::try_from(end - start).unwrap_or(0) + 5;
        }
        forget_nulls(texts, lengths);
        return Ok(());
    }
    let width = if array.as_boolean_opt().is_some() {
        2
    } else if array.as_primitive_opt::<Decimal128Type>().is_some() {
        18
    } else {
        9
    };
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    match nulls {
        None => lengths.iter_mut().for_each(|length| *length += width),
        Some(nulls) => {
            for (length, valid) in lengths.iter_mut().zip(nulls) {
                *length += if valid { width } else { 1 };
            }
        }
    }
    Ok(())
}

/// A NULL text takes one byte, whatever text lies below it.
fn forget_nulls(texts: &StringArray, lengths: &mut [usize]) {
    let Some(nulls) = texts.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return;
    };
    let rows = lengths.iter_mut().zip(nulls).zip(texts.value_offsets().array_windows());
    for ((length, valid), [start, end]) in rows {
        if !valid {
            *length -= usize::try_from(end - start).unwrap_or(0) + 4;
        }
    }
}

fn write(array: &dyn Array, scratch: &mut Scratch) -> Result<(), ArrowError> {
    macro_rules! integers {
        ($arrow:ty, $wide:ty) => {
            fixed::<$arrow, 9>(array, scratch, |value| tagged(&<$wide>::from(value).to_le_bytes()))
        };
    }
    #[allow(clippy::wildcard_enum_match_arm, reason = "contract columns have these types only")]
    match array.data_type() {
        DataType::Int8 => integers!(Int8Type, i64),
        DataType::Int16 => integers!(Int16Type, i64),
        DataType::Int32 => integers!(Int32Type, i64),
        DataType::Int64 => integers!(Int64Type, i64),
        DataType::UInt8 => integers!(UInt8Type, u64),
        DataType::UInt16 => integers!(UInt16Type, u64),
        DataType::UInt32 => integers!(UInt32Type, u64),
        DataType::UInt64 => integers!(UInt64Type, u64),
        DataType::Date32 => integers!(Date32Type, i64),
        DataType::Time64(TimeUnit::Microsecond) => integers!(Time64MicrosecondType, i64),
        DataType::Timestamp(TimeUnit::Microsecond, _) => integers!(TimestampMicrosecondType, i64),
        DataType::Float32 => {
            fixed::<Float32Type, 9>(array, scratch, |value| tagged(&float(f64::from(value))));
        }
        DataType::Float64 => fixed::<Float64Type, 9>(array, scratch, |value| tagged(&float(value))),
        DataType::Decimal128(_, scale) => {
            let scale = *scale;
            fixed::<Decimal128Type, 18>(array, scratch, |value| decimal(value, scale));
        }
        DataType::Boolean => booleans(array, scratch),
        DataType::Utf8 => texts(array, scratch),
        other => {
            let message = format!("no canonical form for a column of type {other}");
            return Err(ArrowError::InvalidArgumentError(message));
        }
    }
    Ok(())
}

/// Writes a column whose values have `N` canonical bytes, tag included.
fn fixed<A: ArrowPrimitiveType, const N: usize>(
    array: &dyn Array,
    scratch: &mut Scratch,
    canonical: impl Fn(A::Native) -> [u8; N],
) {
    let Some(values) = array.as_primitive_opt::<A>() else {
        return;
    };
    let rows = scratch.ends.iter_mut().zip(values.values().iter());
    match some_nulls(array) {
        None => {
            for (end, value) in rows {
                put(&mut scratch.bytes, end, &canonical(*value));
            }
        }
        Some(nulls) => {
            for ((end, value), valid) in rows.zip(nulls) {
                if valid {
                    put(&mut scratch.bytes, end, &canonical(*value));
                } else {
                    put(&mut scratch.bytes, end, &[0]);
                }
            }
        }
    }
}

fn booleans(array: &dyn Array, scratch: &mut Scratch) {
    for (end, value) in scratch.ends.iter_mut().zip(array.as_boolean()) {
        match value {
            Some(value) => put(&mut scratch.bytes, end, &[1, u8::from(value)]),
            None => put(&mut scratch.bytes, end, &[0]),
        }
    }
}

fn texts(array: &dyn Array, scratch: &mut Scratch) {
    for (end, value) in scratch.ends.iter_mut().zip(array.as_string::<i32>()) {
        let Some(text) = value else {
            put(&mut scratch.bytes, end, &[0]);
            continue;
        };
        let [a, b, c, d] = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
        put(&mut scratch.bytes, end, &[1, a, b, c, d]);
        put(&mut scratch.bytes, end, text.as_bytes());
    }
}

fn some_nulls(array: &dyn Array) -> Option<&NullBuffer> {
    array.nulls().filter(|nulls| nulls.null_count() > 0)
}

#[inline]
fn tagged(value: &[u8; 8]) -> [u8; 9] {
    let [a, b, c, d, e, f, g, h] = *value;
    [1, a, b, c, d, e, f, g, h]
}

#[inline]
fn float(value: f64) -> [u8; 8] {
    let canonical = if value.is_nan() {
        f64::from_bits(0x7ff8_0000_0000_0000)
    } else {
        value + 0.0 // -0 + 0 is 0
    };
    canonical.to_le_bytes()
}

#[inline]
fn decimal(value: i128, scale: i8) -> [u8; 18] {
    let mut scale = scale.unsigned_abs();
    let mut value = value;
    if let Ok(mut short) = i64::try_from(value) {
        while scale > 0 && short % 10 == 0 {
            (short, scale) = (short / 10, scale - 1);
        }
        value = i128::from(short);
    } else {
        while scale > 0 && value % 10 == 0 {
            (value, scale) = (value / 10, scale - 1);
        }
    }
    let mut bytes = [0; 18];
    let [tag, scale_byte, unscaled @ ..] = &mut bytes;
    (*tag, *scale_byte, *unscaled) = (1, scale, value.to_le_bytes());
    bytes
}
