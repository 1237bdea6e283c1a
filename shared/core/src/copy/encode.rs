//! Typed rows to tuples.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType};

use super::{CopyPlan, CopyRows, OWN_FIELDS};

/// Days from 1970-01-01 to 2000-01-01, where Postgres counts from.
pub(super) const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
pub(super) const EPOCH_MICROS: i64 = 10_957 * 86_400_000_000;
/// Digits of a group of numeric: four decimal ones.
const GROUP: u128 = 10_000;

/// A row that Postgres has no form for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Its place in the batch.
    pub at: usize,
    /// Which column of the contract is at fault.
    pub column: usize,
}

/// Collects the tuples of a chunk.
#[derive(Debug)]
pub struct CopyWriter {
    plan: CopyPlan,
    rows: CopyRows,
}

impl CopyWriter {
    /// For the columns of `plan`.
    pub fn new(plan: CopyPlan) -> CopyWriter {
        CopyWriter { plan, rows: CopyRows::default() }
    }

    /// Rows of the batch with a text that holds a NUL, which no text in Postgres can.
    pub fn refused(&self, batch: &RecordBatch) -> Vec<Refused> {
        let mut refused: Vec<Refused> = Vec::new();
        for column in &self.plan.columns {
            let Some(texts) = batch.column(column.index).as_string_opt::<i32>() else { continue };
            if memchr::memchr(0, texts.value_data()).is_none() {
                continue;
            }
            let rows = texts.iter().enumerate();
            let holds = rows.filter(|(_, text)| text.is_some_and(|text| text.contains('\0')));
            refused.extend(holds.map(|(at, _)| Refused { at, column: column.index }));
        }
        refused.sort_by_key(|refused| (refused.at, refused.column));
        refused.dedup_by_key(|refused| refused.at);
        refused
    }

