//! How dates, times and timestamps are read: ISO 8601 and RFC 3339 by hand, the rest by chrono.

use std::fmt::Write as _;

use chrono::format::{Fixed, Item, Parsed, StrftimeItems, parse};
use chrono::{DateTime, Datelike, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

use super::civil::{self, Instant};
use super::number;
use crate::pipeline::TimestampFormat;

/// 2001-02-03T04:05:06Z: no part of it can be mistaken for another.
const SAMPLE_SECONDS: i64 = 981_173_106;

/// A strftime format, split into its items.
#[derive(Debug, Clone)]
pub(crate) struct Strftime {
    items: Vec<Item<'static>>,
}

impl Strftime {
    /// Refuses what chrono does not know, and `%Z`, whose names say no offset.
    pub(crate) fn new(format: &str) -> Result<Strftime, String> {
        let items = StrftimeItems::new(format)
            .parse_to_owned()
            .map_err(|_| format!("{format:?} has a specifier that does not exist"))?;
        if items.contains(&Item::Fixed(Fixed::TimezoneName)) {
            return Err("%Z reads a name, not an offset: write %z, or set timezone".to_owned());
        }
        Ok(Strftime { items })
    }

    pub(crate) fn parse(&self, text: &[u8]) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, std::str::from_utf8(text).ok()?, self.items.iter()).ok()?;
        Some(parsed)
    }

    /// A fixed moment, written in this format and read again.
    pub(crate) fn sample(&self) -> Option<Parsed> {
        let mut text = String::new();
        let sample = DateTime::<Utc>::from_timestamp(SAMPLE_SECONDS, 0)?;
        write!(text, "{}", sample.format_with_items(self.items.iter())).ok()?;
        self.parse(text.as_bytes())
    }
}

/// How a date is read.
#[derive(Debug, Clone)]
pub(crate) enum DateFormat {
    /// `2026-11-23`
    Iso,
    /// By a strftime format.
    Strftime(Strftime),
}

impl DateFormat {
    /// Refuses a format that names no full date.
    pub(crate) fn new(format: Option<&str>) -> Result<DateFormat, String> {
        let Some(format) = format else {
            return Ok(DateFormat::Iso);
        };
        let strftime = Strftime::new(format)?;
        if strftime.sample().is_none_or(|sample| sample.to_naive_date().is_err()) {
            return Err(format!("{format:?} does not name a full date: year, month and day"));
        }
        Ok(DateFormat::Strftime(strftime))
    }

    /// Days since 1970-01-01; years 0001 to 9999.
    #[inline]
    pub(crate) fn parse(&self, text: &[u8]) -> Option<i32> {
        match self {
            DateFormat::Iso => civil::date(text),
            DateFormat::Strftime(format) => {
                let date = format.parse(text)?.to_naive_date().ok()?;
                let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
                (1..=9999).contains(&date.year()).then(|| i32::try_from(days).ok()).flatten()
            }
        }
    }
}

/// How a time of day is read.
#[derive(Debug, Clone)]
pub(crate) enum TimeFormat {
    /// `10:11:12` with an optional fraction.
    Iso,
    /// By a strftime format.
    Strftime(Strftime),
}

impl TimeFormat {
    /// Refuses a format that names no time of day.
    pub(crate) fn new(format: Option<&str>) -> Result<TimeFormat, String> {
        let Some(format) = format else {
            return Ok(TimeFormat::Iso);
        };
        let strftime = Strftime::new(format)?;
        if strftime.sample().is_none_or(|sample| sample.to_naive_time().is_err()) {
            return Err(format!("{format:?} does not name a time of day: hour and minute"));
        }
        Ok(TimeFormat::Strftime(strftime))
    }

    /// Microseconds since midnight.
    #[inline]
    pub(crate) fn parse(&self, text: &[u8]) -> Option<i64> {
        match self {
            TimeFormat::Iso => civil::time(text),
            TimeFormat::Strftime(format) => {
                let time = format.parse(text)?.to_naive_time().ok()?;
                let seconds = i64::from(time.num_seconds_from_midnight());
                whole_micros(time).map(|micros| seconds * 1_000_000 + micros)
            }
        }
    }
}

