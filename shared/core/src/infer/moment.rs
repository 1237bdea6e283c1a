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

pub(super) const WAYS: [Way; 24] = [
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
    date("%d-%b-%Y", None),
    stamp("%d/%m/%Y %H:%M:%S", Some("%m/%d/%Y %H:%M:%S")),
    stamp("%m/%d/%Y %H:%M:%S", Some("%d/%m/%Y %H:%M:%S")),
    stamp("%d/%m/%Y %H:%M", Some("%m/%d/%Y %H:%M")),
    stamp("%m/%d/%Y %H:%M", Some("%d/%m/%Y %H:%M")),
    stamp("%d.%m.%Y %H:%M:%S", None),
    stamp("%d.%m.%Y %H:%M", None),
    stamp("%Y/%m/%d %H:%M:%S", None),
    stamp("%Y/%m/%d %H:%M", None),
    stamp("%d %b %Y %H:%M:%S", None),
];

/// How many values fit each way of [`WAYS`].
#[derive(Debug, Clone, Default)]
pub(super) struct MomentStats {
    pub(super) fits: [u64; WAYS.len()],
    /// Timestamps without an offset.
    pub(super) no_offset: u64,
    /// Timestamps with digits finer than a microsecond.
    pub(super) too_fine: u64,
}

const LEN_MIN: usize = 5;
const LEN_MAX: usize = 40;

impl MomentStats {
    pub(super) fn observe(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let has_digit = bytes.iter().any(u8::is_ascii_digit);
        if !(LEN_MIN..=LEN_MAX).contains(&bytes.len()) || !has_digit {
            return;
        }
        let iso = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
        for (fits, way) in self.fits.iter_mut().zip(&WAYS) {
            let candidate = match way.format {
                None => iso,
                Some(format) => format.starts_with("%Y-") == iso,
            };
            *fits += u64::from(candidate && fits_way(text, *way));
        }
        if iso && let Some((offset, fine)) = rfc3339_details(text) {
            self.no_offset += u64::from(!offset);
            self.too_fine += u64::from(fine);
        }
    }

    /// How many values fit the way with this format.
    pub(super) fn fits_format(&self, format: &str) -> u64 {
        let ways = self.fits.iter().zip(&WAYS);
        ways.filter(|(_, way)| way.format == Some(format)).map(|(fits, _)| *fits).sum()
    }
}

fn fits_way(text: &str, way: Way) -> bool {
    match (way.data_type, way.format) {
        ("date", None) => text.len() == 10 && is_year(NaiveDate::parse_from_str(text, "%F").ok()),
        ("date", Some(format)) => is_year(NaiveDate::parse_from_str(text, format).ok()),
        ("time", Some(format)) => NaiveTime::parse_from_str(text, format).is_ok(),
        (_, None) => rfc3339_details(text).is_some(),
        (_, Some(format)) => {
            is_year(NaiveDateTime::parse_from_str(text, format).ok().map(|moment| moment.date()))
        }
    }
}

/// Two-digit years would pass as years of antiquity.
fn is_year(date: Option<NaiveDate>) -> bool {
    date.is_some_and(|date| (1000..=9999).contains(&date.year()))
}

/// Whether an RFC 3339 timestamp has an offset, and whether it is finer than a microsecond.
fn rfc3339_details(text: &str) -> Option<(bool, bool)> {
    let time = text.get(11..)?;
    if !matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' ')) {
        return None;
    }
    let offset = DateTime::parse_from_rfc3339(text).is_ok();
    let plain = || {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").is_ok()
            || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").is_ok()
    };
    if !offset && !plain() {
        return None;
    }
    let fraction = time.split_once('.').map_or("", |(_, fraction)| fraction);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit);
    Some((offset, digits.skip(6).any(|digit| digit != b'0')))
}
