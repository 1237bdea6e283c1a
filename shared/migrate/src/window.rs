//! Hours of the week in which rows and schema may be changed.

use std::fmt;

use chrono::{DateTime, Datelike, Timelike, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const DAY_MINUTES: u32 = 24 * 60;
const NAMES: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Mon),
    ("Tue", Weekday::Tue),
    ("Wed", Weekday::Wed),
    ("Thu", Weekday::Thu),
    ("Fri", Weekday::Fri),
    ("Sat", Weekday::Sat),
    ("Sun", Weekday::Sun),
];

/// `Sat 02:00-06:00 UTC`, `Mon-Fri 22:00-05:00 UTC` or `daily 01:00-03:00 UTC`. An end before the start is
/// on the day after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    text: String,
    /// Days on which it opens, Monday first.
    days: [bool; 7],
    /// Minute of the day.
    start: u32,
    /// Minutes that it is open.
    length: u32,
}

impl Window {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Window> {
        let mut words = text.split_whitespace();
        let (days, hours, zone) = (words.next()?, words.next()?, words.next()?);
        if zone != "UTC" || words.next().is_some() {
            return None;
        }
        let (from, to) = hours.split_once('-')?;
        let (start, end) = (minute(from)?, minute(to)?);
        let length = if end > start { end - start } else { end + DAY_MINUTES - start };
        Some(Window { text: text.to_owned(), days: read_days(days)?, start, length })
    }

    /// Seconds until it is open, from a moment in milliseconds since 1970; 0 while it is.
    pub fn opens_in(&self, now_ms: u64) -> u64 {
        let seconds = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
        let Some(now) = DateTime::from_timestamp(seconds, 0) else { return u64::MAX };
        let today = now.weekday().num_days_from_monday();
        let second = u64::from(now.num_seconds_from_midnight());
        let (start, length) = (u64::from(self.start) * 60, u64::from(self.length) * 60);
        let opens_on = |day: u32| {
            let at = usize::try_from(day % 7).unwrap_or(0);
            self.days.get(at).copied().unwrap_or(false)
        };
        let day_seconds = u64::from(DAY_MINUTES) * 60;
        let since_yesterday = second + day_seconds - start;
        if opens_on(today + 6) && since_yesterday < length {
            return 0;
        }
        if opens_on(today) && second >= start && second - start < length {
            return 0;
        }
        let ahead = (0..=7).filter(|day| opens_on(today + day));
        let waits = ahead.map(|day| (u64::from(day) * day_seconds + start).checked_sub(second));
        waits.flatten().find(|wait| *wait > 0).unwrap_or(u64::MAX)
    }
}

fn minute(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

fn read_days(text: &str) -> Option<[bool; 7]> {
    let position = |name: &str| NAMES.iter().position(|(known, _)| *known == name);
    if text == "daily" {
        return Some([true; 7]);
    }
    let mut days = [false; 7];
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (position(from)?, position(to)?);
    for step in 0..7 {
        let at = (from + step) % 7;
        *days.get_mut(at)? = true;
        if at == to {
            break;
        }
    }
    Some(days)
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Window, D::Error> {
        let text = String::deserialize(deserializer)?;
        Window::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text} is no window; write \"Sat 02:00-06:00 UTC\", \"Mon-Fri 22:00-05:00 UTC\" or \
                 \"daily 01:00-03:00 UTC\""
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use rowproof_core::time::EpochSeconds;

    use super::*;

    fn wait(window: &str, at: &str) -> u64 {
        let now = EpochSeconds::parse(at).unwrap().0;
        Window::parse(window).unwrap().opens_in(u64::try_from(now).unwrap() * 1000)
    }

    /// 2026-03-07 is a Saturday.
    #[test]
    fn a_window_is_open_within_its_hours_on_its_days() {
        for (window, at, seconds) in [
            ("Sat 02:00-06:00 UTC", "2026-03-07T02:00:00Z", 0),
            ("Sat 02:00-06:00 UTC", "2026-03-07T05:59:59Z", 0),
            ("Sat 02:00-06:00 UTC", "2026-03-07T06:00:00Z", 7 * 86_400 - 4 * 3_600),
            ("Sat 02:00-06:00 UTC", "2026-03-06T02:00:00Z", 86_400),
            ("Fri 22:00-05:00 UTC", "2026-03-07T04:00:00Z", 0),
            ("Sat-Mon 22:00-05:00 UTC", "2026-03-09T23:00:00Z", 0),
            ("Sat-Mon 22:00-05:00 UTC", "2026-03-10T23:00:00Z", 4 * 86_400 - 3_600),
            ("daily 01:00-03:00 UTC", "2026-03-07T00:59:30Z", 30),
            ("daily 00:00-00:00 UTC", "2026-03-07T00:00:00Z", 0),
        ] {
            assert_eq!(wait(window, at), seconds, "{window} at {at}");
        }
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "Sat",
            "Sat 02:00-06:00",
            "Sat 2-6 UTC",
            "Sam 02:00-06:00 UTC",
            "Sat 25:00-06:00 UTC",
            "Sat 02:00-06:00 CET",
            "Sat 02:00-06:00 UTC now",
        ] {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }
}
