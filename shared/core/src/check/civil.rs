//! ISO 8601 and RFC 3339 text to days and microseconds, in the proleptic Gregorian calendar.

/// Microseconds of a day.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
/// 0001-01-01T00:00:00Z in microseconds.
const FIRST_MICROS: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z in microseconds.
const LAST_MICROS: i64 = 253_402_300_799_999_999;

/// The instant, if it is in the years 0001 to 9999 UTC, in microseconds since 1970.
#[inline]
pub(crate) fn in_range(micros: i64) -> Option<i64> {
    (FIRST_MICROS..=LAST_MICROS).contains(&micros).then_some(micros)
}

/// Two digits.
#[inline]
fn two(high: u8, low: u8) -> Option<u32> {
    let (high, low) = (high.wrapping_sub(b'0'), low.wrapping_sub(b'0'));
    (high <= 9 && low <= 9).then(|| u32::from(high) * 10 + u32::from(low))
}

fn days_in_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a valid date of the years 1 to 9999.
///
/// The year starts in March, so that the leap day is its last and months have a linear start.
#[inline]
fn days(year: u32, month: u32, day: u32) -> i32 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    #[allow(clippy::cast_possible_wrap, reason = "below 3.7 million")]
    let days = days as i32;
    days - 719_468
}

#[inline]
fn date_parts(text: &[u8; 10]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let known = year >= 1 && (1..=12).contains(&month) && day >= 1;
    if !known || (day > 28 && day > days_in_month(year, month)) {
        return None;
    }
    Some(days(year, month, day))
}

/// `2026-11-23` as days since 1970-01-01; years 0001 to 9999.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    date_parts(text.try_into().ok()?)
}

/// `10:11:12` in microseconds since midnight; neither hour 24 nor second 60.
#[inline]
fn clock(text: &[u8; 8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *text else {
        return None;
    };
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(i64::from(hour * 3600 + minute * 60 + second) * 1_000_000)
}

/// An optional `.` with digits at the start of `rest`: microseconds, and what follows.
/// Digits after the sixth must be zeros.
#[inline]
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = rest.split_first() else {
        return Some((0, rest));
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(count)?;
    if digits.is_empty() || digits.iter().skip(6).any(|digit| *digit != b'0') {
        return None;
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    Some((padded.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')), rest))
}

/// `10:11:12` with an optional fraction, in microseconds since midnight.
#[inline]
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    let (head, rest) = text.split_first_chunk::<8>()?;
    let (micros, rest) = fraction(rest)?;
    let clock = clock(head)?;
    rest.is_empty().then_some(clock + micros)
}

/// `Z` or `+01:30`, in microseconds east of UTC.
#[inline]
fn offset(text: &[u8]) -> Option<i64> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let micros = i64::from(hours * 3600 + minutes * 60) * 1_000_000;
            Some(if sign == b'-' { -micros } else { micros })
        }
        _ => None,
    }
}

/// What an RFC 3339 text says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Instant {
    /// Microseconds since 1970 UTC.
    Utc(i64),
    /// No offset was written: microseconds since 1970 on the wall clock of some zone.
    Wall(i64),
}

/// `2026-11-23T10:11:12Z` and its variants: `T`, `t` or a space, a fraction, `Z` or an offset.
#[inline]
pub(crate) fn rfc3339(text: &[u8]) -> Option<Instant> {
    let (day, rest) = text.split_first_chunk::<10>()?;
    let (separator, rest) = rest.split_first()?;
    let (clock_text, rest) = rest.split_first_chunk::<8>()?;
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (micros, rest) = fraction(rest)?;
    let wall = i64::from(date_parts(day)?) * DAY_MICROS + clock(clock_text)? + micros;
    if rest.is_empty() {
        return Some(Instant::Wall(wall));
    }
    in_range(wall - offset(rest)?).map(Instant::Utc)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for text in
            ["24:00:00", "23:60:00", "23:59:60", "1:00:00", "10:00", "10:00:00.", "10:00:00Z"]
        {
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
}
