//! Dates and timestamps from one way of writing to the one that a column reads.

use std::fmt::Write as _;
use std::str::FromStr as _;

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use chrono_tz::Tz;

use crate::check::format::DateFormat;
use crate::check::strftime::{Moment, Strftime};
use crate::check::zone::WallClock;
use crate::pipeline::{ColumnType, Formats, LocalTime, TimestampFormat};

/// How a date is written in the record.
#[derive(Debug, Clone)]
pub struct DateText {
    text: String,
    format: DateFormat,
}

impl DateText {
    pub(super) fn new(text: &str) -> Result<DateText, String> {
        let format = Formats::One(text.to_owned());
        Ok(DateText { text: text.to_owned(), format: DateFormat::new(Some(&format), false)? })
    }

    /// The strftime format.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The date as a column of this type reads it: in the first of its formats.
    pub(super) fn cast(&self, text: &str, to: &ColumnType) -> Option<String> {
        let days = self.format.parse(text.as_bytes())?;
        let date = NaiveDate::default().checked_add_signed(chrono::TimeDelta::days(days.into()))?;
        if !is_year(date) {
            return None;
        }
        let ColumnType::Date { format } = to else { return None };
        let format = format.as_ref().and_then(|format| format.texts().first());
        let seconds = i64::from(days) * 86_400;
        match format.map_or("iso", String::as_str) {
            "iso" => written(date.format("%Y-%m-%d")),
            "epoch_days" => Some(days.to_string()),
            "epoch_s" => Some(seconds.to_string()),
            "epoch_ms" => Some((seconds * 1000).to_string()),
            "epoch_us" => Some((seconds * 1_000_000).to_string()),
            "epoch_ns" => Some((i128::from(seconds) * 1_000_000_000).to_string()),
            // Midnight, for a format that names a time of day too.
            format => written(date.and_time(NaiveTime::MIN).format(format)),
        }
    }
}

/// How a timestamp is written in the record.
#[derive(Debug, Clone)]
pub struct StampText {
    text: String,
    format: Strftime,
}

impl StampText {
    pub(super) fn new(text: &str) -> Result<StampText, String> {
        let format = Strftime::new(text, Moment::Timestamp)?;
        Ok(StampText { text: text.to_owned(), format })
    }

    /// The strftime format.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the texts say their offset from UTC.
    pub(super) fn has_offset(&self) -> bool {
        self.format.has_offset()
    }

    /// The timestamp as a column of this type reads it. Without an offset it stays without one.
    pub(super) fn cast(&self, text: &str, to: &ColumnType, zone: Option<&str>) -> Option<String> {
        let parsed = self.format.parse(text.as_bytes())?;
        let offset = parsed.offset().or_else(|| parsed.timestamp().map(|_| 0));
        let wall = parsed.to_naive_datetime_with_offset(offset.unwrap_or(0)).ok()?;
        if !is_year(wall.date()) || wall.nanosecond() >= 1_000_000_000 {
            return None;
        }
        let ColumnType::Timestamp { format } = to else { return None };
        as_read(wall, offset, format, zone)
    }
}

/// The timestamp in the format, or in the first of several that can say it.
fn as_read(
    wall: NaiveDateTime,
    offset: Option<i32>,
    format: &TimestampFormat,
    zone: Option<&str>,
) -> Option<String> {
    match format {
        TimestampFormat::AnyOf(formats) => {
            formats.iter().find_map(|format| as_read(wall, offset, format, zone))
        }
        TimestampFormat::Rfc3339 => rfc3339(wall, offset),
        TimestampFormat::Strftime(format) => match offset {
            Some(seconds) => {
                let offset = FixedOffset::east_opt(seconds)?;
                let moment: DateTime<FixedOffset> = wall.and_local_timezone(offset).single()?;
                written(moment.format(format))
            }
            None => written(wall.format(format)),
        },
        TimestampFormat::EpochSeconds
        | TimestampFormat::EpochMillis
        | TimestampFormat::EpochMicros
        | TimestampFormat::EpochNanos => {
            let nanos = wall.nanosecond();
            let micros = wall.and_utc().timestamp() * 1_000_000 + i64::from(nanos / 1000);
            let micros = match offset {
                _ if !nanos.is_multiple_of(1000) => return None,
                Some(east) => micros - i64::from(east) * 1_000_000,
                None => {
                    let zone = zone.and_then(|zone| Tz::from_str(zone).ok());
                    WallClock::new(zone, LocalTime::Reject).utc(micros)?
                }
            };
            epoch(micros, format)
        }
    }
}

/// Two-digit years would pass as years of antiquity.
fn is_year(date: NaiveDate) -> bool {
    (1000..=9999).contains(&date.year())
}

fn rfc3339(wall: NaiveDateTime, offset: Option<i32>) -> Option<String> {
    let mut text = written(wall.format("%Y-%m-%dT%H:%M:%S%.f"))?;
    match offset {
        None => {}
        Some(0) => text.push('Z'),
        Some(seconds) if seconds % 60 == 0 => {
            let sign = if seconds < 0 { '-' } else { '+' };
            let minutes = seconds.unsigned_abs() / 60;
            write!(text, "{sign}{:02}:{:02}", minutes / 60, minutes % 60).ok()?;
        }
        Some(_) => return None,
    }
    Some(text)
}

