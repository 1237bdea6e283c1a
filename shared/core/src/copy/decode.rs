//! The digest of rows as Postgres sends them back: what it holds is read, not what it was told.

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder, UInt8Builder, UInt16Builder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use std::sync::Arc;

use super::encode::{EPOCH_DAYS, EPOCH_MICROS};
use super::{HEADER, TRAILER};
use crate::block::Digest;
use crate::digest;

/// Rows that are hashed together.
const BATCH_ROWS: usize = 8192;

/// What a stream of rows held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows.
    pub rows: u64,
    /// Sum of their hashes, computed from their columns.
    pub digest: Digest,
    /// Sum of the hashes that were written with them.
    pub written: Digest,
}

/// Reads a binary COPY stream of rows, each its hash and then the contract's columns in the contract's
/// order, and sums them up.
#[derive(Debug)]
pub struct TableDigest {
    schema: SchemaRef,
    width: usize,
    pending: Vec<u8>,
    begun: bool,
    cells: Vec<Cells>,
    held: usize,
    found: Found,
}

impl TableDigest {
    /// `schema` is a contract's, of which the first `width` columns are sent.
    ///
    /// # Errors
    /// When a column has a type that no contract column has.
    pub fn new(schema: SchemaRef, width: usize) -> Result<TableDigest, ArrowError> {
        let fields = schema.fields().iter().take(width);
        let cells = fields.map(|field| Cells::of(field.data_type())).collect::<Result<_, _>>()?;
        let (pending, found) = (vec![], Found::default());
        Ok(TableDigest { schema, width, pending, begun: false, cells, held: 0, found })
    }

    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    /// When they are no tuples of these columns.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ArrowError> {
        self.pending.extend_from_slice(bytes);
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        if !self.begun {
            let Some(behind) = rest.get(HEADER.len()..) else {
                self.pending = pending;
                return Ok(());
            };
            rest = behind;
            self.begun = true;
        }
        while let Some(behind) = self.tuple(rest)? {
            rest = behind;
            self.found.rows += 1;
            self.held += 1;
            if self.held == BATCH_ROWS {
                self.flush()?;
            }
        }
        self.pending = rest.to_vec();
        Ok(())
    }

    /// What was in the stream; nothing, when there was none.
    ///
    /// # Errors
    /// When the stream ended in the middle of a row.
    pub fn finish(mut self) -> Result<Found, ArrowError> {
        self.flush()?;
        if self.begun && self.pending != TRAILER {
            return Err(broken());
        }
        Ok(self.found)
    }

    /// Takes one tuple; the bytes behind it, `None` when it is not all there.
    fn tuple<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, ArrowError> {
        let Some(count) = bytes.first_chunk() else { return Ok(None) };
        let count = u16::from_be_bytes(*count);
        if count == u16::MAX {
            return Ok(None);
        }
        if usize::from(count) != self.width + 1 {
            return Err(broken());
        }
        let mut fields = Vec::with_capacity(self.width + 1);
        let mut at = 2;
        for _ in 0..count {
            let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else {
                return Ok(None);
            };
            let length = usize::try_from(i32::from_be_bytes(*length)).ok();
            at += 4;
            let Some(length) = length else {
                fields.push(None);
                continue;
            };
            let Some(field) = bytes.get(at..at + length) else { return Ok(None) };
            fields.push(Some(field));
            at += length;
        }
        let mut fields = fields.into_iter();
        let written: Option<[u8; 16]> =
            fields.next().flatten().and_then(|hash| hash.try_into().ok());
        self.found.written.add(u128::from_be_bytes(written.ok_or_else(broken)?));
        for (cells, field) in self.cells.iter_mut().zip(fields) {
            cells.push(field).ok_or_else(broken)?;
        }
        Ok(bytes.get(at..))
    }

    fn flush(&mut self) -> Result<(), ArrowError> {
        if self.held == 0 {
            return Ok(());
        }
        let fields: Vec<_> = self.schema.fields().iter().take(self.width).cloned().collect();
        // What the table holds may be NULL where the contract says otherwise.
        let loose = fields.iter().map(|field| field.as_ref().clone().with_nullable(true));
        let schema = Arc::new(arrow_schema::Schema::new(loose.collect::<Vec<_>>()));
        let arrays = self.cells.iter_mut().map(Cells::finish).collect::<Result<Vec<_>, _>>()?;
        let batch = RecordBatch::try_new(schema, arrays)?;
        self.found.digest += digest::rows(self.width, &batch)?;
        self.held = 0;
        Ok(())
    }
}

fn broken() -> ArrowError {
    ArrowError::ParseError("the table's rows do not come in the form of the contract".into())
}

