use super::*;

#[test]
fn integers_are_exact_or_refused() {
    for (text, value) in [
        ("0", 0),
        ("007", 7),
        ("-0", 0),
        ("+12", 12),
        ("34.0", 34),
        ("5.", 5),
        ("-6.000", -6),
        ("9007199254740993.0", 9_007_199_254_740_993),
        ("-9223372036854775808.00", i64::MIN),
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
        "1.5",
        "4.50",
        ".0",
        ".",
        "1.0.0",
        "1.0e0",
        "1e3",
        "0x10",
        "9223372036854775808",
        "9223372036854775808.0",
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
    assert_eq!(uint::<u64>(b"18446744073709551615.0"), Some(u64::MAX));
    assert_eq!(int::<i8>(b"127.0"), Some(127));
    assert_eq!(int::<i8>(b"128.0"), None);
}

#[test]
fn floats_take_the_nearest_value_and_refuse_overflow() {
    assert_eq!(float64(b"0.1"), Some(0.1));
    assert_eq!(float64(b"-1.5e3"), Some(-1500.0));
    for zero in ["0", "-0", "0.000", "0e5", "0E-400", ".0"] {
        assert_eq!(float64(zero.as_bytes()), Some(0.0), "{zero}");
    }
    for text in ["NAN", "nan", "INF", "+Inf", "-infinity", "Infinity", "1e-320"] {
        assert!(float64(text.as_bytes()).is_some(), "{text}");
    }
    assert_eq!(float64(b"inf"), Some(f64::INFINITY));
    assert_eq!(float64(b"-Infinity"), Some(f64::NEG_INFINITY));
    assert!(float64(b"NaN").is_some_and(f64::is_nan));
    assert_eq!(float32(b"16777217"), Some(16_777_216.0));
    for text in
        ["", "1e400", "-1e400", "1e-400", "-0.1E-400", "1_000", "1,5", "0x10", " 1", "abc", "1.5.2"]
    {
        assert_eq!(float64(text.as_bytes()), None, "{text}");
    }
    assert_eq!(float32(b"1e39"), None);
    assert_eq!(float32(b"1e-46"), None);
    assert!(float32(b"1e-45").is_some_and(|value| value > 0.0));
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
fn exponents_of_decimals_are_exact_or_refused() {
    let read = |text: &str| decimal(text.as_bytes(), 38, 15);
    let unit = 1_000_000_000_000_000;
    for (text, value) in [
        ("0E-15", 0),
        ("1E-15", 1),
        ("1.5E+3", 1500 * unit),
        ("-2.50E2", -250 * unit),
        ("0E+3", 0),
        ("0e99999999999999999999", 0),
        ("0.00E-99999999999999999999", 0),
        ("123456789012345678E-3", 123_456_789_012_345_678_000_000_000_000),
        ("1.0E1", 10 * unit),
        ("10e-16", 1),
        ("1000000000000000000000000000000000000000000000E-45", unit),
        (".5e1", 5 * unit),
        ("5.e0", 5 * unit),
        ("+1E00000000000000000000000000002", 100 * unit),
    ] {
        assert_eq!(read(text), Some(value), "{text}");
    }
    for text in [
        "1E-16",
        "15e-16",
        "1e400",
        "1e23",
        "e5",
        ".e5",
        "1e",
        "1e+",
        "1e1.5",
        "1e 5",
        "1.2.3e1",
        "1e5e5",
        "-e1",
        "1,5e3",
        "--1e1",
        "1e99999999999999999999",
        "1e-99999999999999999999",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    assert_eq!(decimal(b"9.99e2", 5, 2), Some(99_900));
    assert_eq!(decimal(b"1e3", 5, 2), None, "more digits than the type has");
    assert_eq!(plain_decimal(b"1e1", 5, 2), None);
}

proptest::proptest! {
    #[test]
    fn an_exponent_moves_the_point(
        whole in "[0-9]{1,12}", fraction in "[0-9]{0,12}", power in -14i32..14, minus: bool,
    ) {
        let sign = if minus { "-" } else { "" };
        let written = format!("{sign}{whole}.{fraction}e{power}");
        // The same number with the point moved by hand.
        let digits = format!("{}{whole}{fraction}{}", "0".repeat(15), "0".repeat(15));
        let point = usize::try_from(15 + i32::try_from(whole.len()).unwrap() + power).unwrap();
        let (before, behind) = digits.split_at(point);
        let moved = format!("{sign}{before}.{behind}");
        let expected = plain_decimal(moved.as_bytes(), 38, 9);
        proptest::prop_assert_eq!(decimal(written.as_bytes(), 38, 9), expected, "{}", moved);
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
fn booleans_are_words_in_any_case() {
    for text in ["true", "1", "True", "TRUE", "t", "T", "yes", "Y", "on", "ON", "tRUE"] {
        assert_eq!(boolean(text.as_bytes()), Some(true), "{text}");
    }
    for text in ["false", "0", "False", "FALSE", "f", "F", "No", "n", "off", "OFF"] {
        assert_eq!(boolean(text.as_bytes()), Some(false), "{text}");
    }
    for text in ["", "2", "-1", "1.0", "01", " true", "tr", "of", "ja", "x", "yes "] {
        assert_eq!(boolean(text.as_bytes()), None, "{text}");
    }
}