/// Microseconds within the second; `None` for a leap second or a finer fraction.
fn whole_micros(time: NaiveTime) -> Option<i64> {
    let nanos = time.nanosecond();
    (nanos < 1_000_000_000 && nanos.is_multiple_of(1000)).then(|| i64::from(nanos / 1000))
}

/// How a timestamp is read.
#[derive(Debug, Clone)]
pub(crate) struct InstantFormat {
    text: InstantText,
    zone: Option<Tz>,
}

#[derive(Debug, Clone)]
enum InstantText {
    Rfc3339,
    Strftime(Strftime),
    EpochSeconds,
    EpochMillis,
}

impl InstantFormat {
    /// `zone` is where texts without an offset come from.
    pub(crate) fn new(format: &TimestampFormat, zone: Option<Tz>) -> Result<InstantFormat, String> {
        let text = match format {
            TimestampFormat::Rfc3339 => InstantText::Rfc3339,
            TimestampFormat::EpochSeconds => InstantText::EpochSeconds,
            TimestampFormat::EpochMillis => InstantText::EpochMillis,
            TimestampFormat::Strftime(format) => {
                let strftime = Strftime::new(format)?;
                let sample = strftime.sample();
                let whole = |sample: &Parsed| sample.to_naive_datetime_with_offset(0).is_ok();
                let Some(sample) = sample.filter(whole) else {
                    return Err(format!("{format:?} does not name a date and a time of day"));
                };
                if zone.is_none() && sample.offset().is_none() && sample.timestamp().is_none() {
                    return Err(format!("{format:?} has no offset: add %z, or set timezone"));
                }
                InstantText::Strftime(strftime)
            }
        };
        Ok(InstantFormat { text, zone })
    }

    /// Microseconds since 1970 UTC; years 0001 to 9999.
    #[inline]
    pub(crate) fn parse(&self, text: &[u8]) -> Option<i64> {
        match &self.text {
            InstantText::Rfc3339 => match civil::rfc3339(text)? {
                Instant::Utc(micros) => Some(micros),
                Instant::Wall(micros) => self.utc_of_wall(micros),
            },
            InstantText::Strftime(format) => self.utc_of_parsed(&format.parse(text)?),
            InstantText::EpochSeconds => {
                civil::in_range(i64::try_from(number::decimal(text, 38, 6)?).ok()?)
            }
            InstantText::EpochMillis => {
                civil::in_range(number::int::<i64>(text)?.checked_mul(1000)?)
            }
        }
    }

    fn utc_of_parsed(&self, parsed: &Parsed) -> Option<i64> {
        let offset = parsed.offset().or_else(|| parsed.timestamp().map(|_| 0));
        let wall = parsed.to_naive_datetime_with_offset(offset.unwrap_or(0)).ok()?;
        let micros = wall_micros(wall)?;
        match offset {
            Some(seconds) => civil::in_range(micros - i64::from(seconds) * 1_000_000),
            None => self.utc_of_wall(micros),
        }
    }

    /// The instant at which clocks in the zone show this; `None` when they never do or do twice.
    fn utc_of_wall(&self, micros: i64) -> Option<i64> {
        let zone = self.zone?;
        if zone == Tz::UTC {
            return civil::in_range(micros);
        }
        let wall = DateTime::<Utc>::from_timestamp_micros(micros)?.naive_utc();
        let instant = zone.from_local_datetime(&wall).single()?;
        civil::in_range(instant.timestamp_micros())
    }
}