#[derive(Debug)]
enum Cells {
    Bool(BooleanBuilder),
    I8(Int8Builder),
    I16(Int16Builder),
    I32(Int32Builder),
    I64(Int64Builder),
    U8(UInt8Builder),
    U16(UInt16Builder),
    U32(UInt32Builder),
    U64(UInt64Builder),
    F32(Float32Builder),
    F64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Text(StringBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Moment(TimestampMicrosecondBuilder),
}

impl Cells {
    fn of(data_type: &DataType) -> Result<Cells, ArrowError> {
        #[allow(clippy::wildcard_enum_match_arm, reason = "a contract has no other types")]
        Ok(match data_type {
            DataType::Boolean => Cells::Bool(BooleanBuilder::new()),
            DataType::Int8 => Cells::I8(Int8Builder::new()),
            DataType::Int16 => Cells::I16(Int16Builder::new()),
            DataType::Int32 => Cells::I32(Int32Builder::new()),
            DataType::Int64 => Cells::I64(Int64Builder::new()),
            DataType::UInt8 => Cells::U8(UInt8Builder::new()),
            DataType::UInt16 => Cells::U16(UInt16Builder::new()),
            DataType::UInt32 => Cells::U32(UInt32Builder::new()),
            DataType::UInt64 => Cells::U64(UInt64Builder::new()),
            DataType::Float32 => Cells::F32(Float32Builder::new()),
            DataType::Float64 => Cells::F64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                Cells::Decimal(Decimal128Builder::new(), *precision, *scale)
            }
            DataType::Utf8 => Cells::Text(StringBuilder::new()),
            DataType::Date32 => Cells::Date(Date32Builder::new()),
            DataType::Time64(_) => Cells::Time(Time64MicrosecondBuilder::new()),
            DataType::Timestamp(..) => Cells::Moment(TimestampMicrosecondBuilder::new()),
            other => {
                let message = format!("{other} has no form in Postgres");
                return Err(ArrowError::InvalidArgumentError(message));
            }
        })
    }

    /// `None` when the bytes are no value of the column.
    fn push(&mut self, field: Option<&[u8]>) -> Option<()> {
        macro_rules! fixed {
            ($builder:expr, $bytes:ty, $value:ty) => {{
                let value = match field {
                    Some(field) => {
                        let sent = <$bytes>::from_be_bytes(field.try_into().ok()?);
                        Some(<$value>::try_from(sent).ok()?)
                    }
                    None => None,
                };
                $builder.append_option(value);
            }};
        }
        match self {
            Cells::Bool(builder) => builder.append_option(match field {
                Some([byte]) => Some(*byte != 0),
                Some(_) => return None,
                None => None,
            }),
            Cells::I8(builder) => fixed!(builder, i16, i8),
            Cells::I16(builder) => fixed!(builder, i16, i16),
            Cells::I32(builder) => fixed!(builder, i32, i32),
            Cells::I64(builder) => fixed!(builder, i64, i64),
            Cells::U8(builder) => fixed!(builder, i16, u8),
            Cells::U16(builder) => fixed!(builder, i32, u16),
            Cells::U32(builder) => fixed!(builder, i64, u32),
            Cells::U64(builder) => builder.append_option(match field {
                Some(field) => Some(u64::try_from(numeric(field, 0)?).ok()?),
                None => None,
            }),
            Cells::F32(builder) => fixed!(builder, f32, f32),
            Cells::F64(builder) => fixed!(builder, f64, f64),
            Cells::Decimal(builder, _, scale) => builder.append_option(match field {
                Some(field) => Some(numeric(field, u32::try_from(*scale).ok()?)?),
                None => None,
            }),
            Cells::Text(builder) => builder.append_option(match field {
                Some(field) => Some(std::str::from_utf8(field).ok()?),
                None => None,
            }),
            Cells::Date(builder) => builder.append_option(match field {
                Some(field) => {
                    Some(i32::from_be_bytes(field.try_into().ok()?).checked_add(EPOCH_DAYS)?)
                }
                None => None,
            }),
            Cells::Time(builder) => fixed!(builder, i64, i64),
            Cells::Moment(builder) => builder.append_option(match field {
                Some(field) => {
                    Some(i64::from_be_bytes(field.try_into().ok()?).checked_add(EPOCH_MICROS)?)
                }
                None => None,
            }),
        }
        Some(())
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Cells::Bool(builder) => Arc::new(builder.finish()),
            Cells::I8(builder) => Arc::new(builder.finish()),
            Cells::I16(builder) => Arc::new(builder.finish()),
            Cells::I32(builder) => Arc::new(builder.finish()),
            Cells::I64(builder) => Arc::new(builder.finish()),
            Cells::U8(builder) => Arc::new(builder.finish()),
            Cells::U16(builder) => Arc::new(builder.finish()),
            Cells::U32(builder) => Arc::new(builder.finish()),
            Cells::U64(builder) => Arc::new(builder.finish()),
            Cells::F32(builder) => Arc::new(builder.finish()),
            Cells::F64(builder) => Arc::new(builder.finish()),
            Cells::Decimal(builder, precision, scale) => {
                Arc::new(builder.finish().with_precision_and_scale(*precision, *scale)?)
            }
            Cells::Text(builder) => Arc::new(builder.finish()),
            Cells::Date(builder) => Arc::new(builder.finish()),
            Cells::Time(builder) => Arc::new(builder.finish()),
            Cells::Moment(builder) => Arc::new(builder.finish().with_timezone("UTC")),
        })
    }
}

/// The unscaled value of a numeric with this many digits behind the point; `None` when it has more, is
/// no number, or does not fit.
fn numeric(bytes: &[u8], scale: u32) -> Option<i128> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (count, weight, sign) = (word(0)?, word(2)?.cast_signed(), word(4)?);
    let mut value: i128 = 0;
    for index in 0..count {
        let digits = i128::from(word(8 + 2 * usize::from(index))?);
        // Decimal places in front of which this group ends, counted from the unscaled end.
        let place = (i32::from(weight) - i32::from(index)) * 4 + i32::try_from(scale).ok()?;
        let part = match u32::try_from(place) {
            Ok(place) => digits.checked_mul(10_i128.checked_pow(place)?)?,
            Err(_) => {
                let divisor = 10_i128.checked_pow(place.unsigned_abs())?;
                (digits % divisor == 0).then_some(digits / divisor)?
            }
        };
        value = value.checked_add(part)?;
    }
    match sign {
        0 => Some(value),
        0x4000 => Some(-value),
        _ => None,
    }
}
