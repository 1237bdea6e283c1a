use super::*;

fn time(text: &[u8]) -> Option<i64> {
    super::time(text, Finer::Refuse)
}

#[test]
fn offsets_are_read_in_every_written_form() {
    for (text, seconds) in [
        ("Z", 0),
        ("z", 0),
        (" UTC", 0),
        ("GMT", 0),
        (" utc", 0),
        ("+00", 0),
        ("-04", -14_400),
        ("+0530", 19_800),
        ("-0430", -16_200),
        ("+05:30", 19_800),
        ("-04:56:02", -17_762),
        ("+00:53:28", 3208),
        ("  -05:00", -18_000),
        ("\u{2212}0100", -3600),
    ] {
        let found = any_offset(text.as_bytes());
        assert_eq!(found, Some((seconds, &b""[..])), "{text}");
    }
    for text in [
        "",
        " ",
        "+",
        "+1",
        "+1:00",
        "+24",
        "+2400",
        "+01:60",
        "+0160",
        "-04:56:60",
        "01:00",
        "EST",
        "U",
        "+a1",
        "\t+01",
    ] {
        assert_eq!(any_offset(text.as_bytes()), None, "{text}");
    }
    for (text, rest) in [("+01]", "]"), ("+010", "0"), ("+01:", ":"), ("+01003", "3")] {
        assert_eq!(any_offset(text.as_bytes()).map(|(_, rest)| rest), Some(rest.as_bytes()));
    }
}

#[test]
fn a_stamp_keeps_what_is_written() {
    let day = 20_780;
    for (text, clock, offset) in [
        ("2026-11-23 00:00:00", 0, None),
        ("2026-11-23T00:00:00.000-04", 0, Some(-14_400)),
        ("2026-11-23 10:15:00.1 UTC", 36_900_100_000, Some(0)),
        ("2026-11-23 10:15:00.1234560 +03:00", 36_900_123_456, Some(10_800)),
    ] {
        let found = stamp(text.as_bytes(), Finer::Refuse);
        assert_eq!(found, Some(Stamp { day, clock, offset }), "{text}");
    }
    let fine = b"2026-11-23 10:15:00.1234567Z";
    assert_eq!(stamp(fine, Finer::Refuse), None);
    assert_eq!(stamp(fine, Finer::Cut).unwrap().clock, 36_900_123_456);
    for text in [
        "2026-11-23",
        "2026-11-23 10:15",
        "2026-11-23 10:15:00 ",
        "2026-11-23 10:15:00 BC",
        "2026-11-23 10:15:00+00 BC",
        "2026-11-23 10:15:00 UTC+1",
        "2026-02-29 10:15:00 UTC",
    ] {
        assert_eq!(stamp(text.as_bytes(), Finer::Refuse), None, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn stamps_agree_with_chrono(
        seconds in -62_135_510_400i64..253_402_214_400, micros in 0u32..1_000_000,
        minutes in -14i32 * 60..=14 * 60, colon: bool, blank: bool,
    ) {
        let east = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
        let moment = chrono::DateTime::from_timestamp(seconds, micros * 1000).unwrap();
        let format = match (colon, blank) {
            (true, true) => "%Y-%m-%d %H:%M:%S%.f %:z",
            (true, false) => "%Y-%m-%dT%H:%M:%S%.f%:z",
            (false, true) => "%Y-%m-%d %H:%M:%S%.6f %z",
            (false, false) => "%Y-%m-%dt%H:%M:%S%.9f%z",
        };
        let text = moment.with_timezone(&east).format(format).to_string();
        let found = stamp(text.as_bytes(), Finer::Refuse).and_then(Stamp::instant);
        let expected = Instant::Utc(moment.timestamp_micros());
        proptest::prop_assert_eq!(found, Some(expected), "{}", text);
    }
}

#[test]
fn days_of_all_years_agree_with_chrono() {
    let first = chrono::NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
    let mut expected = -719_162;
    for day in first.iter_days().step_by(13) {
        let text = day.format("%Y-%m-%d").to_string();
        if text.len() > 10 {
            break;
        }
        assert_eq!(date(text.as_bytes()), Some(expected), "{text}");
        expected += 13;
    }
    assert!(expected > 2_932_896, "the year 9999 was reached");
}

#[test]
fn days_that_do_not_exist_are_refused() {
    for text in [
        "",
        "0000-00-00",
        "0000-01-01",
        "2026-02-29",
        "1900-02-29",
        "2026-02-30",
        "2026-04-31",
        "2026-13-01",
        "2026-00-10",
        "2026-01-00",
        "10000-01-01",
        "26-01-01",
        "2026-1-01",
        "2026/01/01",
        "2026-01-01 ",
        "+2026-01-1",
    ] {
        assert_eq!(date(text.as_bytes()), None, "{text}");
    }
    assert!(date(b"2000-02-29").is_some());
}

#[test]
fn times_stop_before_hour_24_and_second_60() {
    assert_eq!(time(b"00:00:00"), Some(0));
    assert_eq!(time(b"23:59:59.999999"), Some(DAY_MICROS - 1));
    assert_eq!(time(b"01:02:03.5000000"), Some(3_723_500_000));
    for text in ["24:00:00", "23:60:00", "23:59:60", "1:00:00", "10:00", "10:00:00.", "10:00:00Z"] {
        assert_eq!(time(text.as_bytes()), None, "{text}");
    }
    assert_eq!(time(b"01:02:03.0000001"), None);
}

#[test]
fn rfc_3339_is_read_in_all_its_spellings() {
    let noon = Instant::Utc(1_795_435_200_000_000);
    for text in [
        "2026-11-23T12:00:00Z",
        "2026-11-23t12:00:00z",
        "2026-11-23 12:00:00Z",
        "2026-11-23T12:00:00+00:00",
        "2026-11-23T12:00:00-00:00",
        "2026-11-23T13:30:00+01:30",
        "2026-11-22T23:30:00-12:30",
        "2026-11-23T12:00:00.000000000Z",
    ] {
        assert_eq!(rfc3339(text.as_bytes()), Some(noon), "{text}");
    }
    let wall = rfc3339(b"2026-11-23T12:00:00.25");
    assert_eq!(wall, Some(Instant::Wall(1_795_435_200_250_000)));
}

#[test]
fn instants_outside_the_rules_are_refused() {
    for text in [
        "2026-11-23",
        "2026-11-23T24:00:00Z",
        "2026-11-23T23:59:60Z",
        "2026-11-23T12:00Z",
        "2026-11-23T12:00:00.1234567Z",
        "2026-11-23T12:00:00.Z",
        "2026-11-23T12:00:00,5Z",
        "2026-11-23T12:00:00+0100",
        "2026-11-23T12:00:00+24:00",
        "2026-11-23T12:00:00+01:60",
        "2026-11-23T12:00:00 Z",
        "2026-11-23_12:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "0000-01-01T00:00:00Z",
    ] {
        assert_eq!(rfc3339(text.as_bytes()), None, "{text}");
    }
    assert!(rfc3339(b"0001-01-01T00:00:00Z").is_some());
    assert!(rfc3339(b"9999-12-31T23:59:59.999999Z").is_some());
}
