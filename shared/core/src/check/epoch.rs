//! Numbers that count from 1970-01-01T00:00:00Z.

use super::civil::{self, Finer};
use super::number;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Millis,
    Micros,
    Nanos,
}

/// Digits of a 38-digit decimal: as many as there are.
const PRECISION: u8 = 38;

impl Unit {
    /// `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns`.
    pub(crate) fn of_word(word: &str) -> Option<Unit> {
        match word {
            "epoch_s" => Some(Unit::Seconds),
            "epoch_ms" => Some(Unit::Millis),
            "epoch_us" => Some(Unit::Micros),
            "epoch_ns" => Some(Unit::Nanos),
            _ => None,
        }
    }

    /// Digits after the point down to a microsecond.
    fn scale(self) -> u8 {
        match self {
            Unit::Seconds => 6,
            Unit::Millis => 3,
            Unit::Micros | Unit::Nanos => 0,
        }
    }

    /// Microseconds since 1970 UTC in the years 0001 to 9999. There is no exponent: programs that write
    /// one have lost digits.
    #[inline]
    pub(crate) fn parse(self, text: &[u8], finer: Finer) -> Option<i64> {
        let count = match number::plain_decimal(text, PRECISION, self.scale()) {
            Some(count) => count,
            None if finer == Finer::Cut => floor(text, self.scale())?,
            None => return None,
        };
        let micros = match self {
            Unit::Nanos if finer == Finer::Refuse && count % 1000 != 0 => return None,
            Unit::Nanos => count.div_euclid(1000),
            Unit::Seconds | Unit::Millis | Unit::Micros => count,
        };
        civil::in_range(i64::try_from(micros).ok()?)
    }
}

/// The decimal without its digits after the scale, which lead down to the smaller number.
#[cold]
fn floor(text: &[u8], scale: u8) -> Option<i128> {
    let point = text.iter().position(|byte| *byte == b'.')?;
    let (kept, cut) = text.split_at_checked(point + 1 + usize::from(scale))?;
    if !cut.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = number::plain_decimal(kept, PRECISION, scale)?;
    let below = kept.first() == Some(&b'-') && !number::is_zero(cut);
    Some(count - i128::from(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_to_the_microsecond() {
        use Unit::{Micros, Millis, Nanos, Seconds};
        let noon = 1_795_435_200_000_000;
        for (unit, text, exact, cut) in [
            (Seconds, "1795435200", Some(noon), Some(noon)),
            (Seconds, "1795435200.5", Some(noon + 500_000), Some(noon + 500_000)),
            (Seconds, "-1", Some(-1_000_000), Some(-1_000_000)),
            (Seconds, "1795435200.0000001", None, Some(noon)),
            (Seconds, "-0.0000001", None, Some(-1)),
            (Seconds, "-0.0000000", Some(0), Some(0)),
            (Seconds, "253402300800", None, None),
            (Seconds, "1e9", None, None),
            (Millis, "1795435200001", Some(noon + 1000), Some(noon + 1000)),
            (Millis, "1795435200001.5", Some(noon + 1500), Some(noon + 1500)),
            (Millis, "1795435200001.5005", None, Some(noon + 1500)),
            (Millis, "9223372036854775807", None, None),
            (Micros, "1795435200000001", Some(noon + 1), Some(noon + 1)),
            (Micros, "1795435200000001.0", Some(noon + 1), Some(noon + 1)),
            (
                Micros,
                "-62135596800000000",
                Some(-62_135_596_800_000_000),
                Some(-62_135_596_800_000_000),
            ),
            (Nanos, "1795435200000001000", Some(noon + 1), Some(noon + 1)),
            (Nanos, "1795435200000001001", None, Some(noon + 1)),
            (Nanos, "-1", None, Some(-1)),
            (Nanos, "-1000", Some(-1), Some(-1)),
            (
                Nanos,
                "253402300799999999000",
                Some(253_402_300_799_999_999),
                Some(253_402_300_799_999_999),
            ),
            (Nanos, "", None, None),
            (Nanos, "x", None, None),
            (Seconds, "1.x", None, None),
            (Seconds, "1.0000000x", None, None),
        ] {
            assert_eq!(unit.parse(text.as_bytes(), Finer::Refuse), exact, "{text}");
            assert_eq!(unit.parse(text.as_bytes(), Finer::Cut), cut, "{text}");
        }
    }
}
