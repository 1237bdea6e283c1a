//! strftime formats: chrono's specifiers, with offsets from UTC in any written form.

use std::fmt::Write as _;

use chrono::format::{Fixed, Item, Parsed, StrftimeItems, parse, parse_and_remainder};
use chrono::{DateTime, NaiveDateTime, Timelike as _, Utc};

use super::civil::any_offset;

/// 2001-02-03T16:05:06Z: no part of it can be mistaken for another, nor for half a day.
const SAMPLE_SECONDS: i64 = 981_216_306;

/// The specifiers of an offset; each reads every written form.
const OFFSETS: [&str; 5] = ["%z", "%:z", "%::z", "%:::z", "%#z"];
/// Longest specifier: `%:::z`.
const SPECIFIER_BYTES_MAX: usize = 5;

/// A strftime format, split into its items.
#[derive(Debug, Clone)]
pub(crate) struct Strftime {
    before: Vec<Item<'static>>,
    /// What follows the first offset, if there is one.
    after: Option<Vec<Item<'static>>>,
}

/// What a format has to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    Date,
    Time,
    Timestamp,
}

impl Strftime {
    /// Refuses what is no specifier, `%Z`, whose names say no offset, and a format that does not name the
    /// whole moment.
    pub(crate) fn new(format: &str, moment: Moment) -> Result<Strftime, String> {
        if !format.contains('%') {
            return Err(format!("{format:?} is no strftime format"));
        }
        if let Some(unknown) = unknown_specifier(format) {
            return Err(format!("{unknown} is not a specifier"));
        }
        let unreadable = |_| format!("{format:?} is no strftime format");
        let mut items = StrftimeItems::new(format).parse_to_owned().map_err(unreadable)?;
        if items.contains(&Item::Fixed(Fixed::TimezoneName)) {
            return Err("%Z reads a name, not an offset: write %z, or set timezone".to_owned());
        }
        let is_offset = |item: &Item<'_>| OFFSETS.iter().any(|text| first_item(text) == *item);
        let after = items.iter().position(is_offset).map(|at| {
            let after = items.split_off(at + 1);
            items.truncate(at);
            after
        });
        let strftime = Strftime { before: items, after };
        let sample = strftime.sample();
        if sample.is_some_and(|sample| names_whole(&sample, moment)) {
            return Ok(strftime);
        }
        let what = match moment {
            Moment::Date => "a whole date: year, month and day",
            Moment::Time => "a time of day: hour and minute",
            Moment::Timestamp => "a whole date and time of day: year, month, day, hour and minute",
        };
        Err(format!("{format:?} does not name {what}"))
    }

    /// Whether its texts say their offset from UTC.
    pub(crate) fn has_offset(&self) -> bool {
        self.sample()
            .is_some_and(|sample| sample.offset().is_some() || sample.timestamp().is_some())
    }

    /// Digits of a second after the ninth must be zeros.
    pub(crate) fn parse(&self, text: &[u8]) -> Option<Parsed> {
        if drops_digits(text) { None } else { self.parse_cutting(text) }
    }

    /// Digits of a second after the ninth are dropped, as chrono does.
    pub(crate) fn parse_cutting(&self, text: &[u8]) -> Option<Parsed> {
        let text = std::str::from_utf8(text).ok()?;
        let mut parsed = Parsed::new();
        let Some(after) = &self.after else {
            parse(&mut parsed, text, self.before.iter()).ok()?;
            return Some(parsed);
        };
        let rest = parse_and_remainder(&mut parsed, text, self.before.iter()).ok()?;
        let (east, rest) = any_offset(rest.as_bytes())?;
        parsed.set_offset(i64::from(east)).ok()?;
        parse(&mut parsed, std::str::from_utf8(rest).ok()?, after.iter()).ok()?;
        Some(parsed)
    }

    /// A fixed moment, written in this format and read again.
    fn sample(&self) -> Option<Parsed> {
        let mut text = String::new();
        let sample = DateTime::<Utc>::from_timestamp(SAMPLE_SECONDS, 0)?;
        write!(text, "{}", sample.format_with_items(self.before.iter())).ok()?;
        if let Some(after) = &self.after {
            write!(text, "Z{}", sample.format_with_items(after.iter())).ok()?;
        }
        self.parse(text.as_bytes())
    }
}

/// Whether the moment of [`Strftime::sample`] can be told from what was read.
fn names_whole(sample: &Parsed, moment: Moment) -> bool {
    let expected = DateTime::<Utc>::from_timestamp(SAMPLE_SECONDS, 0).unwrap_or_default();
    let expected = expected.naive_utc();
    let to_minute = |found: NaiveDateTime| {
        found.signed_duration_since(expected).num_seconds().unsigned_abs() < 60
    };
    match moment {
        Moment::Date => sample.to_naive_date().is_ok_and(|date| date == expected.date()),
        Moment::Time => {
            sample.to_naive_time().is_ok_and(|time| to_minute(expected.date().and_time(time)))
        }
        Moment::Timestamp => sample.to_naive_datetime_with_offset(0).is_ok_and(to_minute),
    }
}

/// Microseconds within the second, finer digits cut off; `None` for a leap second.
pub(crate) fn micros_of_second(time: chrono::NaiveTime) -> Option<i64> {
    let nanos = time.nanosecond();
    (nanos < 1_000_000_000).then(|| i64::from(nanos / 1000))
}

