//! Partition values: a row's value to a key, a key to folder text, folder text to a column.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray, StringArray, new_null_array};
use arrow_schema::{ArrowError, DataType};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::check::civil::{self, Finer, Instant};
use crate::check::number;

/// The folder of NULL.
pub(super) const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

/// Each row's value as a number, equal for equal values; `None` for a NULL. Not for text.
pub(super) fn keys(array: &dyn Array) -> Option<Vec<Option<i128>>> {
    fn primitive<A: ArrowPrimitiveType>(array: &dyn Array) -> Option<Vec<Option<i128>>>
    where
        i128: From<A::Native>,
    {
        let values = array.as_primitive_opt::<A>()?;
        Some(values.iter().map(|value| value.map(i128::from)).collect())
    }
    let float = |value: f64| {
        // One zero and one NaN, as in the digest.
        let canonical = if value.is_nan() { f64::NAN } else { value + 0.0 };
        i128::from(canonical.to_bits())
    };
    if let Some(values) = array.as_boolean_opt() {
        return Some(values.iter().map(|value| value.map(i128::from)).collect());
    }
    if let Some(values) = array.as_primitive_opt::<Float64Type>() {
        return Some(values.iter().map(|value| value.map(float)).collect());
    }
    if let Some(values) = array.as_primitive_opt::<Float32Type>() {
        return Some(values.iter().map(|value| value.map(|v| float(f64::from(v)))).collect());
    }
    #[allow(clippy::wildcard_enum_match_arm, reason = "text and foreign types have no key")]
    match array.data_type() {
        DataType::Int8 => primitive::<Int8Type>(array),
        DataType::Int16 => primitive::<Int16Type>(array),
        DataType::Int32 => primitive::<Int32Type>(array),
        DataType::Int64 => primitive::<Int64Type>(array),
        DataType::UInt8 => primitive::<UInt8Type>(array),
        DataType::UInt16 => primitive::<UInt16Type>(array),
        DataType::UInt32 => primitive::<UInt32Type>(array),
        DataType::UInt64 => primitive::<UInt64Type>(array),
        DataType::Date32 => primitive::<Date32Type>(array),
        DataType::Time64(_) => primitive::<Time64MicrosecondType>(array),
        DataType::Timestamp(_, _) => primitive::<TimestampMicrosecondType>(array),
        DataType::Decimal128(_, _) => primitive::<Decimal128Type>(array),
        _ => None,
    }
}

/// The text of a key of [`keys`]: ISO 8601 for dates and times, RFC 3339 in UTC for timestamps.
#[allow(clippy::wildcard_enum_match_arm, reason = "the other types are whole numbers")]
pub(super) fn text_of_key(key: i128, data_type: &DataType) -> Option<String> {
    let micros = i64::try_from(key).ok();
    Some(match data_type {
        DataType::Boolean => (key != 0).to_string(),
        DataType::Float32 | DataType::Float64 => {
            f64::from_bits(u64::try_from(key).ok()?).to_string()
        }
        DataType::Date32 => day(micros?)?.format("%Y-%m-%d").to_string(),
        DataType::Time64(_) => {
            let micros = micros?;
            let seconds = u32::try_from(micros.div_euclid(1_000_000)).ok()?;
            let nanos = u32::try_from(micros.rem_euclid(1_000_000)).ok()? * 1000;
            let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)?;
            time.format("%H:%M:%S%.f").to_string()
        }
        DataType::Timestamp(_, _) => {
            let instant = DateTime::<Utc>::from_timestamp_micros(micros?)?;
            instant.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string()
        }
        DataType::Decimal128(_, scale) => decimal_text(key, usize::from(scale.unsigned_abs())),
        _ => key.to_string(),
    })
}

/// The day so many days after 1970-01-01.
pub(super) fn day(days: i64) -> Option<NaiveDate> {
    DateTime::<Utc>::from_timestamp(days.checked_mul(86_400)?, 0).map(|moment| moment.date_naive())
}

fn decimal_text(value: i128, scale: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    match digits.split_at_checked(digits.len() - scale) {
        Some((whole, fraction)) if scale > 0 => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{digits}"),
    }
}

