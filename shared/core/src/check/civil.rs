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

/// What becomes of digits that are finer than a microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finer {
    /// They must be zeros.
    Refuse,
    /// They are cut off.
    Cut,
}

impl Finer {
    /// Cut off where `cut`, else refused.
    pub(crate) fn when(cut: bool) -> Finer {
        if cut { Finer::Cut } else { Finer::Refuse }
    }
}

/// An optional `.` with digits at the start of `rest`: microseconds, and what follows.
#[inline]
fn fraction(rest: &[u8], finer: Finer) -> Option<(i64, &[u8])> {
    let Some((b'.', rest)) = rest.split_first() else {
        return Some((0, rest));
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = rest.split_at_checked(count)?;
    let is_exact = || digits.iter().skip(6).all(|digit| *digit == b'0');
    if digits.is_empty() || (finer == Finer::Refuse && !is_exact()) {
        return None;
    }
    let padded = digits.iter().copied().chain(std::iter::repeat(b'0')).take(6);
    Some((padded.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')), rest))
}

/// `10:11:12` with an optional fraction, in microseconds since midnight.
#[inline]
pub(crate) fn time(text: &[u8], finer: Finer) -> Option<i64> {
    let (head, rest) = text.split_first_chunk::<8>()?;
    let (micros, rest) = fraction(rest, finer)?;
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
    let (micros, rest) = fraction(rest, Finer::Refuse)?;
    let wall = i64::from(date_parts(day)?) * DAY_MICROS + clock(clock_text)? + micros;
    if rest.is_empty() {
        return Some(Instant::Wall(wall));
    }
    in_range(wall - offset(rest)?).map(Instant::Utc)
}

/// An offset from UTC at the start of `text`, blanks before it allowed: seconds east, and what follows.
///
/// `Z`, `UTC`, `GMT`; `+01`, `+0130`, `+01:30`, `+01:30:15`, with the minus sign of Unicode too.
pub(crate) fn any_offset(text: &[u8]) -> Option<(i32, &[u8])> {
    let blanks = text.iter().take_while(|byte| **byte == b' ').count();
    let text = text.get(blanks..)?;
    if let Some((name, rest)) = text.split_first_chunk::<3>()
        && (name.eq_ignore_ascii_case(b"UTC") || name.eq_ignore_ascii_case(b"GMT"))
    {
        return Some((0, rest));
    }
    let (negative, digits) = match text {
        [b'Z' | b'z', rest @ ..] => return Some((0, rest)),
        [b'+', rest @ ..] => (false, rest),
        [b'-', rest @ ..] | [0xE2, 0x88, 0x92, rest @ ..] => (true, rest),
        _ => return None,
    };
    let (hours, minutes, seconds, rest) = match digits {
        [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] => {
            (two(*h1, *h2)?, two(*m1, *m2)?, two(*s1, *s2)?, rest)
        }
        [h1, h2, b':', m1, m2, rest @ ..] => (two(*h1, *h2)?, two(*m1, *m2)?, 0, rest),
        [h1, h2, m1, m2, rest @ ..] if m1.is_ascii_digit() && m2.is_ascii_digit() => {
            (two(*h1, *h2)?, two(*m1, *m2)?, 0, rest)
        }
        [h1, h2, rest @ ..] => (two(*h1, *h2)?, 0, 0, rest),
        _ => return None,
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60 + seconds).ok()?;
    Some((if negative { -seconds } else { seconds }, rest))
}

/// A date with a time of day and perhaps an offset, as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Days since 1970-01-01.
    pub(crate) day: i32,
    /// Microseconds since midnight.
    pub(crate) clock: i64,
    /// Seconds east of UTC.
    pub(crate) offset: Option<i32>,
}

impl Stamp {
    /// The instant, or the wall clock's time where no offset is written.
    pub(crate) fn instant(self) -> Option<Instant> {
        let wall = i64::from(self.day) * DAY_MICROS + self.clock;
        match self.offset {
            None => Some(Instant::Wall(wall)),
            Some(east) => in_range(wall - i64::from(east) * 1_000_000).map(Instant::Utc),
        }
    }
}

/// [`rfc3339`] with an offset in any written form.
#[cold]
pub(crate) fn stamp(text: &[u8], finer: Finer) -> Option<Stamp> {
    let (day, rest) = text.split_first_chunk::<10>()?;
    let (separator, rest) = rest.split_first()?;
    let (clock_text, rest) = rest.split_first_chunk::<8>()?;
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let (micros, rest) = fraction(rest, finer)?;
    let (day, clock) = (date_parts(day)?, clock(clock_text)? + micros);
    if rest.is_empty() {
        return Some(Stamp { day, clock, offset: None });
    }
    let (east, rest) = any_offset(rest)?;
    rest.is_empty().then_some(Stamp { day, clock, offset: Some(east) })
}

#[cfg(test)]
mod tests;
