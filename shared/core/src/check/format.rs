//! How dates, times and timestamps are read: ISO 8601 and RFC 3339 by hand, the rest by chrono.

use chrono::format::Parsed;
use chrono::{Datelike, Timelike};

use super::civil::{self, DAY_MICROS, Finer, Instant};
use super::epoch::Unit;
use super::finding::Finding;
use super::number;
use super::strftime::{Moment, Strftime, micros_of_second};
use super::zone::WallClock;
use crate::pipeline::{Formats, TimestampFormat};

/// 0001-01-01 and 9999-12-31 in days since 1970-01-01.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;

/// Ways to read a value: the first that fits.
#[derive(Debug, Clone)]
struct Ways<W> {
    first: W,
    others: Vec<W>,
}

impl<W> Ways<W> {
    fn new(ways: impl IntoIterator<Item = Result<W, String>>) -> Result<Ways<W>, String> {
        let mut ways = ways.into_iter();
        let first = ways.next().ok_or_else(|| "names no format".to_owned())??;
        Ok(Ways { first, others: ways.collect::<Result<_, _>>()? })
    }

    #[inline]
    fn find<T>(&self, read: impl Fn(&W) -> Option<T>) -> Option<T> {
        match read(&self.first) {
            Some(value) => Some(value),
            None => self.others.iter().find_map(read),
        }
    }

    /// Whether the way that reads a value, cutting, would not read it exactly.
    fn is_cut(&self, reads: impl Fn(&W, bool) -> bool) -> bool {
        self.find(|way| reads(way, true).then(|| !reads(way, false))).unwrap_or(false)
    }
}

/// How a date is read.
#[derive(Debug, Clone)]
pub(crate) struct DateFormat {
    ways: Ways<DateWay>,
    /// What becomes of a time of day that is not 0.
    drop_time: bool,
}

#[derive(Debug, Clone)]
enum DateWay {
    /// `2026-11-23`, or with a time of day behind it.
    Iso,
    Strftime(Strftime),
    /// Days since 1970-01-01.
    Days,
    /// The day in UTC.
    Epoch(Unit),
}

impl DateFormat {
    /// Refuses a format that names no whole date. `drop_time`: a time of day is dropped, not refused.
    pub(crate) fn new(format: Option<&Formats>, drop_time: bool) -> Result<DateFormat, String> {
        let Some(formats) = format else {
            return Ok(DateFormat { ways: Ways::new([Ok(DateWay::Iso)])?, drop_time });
        };
        let ways = Ways::new(formats.texts().iter().map(|text| match text.as_str() {
            "iso" => Ok(DateWay::Iso),
            "epoch_days" => Ok(DateWay::Days),
            word => match Unit::of_word(word) {
                Some(unit) => Ok(DateWay::Epoch(unit)),
                None => Strftime::new(word, Moment::Date).map(DateWay::Strftime),
            },
        }))?;
        Ok(DateFormat { ways, drop_time })
    }

    /// Days since 1970-01-01; years 0001 to 9999.
    #[inline]
    pub(crate) fn parse(&self, text: &[u8]) -> Option<i32> {
        self.ways.find(|way| way.parse(text, self.drop_time))
    }

    /// Whether a time of day may be dropped.
    pub(crate) fn cuts(&self) -> bool {
        self.drop_time
    }

    /// Whether the text is read, without its time of day.
    pub(crate) fn is_cut(&self, text: &[u8]) -> bool {
        self.ways.is_cut(|way, cut| way.parse(text, cut).is_some())
    }

    /// Why the text is no date.
    pub(crate) fn finding(&self, text: &[u8]) -> Option<Finding> {
        let dropped = self.ways.find(|way| way.parse(text, true));
        dropped.map(|_| Finding::TimeOfDay)
    }
}

