//! Text to numbers: a value is exact, or the text is refused.

/// Powers of ten that a `u128` holds: `POW10[n] = 10^n`.
const POW10: [u128; 39] = {
    let mut table = [1u128; 39];
    let mut n = 1;
    while n < table.len() {
        #[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, within the table")]
        {
            table[n] = table[n - 1] * 10;
        }
        n += 1;
    }
    table
};

/// `10^n` for `n` up to 38.
pub(crate) fn pow10(n: usize) -> Option<u128> {
    POW10.get(n).copied()
}

/// Words that mean true, in any case.
pub(crate) const TRUE_WORDS: [&str; 6] = ["true", "t", "yes", "y", "on", "1"];
/// Words that mean false, in any case.
pub(crate) const FALSE_WORDS: [&str; 6] = ["false", "f", "no", "n", "off", "0"];

/// One of [`TRUE_WORDS`] or [`FALSE_WORDS`] in any case.
#[inline]
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"1" | b"True" | b"TRUE" => Some(true),
        b"false" | b"0" | b"False" | b"FALSE" => Some(false),
        _ => boolean_word(text),
    }
}

#[cold]
fn boolean_word(text: &[u8]) -> Option<bool> {
    let is_one_of =
        |words: &[&str]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(text));
    match (is_one_of(&TRUE_WORDS), is_one_of(&FALSE_WORDS)) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    }
}

/// Splits an optional sign off: whether it was a minus, and the rest.
#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

/// At most 19 digits, so that nothing overflows; no digit at all is 0.
#[inline]
fn short_digits(text: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    let mut stray = 0u8;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        stray |= u8::from(digit > 9);
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    (stray == 0).then_some(value)
}

fn without_leading_zeros(text: &[u8]) -> &[u8] {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    text.get(zeros..).unwrap_or_default()
}

/// One digit or more, leading zeros allowed.
#[inline]
fn magnitude(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    if text.len() <= 19 {
        return short_digits(text);
    }
    u64::try_from(long_digits(text)?).ok()
}

/// Digits up to the 38 that a decimal can have, leading zeros not counted.
#[cold]
fn long_digits(text: &[u8]) -> Option<u128> {
    let text = without_leading_zeros(text);
    if text.len() > 38 {
        return None;
    }
    text.iter().try_fold(0u128, |value, byte| {
        byte.is_ascii_digit().then(|| value * 10 + u128::from(byte - b'0'))
    })
}

/// The whole part of a number whose fraction is nothing but zeros: `34.0`, `34.`.
#[cold]
fn whole_magnitude(text: &[u8]) -> Option<u64> {
    let point = text.iter().position(|byte| *byte == b'.')?;
    let zeros = text.get(point + 1..)?.iter().all(|byte| *byte == b'0');
    if zeros { magnitude(text.get(..point)?) } else { None }
}

/// An optional sign and digits, as a signed integer of 8 to 64 bits. A fraction may be zeros only.
#[inline]
pub(crate) fn int<T: TryFrom<i64>>(text: &[u8]) -> Option<T> {
    let (negative, digits) = sign(text);
    let magnitude = match magnitude(digits) {
        Some(magnitude) => magnitude,
        None => whole_magnitude(digits)?,
    };
    let value = if negative {
        0i64.checked_sub_unsigned(magnitude)?
    } else {
        i64::try_from(magnitude).ok()?
    };
    T::try_from(value).ok()
}

/// An optional sign and digits, as an unsigned integer of 8 to 64 bits; `-0` is 0. A fraction may be
/// zeros only.
#[inline]
pub(crate) fn uint<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    let (negative, digits) = sign(text);
    let magnitude = match magnitude(digits) {
        Some(magnitude) => magnitude,
        None => whole_magnitude(digits)?,
    };
    if negative && magnitude != 0 {
        return None;
    }
    T::try_from(magnitude).ok()
}

/// The nearest `f64`. Infinity and 0 only where the text says so: a number that is too large, or too
/// small, is refused.
#[inline]
pub(crate) fn float64(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let kept = if value == 0.0 { is_zero(text) } else { value.is_finite() || names_special(text) };
    kept.then_some(value)
}

/// The nearest `f32`; see [`float64`].
#[inline]
pub(crate) fn float32(text: &[u8]) -> Option<f32> {
    let value: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let kept = if value == 0.0 { is_zero(text) } else { value.is_finite() || names_special(text) };
    kept.then_some(value)
}

/// Whether every digit before the exponent is 0.
pub(crate) fn is_zero(text: &[u8]) -> bool {
    let mut mantissa = text.iter().take_while(|byte| !matches!(byte, b'e' | b'E'));
    mantissa.all(|byte| !matches!(byte, b'1'..=b'9'))
}

/// `inf`, `infinity` and `nan` have an `n`, numbers have none.
fn names_special(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'n'))
}

/// An optional sign, digits, an optional point with digits, and an optional exponent, as a count of
/// `10^-scale`.
///
/// Digits after the scale must be zeros, and the value must have at most `precision` digits
/// (up to 38).
#[inline]
pub(crate) fn decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    match plain_decimal(text, precision, scale) {
        Some(value) => Some(value),
        None => scientific_decimal(text, precision, scale),
    }
}

/// A decimal with an exponent, `-2.50E2`.
#[cold]
fn scientific_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let at = text.iter().position(|byte| matches!(byte, b'e' | b'E'))?;
    let (negative, mantissa) = sign(text.get(..at)?);
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = mantissa.split_at_checked(point)?;
    let fraction = fraction.get(1..).unwrap_or_default();
    let mut digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut shift = exponent(text.get(at + 1..)?)?
        .saturating_add(i64::from(scale))
        .saturating_sub(i64::try_from(fraction.len()).ok()?);
    while digits.pop_if(|digit| *digit == b'0').is_some() {
        shift = shift.saturating_add(1);
    }
    let magnitude = match long_digits(&digits)? {
        0 => 0,
        digits => digits.checked_mul(pow10(usize::try_from(shift).ok()?)?)?,
    };
    if magnitude >= pow10(usize::from(precision))? {
        return None;
    }
    let value = i128::try_from(magnitude).ok()?;
    Some(if negative { -value } else { value })
}

/// The digits behind an `E` with their sign; beyond 18 digits any number, since none is near a decimal.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = without_leading_zeros(digits);
    let power = if digits.len() > 18 { i64::MAX / 2 } else { int(digits).unwrap_or(0) };
    Some(if negative { -power } else { power })
}

/// [`decimal`] without an exponent.
#[inline]
pub(crate) fn plain_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (negative, body) = sign(text);
    let scale = usize::from(scale);
    let point = body.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = match point {
        Some(at) => (body.get(..at)?, body.get(at + 1..)?),
        None => (body, &[][..]),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (kept, extra) = fraction.split_at_checked(scale).unwrap_or((fraction, &[]));
    if extra.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let missing = scale - kept.len();
    let magnitude = if whole.len() + scale <= 18 {
        let shift = u64::try_from(pow10(kept.len())?).ok()?;
        let digits = short_digits(whole)? * shift + short_digits(kept)?;
        u128::from(digits * u64::try_from(pow10(missing)?).ok()?)
    } else {
        let whole = long_digits(whole)?.checked_mul(pow10(scale)?)?;
        whole.checked_add(long_digits(kept)? * pow10(missing)?)?
    };
    if magnitude >= pow10(usize::from(precision))? {
        return None;
    }
    let value = i128::try_from(magnitude).ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests;
