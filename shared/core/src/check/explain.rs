//! Finds what is wrong with a text.

use super::RowContext;
use super::cell::trim;
use super::column::{CheckedColumn, Kind};
use super::contract::Contract;
use super::finding::Finding;
use super::number;
use crate::block::Decoded;
use crate::pipeline::Reading;

/// What is wrong with the row's text in a column.
pub(super) fn of_row(
    contract: &Contract,
    context: &RowContext,
    decoded: &Decoded,
    (row, index): (usize, usize),
) -> Option<Finding> {
    let column = contract.checked.get(index)?;
    if let Some(name) = &column.capture {
        return column.finding(context.captures.get(name)?.as_bytes(), false);
    }
    let cell = *decoded.cells.get(row * decoded.width + index)?;
    let text = column.reader.text(cell, &decoded.buffer)?;
    column.finding(text, column.reader.is_literal(cell))
}

/// A number in plain notation.
struct Shape {
    magnitude: f64,
    exponent: bool,
}

fn of_number(text: &[u8]) -> Option<Shape> {
    let is_plain = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    if !text.iter().all(is_plain) {
        return None;
    }
    let magnitude: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let exponent = text.iter().any(|byte| matches!(byte, b'e' | b'E'));
    Some(Shape { magnitude: magnitude.abs(), exponent })
}

/// For a text that is no number in plain notation: the notation that it may be in.
fn of_form(text: &[u8]) -> Option<Finding> {
    use crate::pipeline::Negative;
    let reads = |reading: Reading| {
        let notation = super::notation::Notation::of(&reading);
        notation.is_some_and(|notation| notation.plain(text, &mut Vec::new()))
            && text.iter().any(u8::is_ascii_digit)
    };
    let negative = vec![Negative::Trailing, Negative::Parentheses, Negative::Unicode];
    if reads(Reading { negative, ..Reading::default() }) {
        return Some(Finding::Negative);
    }
    let separators = [
        (',', Some('.')),
        ('.', Some(',')),
        (',', Some(' ')),
        (',', Some('\u{a0}')),
        (',', Some('\u{202f}')),
        ('.', Some('\'')),
        ('.', Some(' ')),
    ];
    let found = separators.into_iter().any(|(decimal, thousands)| {
        reads(Reading { decimal_separator: Some(decimal), thousands, ..Reading::default() })
    });
    found.then_some(Finding::Separators)
}

impl CheckedColumn {
    /// Why the text is no value of the type, if it can be told.
    fn finding(&self, text: &[u8], literal: bool) -> Option<Finding> {
        let inner = trim(text);
        if inner.len() < text.len() && self.json(inner, literal).is_some() {
            return Some(Finding::Blanks);
        }
        let plain = match &self.notation {
            Some(notation) if !literal => {
                let mut plain = Vec::new();
                if !notation.plain(text, &mut plain) {
                    return of_form(text);
                }
                plain
            }
            Some(_) | None => text.to_vec(),
        };
        match &self.kind {
            Kind::Date(format, _) => format.finding(text),
            Kind::Time(format, _) => format.finding(text),
            Kind::Timestamp(format, _) => format.finding(text),
            Kind::Float32(_) | Kind::Float64(_) => match of_number(&plain) {
                Some(Shape { magnitude, .. }) if magnitude.is_infinite() => Some(Finding::Range),
                Some(Shape { magnitude, .. }) if magnitude < f64::from(f32::MIN_POSITIVE) => {
                    Some(Finding::TooSmall)
                }
                Some(_) => Some(Finding::Range),
                None => of_form(&plain),
            },
            Kind::Decimal { scale, .. } => match of_number(&plain) {
                // What 38 digits hold is only too fine for this type.
                Some(_) if number::decimal(&plain, 38, *scale).is_some() => Some(Finding::Range),
                Some(shape) if shape.magnitude < 1e38 => Some(Finding::Scale),
                Some(_) => Some(Finding::Range),
                None => of_form(&plain),
            },
            Kind::Bool(..) | Kind::Text(_) => None,
            Kind::Int8(_)
            | Kind::Int16(_)
            | Kind::Int32(_)
            | Kind::Int64(_)
            | Kind::UInt8(_)
            | Kind::UInt16(_)
            | Kind::UInt32(_)
            | Kind::UInt64(_) => match of_number(&plain) {
                Some(shape) if shape.exponent => Some(Finding::Exponent),
                Some(_) if number::decimal(&plain, 38, 0).is_none() && plain.contains(&b'.') => {
                    Some(Finding::Fraction)
                }
                Some(_) => Some(Finding::Range),
                None => of_form(&plain),
            },
        }
    }
}
