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

/// `true`, `false`, `1` or `0`; also `True`, `TRUE`, `False`, `FALSE`.
#[inline]
pub(crate) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"true" | b"1" | b"True" | b"TRUE" => Some(true),
        b"false" | b"0" | b"False" | b"FALSE" => Some(false),
        _ => None,
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

/// An optional sign and digits, as a signed integer of 8 to 64 bits.
#[inline]
pub(crate) fn int<T: TryFrom<i64>>(text: &[u8]) -> Option<T> {
    let (negative, digits) = sign(text);
    let magnitude = magnitude(digits)?;
    let value = if negative {
        0i64.checked_sub_unsigned(magnitude)?
    } else {
        i64::try_from(magnitude).ok()?
    };
    T::try_from(value).ok()
}

/// An optional sign and digits, as an unsigned integer of 8 to 64 bits; `-0` is 0.
#[inline]
pub(crate) fn uint<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    let (negative, digits) = sign(text);
    let magnitude = magnitude(digits)?;
    if negative && magnitude != 0 {
        return None;
    }
    T::try_from(magnitude).ok()
}

/// The nearest `f64`. Infinity only where the text says so: a number too large is refused.
#[inline]
pub(crate) fn float64(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.is_finite() || names_special(text)).then_some(value)
}

/// The nearest `f32`; see [`float64`].
#[inline]
pub(crate) fn float32(text: &[u8]) -> Option<f32> {
    let value: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.is_finite() || names_special(text)).then_some(value)
}

/// `inf`, `infinity` and `nan` have an `n`, numbers have none.
fn names_special(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.eq_ignore_ascii_case(&b'n'))
}

/// An optional sign, digits, and an optional point with digits, as a count of `10^-scale`.
///
/// Digits after the scale must be zeros, and the value must have at most `precision` digits
/// (up to 38). There is no exponent.
#[inline]
pub(crate) fn decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
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
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_or_refused() {
        for (text, value) in [
            ("0", 0),
            ("007", 7),
            ("-0", 0),
            ("+12", 12),
            ("-9223372036854775808", i64::MIN),
            ("9223372036854775807", i64::MAX),
            ("00000000000000000000000000000000000000000000000000042", 42),
        ] {
            assert_eq!(int::<i64>(text.as_bytes()), Some(value), "{text}");
        }
        for text in [
            "",
            "-",
            "+",
            "--1",
            " 1",
            "1 ",
            "1_000",
            "1,5",
            "1.0",
            "1e3",
            "0x10",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999999999999999999999999",
            "NaN",
            "\u{0661}",
        ] {
            assert_eq!(int::<i64>(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn narrow_and_unsigned_integers_keep_their_bounds() {
        assert_eq!(int::<i8>(b"-128"), Some(-128));
        assert_eq!(int::<i8>(b"128"), None);
        assert_eq!(int::<i16>(b"32768"), None);
        assert_eq!(int::<i32>(b"-2147483648"), Some(i32::MIN));
        assert_eq!(uint::<u8>(b"255"), Some(255));
        assert_eq!(uint::<u8>(b"256"), None);
        assert_eq!(uint::<u64>(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(uint::<u64>(b"18446744073709551616"), None);
        assert_eq!(uint::<u64>(b"-1"), None);
        assert_eq!(uint::<u64>(b"-0"), Some(0));
    }

    #[test]
    fn floats_take_the_nearest_value_and_refuse_overflow() {
        assert_eq!(float64(b"0.1"), Some(0.1));
        assert_eq!(float64(b"-1.5e3"), Some(-1500.0));
        assert_eq!(float64(b"1e-400"), Some(0.0));
        assert_eq!(float64(b"inf"), Some(f64::INFINITY));
        assert_eq!(float64(b"-Infinity"), Some(f64::NEG_INFINITY));
        assert!(float64(b"NaN").is_some_and(f64::is_nan));
        assert_eq!(float32(b"16777217"), Some(16_777_216.0));
        for text in ["", "1e400", "-1e400", "1_000", "1,5", "0x10", " 1", "abc", "1.5.2"] {
            assert_eq!(float64(text.as_bytes()), None, "{text}");
        }
        assert_eq!(float32(b"1e39"), None);
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, value) in [
            ("1.500", 150),
            ("1.5", 150),
            ("-0.01", -1),
            ("-0", 0),
            ("007", 700),
            ("+3.", 300),
            (".5", 50),
            ("9999999999.99", 999_999_999_999),
            ("0000000000000000000000001.00000000000000000000000000", 100),
        ] {
            assert_eq!(decimal(text.as_bytes(), 12, 2), Some(value), "{text}");
        }
        for text in [
            "",
            ".",
            "-",
            "1.005",
            "1e2",
            "1,5",
            "99999999999.99",
            "10000000000",
            "1.2.3",
            "1 ",
            "0x1",
            "NaN",
            "1.5-",
        ] {
            assert_eq!(decimal(text.as_bytes(), 12, 2), None, "{text}");
        }
    }

    #[test]
    fn decimals_reach_38_digits() {
        let nines = "9".repeat(38);
        let value = i128::try_from(POW10[38] - 1).unwrap();
        assert_eq!(decimal(nines.as_bytes(), 38, 0), Some(value));
        assert_eq!(decimal(format!("-{nines}").as_bytes(), 38, 0), Some(-value));
        assert_eq!(decimal(format!("0.{nines}").as_bytes(), 38, 38), Some(value));
        assert_eq!(decimal(format!("1{nines}").as_bytes(), 38, 0), None);
        assert_eq!(decimal(b"1", 38, 38), None);
        assert_eq!(decimal(b"12345678901234567890.5", 38, 2), Some(1_234_567_890_123_456_789_050));
    }

    #[test]
    fn booleans_are_four_words() {
        for text in ["true", "1", "True", "TRUE"] {
            assert_eq!(boolean(text.as_bytes()), Some(true));
        }
        for text in ["false", "0", "False", "FALSE"] {
            assert_eq!(boolean(text.as_bytes()), Some(false));
        }
        for text in ["", "yes", "t", "2", "tRUE", " true"] {
            assert_eq!(boolean(text.as_bytes()), None, "{text}");
        }
    }
}
