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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberKind {
    Integer,
    Decimal,
    /// With an exponent.
    Float,
}

/// Reads a number: digits, one point with digits on both sides, an exponent.
pub(super) fn classify(text: &[u8]) -> Option<Number> {
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let (whole, rest) = digits(unsigned);
    if whole.is_empty() {
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
    let kind = match exponent {
        Some(exponent) => {
            let sign = exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+"));
            let (power, rest) = digits(sign.unwrap_or(exponent));
            if power.is_empty() || !rest.is_empty() {
                return None;
            }
            NumberKind::Float
        }
        None if !rest.is_empty() => return None,
        None if fraction.is_empty() => NumberKind::Integer,
        None => NumberKind::Decimal,
    };
    let zeros = whole.iter().take_while(|b| **b == b'0').count();
    Some(Number {
        kind,
        whole_digits: whole.len() - zeros,
        scale: fraction.len(),
        padded: whole.len() > 1 && zeros > 0,
    })
}

/// The digits at the start, and the rest.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    text.split_at_checked(len).unwrap_or((text, &[]))
}