fn wall_micros(wall: NaiveDateTime) -> Option<i64> {
    let micros = whole_micros(wall.time())?;
    Some(wall.and_utc().timestamp() * 1_000_000 + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strftime(format: &str, zone: Option<Tz>) -> Result<InstantFormat, String> {
        InstantFormat::new(&TimestampFormat::Strftime(format.to_owned()), zone)
    }

    const NOON: i64 = 1_795_435_200_000_000;

    #[test]
    fn a_clock_change_refuses_times_that_never_or_twice_were() {
        let berlin =
            InstantFormat::new(&TimestampFormat::Rfc3339, Some(Tz::Europe__Berlin)).unwrap();
        assert_eq!(berlin.parse(b"2026-11-23T13:00:00"), Some(NOON));
        assert_eq!(berlin.parse(b"2026-03-29T02:30:00"), None, "gap");
        assert_eq!(berlin.parse(b"2026-10-25T02:30:00"), None, "overlap");
        assert!(berlin.parse(b"2026-10-25T02:30:00+02:00").is_some());
        assert!(berlin.parse(b"2026-03-29T03:00:00").is_some());
    }

    #[test]
    fn a_text_without_offset_needs_a_zone() {
        let none = InstantFormat::new(&TimestampFormat::Rfc3339, None).unwrap();
        let utc = InstantFormat::new(&TimestampFormat::Rfc3339, Some(Tz::UTC)).unwrap();
        assert_eq!(none.parse(b"2026-11-23T12:00:00"), None);
        assert_eq!(none.parse(b"2026-11-23T12:00:00Z"), Some(NOON));
        assert_eq!(utc.parse(b"2026-11-23 12:00:00"), Some(NOON));
    }

    #[test]
    fn declared_formats_are_followed() {
        let zoned = strftime("%d.%m.%Y %H:%M:%S %z", None).unwrap();
        assert_eq!(zoned.parse(b"23.11.2026 13:00:00 +0100"), Some(NOON));
        assert_eq!(zoned.parse(b"23.11.2026 12:00:60 +0000"), None);
        assert_eq!(zoned.parse(b"30.02.2026 12:00:00 +0000"), None);
        let local = strftime("%m/%d/%Y %H:%M:%S%.f", Some(Tz::UTC)).unwrap();
        assert_eq!(local.parse(b"11/23/2026 12:00:00.000001"), Some(NOON + 1));
        assert_eq!(local.parse(b"11/23/2026 12:00:00.0000001"), None);
        assert_eq!(local.parse(b"11/23/2026 24:00:00"), None);
        let date = DateFormat::new(Some("%d/%m/%Y")).unwrap();
        assert_eq!(date.parse(b"23/11/2026"), Some(20_780));
        assert_eq!(date.parse(b"11/23/2026"), None);
        assert_eq!(date.parse(b"01/01/0000"), None);
        let time = TimeFormat::new(Some("%I:%M %p")).unwrap();
        assert_eq!(time.parse(b"01:30 PM"), Some(48_600_000_000));
    }

    #[test]
    fn formats_that_cannot_work_are_refused() {
        for format in ["%Q", "%Y-%m-%d", "%H:%M:%S", "%Y-%m-%d %H:%M:%S %Z", "plain"] {
            assert!(strftime(format, Some(Tz::UTC)).is_err(), "{format}");
        }
        assert!(strftime("%Y-%m-%d %H:%M:%S", None).is_err());
        assert!(strftime("%s", None).is_ok());
        assert!(DateFormat::new(Some("%Y-%m")).is_err());
        assert!(TimeFormat::new(Some("%Y-%m-%d")).is_err());
    }

    #[test]
    fn epochs_are_exact() {
        let seconds = InstantFormat::new(&TimestampFormat::EpochSeconds, None).unwrap();
        assert_eq!(seconds.parse(b"1795435200"), Some(NOON));
        assert_eq!(seconds.parse(b"1795435200.5"), Some(NOON + 500_000));
        assert_eq!(seconds.parse(b"-1"), Some(-1_000_000));
        assert_eq!(seconds.parse(b"1795435200.0000001"), None);
        assert_eq!(seconds.parse(b"253402300800"), None);
        assert_eq!(seconds.parse(b"1e9"), None);
        let millis = InstantFormat::new(&TimestampFormat::EpochMillis, None).unwrap();
        assert_eq!(millis.parse(b"1795435200001"), Some(NOON + 1000));
        assert_eq!(millis.parse(b"1795435200001.5"), None);
        assert_eq!(millis.parse(b"9223372036854775807"), None);
    }
}