fn first_item(specifier: &'static str) -> Item<'static> {
    StrftimeItems::new(specifier).next().unwrap_or(Item::Error)
}

/// Whether a fraction has a digit after the ninth, which chrono reads over, that is not 0.
pub(crate) fn drops_digits(text: &[u8]) -> bool {
    text.len() > 10
        && text.split(|byte| *byte == b'.').skip(1).any(|part| {
            let digits = part.iter().take_while(|byte| byte.is_ascii_digit());
            digits.skip(9).any(|digit| *digit != b'0')
        })
}

/// The first `%` with what follows, if it is no specifier.
fn unknown_specifier(format: &str) -> Option<String> {
    let is_known = |text: &&str| StrftimeItems::new(text).all(|item| item != Item::Error);
    let mut rest = format;
    while let Some((_, after)) = rest.split_once('%') {
        let from = rest.len() - after.len() - 1;
        let specifier = rest.get(from..).unwrap_or_default();
        let known = (2..=SPECIFIER_BYTES_MAX).filter_map(|len| specifier.get(..len)).find(is_known);
        match known {
            Some(known) => rest = specifier.get(known.len()..).unwrap_or_default(),
            None => {
                let is_flag = |c: &char| "-_0.:#123456789".contains(*c);
                let flags = after.chars().take_while(is_flag).count();
                return Some(specifier.chars().take(flags + 2).collect());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_must_name_the_whole_moment() {
        use Moment::{Date, Time, Timestamp};
        for (format, moment, expected) in [
            ("%d.%m.%Y", Date, true),
            ("%F", Date, true),
            ("%Y-%j", Date, true),
            ("%d %b %y", Date, true),
            ("%Y-%m-%d %H:%M:%S %z", Date, true),
            ("%d.%m", Date, false),
            ("%H:%M", Date, false),
            ("iso", Date, false),
            ("", Date, false),
            ("%H:%M:%S", Time, true),
            ("%H:%M", Time, true),
            ("%I:%M %p", Time, true),
            ("%I:%M", Time, false),
            ("%Y-%m-%d %H:%M:%S", Timestamp, true),
            ("%Y-%m-%dT%H:%M:%S%.f%:z", Timestamp, true),
            ("%Y-%m-%d %H:%M:%S%.f%#z", Timestamp, true),
            ("[%d/%b/%Y:%H:%M:%S %z]", Timestamp, true),
            ("%+", Timestamp, true),
            ("%d/%m/%Y %H:%M", Timestamp, true),
            ("%s", Timestamp, true),
            ("%Y-%m-%d", Timestamp, false),
            ("%H:%M", Timestamp, false),
            ("%Y-%m-%d %I:%M", Timestamp, false),
        ] {
            assert_eq!(Strftime::new(format, moment).is_ok(), expected, "{format} {moment:?}");
        }
    }

    #[test]
    fn what_is_no_specifier_is_named() {
        for (format, name) in [
            ("%Y-%Q", "%Q is not a specifier"),
            ("%Y-%m-%d %H:%M:%L", "%L is not a specifier"),
            ("%%%E", "%E is not a specifier"),
            ("%d.%m.%-K", "%-K is not a specifier"),
            ("%Y%", "% is not a specifier"),
            ("%F %:x", "%:x is not a specifier"),
            ("%F %T %Z", "%Z reads a name"),
        ] {
            let error = Strftime::new(format, Moment::Timestamp).unwrap_err();
            assert!(error.starts_with(name), "{format}: {error}");
        }
    }

    #[test]
    fn every_offset_specifier_reads_every_written_form() {
        for specifier in OFFSETS {
            let format = format!("[%Y-%m-%d %H:%M:%S%.f {specifier}]");
            let format = Strftime::new(&format, Moment::Timestamp).unwrap();
            assert!(format.has_offset());
            for (text, seconds) in [
                ("[2025-02-10 15:41:33 +01]", 3600),
                ("[2025-02-10 15:41:33.5+0100]", 3600),
                ("[2025-02-10 15:41:33-03:30]", -12_600),
                ("[2025-02-10 15:41:33 -04:56:02]", -17_762),
                ("[2025-02-10 15:41:33 Z]", 0),
                ("[2025-02-10 15:41:33 UTC]", 0),
            ] {
                let parsed = format.parse(text.as_bytes());
                let offset = parsed.and_then(|parsed| parsed.offset());
                assert_eq!(offset, Some(seconds), "{specifier} {text}");
            }
            for text in ["[2025-02-10 15:41:33]", "[2025-02-10 15:41:33 EST]"] {
                assert!(format.parse(text.as_bytes()).is_none(), "{specifier} {text}");
            }
        }
    }

    #[test]
    fn digits_that_chrono_reads_over_are_refused() {
        let format = Strftime::new("%Y-%m-%d %H:%M:%S%.f", Moment::Timestamp).unwrap();
        assert!(format.parse(b"2025-02-10 15:41:33.1234560000000").is_some());
        assert!(format.parse(b"2025-02-10 15:41:33.1234560001").is_none());
        assert!(format.parse_cutting(b"2025-02-10 15:41:33.1234560001").is_some());
    }
}