impl DateWay {
    #[inline]
    fn parse(&self, text: &[u8], drop_time: bool) -> Option<i32> {
        match self {
            DateWay::Iso => match civil::date(text) {
                Some(day) => Some(day),
                None => day_of_stamp(text, drop_time),
            },
            DateWay::Strftime(format) => {
                let parsed = format.parse_cutting(text)?;
                if !drop_time && has_time_of_day(&parsed, text) {
                    return None;
                }
                let date = parsed.to_naive_date().ok()?;
                let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
                (1..=9999).contains(&date.year()).then(|| i32::try_from(days).ok()).flatten()
            }
            DateWay::Days => number::int(text).filter(|days| DAYS.contains(days)),
            DateWay::Epoch(unit) => {
                let finer = Finer::when(drop_time);
                let micros = unit.parse(text, finer)?;
                let whole = drop_time || micros.rem_euclid(DAY_MICROS) == 0;
                if whole { i32::try_from(micros.div_euclid(DAY_MICROS)).ok() } else { None }
            }
        }
    }
}

/// The written date of an ISO timestamp.
#[cold]
fn day_of_stamp(text: &[u8], drop_time: bool) -> Option<i32> {
    let stamp = civil::stamp(text, Finer::when(drop_time))?;
    (drop_time || stamp.clock == 0).then_some(stamp.day)
}

fn has_time_of_day(parsed: &Parsed, text: &[u8]) -> bool {
    let parts = [
        parsed.hour_div_12(),
        parsed.hour_mod_12(),
        parsed.minute(),
        parsed.second(),
        parsed.nanosecond(),
    ];
    parts.into_iter().flatten().any(|part| part != 0)
        || (parsed.nanosecond().is_some() && super::strftime::drops_digits(text))
}

/// How a time of day is read.
#[derive(Debug, Clone)]
pub(crate) struct TimeFormat {
    ways: Ways<TimeWay>,
    finer: Finer,
}

#[derive(Debug, Clone)]
enum TimeWay {
    /// `10:11:12` with an optional fraction.
    Iso,
    Strftime(Strftime),
}

impl TimeFormat {
    /// Refuses a format that names no time of day.
    pub(crate) fn new(format: Option<&Formats>, finer: Finer) -> Result<TimeFormat, String> {
        let Some(formats) = format else {
            return Ok(TimeFormat { ways: Ways::new([Ok(TimeWay::Iso)])?, finer });
        };
        let ways = Ways::new(formats.texts().iter().map(|text| match text.as_str() {
            "iso" => Ok(TimeWay::Iso),
            text => Strftime::new(text, Moment::Time).map(TimeWay::Strftime),
        }))?;
        Ok(TimeFormat { ways, finer })
    }

    /// Microseconds since midnight.
    #[inline]
    pub(crate) fn parse(&self, text: &[u8]) -> Option<i64> {
        self.ways.find(|way| way.parse(text, self.finer))
    }

    /// Whether digits finer than a microsecond may be cut.
    pub(crate) fn cuts(&self) -> bool {
        self.finer == Finer::Cut
    }

    /// Whether the text is read, without its finest digits.
    pub(crate) fn is_cut(&self, text: &[u8]) -> bool {
        self.ways.is_cut(|way, cut| way.parse(text, Finer::when(cut)).is_some())
    }

    /// Why the text is no time.
    pub(crate) fn finding(&self, text: &[u8]) -> Option<Finding> {
        let cut = self.ways.find(|way| way.parse(text, Finer::Cut));
        cut.map(|_| Finding::Subsecond)
    }
}

impl TimeWay {
    #[inline]
    fn parse(&self, text: &[u8], finer: Finer) -> Option<i64> {
        match self {
            TimeWay::Iso => civil::time(text, finer),
            TimeWay::Strftime(format) => {
                let time = parsed(format, text, finer)?.to_naive_time().ok()?;
                let seconds = i64::from(time.num_seconds_from_midnight());
                micros_of_second(time).map(|micros| seconds * 1_000_000 + micros)
            }
        }
    }
}

/// What the format reads; a fraction finer than a microsecond as told.
fn parsed(format: &Strftime, text: &[u8], finer: Finer) -> Option<Parsed> {
    if finer == Finer::Cut {
        return format.parse_cutting(text);
    }
    let parsed = format.parse(text)?;
    parsed.nanosecond().is_none_or(|nanos| nanos.is_multiple_of(1000)).then_some(parsed)
}

/// How a timestamp is read.
#[derive(Debug, Clone)]
pub(crate) struct InstantFormat {
    ways: Ways<InstantWay>,
    clock: WallClock,
    finer: Finer,
}

#[derive(Debug, Clone)]
enum InstantWay {
    Rfc3339,
    Strftime(Strftime),
    Epoch(Unit),
}

