//! What kind of number a text is.

/// A text that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) kind: NumberKind,
    /// Digits before the point that count.
    pub(super) whole_digits: usize,
    /// Digits after the point.
    pub(super) scale: usize,
    /// `007`: leading zeros that a number would lose.
    pub(super) padded: bool,
    /// `34.0`: nothing but zeros behind the point.
    pub(super) is_whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberKind {
    Integer,
    Decimal,
    /// With an exponent.
    Float,
}

/// Reads a number: digits, one point with digits behind it, an exponent.
pub(super) fn classify(text: &[u8]) -> Option<Number> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let (whole, rest) = digits(unsigned);
    if whole.is_empty() && !rest.starts_with(b".") {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let (fraction, rest) = digits(rest);
            if fraction.is_empty() {
                return None;
            }
            (fraction, rest)
        }
        None => (whole.get(..0).unwrap_or(whole), rest),
    };
    let exponent = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E"));
    let mut power = 0;
    let kind = match exponent {
        Some(exponent) => {
            let sign = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+"));
            let (digits, rest) = digits(sign.unwrap_or(exponent));
            if digits.is_empty() || !rest.is_empty() {
                return None;
            }
            let size =
                digits.iter().take(4).fold(0, |all, digit| all * 10 + i32::from(digit - b'0'));
            power = if exponent.starts_with(b"-") { -size } else { size };
            NumberKind::Float
        }
        None if !rest.is_empty() => return None,
        None if fraction.is_empty() => NumberKind::Integer,
        None => NumberKind::Decimal,
    };
    let zeros = whole.iter().take_while(|b| **b == b'0').count();
    let shift = |digits: usize, by: i32| {
        let digits = i32::try_from(digits).unwrap_or(i32::MAX);
        usize::try_from(digits.saturating_add(by)).unwrap_or(0)
    };
    // Zeros at the end of a fraction say nothing about an exponent's digits.
    let written = match kind {
        NumberKind::Float => {
            fraction.len() - fraction.iter().rev().take_while(|b| **b == b'0').count()
        }
        NumberKind::Integer | NumberKind::Decimal => fraction.len(),
    };
    Some(Number {
        kind,
        whole_digits: shift(whole.len() - zeros, power),
        scale: shift(written, -power),
        padded: whole.len() > 1 && zeros > 0,
        is_whole: !fraction.is_empty() && exponent.is_none() && fraction.iter().all(|b| *b == b'0'),
    })
}

/// The digits at the start, and the rest.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    text.split_at_checked(len).unwrap_or((text, &[]))
}
