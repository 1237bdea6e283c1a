use chrono_tz::Tz;

use super::*;
use crate::pipeline::LocalTime;

const NOON: i64 = 1_795_435_200_000_000;

fn instants(format: &TimestampFormat, zone: Option<Tz>) -> Result<InstantFormat, String> {
    InstantFormat::new(format, WallClock::new(zone, LocalTime::Reject), Finer::Refuse)
}

fn strftime(format: &str, zone: Option<Tz>) -> Result<InstantFormat, String> {
    instants(&TimestampFormat::Strftime(format.to_owned()), zone)
}

fn one(format: &str) -> Formats {
    Formats::One(format.to_owned())
}

fn date(format: &str) -> Result<DateFormat, String> {
    DateFormat::new(Some(&one(format)), false)
}

fn utc(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

#[test]
fn a_clock_change_refuses_times_that_never_or_twice_were() {
    let berlin = instants(&TimestampFormat::Rfc3339, Some(Tz::Europe__Berlin)).unwrap();
    assert_eq!(berlin.parse(b"2026-11-23T13:00:00"), Some(NOON));
    assert_eq!(berlin.parse(b"2026-03-29T02:30:00"), None, "gap");
    assert_eq!(berlin.finding(b"2026-03-29T02:30:00"), Some(Finding::Never));
    assert_eq!(berlin.parse(b"2026-10-25T02:30:00"), None, "overlap");
    assert_eq!(berlin.finding(b"2026-10-25T02:30:00"), Some(Finding::Twice));
    assert!(berlin.parse(b"2026-10-25T02:30:00+02:00").is_some());
    assert!(berlin.parse(b"2026-03-29T03:00:00").is_some());
}

#[test]
fn a_text_without_offset_needs_a_zone() {
    let none = instants(&TimestampFormat::Rfc3339, None).unwrap();
    let zoned = instants(&TimestampFormat::Rfc3339, Some(Tz::UTC)).unwrap();
    assert_eq!(none.parse(b"2026-11-23T12:00:00"), None);
    assert_eq!(none.finding(b"2026-11-23T12:00:00"), Some(Finding::NoOffset));
    assert_eq!(none.parse(b"2026-11-23T12:00:00Z"), Some(NOON));
    assert_eq!(zoned.parse(b"2026-11-23 12:00:00"), Some(NOON));
    assert_eq!(zoned.finding(b"2026-11-23"), Some(Finding::NoTimeOfDay));
}

#[test]
fn offsets_of_all_programs_are_read_without_a_format() {
    let format = instants(&TimestampFormat::Rfc3339, None).unwrap();
    for (text, expected) in [
        ("2025-01-05T03:41:05.000+0000", "2025-01-05T03:41:05Z"),
        ("2025-01-05T03:41:05.250-0330", "2025-01-05T07:11:05.25Z"),
        ("2025-03-30T01:30:00.000+0100", "2025-03-30T00:30:00Z"),
        ("2025-10-26T02:30:00+0100", "2025-10-26T01:30:00Z"),
        ("2025-04-26 14:57:00 -0700", "2025-04-26T21:57:00Z"),
        ("2025-02-10 15:41:33.895+01", "2025-02-10T14:41:33.895Z"),
        ("2025-02-10 15:41:33+05:30", "2025-02-10T10:11:33Z"),
        ("1890-01-01 00:00:00+00:53:28", "1889-12-31T23:06:32Z"),
        ("2024-05-10 16:00:01.6048050 +03:00", "2024-05-10T13:00:01.604805Z"),
        ("2025-11-03 10:15:00 UTC", "2025-11-03T10:15:00Z"),
        ("1969-12-31 23:59:59.999999 UTC", "1969-12-31T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("1582-10-10T00:00:00Z", "1582-10-10T00:00:00Z"),
        ("9999-12-31T23:59:59.999999+00", "9999-12-31T23:59:59.999999Z"),
    ] {
        assert_eq!(format.parse(text.as_bytes()), Some(utc(expected)), "{text}");
    }
    for text in [
        "infinity",
        "-infinity",
        "0044-03-15 00:00:00+00 BC",
        "2024-05-10 16:00:01.1234567 -05:00",
        "200082-12-31T18:30:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:30:00-01:00",
        "0000-12-31T23:00:00-05:00",
        "2025-04-26 14:57:00 PST",
    ] {
        assert_eq!(format.parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn declared_formats_are_followed() {
    let zoned = strftime("%d.%m.%Y %H:%M:%S %z", None).unwrap();
    assert_eq!(zoned.parse(b"23.11.2026 13:00:00 +0100"), Some(NOON));
    assert_eq!(zoned.parse(b"23.11.2026 13:00:00+01"), Some(NOON));
    assert_eq!(zoned.parse(b"23.11.2026 12:00:60 +0000"), None);
    assert_eq!(zoned.parse(b"30.02.2026 12:00:00 +0000"), None);
    let local = strftime("%m/%d/%Y %H:%M:%S%.f", Some(Tz::UTC)).unwrap();
    assert_eq!(local.parse(b"11/23/2026 12:00:00.000001"), Some(NOON + 1));
    assert_eq!(local.parse(b"11/23/2026 12:00:00.0000001"), None);
    assert_eq!(local.parse(b"11/23/2026 12:00:00.0000000001"), None);
    assert_eq!(local.parse(b"11/23/2026 24:00:00"), None);
    let slashed = date("%d/%m/%Y").unwrap();
    assert_eq!(slashed.parse(b"23/11/2026"), Some(20_780));
    assert_eq!(slashed.parse(b"11/23/2026"), None);
    assert_eq!(slashed.parse(b"01/01/0000"), None);
    let time = TimeFormat::new(Some(&one("%I:%M %p")), Finer::Refuse).unwrap();
    assert_eq!(time.parse(b"01:30 PM"), Some(48_600_000_000));
}

#[test]
fn formats_that_cannot_work_are_refused() {
    for format in ["%Q", "%Y-%m-%d", "%H:%M:%S", "%Y-%m-%d %H:%M:%S %Z", "plain"] {
        assert!(strftime(format, Some(Tz::UTC)).is_err(), "{format}");
    }
    assert!(strftime("%Y-%m-%d %H:%M:%S", None).is_err());
    assert!(strftime("%s", None).is_ok());
    assert!(date("%Y-%m").is_err());
    assert!(TimeFormat::new(Some(&one("%Y-%m-%d")), Finer::Refuse).is_err());
    assert!(instants(&TimestampFormat::AnyOf(vec![]), None).is_err());
}

#[test]
fn the_first_of_several_formats_that_fits_is_taken() {
    let format = TimestampFormat::AnyOf(vec![
        TimestampFormat::Rfc3339,
        TimestampFormat::Strftime("%d/%m/%Y %H:%M".to_owned()),
        TimestampFormat::Strftime("%m/%d/%Y %H:%M".to_owned()),
        TimestampFormat::EpochSeconds,
    ]);
    let format = instants(&format, Some(Tz::UTC)).unwrap();
    for (text, expected) in [
        ("2026-11-23T12:00:00Z", Some(NOON)),
        ("23/11/2026 12:00", Some(NOON)),
        ("11/23/2026 12:00", Some(NOON)),
        ("01/02/2026 00:00", Some(utc("2026-02-01T00:00:00Z"))),
        ("1795435200", Some(NOON)),
        ("23.11.2026 12:00", None),
    ] {
        assert_eq!(format.parse(text.as_bytes()), expected, "{text}");
    }
    let formats = Formats::AnyOf(["iso", "%d.%m.%Y", "epoch_days"].map(str::to_owned).to_vec());
    let days = DateFormat::new(Some(&formats), false).unwrap();
    for text in ["2026-11-23", "23.11.2026", "20780"] {
        assert_eq!(days.parse(text.as_bytes()), Some(20_780), "{text}");
    }
    assert_eq!(days.parse(b"11/23/2026"), None);
}

#[test]
fn a_date_may_have_midnight_behind_it() {
    let iso = DateFormat::new(None, false).unwrap();
    let dropping = DateFormat::new(None, true).unwrap();
    for (text, midnight, any) in [
        ("2026-11-23", true, true),
        ("2026-11-23T00:00:00.000", true, true),
        ("2026-11-23 00:00:00", true, true),
        ("2026-11-23T00:00:00Z", true, true),
        ("2026-11-23T00:00:00.000000000-0400", true, true),
        ("2026-11-23 00:00:00 UTC", true, true),
        ("2026-11-23T00:00:01Z", false, true),
        ("2026-11-23 23:59:59.999999999+00", false, true),
        ("2026-11-23T00:00:00.0000001", false, true),
        ("2026-11-23T24:00:00", false, false),
        ("2026-11-23T", false, false),
        ("2026-11-23 ", false, false),
    ] {
        let day = |fits: bool| fits.then_some(20_780);
        assert_eq!(iso.parse(text.as_bytes()), day(midnight), "{text}");
        assert_eq!(dropping.parse(text.as_bytes()), day(any), "{text}");
        let finding = (any && !midnight).then_some(Finding::TimeOfDay);
        assert!(midnight || iso.finding(text.as_bytes()) == finding, "{text}");
    }
}

#[test]
fn a_date_in_a_format_with_a_time_of_day_follows_the_same_rule() {
    let strict = date("%d/%m/%Y %H:%M:%S%.f").unwrap();
    let dropping = DateFormat::new(Some(&one("%d/%m/%Y %H:%M:%S%.f")), true).unwrap();
    assert_eq!(strict.parse(b"23/11/2026 00:00:00"), Some(20_780));
    assert_eq!(strict.parse(b"23/11/2026 00:00:00.0000000001"), None);
    assert_eq!(strict.parse(b"23/11/2026 10:00:00"), None);
    assert_eq!(dropping.parse(b"23/11/2026 10:00:00.0000000001"), Some(20_780));
    let half = date("%d/%m/%Y %I:%M %p").unwrap();
    assert_eq!(half.parse(b"23/11/2026 12:00 AM"), Some(20_780));
    assert_eq!(half.parse(b"23/11/2026 12:00 PM"), None);
}

#[test]
fn a_date_may_be_counted_from_1970() {
    for (word, text, expected) in [
        ("epoch_days", "20780", Some(20_780)),
        ("epoch_days", "-1", Some(-1)),
        ("epoch_days", "2932897", None),
        ("epoch_days", "1.5", None),
        ("epoch_s", "1795392000", Some(20_780)),
        ("epoch_s", "1795392001", None),
        ("epoch_ms", "1795392000000", Some(20_780)),
        ("epoch_us", "1795392000000000", Some(20_780)),
        ("epoch_ns", "1795392000000000000", Some(20_780)),
        ("epoch_ns", "1795392000000000001", None),
    ] {
        assert_eq!(date(word).unwrap().parse(text.as_bytes()), expected, "{word} {text}");
    }
    let dropping = DateFormat::new(Some(&one("epoch_ms")), true).unwrap();
    assert_eq!(dropping.parse(b"1795435200123.4"), Some(20_780));
    assert_eq!(dropping.parse(b"-1"), Some(-1));
}

#[test]
fn what_is_finer_than_a_microsecond_is_cut_only_when_declared() {
    let clock = WallClock::new(Some(Tz::UTC), LocalTime::Reject);
    for (format, text, expected) in [
        (TimestampFormat::Rfc3339, "2026-11-23T12:00:00.123456789Z", NOON + 123_456),
        (TimestampFormat::Rfc3339, "2026-11-23 12:00:00.1234569 UTC", NOON + 123_456),
        (TimestampFormat::Rfc3339, "2026-11-23 12:00:00.12345600001", NOON + 123_456),
        (
            TimestampFormat::Strftime("%F %T%.f".to_owned()),
            "2026-11-23 12:00:00.123456789123",
            NOON + 123_456,
        ),
        (TimestampFormat::EpochNanos, "1795435200123456789", NOON + 123_456),
        (TimestampFormat::EpochSeconds, "1795435200.1234567", NOON + 123_456),
    ] {
        let exact = InstantFormat::new(&format, clock, Finer::Refuse).unwrap();
        assert_eq!(exact.parse(text.as_bytes()), None, "{text}");
        assert_eq!(exact.finding(text.as_bytes()), Some(Finding::Subsecond), "{text}");
        let cut = InstantFormat::new(&format, clock, Finer::Cut).unwrap();
        assert_eq!(cut.parse(text.as_bytes()), Some(expected), "{text}");
    }
    let exact = TimeFormat::new(None, Finer::Refuse).unwrap();
    let cut = TimeFormat::new(None, Finer::Cut).unwrap();
    assert_eq!(exact.parse(b"00:00:01.0000019"), None);
    assert_eq!(exact.finding(b"00:00:01.0000019"), Some(Finding::Subsecond));
    assert_eq!(cut.parse(b"00:00:01.0000019"), Some(1_000_001));
}