    /// Appends the rows of a batch with their numbers and hashes.
    ///
    /// # Errors
    /// When a column has a type that no contract column has.
    pub fn append(
        &mut self,
        batch: &RecordBatch,
        rows: &[u64],
        hashes: &[u128],
    ) -> Result<(), ArrowError> {
        let fields = u16::try_from(self.plan.columns.len() + OWN_FIELDS).unwrap_or(u16::MAX);
        let columns = self.plan.columns.iter().map(|column| {
            Cells::of(batch.column(column.index)).ok_or_else(|| {
                let message = format!("column {} has no form in Postgres", column.name);
                ArrowError::InvalidArgumentError(message)
            })
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let out = &mut self.rows.bytes;
        for (at, (row, hash)) in rows.iter().zip(hashes).enumerate() {
            out.extend_from_slice(&fields.to_be_bytes());
            put(out, &row.to_be_bytes());
            put(out, &hash.to_be_bytes());
            for column in &columns {
                column.put(at, out);
            }
        }
        self.rows.rows += u64::try_from(rows.len()).unwrap_or(0);
        Ok(())
    }

    /// The tuples.
    pub fn finish(self) -> CopyRows {
        self.rows
    }
}

#[inline]
fn put<const N: usize>(out: &mut Vec<u8>, value: &[u8; N]) {
    out.extend_from_slice(&u32::try_from(N).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(value);
}

/// A column's values.
enum Cells<'a> {
    Bool(&'a arrow_array::BooleanArray),
    I8(&'a arrow_array::Int8Array),
    I16(&'a arrow_array::Int16Array),
    I32(&'a arrow_array::Int32Array),
    I64(&'a arrow_array::Int64Array),
    U8(&'a arrow_array::UInt8Array),
    U16(&'a arrow_array::UInt16Array),
    U32(&'a arrow_array::UInt32Array),
    U64(&'a arrow_array::UInt64Array),
    F32(&'a arrow_array::Float32Array),
    F64(&'a arrow_array::Float64Array),
    Decimal(&'a arrow_array::Decimal128Array, u32),
    Text(&'a arrow_array::StringArray),
    Date(&'a arrow_array::Date32Array),
    Time(&'a arrow_array::Time64MicrosecondArray),
    Moment(&'a arrow_array::TimestampMicrosecondArray),
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef) -> Option<Cells<'a>> {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a contract has no other types")]
        Some(match array.data_type() {
            DataType::Boolean => Cells::Bool(array.as_boolean_opt()?),
            DataType::Int8 => Cells::I8(array.as_primitive_opt::<Int8Type>()?),
            DataType::Int16 => Cells::I16(array.as_primitive_opt::<Int16Type>()?),
            DataType::Int32 => Cells::I32(array.as_primitive_opt::<Int32Type>()?),
            DataType::Int64 => Cells::I64(array.as_primitive_opt::<Int64Type>()?),
            DataType::UInt8 => Cells::U8(array.as_primitive_opt::<UInt8Type>()?),
            DataType::UInt16 => Cells::U16(array.as_primitive_opt::<UInt16Type>()?),
            DataType::UInt32 => Cells::U32(array.as_primitive_opt::<UInt32Type>()?),
            DataType::UInt64 => Cells::U64(array.as_primitive_opt::<UInt64Type>()?),
            DataType::Float32 => Cells::F32(array.as_primitive_opt::<Float32Type>()?),
            DataType::Float64 => Cells::F64(array.as_primitive_opt::<Float64Type>()?),
            DataType::Decimal128(_, scale) => {
                let scale = u32::try_from(*scale).ok()?;
                Cells::Decimal(array.as_primitive_opt::<Decimal128Type>()?, scale)
            }
            DataType::Utf8 => Cells::Text(array.as_string_opt::<i32>()?),
            DataType::Date32 => Cells::Date(array.as_primitive_opt::<Date32Type>()?),
            DataType::Time64(_) => Cells::Time(array.as_primitive_opt::<Time64MicrosecondType>()?),
            DataType::Timestamp(..) => {
                Cells::Moment(array.as_primitive_opt::<TimestampMicrosecondType>()?)
            }
            _ => return None,
        })
    }

    fn is_null(&self, at: usize) -> bool {
        match self {
            Cells::Bool(array) => array.is_null(at),
            Cells::I8(array) => array.is_null(at),
            Cells::I16(array) => array.is_null(at),
            Cells::I32(array) => array.is_null(at),
            Cells::I64(array) => array.is_null(at),
            Cells::U8(array) => array.is_null(at),
            Cells::U16(array) => array.is_null(at),
            Cells::U32(array) => array.is_null(at),
            Cells::U64(array) => array.is_null(at),
            Cells::F32(array) => array.is_null(at),
            Cells::F64(array) => array.is_null(at),
            Cells::Decimal(array, _) => array.is_null(at),
            Cells::Text(array) => array.is_null(at),
            Cells::Date(array) => array.is_null(at),
            Cells::Time(array) => array.is_null(at),
            Cells::Moment(array) => array.is_null(at),
        }
    }

    #[inline]
    fn put(&self, at: usize, out: &mut Vec<u8>) {
        if self.is_null(at) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return;
        }
        match self {
            Cells::Bool(array) => put(out, &[u8::from(array.value(at))]),
            Cells::I8(array) => put(out, &i16::from(array.value(at)).to_be_bytes()),
            Cells::I16(array) => put(out, &array.value(at).to_be_bytes()),
            Cells::I32(array) => put(out, &array.value(at).to_be_bytes()),
            Cells::I64(array) => put(out, &array.value(at).to_be_bytes()),
            Cells::U8(array) => put(out, &i16::from(array.value(at)).to_be_bytes()),
            Cells::U16(array) => put(out, &i32::from(array.value(at)).to_be_bytes()),
            Cells::U32(array) => put(out, &i64::from(array.value(at)).to_be_bytes()),
            Cells::U64(array) => put_numeric(out, i128::from(array.value(at)), 0),
            Cells::F32(array) => put(out, &array.value(at).to_be_bytes()),
            Cells::F64(array) => put(out, &array.value(at).to_be_bytes()),
            Cells::Decimal(array, scale) => put_numeric(out, array.value(at), *scale),
            Cells::Text(array) => {
                let text = array.value(at).as_bytes();
                out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
                out.extend_from_slice(text);
            }
            Cells::Date(array) => {
                put(out, &array.value(at).saturating_sub(EPOCH_DAYS).to_be_bytes());
            }
            Cells::Time(array) => put(out, &array.value(at).to_be_bytes()),
            Cells::Moment(array) => {
                put(out, &array.value(at).saturating_sub(EPOCH_MICROS).to_be_bytes());
            }
        }
    }
}

/// A numeric: counts of groups, the weight of the first, the sign, the scale; then groups of four digits
/// (`numeric_send` in PostgreSQL's source). Groups of zeros at either end are left out.
fn put_numeric(out: &mut Vec<u8>, value: i128, scale: u32) {
    let sign: u16 = if value < 0 { 0x4000 } else { 0 };
    let one = 10_u128.pow(scale);
    let (whole, fraction) = (value.unsigned_abs() / one, value.unsigned_abs() % one);
    // Groups from the last one on. The one behind the point's last digits is filled up with zeros.
    let (mut groups, mut count) = ([0_u16; 24], 0);
    let mut push = |group: u128| {
        if let Some(place) = groups.get_mut(count) {
            *place = u16::try_from(group).unwrap_or(0);
        }
        count += 1;
    };
    let (mut fraction, odd) = (fraction, scale % 4);
    if odd > 0 {
        push(fraction % 10_u128.pow(odd) * 10_u128.pow(4 - odd));
        fraction /= 10_u128.pow(odd);
    }
    for _ in 0..scale / 4 {
        push(fraction % GROUP);
        fraction /= GROUP;
    }
    let mut whole = whole;
    while whole > 0 {
        push(whole % GROUP);
        whole /= GROUP;
    }
    let behind = i16::try_from(scale.div_ceil(4)).unwrap_or(0);
    let mut weight = i16::try_from(count).unwrap_or(0) - behind - 1;
    let mut digits = groups.get(..count).unwrap_or_default();
    while let [rest @ .., 0] = digits {
        digits = rest;
        weight -= 1;
    }
    while let [0, rest @ ..] = digits {
        digits = rest;
    }
    if digits.is_empty() {
        weight = 0;
    }
    let count = u16::try_from(digits.len()).unwrap_or(0);
    out.extend_from_slice(&(8 + 2 * u32::from(count)).to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&u16::try_from(scale).unwrap_or(0).to_be_bytes());
    for digit in digits.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}