impl InstantFormat {
    /// `clock` is what texts without an offset are told by.
    pub(crate) fn new(
        format: &TimestampFormat,
        clock: WallClock,
        finer: Finer,
    ) -> Result<InstantFormat, String> {
        let ways = match format {
            TimestampFormat::AnyOf(formats) => {
                Ways::new(formats.iter().map(|format| InstantWay::new(format, clock)))?
            }
            TimestampFormat::Rfc3339
            | TimestampFormat::Strftime(_)
            | TimestampFormat::EpochSeconds
            | TimestampFormat::EpochMillis
            | TimestampFormat::EpochMicros
            | TimestampFormat::EpochNanos => Ways::new([InstantWay::new(format, clock)])?,
        };
        Ok(InstantFormat { ways, clock, finer })
    }

    /// Microseconds since 1970 UTC; years 0001 to 9999.
    #[inline]
    pub(crate) fn parse(&self, text: &[u8]) -> Option<i64> {
        self.ways.find(|way| match way.parse(text, self.finer)? {
            Instant::Utc(micros) => Some(micros),
            Instant::Wall(micros) => self.clock.utc(micros),
        })
    }

    /// Whether digits finer than a microsecond may be cut.
    pub(crate) fn cuts(&self) -> bool {
        self.finer == Finer::Cut
    }

    /// Whether the text is read, without its finest digits.
    pub(crate) fn is_cut(&self, text: &[u8]) -> bool {
        self.ways.is_cut(|way, cut| way.parse(text, Finer::when(cut)).is_some())
    }

    /// Why the text is no timestamp.
    pub(crate) fn finding(&self, text: &[u8]) -> Option<Finding> {
        let exact = self.ways.find(|way| way.parse(text, self.finer));
        match exact {
            Some(Instant::Wall(micros)) => self.clock.finding(micros),
            Some(Instant::Utc(_)) => None,
            None if self.ways.find(|way| way.parse(text, Finer::Cut)).is_some() => {
                Some(Finding::Subsecond)
            }
            None => civil::date(text).map(|_| Finding::NoTimeOfDay),
        }
    }
}

impl InstantWay {
    fn new(format: &TimestampFormat, clock: WallClock) -> Result<InstantWay, String> {
        Ok(match format {
            TimestampFormat::Rfc3339 => InstantWay::Rfc3339,
            TimestampFormat::EpochSeconds => InstantWay::Epoch(Unit::Seconds),
            TimestampFormat::EpochMillis => InstantWay::Epoch(Unit::Millis),
            TimestampFormat::EpochMicros => InstantWay::Epoch(Unit::Micros),
            TimestampFormat::EpochNanos => InstantWay::Epoch(Unit::Nanos),
            TimestampFormat::AnyOf(_) => return Err("a list of formats holds no list".to_owned()),
            TimestampFormat::Strftime(format) => {
                let strftime = Strftime::new(format, Moment::Timestamp)?;
                if !clock.has_zone() && !strftime.has_offset() {
                    return Err(format!("{format:?} has no offset: add %z, or set timezone"));
                }
                InstantWay::Strftime(strftime)
            }
        })
    }

    #[inline]
    fn parse(&self, text: &[u8], finer: Finer) -> Option<Instant> {
        match self {
            InstantWay::Rfc3339 => match civil::rfc3339(text) {
                Some(instant) => Some(instant),
                None => civil::stamp(text, finer)?.instant(),
            },
            InstantWay::Strftime(format) => instant_of(&parsed(format, text, finer)?),
            InstantWay::Epoch(unit) => unit.parse(text, finer).map(Instant::Utc),
        }
    }
}

fn instant_of(parsed: &Parsed) -> Option<Instant> {
    let offset = parsed.offset().or_else(|| parsed.timestamp().map(|_| 0));
    let wall = parsed.to_naive_datetime_with_offset(offset.unwrap_or(0)).ok()?;
    let micros = wall.and_utc().timestamp() * 1_000_000 + micros_of_second(wall.time())?;
    match offset {
        Some(seconds) => civil::in_range(micros - i64::from(seconds) * 1_000_000).map(Instant::Utc),
        None => Some(Instant::Wall(micros)),
    }
}

#[cfg(test)]
mod tests;
