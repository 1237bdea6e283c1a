//! Which ways of writing a date, time or timestamp a text fits.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};

/// A way of writing a date, time or timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) data_type: &'static str,
    /// `None` for the type's own format.
    pub(super) format: Option<&'static str>,
    /// The way with day and month exchanged.
    pub(super) twin: Option<&'static str>,
}

const fn date(format: &'static str, twin: Option<&'static str>) -> Way {
    Way { data_type: "date", format: Some(format), twin }
}

const fn stamp(format: &'static str, twin: Option<&'static str>) -> Way {
    Way { data_type: "timestamp", format: Some(format), twin }
}

pub(super) const WAYS: [Way; 37] = [
    Way { data_type: "date", format: None, twin: None },
    Way { data_type: "timestamp", format: None, twin: None },
    Way { data_type: "time", format: Some("%H:%M:%S"), twin: None },
    Way { data_type: "time", format: Some("%H:%M"), twin: None },
    stamp("%Y-%m-%d %H:%M", None),
    stamp("%Y-%m-%dT%H:%M", None),
    date("%d/%m/%Y", Some("%m/%d/%Y")),
    date("%m/%d/%Y", Some("%d/%m/%Y")),
    date("%d-%m-%Y", Some("%m-%d-%Y")),
    date("%m-%d-%Y", Some("%d-%m-%Y")),
    date("%d.%m.%Y", None),
    date("%Y/%m/%d", None),
    date("%d %b %Y", None),
    date("%b %d, %Y", None),
    date("%b %d %Y", None),
    date("%d-%b-%Y", None),
    date("%d-%b-%y", None),
    stamp("%d/%m/%Y %H:%M:%S", Some("%m/%d/%Y %H:%M:%S")),
    stamp("%m/%d/%Y %H:%M:%S", Some("%d/%m/%Y %H:%M:%S")),
    stamp("%d/%m/%Y %H:%M", Some("%m/%d/%Y %H:%M")),
    stamp("%m/%d/%Y %H:%M", Some("%d/%m/%Y %H:%M")),
    stamp("%d.%m.%Y %H:%M:%S", None),
    stamp("%d.%m.%Y %H:%M", None),
    stamp("%Y/%m/%d %H:%M:%S", None),
    stamp("%Y/%m/%d %H:%M", None),
    stamp("%d %b %Y %H:%M:%S", None),
    stamp("%d.%m.%Y %H:%M:%S%.f UTC", None),
    stamp("%m/%d/%Y %I:%M:%S %p", Some("%d/%m/%Y %I:%M:%S %p")),
    stamp("%d/%m/%Y %I:%M:%S %p", Some("%m/%d/%Y %I:%M:%S %p")),
    stamp("%m/%d/%Y %I:%M %p", Some("%d/%m/%Y %I:%M %p")),
    stamp("%d/%m/%Y %I:%M %p", Some("%m/%d/%Y %I:%M %p")),
    stamp("%d/%b/%Y:%H:%M:%S %z", None),
    stamp("%a %b %d %Y %H:%M:%S GMT%z (Coordinated Universal Time)", None),
    stamp("%a, %d %b %Y %H:%M:%S %z", None),
    date("%B %d, %Y", None),
    date("%d %B %Y", None),
    date("%Y.%m.%d", None),
];

/// How many values fit each way of [`WAYS`].
#[derive(Debug, Clone)]
pub(super) struct MomentStats {
    pub(super) fits: [u64; WAYS.len()],
    /// Texts that were tried.
    tried: u64,
    /// Timestamps without an offset.
    pub(super) no_offset: u64,
    /// Timestamps with digits finer than a microsecond.
    pub(super) too_fine: u64,
    /// Timestamps without a time of day.
    pub(super) midnights: u64,
}

impl Default for MomentStats {
    fn default() -> MomentStats {
        MomentStats { fits: [0; WAYS.len()], tried: 0, no_offset: 0, too_fine: 0, midnights: 0 }
    }
}

const LEN_MIN: usize = 5;
const LEN_MAX: usize = 64;
/// Texts after which a way that none of them fits is not tried any more.
const TRIES: u64 = 1000;

impl MomentStats {
    pub(super) fn observe(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let has_digit = bytes.iter().any(u8::is_ascii_digit);
        if !(LEN_MIN..=LEN_MAX).contains(&bytes.len()) || !has_digit {
            return;
        }
        let iso = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
        let details = if iso { Details::of(text) } else { None };
        self.tried += 1;
        for (fits, way) in self.fits.iter_mut().zip(&WAYS) {
            if self.tried > TRIES && *fits == 0 {
                continue;
            }
            let candidate = match way.format {
                None => iso,
                Some(format) => format.starts_with("%Y-") == iso,
            };
            *fits += u64::from(candidate && fits_way(text, *way, details));
        }
        if let Some(Details { has_offset, too_fine, is_midnight }) = details {
            self.no_offset += u64::from(!has_offset);
            self.too_fine += u64::from(too_fine);
            self.midnights += u64::from(is_midnight);
        }
    }

