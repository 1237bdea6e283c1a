use super::*;

fn plain(notation: &Notation, text: &str) -> Option<String> {
    let mut out = Vec::new();
    let fits = notation.plain(text.as_bytes(), &mut out);
    fits.then(|| String::from_utf8(out).unwrap())
}

fn notation(change: impl Fn(&mut Reading)) -> Notation {
    let mut reading = Reading::default();
    change(&mut reading);
    Notation::of(&reading).unwrap()
}

fn check(notation: &Notation, cases: &[(&str, Option<&str>)]) {
    for (text, expected) in cases {
        assert_eq!(plain(notation, text).as_deref(), *expected, "{text:?}");
    }
}

#[test]
fn nothing_declared_is_no_notation() {
    assert!(Notation::of(&Reading::default()).is_none());
    let point = Reading { decimal_separator: Some('.'), ..Reading::default() };
    assert!(Notation::of(&point).is_none());
}

#[test]
fn separators_stand_where_they_must() {
    let german = notation(|reading| {
        reading.decimal_separator = Some(',');
        reading.thousands = Some('.');
    });
    check(
        &german,
        &[
            ("1.234,56", Some("1234.56")),
            ("-1.234.567,8", Some("-1234567.8")),
            ("+12,5", Some("12.5")),
            ("1234,5", Some("1234.5")),
            ("7", Some("7")),
            (",5", Some(".5")),
            ("5,", Some("5.")),
            ("1,5E+3", Some("1.5E+3")),
            ("NaN", Some("NaN")),
            ("-inf", Some("-inf")),
            ("1.5", None),
            ("1.2345", None),
            ("12.34.567", None),
            ("1234.567", None),
            (".234", None),
            ("1.234.", None),
            ("1,5,5", None),
            ("1,234.5", None),
            ("", None),
            ("-", None),
            (",", None),
            ("--1", None),
            ("1-", None),
            ("(1)", None),
            ("1 234", None),
            ("e5", None),
            ("１", None),
        ],
    );
    let lakh = notation(|reading| reading.thousands = Some(','));
    check(&lakh, &[("1,234,567.5", Some("1234567.5")), ("12,34,567", None), ("1,23,456", None)]);
    check(
        &lakh,
        &[("0,143", None), ("00,143", None), ("0.143", Some("0.143")), ("10,143", Some("10143"))],
    );
    for blank in [' ', '\u{a0}', '\u{202f}', '\'', '\u{2019}', '_'] {
        let notation = notation(|reading| reading.thousands = Some(blank));
        assert_eq!(plain(&notation, &format!("1{blank}234.5")).as_deref(), Some("1234.5"));
        assert_eq!(plain(&notation, &format!("1234{blank}")), None);
        assert_eq!(plain(&notation, &format!("{blank}234")), None);
    }
}

#[test]
fn a_sign_stands_once() {
    let all = notation(|reading| {
        reading.thousands = Some(',');
        reading.negative = vec![Negative::Trailing, Negative::Parentheses, Negative::Unicode];
    });
    check(
        &all,
        &[
            ("5.00-", Some("-5.00")),
            ("-5.00", Some("-5.00")),
            ("(50.00)", Some("-50.00")),
            ("1,234.56-", Some("-1234.56")),
            ("\u{2212}100.00", Some("-100.00")),
            ("5\u{2212}", Some("-5")),
            ("+5.00", Some("5.00")),
            ("-5.00-", None),
            ("(-5.00)", None),
            ("(5.00)-", None),
            ("+5-", None),
            ("'-75.63", None),
            ("- 3.00", None),
            ("-", None),
            ("()", None),
            ("(5.00", None),
            ("12.00 CR", None),
            ("12.00DR", None),
            ("5+", None),
        ],
    );
    let one = notation(|reading| reading.negative = vec![Negative::Trailing]);
    check(&one, &[("5-", Some("-5")), ("(5)", None), ("\u{2212}5", None), ("5\u{2212}", None)]);
}

#[test]
fn affixes_stand_once_on_each_side() {
    let money = notation(|reading| {
        reading.affix = ["$", "US$", "EUR", "%", "€"].map(str::to_owned).to_vec();
        reading.negative = vec![Negative::Trailing, Negative::Parentheses];
    });
    check(
        &money,
        &[
            ("$1.50", Some("1.50")),
            ("US$ 1.50", Some("1.50")),
            ("1.50\u{a0}€", Some("1.50")),
            ("1.50 EUR", Some("1.50")),
            ("12.5%", Some("12.5")),
            ("-$5", Some("-5")),
            ("$-5", Some("-5")),
            ("$ 5-", Some("-5")),
            ("5-EUR", Some("-5")),
            ("5 EUR-", Some("-5")),
            ("($5)", Some("-5")),
            ("$(5)", Some("-5")),
            ("$5 EUR", Some("5")),
            ("7", Some("7")),
            ("$$5", None),
            ("$5 EUR%", None),
            ("- $5", None),
            ("5 GBP", None),
            (" $5", None),
            ("$", None),
            ("EUR", None),
            ("", None),
        ],
    );
}

#[test]
fn a_declared_word_is_read_as_it_is_written() {
    let reading = Reading {
        true_words: vec!["ja".to_owned(), "1".to_owned()],
        false_words: vec!["nein".to_owned(), "2".to_owned()],
        ..Reading::default()
    };
    let words = Words::of(&reading).unwrap();
    for (text, literal, expected) in [
        ("ja", false, Some(true)),
        ("nein", false, Some(false)),
        ("2", true, Some(false)),
        ("true", true, Some(true)),
        ("false", true, Some(false)),
        ("true", false, None),
        ("0", true, None),
        ("Ja", false, None),
        ("", false, None),
    ] {
        assert_eq!(words.parse(text.as_bytes(), literal), expected, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn what_is_written_with_separators_is_read_as_the_number(
        whole in 0u64..10_000_000_000, fraction in "[0-9]{0,4}", form in 0usize..4, minus: bool,
    ) {
        let (decimal, separator) = [(',', '.'), ('.', ','), (',', ' '), ('.', '\'')][form];
        let digits = whole.to_string();
        let mut grouped = String::new();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(separator);
            }
            grouped.push(digit);
        }
        let sign = if minus { "-" } else { "" };
        let tail = |point: char| match fraction.as_str() {
            "" => String::new(),
            fraction => format!("{point}{fraction}"),
        };
        let notation = notation(|reading| {
            reading.decimal_separator = Some(decimal);
            reading.thousands = Some(separator);
        });
        let expected = format!("{sign}{digits}{}", tail('.'));
        for written in [format!("{sign}{grouped}{}", tail(decimal)), format!("{sign}{digits}{}", tail(decimal))] {
            proptest::prop_assert_eq!(plain(&notation, &written), Some(expected.clone()), "{}", written);
        }
    }
}
