//! Local times of a zone to instants, also those that the zone has twice or never.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset as _, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

use super::civil;
use super::finding::Finding;
use crate::pipeline::LocalTime;

/// What local times are told by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    zone: Option<Tz>,
    doubtful: LocalTime,
}

impl WallClock {
    /// `doubtful`: what a time is that the zone has twice or never.
    pub(crate) fn new(zone: Option<Tz>, doubtful: LocalTime) -> WallClock {
        WallClock { zone, doubtful }
    }

    /// Whether a time without an offset can be read at all.
    pub(crate) fn has_zone(self) -> bool {
        self.zone.is_some()
    }

    /// The instant at which clocks in the zone show this, in microseconds since 1970 UTC.
    pub(crate) fn utc(self, micros: i64) -> Option<i64> {
        let zone = self.zone?;
        if zone == Tz::UTC {
            return civil::in_range(micros);
        }
        let wall = DateTime::<Utc>::from_timestamp_micros(micros)?.naive_utc();
        let instant = match zone.from_local_datetime(&wall) {
            MappedLocalTime::Single(instant) => instant.timestamp_micros(),
            MappedLocalTime::Ambiguous(one, other) => {
                self.choose(one.timestamp_micros(), other.timestamp_micros())?
            }
            MappedLocalTime::None => {
                let (before, after) = around_gap(zone, wall)?;
                self.choose(micros - before, micros - after)?
            }
        };
        civil::in_range(instant)
    }

    fn choose(self, one: i64, other: i64) -> Option<i64> {
        match self.doubtful {
            LocalTime::Reject => None,
            LocalTime::Earlier => Some(one.min(other)),
            LocalTime::Later => Some(one.max(other)),
        }
    }

    /// Why the local time is no instant.
    pub(crate) fn finding(self, micros: i64) -> Option<Finding> {
        let Some(zone) = self.zone else { return Some(Finding::NoOffset) };
        let wall = DateTime::<Utc>::from_timestamp_micros(micros)?.naive_utc();
        match zone.from_local_datetime(&wall) {
            MappedLocalTime::Single(_) => None,
            MappedLocalTime::Ambiguous(..) => Some(Finding::Twice),
            MappedLocalTime::None => Some(Finding::Never),
        }
    }
}

/// The offsets before and after the gap that the local time is in, in microseconds east of UTC.
fn around_gap(zone: Tz, wall: NaiveDateTime) -> Option<(i64, i64)> {
    let gap = GapInfo::new(&wall, &zone)?;
    let (_, before) = gap.begin?;
    let after = gap.end?;
    let micros = |seconds: i32| i64::from(seconds) * 1_000_000;
    Some((micros(before.fix().local_minus_utc()), micros(after.offset().fix().local_minus_utc())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        let wall = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").unwrap();
        wall.and_utc().timestamp_micros()
    }

    #[test]
    fn a_local_time_that_is_there_twice_or_never_is_read_as_declared() {
        let (berlin, angeles) = (Tz::Europe__Berlin, Tz::America__Los_Angeles);
        for (zone, wall, finding, earlier, later) in [
            (
                angeles,
                "2010-03-14T02:30:00",
                Finding::Never,
                "2010-03-14T09:30:00",
                "2010-03-14T10:30:00",
            ),
            (
                angeles,
                "2010-11-07T01:30:00",
                Finding::Twice,
                "2010-11-07T08:30:00",
                "2010-11-07T09:30:00",
            ),
            (
                berlin,
                "2026-03-29T02:00:00",
                Finding::Never,
                "2026-03-29T00:00:00",
                "2026-03-29T01:00:00",
            ),
            (
                berlin,
                "2026-10-25T02:59:59",
                Finding::Twice,
                "2026-10-25T00:59:59",
                "2026-10-25T01:59:59",
            ),
            // Clocks went on by half an hour.
            (
                Tz::Australia__Lord_Howe,
                "2026-10-04T02:15:00",
                Finding::Never,
                "2026-10-03T15:15:00",
                "2026-10-03T15:45:00",
            ),
            // A day that Samoa left out.
            (
                Tz::Pacific__Apia,
                "2011-12-30T12:00:00",
                Finding::Never,
                "2011-12-29T22:00:00",
                "2011-12-30T22:00:00",
            ),
        ] {
            let read = |doubtful| WallClock::new(Some(zone), doubtful).utc(micros(wall));
            assert_eq!(read(LocalTime::Reject), None, "{wall}");
            assert_eq!(read(LocalTime::Earlier), Some(micros(earlier)), "{wall}");
            assert_eq!(read(LocalTime::Later), Some(micros(later)), "{wall}");
            let found = WallClock::new(Some(zone), LocalTime::Reject).finding(micros(wall));
            assert_eq!(found, Some(finding), "{wall}");
        }
    }

    #[test]
    fn other_local_times_are_read_alike() {
        for doubtful in [LocalTime::Reject, LocalTime::Earlier, LocalTime::Later] {
            let clock = WallClock::new(Some(Tz::Europe__Berlin), doubtful);
            let wall = micros("2026-11-23T13:00:00");
            assert_eq!(clock.utc(wall), Some(micros("2026-11-23T12:00:00")));
            assert_eq!(clock.finding(wall), None);
        }
        let none = WallClock::new(None, LocalTime::Later);
        assert_eq!((none.utc(0), none.finding(0)), (None, Some(Finding::NoOffset)));
    }
}
