//! Operations on the text of one field.

use super::operation::Operation;
use crate::check::notation::unsigned;
use crate::pipeline::Column;

/// What a field becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum New {
    /// This text, read as the old one was.
    Text(Vec<u8>),
    /// This value, which is never NULL.
    Value(String),
    /// No value.
    Null,
}

/// What the operation makes of a field's text (`None`: there is no value); `None` when it leaves it as
/// it is.
pub(super) fn edit(
    operation: &Operation,
    text: Option<&[u8]>,
    to: &Column,
    zone: Option<&str>,
) -> Option<New> {
    match operation {
        Operation::Set(value) => return Some(New::Value(value.clone())),
        Operation::SetNull => return Some(New::Null),
        Operation::Replace(replacement) => {
            return text.map(|text| New::Text(replacement.apply(text)));
        }
        Operation::Trim(_)
        | Operation::CastDecimal { .. }
        | Operation::CastDate(_)
        | Operation::CastTimestamp(_)
        | Operation::Rename { .. }
        | Operation::Raw(_) => {}
    }
    let text = std::str::from_utf8(text?).ok()?;
    let new = match operation {
        Operation::Trim(None) => text.trim_matches(is_blank).to_owned(),
        Operation::Trim(Some(characters)) => {
            text.trim_matches(|c| characters.contains(c)).to_owned()
        }
        Operation::CastDecimal { decimal, thousands } => {
            let plain = plain_number(text, *decimal, thousands)?;
            match to.reading.decimal_separator {
                Some(separator) => plain.replace('.', separator.encode_utf8(&mut [0; 4])),
                None => plain,
            }
        }
        Operation::CastDate(format) => format.cast(text, &to.data_type)?,
        Operation::CastTimestamp(format) => format.cast(text, &to.data_type, zone)?,
        Operation::Set(_)
        | Operation::SetNull
        | Operation::Replace(_)
        | Operation::Rename { .. }
        | Operation::Raw(_) => return None,
    };
    Some(New::Text(new.into_bytes()))
}

/// White space as Unicode has it, and two characters that show nothing either.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}')
}

/// `1.234,56` as `1234.56`; `None` where the separators do not stand as they must.
fn plain_number(text: &str, decimal: char, thousands: &str) -> Option<String> {
    let (sign, rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (if text.starts_with('-') { "-" } else { "" }, rest),
        None => ("", text),
    };
    let mut plain = sign.as_bytes().to_vec();
    if !unsigned(rest, decimal, thousands, &mut plain) {
        return None;
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::column;
    use crate::pipeline::ColumnType;

    #[test]
    fn a_number_is_written_as_its_column_reads_it() {
        let operation = Operation::CastDecimal { decimal: '.', thousands: ",".to_owned() };
        let mut amount = column("amount", ColumnType::Decimal { precision: 12, scale: 2 });
        amount.reading.decimal_separator = Some(',');

        let found = edit(&operation, Some(b"1,234.50"), &amount, None);

        assert_eq!(found, Some(New::Text(b"1234,50".to_vec())));
    }

    #[test]
    fn a_number_is_read_only_as_it_is_said_to_be_written() {
        for (text, decimal, thousands, expected) in [
            ("1.234,56", ',', ".", Some("1234.56")),
            ("12,5", ',', ".", Some("12.5")),
            ("12,5", ',', "", Some("12.5")),
            ("-1.234.567,8", ',', ".", Some("-1234567.8")),
            ("+7", ',', ".", Some("7")),
            ("1,234.56", '.', ",", Some("1234.56")),
            ("1 234,56", ',', " \u{a0}\u{202f}", Some("1234.56")),
            ("1\u{202f}234\u{202f}567,5", ',', " \u{a0}\u{202f}", Some("1234567.5")),
            ("1'234.50", '.', "'", Some("1234.50")),
            ("1.5", ',', ".", None),
            ("1.2345", ',', ".", None),
            ("1234.567", ',', ".", None),
            (".234", ',', ".", None),
            ("1.234.", ',', ".", None),
            ("1 234\u{a0}567", ',', " \u{a0}", None),
            ("1,5,5", ',', ".", None),
            (",5", ',', ".", Some(".5")),
            ("5,", ',', ".", Some("5.")),
            ("1,5E+3", ',', ".", Some("1.5E+3")),
            ("1,5EUR", ',', ".", None),
            ("1,5E", ',', ".", None),
            ("1.5", ',', "", None),
            ("", ',', ".", None),
            ("-", ',', ".", None),
            ("1,5 EUR", ',', ".", None),
            ("１,5", ',', ".", None),
        ] {
            assert_eq!(plain_number(text, decimal, thousands).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn blanks_of_all_kinds_are_trimmed() {
        let trim = |characters: Option<&str>, text: &str| {
            let operation = Operation::Trim(characters.map(str::to_owned));
            edit(&operation, Some(text.as_bytes()), &column("note", ColumnType::String), None)
        };
        let text = |text: &str| Some(New::Text(text.as_bytes().to_vec()));
        assert_eq!(trim(None, " \u{a0}\u{202f}\ta b\u{feff}\r\n"), text("a b"));
        assert_eq!(trim(Some("*x"), "x*a x*"), text("a "));
        let to = column("note", ColumnType::String);
        assert_eq!(edit(&Operation::Trim(None), None, &to, None), None);
        assert_eq!(edit(&Operation::Trim(None), Some(b"\xff "), &to, None), None);
    }
}