fn epoch(micros: i64, format: &TimestampFormat) -> Option<String> {
    let unit = match format {
        TimestampFormat::EpochSeconds => 1_000_000,
        TimestampFormat::EpochMillis => 1000,
        TimestampFormat::EpochMicros => return Some(micros.to_string()),
        TimestampFormat::EpochNanos => return Some((i128::from(micros) * 1000).to_string()),
        TimestampFormat::Rfc3339 | TimestampFormat::Strftime(_) | TimestampFormat::AnyOf(_) => {
            return None;
        }
    };
    let (whole, rest) = (micros.div_euclid(unit), micros.rem_euclid(unit));
    match rest {
        0 => Some(whole.to_string()),
        // A negative number with a fraction counts the other way; nobody writes one.
        rest if whole >= 0 && unit == 1_000_000 => Some(format!("{whole}.{rest:06}")),
        rest if whole >= 0 => Some(format!("{whole}.{rest:03}")),
        _ => None,
    }
}

/// chrono reports what it cannot write as an error of formatting.
fn written(text: impl std::fmt::Display) -> Option<String> {
    let mut out = String::new();
    write!(out, "{text}").ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_its_column_reads_it() {
        let iso = ColumnType::Date { format: None };
        let slashed = ColumnType::Date { format: Some(Formats::One("%Y/%m/%d".to_owned())) };
        for (format, text, to, expected) in [
            ("%d.%m.%Y", "23.11.2026", &iso, Some("2026-11-23")),
            ("%d.%m.%Y", "23.11.2026", &slashed, Some("2026/11/23")),
            ("%d %b %Y", "3 Nov 2026", &iso, Some("2026-11-03")),
            ("%d.%m.%y", "23.11.26", &iso, Some("2026-11-23")),
            ("%d.%m.%Y", "23.11.26", &iso, None),
            ("%d.%m.%Y", "11/23/2026", &iso, None),
            ("%d.%m.%Y", "31.02.2026", &iso, None),
            ("%d.%m.%Y", "23.11.2026", &ColumnType::String, None),
        ] {
            let found = DateText::new(format).unwrap().cast(text, to);
            assert_eq!(found.as_deref(), expected, "{format} {text}");
        }
        assert!(DateText::new("%d.%m.").is_err());
    }

    #[test]
    fn a_timestamp_is_written_as_its_column_reads_it() {
        let to = |format| ColumnType::Timestamp { format };
        let own = |format: &str| to(TimestampFormat::Strftime(format.to_owned()));
        let rfc = to(TimestampFormat::Rfc3339);
        let (seconds, millis) =
            (to(TimestampFormat::EpochSeconds), to(TimestampFormat::EpochMillis));
        let german = "%d.%m.%Y %H:%M";
        for (format, text, to, zone, expected) in [
            (german, "23.11.2026 13:05", &rfc, None, Some("2026-11-23T13:05:00")),
            (
                "%d.%m.%Y %H:%M %z",
                "23.11.2026 13:05 +0130",
                &rfc,
                None,
                Some("2026-11-23T13:05:00+01:30"),
            ),
            (
                "%d.%m.%Y %H:%M %z",
                "23.11.2026 13:05 -0030",
                &rfc,
                None,
                Some("2026-11-23T13:05:00-00:30"),
            ),
            ("%s", "1795435200", &rfc, None, Some("2026-11-23T12:00:00Z")),
            ("%Y%m%d %H%M%S%.f", "20261123 130500.25", &rfc, None, Some("2026-11-23T13:05:00.250")),
            (german, "23.11.2026 13:05", &own("%Y/%m/%d %H.%M"), None, Some("2026/11/23 13.05")),
            (german, "23.11.2026 13:05", &own("%Y-%m-%d %H:%M %z"), None, None),
            ("%F %T %z", "2026-11-23 13:05:00 +0100", &own("%s"), None, Some("1795435500")),
            (german, "23.11.2026 12:00", &seconds, Some("UTC"), Some("1795435200")),
            (german, "23.11.2026 13:00", &millis, Some("Europe/Berlin"), Some("1795435200000")),
            (german, "25.10.2026 02:30", &seconds, Some("Europe/Berlin"), None),
            (german, "23.11.2026 12:00", &seconds, None, None),
            (german, "23.11.26 12:00", &rfc, None, None),
        ] {
            let found = StampText::new(format).unwrap().cast(text, to, zone);
            assert_eq!(found.as_deref(), expected, "{format} {text} {to:?}");
        }
        assert!(StampText::new("%d.%m.%Y").is_err());
        assert!(StampText::new("%F %T %z").unwrap().has_offset());
        assert!(StampText::new("%s").unwrap().has_offset());
        assert!(!StampText::new(german).unwrap().has_offset());
    }
}