    /// How many values fit the way with this format.
    pub(super) fn fits_format(&self, format: &str) -> u64 {
        let ways = self.fits.iter().zip(&WAYS);
        ways.filter(|(_, way)| way.format == Some(format)).map(|(fits, _)| *fits).sum()
    }
}

/// Whether a text is a point in time in one of the ways.
pub(super) fn is_moment(text: &str) -> bool {
    let mut stats = MomentStats::default();
    stats.observe(text);
    stats.fits.iter().any(|fits| *fits > 0)
}

fn fits_way(text: &str, way: Way, details: Option<Details>) -> bool {
    match (way.data_type, way.format) {
        ("date", None) => is_year(iso_date(text)),
        ("date", Some(format)) => is_year(NaiveDate::parse_from_str(text, format).ok()),
        ("time", Some(format)) => NaiveTime::parse_from_str(text, format).is_ok(),
        (_, None) => details.is_some(),
        (_, Some(format)) if format.contains("%z") => {
            is_year(DateTime::parse_from_str(text, format).ok().map(|moment| moment.date_naive()))
        }
        (_, Some(format)) => {
            is_year(NaiveDateTime::parse_from_str(text, format).ok().map(|moment| moment.date()))
        }
    }
}

/// Two-digit years would pass as years of antiquity.
fn is_year(date: Option<NaiveDate>) -> bool {
    date.is_some_and(|date| (1000..=9999).contains(&date.year()))
}

/// `2026-11-23`. A format that is read anew for each value would take most of the time.
fn iso_date(text: &str) -> Option<NaiveDate> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    let year = i32::try_from(number_of(&[*y1, *y2, *y3, *y4])?).ok()?;
    NaiveDate::from_ymd_opt(year, number_of(&[*m1, *m2])?, number_of(&[*d1, *d2])?)
}

fn number_of(bytes: &[u8]) -> Option<u32> {
    let is_number = bytes.iter().all(u8::is_ascii_digit);
    is_number.then(|| bytes.iter().fold(0, |all, byte| all * 10 + u32::from(byte - b'0')))
}

/// What a timestamp of the type's own format says besides its instant.
#[derive(Debug, Clone, Copy)]
struct Details {
    has_offset: bool,
    /// Finer than a microsecond.
    too_fine: bool,
    is_midnight: bool,
}

impl Details {
    /// `None` when the text is no such timestamp.
    fn of(text: &str) -> Option<Details> {
        let (day, rest) = (text.get(..10)?, text.get(11..)?);
        let separator = text.as_bytes().get(10)?;
        let (clock, rest) = rest.split_at_checked(8)?;
        let day = iso_date(day)?;
        let [h1, h2, b':', m1, m2, b':', s1, s2] = clock.as_bytes() else { return None };
        let [hour, minute, second] =
            [[*h1, *h2], [*m1, *m2], [*s1, *s2]].map(|two| number_of(&two));
        NaiveTime::from_hms_opt(hour?, minute?, second?)?;
        if !matches!(separator, b'T' | b't' | b' ') || !(1..=9999).contains(&day.year()) {
            return None;
        }
        let (digits, offset) = match rest.strip_prefix('.') {
            Some(fraction) => {
                let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
                fraction.split_at_checked(count).filter(|(digits, _)| !digits.is_empty())?
            }
            None => ("", rest),
        };
        let has_offset = !offset.is_empty();
        let is_zero = |digit: u8| digit == b'0';
        (!has_offset || is_offset(offset)).then(|| Details {
            has_offset,
            too_fine: !digits.bytes().skip(6).all(is_zero),
            is_midnight: clock == "00:00:00" && digits.bytes().all(is_zero),
        })
    }
}

/// `Z`, `UTC`, `+01`, `-0430`, `+05:30`, `-04:56:02`, with or without blanks before it.
fn is_offset(text: &str) -> bool {
    let text = text.trim_start_matches(' ');
    if matches!(text, "Z" | "z" | "UTC" | "GMT") {
        return true;
    }
    let Some(rest) = text.strip_prefix(['+', '-']) else { return false };
    let bytes: Vec<u8> = rest.bytes().map(|b| if b.is_ascii_digit() { b'0' } else { b }).collect();
    matches!(bytes.as_slice(), b"00" | b"0000" | b"00:00" | b"00:00:00")
}