/// A folder's value: percent-encoded where a path, a shell or a reader could mistake it.
pub(super) fn encode(value: Option<&str>) -> String {
    let Some(value) = value else {
        return NULL_FOLDER.to_owned();
    };
    let mut encoded = String::with_capacity(value.len());
    for (at, character) in value.char_indices() {
        let unsafe_here =
            matches!(character, '/' | '=' | '%' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
                || character.is_ascii_control()
                || (at == 0 && character == '.')
                || (at == 0 && value == NULL_FOLDER);
        if unsafe_here {
            // Every character above is ASCII, so it is one byte.
            let escaped = write!(encoded, "%{:02X}", u32::from(character));
            debug_assert!(escaped.is_ok(), "writing to a string does not fail");
        } else {
            encoded.push(character);
        }
    }
    encoded
}

/// The value of a folder as text; `None` for NULL.
pub(crate) fn folder_text(folder: &str) -> Option<String> {
    decode(folder).ok().flatten().map(Cow::into_owned)
}

/// The inverse of [`encode`]; `Err` when it is not a folder's value.
fn decode(folder: &str) -> Result<Option<Cow<'_, str>>, ()> {
    if folder == NULL_FOLDER {
        return Ok(None);
    }
    if !folder.contains('%') {
        return Ok(Some(Cow::Borrowed(folder)));
    }
    let mut pieces = folder.split('%');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (hex, rest) = piece.split_at_checked(2).ok_or(())?;
        let byte = u8::from_str_radix(hex, 16).map_err(|_| ())?;
        if !byte.is_ascii() {
            return Err(());
        }
        text.push(char::from(byte));
        text.push_str(rest);
    }
    Ok(Some(Cow::Owned(text)))
}

/// A column of `rows` times the folder's value; `None` when it is no value of the type.
pub(super) fn column(folder: &str, data_type: &DataType, rows: usize) -> Option<ArrayRef> {
    let Some(text) = decode(folder).ok()? else {
        return Some(new_null_array(data_type, rows));
    };
    let bytes = text.as_bytes();
    fn repeat<A: ArrowPrimitiveType>(
        value: A::Native,
        data_type: &DataType,
        rows: usize,
    ) -> Option<ArrayRef> {
        let array = PrimitiveArray::<A>::from_value(value, rows);
        Some(Arc::new(array.with_data_type(data_type.clone())))
    }
    #[allow(clippy::wildcard_enum_match_arm, reason = "foreign types have no folder text")]
    match data_type {
        DataType::Utf8 => {
            let texts = StringArray::from_iter_values(std::iter::repeat_n(&text, rows));
            Some(Arc::new(texts))
        }
        DataType::Boolean => {
            Some(Arc::new(BooleanArray::from(vec![number::boolean(bytes)?; rows])))
        }
        DataType::Int8 => repeat::<Int8Type>(number::int(bytes)?, data_type, rows),
        DataType::Int16 => repeat::<Int16Type>(number::int(bytes)?, data_type, rows),
        DataType::Int32 => repeat::<Int32Type>(number::int(bytes)?, data_type, rows),
        DataType::Int64 => repeat::<Int64Type>(number::int(bytes)?, data_type, rows),
        DataType::UInt8 => repeat::<UInt8Type>(number::uint(bytes)?, data_type, rows),
        DataType::UInt16 => repeat::<UInt16Type>(number::uint(bytes)?, data_type, rows),
        DataType::UInt32 => repeat::<UInt32Type>(number::uint(bytes)?, data_type, rows),
        DataType::UInt64 => repeat::<UInt64Type>(number::uint(bytes)?, data_type, rows),
        DataType::Float32 => repeat::<Float32Type>(number::float32(bytes)?, data_type, rows),
        DataType::Float64 => repeat::<Float64Type>(number::float64(bytes)?, data_type, rows),
        DataType::Date32 => repeat::<Date32Type>(civil::date(bytes)?, data_type, rows),
        DataType::Time64(_) => {
            repeat::<Time64MicrosecondType>(civil::time(bytes, Finer::Refuse)?, data_type, rows)
        }
        DataType::Timestamp(_, _) => match civil::rfc3339(bytes)? {
            Instant::Utc(micros) => repeat::<TimestampMicrosecondType>(micros, data_type, rows),
            Instant::Wall(_) => None,
        },
        DataType::Decimal128(precision, scale) => {
            let value = number::decimal(bytes, *precision, scale.unsigned_abs())?;
            repeat::<Decimal128Type>(value, data_type, rows)
        }
        _ => None,
    }
}

/// Whether a column of this type can name a folder.
pub(super) fn check_type(data_type: &DataType) -> Result<(), ArrowError> {
    let array = new_null_array(data_type, 0);
    if *data_type == DataType::Utf8 || keys(array.as_ref()).is_some() {
        return Ok(());
    }
    Err(ArrowError::InvalidArgumentError(format!("no folder text for type {data_type}")))
}
