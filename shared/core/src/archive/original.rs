//! An archived record back to its bytes, where the archive holds them.

use std::borrow::Cow;
use std::sync::Arc;

use super::raw::{RAW_BYTES_MAX, raw_data};
use super::{ArchivedRow, RejectCode};
use crate::block::{Layout, Limits};
use crate::check::{Contract, Reject};
use crate::decode::{Budget, Decoder};
use crate::pipeline::{ArchivePolicy, ArchiveRaw, Pipeline};

/// The record's bytes, or `None` when the archive holds less than them: values masked, the text cut, or
/// nothing but the place. Then they must be read from the source again.
pub fn record_bytes<'a>(pipeline: &Pipeline, row: &'a ArchivedRow) -> Option<Cow<'a, [u8]>> {
    let all_shown = pipeline.columns.iter().all(|column| column.archive == ArchivePolicy::Full);
    if pipeline.errors.archive_raw != ArchiveRaw::Full || !all_shown {
        return None;
    }
    let text = row.raw_data.as_deref()?;
    if text.len() >= RAW_BYTES_MAX {
        return None;
    }
    let bytes = unescaped(row, text);
    // Where bytes were replaced to make the text readable, the length nearly always tells; a record over
    // the limit is the only one whose bytes were not all judged.
    let len = usize::try_from(row.byte_end.saturating_sub(row.byte_start)).ok()?;
    let replaced = text.contains('\u{fffd}') && row.error_code == RejectCode::TooLarge.as_str();
    (bytes.len() == len && !replaced).then_some(bytes)
}

/// The record as far as the archive shows it, masks included; `None` where its end or all of it is missing.
pub(crate) fn visible_bytes(row: &ArchivedRow) -> Option<Cow<'_, [u8]>> {
    let text = row.raw_data.as_deref().filter(|text| text.len() < RAW_BYTES_MAX)?;
    Some(unescaped(row, text))
}

/// A record's text as the archive would show it; `None` where its values must not be shown.
pub fn shown(
    pipeline: &Pipeline,
    contract: &Contract,
    layout: &Layout,
    record: &[u8],
) -> Option<String> {
    let mut decoder = Decoder::new(pipeline, Arc::new(layout.clone()), &Limits::default());
    let decoded = decoder.decode(record.to_vec(), true, Budget::UNLIMITED);
    let (record, row) = match decoded.records.first() {
        Some(record) => (*record, Some(0)),
        None => (decoded.defects.first()?.record, None),
    };
    let code = RejectCode::Type;
    let reject = Reject {
        record,
        code,
        column: None,
        row,
        fields_found: None,
        earlier: 0,
        refusal: None,
        finding: None,
    };
    raw_data(contract, layout, &decoded, &reject)
}

/// The bytes that a text in the form of `row`'s `raw_data` stands for.
pub(crate) fn unescaped<'a>(row: &ArchivedRow, text: &'a str) -> Cow<'a, [u8]> {
    if row.error_code != RejectCode::Encoding.as_str() {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => return Cow::Owned(bytes),
            [b'\\', b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [b'\\', b'x', high, low, after @ ..] => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                None => {
                    bytes.extend_from_slice(b"\\x");
                    rest = rest.get(2..).unwrap_or_default();
                }
            },
            [byte, after @ ..] => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::fixture::archived;
    use crate::check::fixture::{column, layout, pipeline};
    use crate::pipeline::ColumnType;

    #[test]
    fn a_corrected_record_is_shown_as_the_archive_shows_records() {
        let mut pipeline =
            pipeline(vec![column("id", ColumnType::Int(64)), column("email", ColumnType::String)]);
        let seen = |pipeline: &Pipeline, record: &[u8]| {
            let contract = Contract::compile(pipeline).unwrap();
            shown(pipeline, &contract, &layout(2), record)
        };
        assert_eq!(seen(&pipeline, b"1,\"a@b\"").unwrap(), "1,\"a@b\"");
        assert_eq!(seen(&pipeline, b"1,\"a\"b").unwrap(), "1,\"a\"b");
        pipeline.columns[1].archive = ArchivePolicy::Mask;
        assert_eq!(seen(&pipeline, b"1,\"a@b\"").unwrap(), "1,\"***\"");
        assert_eq!(seen(&pipeline, b"1,\"a\"b"), None);
        pipeline.errors.archive_raw = ArchiveRaw::Pointer;
        assert_eq!(seen(&pipeline, b"1,a@b"), None);
    }

    #[test]
    fn a_record_comes_back_as_its_bytes_or_not_at_all() {
        let mut pipeline = pipeline(vec![column("id", ColumnType::Int(64))]);
        let bytes = |pipeline: &Pipeline, row: &ArchivedRow| {
            record_bytes(pipeline, row).map(Cow::into_owned)
        };
        let whole = archived("type", Some("id"), "a\\xFF,b");
        assert_eq!(bytes(&pipeline, &whole).unwrap(), b"a\\xFF,b");
        let mut escaped = archived("encoding", None, "a\\xFF\\\\,\\xgg\u{e9}\\");
        escaped.byte_end = escaped.byte_start + 11;
        assert_eq!(bytes(&pipeline, &escaped).unwrap(), b"a\xFF\\,\\xgg\xC3\xA9\\");
        let mut longer = whole.clone();
        longer.byte_end += 1;
        assert_eq!(bytes(&pipeline, &longer), None);
        let replaced = archived("too_large", None, "a\u{fffd}");
        assert_eq!(bytes(&pipeline, &replaced), None);
        pipeline.columns[0].archive = ArchivePolicy::Hash;
        assert_eq!(bytes(&pipeline, &whole), None);
    }
}
