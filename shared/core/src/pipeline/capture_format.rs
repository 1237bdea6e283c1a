//! Dates and times in object keys: `{day:%Y%m%d}`.

use chrono::NaiveDate;

use super::pattern_error::PatternError;
use crate::toml_file::problem::quoted;

/// Digits and literals of a capture's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CaptureFormat {
    parts: Vec<Part>,
    precision: Precision,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Field(Field),
    Literal(char),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Field {
    Year,
    ShortYear,
    Month,
    Day,
    DayOfYear,
    Hour,
    Minute,
    Second,
}

/// How much of a date and time the format names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Precision {
    date: Date,
    time: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Date {
    None,
    Year,
    Month,
    Day,
}

impl Field {
    const ALL: [(char, Field); 8] = [
        ('Y', Field::Year),
        ('y', Field::ShortYear),
        ('m', Field::Month),
        ('d', Field::Day),
        ('j', Field::DayOfYear),
        ('H', Field::Hour),
        ('M', Field::Minute),
        ('S', Field::Second),
    ];

    /// The digits that each place of the field can hold. Together they may still be no date.
    fn digits(self) -> &'static [(char, char)] {
        match self {
            Field::Year => &[('0', '9'), ('0', '9'), ('0', '9'), ('0', '9')],
            Field::ShortYear => &[('0', '9'), ('0', '9')],
            Field::Month => &[('0', '1'), ('0', '9')],
            Field::Day => &[('0', '3'), ('0', '9')],
            Field::DayOfYear => &[('0', '3'), ('0', '9'), ('0', '9')],
            Field::Hour => &[('0', '2'), ('0', '9')],
            Field::Minute | Field::Second => &[('0', '5'), ('0', '9')],
        }
    }

    /// Digits of an instant that any two formats agree on: 2011-11-11 11:11:11, day 315.
    fn example(self) -> &'static str {
        match self {
            Field::Year => "2011",
            Field::DayOfYear => "315",
            Field::ShortYear
            | Field::Month
            | Field::Day
            | Field::Hour
            | Field::Minute
            | Field::Second => "11",
        }
    }
}

impl CaptureFormat {
    /// Compiles strftime digits.
    pub(super) fn compile(text: &str) -> Result<CaptureFormat, PatternError> {
        const WRITE: &str = "digits of %Y %m %d %j %y %H %M %S, e.g. %Y%m%d or %Y-%m-%dT%H";
        let wrong = |what: String| PatternError { what, write: WRITE.to_owned() };
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                if matches!(c, '/' | '{' | '*' | '?') || c.is_control() {
                    return Err(wrong(format!("holds {}", quoted(&c.to_string()))));
                }
                parts.push(Part::Literal(c));
                continue;
            }
            let specifier = chars.next().map(String::from).unwrap_or_default();
            let known = Field::ALL.iter().find(|(letter, _)| specifier == letter.to_string());
            let Some((_, field)) = known else {
                return Err(wrong(format!("holds {}", quoted(&format!("%{specifier}")))));
            };
            if parts.contains(&Part::Field(*field)) {
                return Err(wrong(format!("holds %{specifier} twice")));
            }
            parts.push(Part::Field(*field));
        }
        let precision = precision(&parts).ok_or_else(|| {
            wrong(
                "names no date or time: larger parts are missing or one is named twice".to_owned(),
            )
        })?;
        Ok(CaptureFormat { parts, precision })
    }

    /// Adds the digits as a regular expression without groups.
    pub(super) fn push_regex(&self, regex: &mut String) {
        for part in &self.parts {
            match part {
                Part::Literal(c) => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
                Part::Field(field) => {
                    for (low, high) in field.digits() {
                        regex.push_str(&format!("[{low}-{high}]"));
                    }
                }
            }
        }
    }

    /// For each character: the range it is from, and the one an example shows.
    pub(super) fn places(&self) -> Vec<(char, char, char)> {
        let mut places = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(c) => places.push((*c, *c, *c)),
                Part::Field(field) => {
                    let pairs = field.digits().iter().zip(field.example().chars());
                    places.extend(pairs.map(|((low, high), example)| (*low, *high, example)));
                }
            }
        }
        places
    }

    /// ISO 8601 of text that the regular expression matched; `None` when it is no date or time.
    pub(super) fn normalise(&self, text: &str) -> Option<String> {
        let mut rest = text;
        let (mut year, mut month, mut day, mut day_of_year) = (0_i32, 1, 1, None);
        let (mut hour, mut minute, mut second) = (0_u32, 0, 0);
        for part in &self.parts {
            let field = match part {
                Part::Literal(c) => {
                    rest = rest.strip_prefix(*c)?;
                    continue;
                }
                Part::Field(field) => *field,
            };
            let (digits, after) = rest.split_at_checked(field.digits().len())?;
            rest = after;
            let number: u32 = digits.parse().ok()?;
            match field {
                Field::Year => year = i32::try_from(number).ok()?,
                // The POSIX rule for two digits.
                Field::ShortYear if number < 69 => year = i32::try_from(2000 + number).ok()?,
                Field::ShortYear => year = i32::try_from(1900 + number).ok()?,
                Field::Month => month = number,
                Field::Day => day = number,
                Field::DayOfYear => day_of_year = Some(number),
                Field::Hour => hour = number,
                Field::Minute => minute = number,
                Field::Second => second = number,
            }
        }
        let date = match day_of_year {
            Some(ordinal) => NaiveDate::from_yo_opt(year, ordinal)?,
            None => NaiveDate::from_ymd_opt(year, month, day)?,
        };
        let moment = date.and_hms_opt(hour, minute, second)?;
        let iso = match (self.precision.date, self.precision.time) {
            (Date::None, _) => "%H:%M:%S",
            (Date::Year, _) => "%Y",
            (Date::Month, _) => "%Y-%m",
            (Date::Day, false) => "%Y-%m-%d",
            (Date::Day, true) => "%Y-%m-%dT%H:%M:%S",
        };
        Some(moment.format(iso).to_string())
    }
}

/// What the parts name together, if that is a date, a time, or a shortened date.
fn precision(parts: &[Part]) -> Option<Precision> {
    let has = |field| parts.contains(&Part::Field(field));
    let year = match (has(Field::Year), has(Field::ShortYear)) {
        (true, true) => return None,
        (long, short) => long || short,
    };
    let date = match (year, has(Field::Month), has(Field::Day), has(Field::DayOfYear)) {
        (false, false, false, false) => Date::None,
        (true, false, false, false) => Date::Year,
        (true, true, false, false) => Date::Month,
        (true, true, true, false) | (true, false, false, true) => Date::Day,
        _ => return None,
    };
    let time = match (has(Field::Hour), has(Field::Minute), has(Field::Second)) {
        (false, false, false) => false,
        (true, false, false) | (true, true, _) => true,
        _ => return None,
    };
    let whole = matches!(date, Date::Day) || (matches!(date, Date::None) == time);
    whole.then_some(Precision { date, time })
}
