//! How fast requests are sent.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So many a second, minute or hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    every: Duration,
}

/// Reads `5/s`, `0.5/s`, `30/min`, `100/h`; a bare number means a second.
pub(crate) fn parse(text: &str) -> Result<Rate, String> {
    let bad = || format!("`{text}` is not a rate: give for example 5/s, 30/min or 100/h");
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match unit.trim() {
        "s" => 1.0,
        "min" | "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(bad()),
    };
    let number: f64 = number.trim().parse().map_err(|_| bad())?;
    if number.is_nan() || number <= 0.0 {
        return Err(bad());
    }
    let every = Duration::try_from_secs_f64(seconds / number).map_err(|_| bad())?;
    Ok(Rate { every })
}

/// Spreads requests over time.
#[derive(Debug)]
pub(crate) struct Pace {
    every: Duration,
    next: Option<Instant>,
}

impl Pace {
    /// As fast as it goes without a rate.
    pub(crate) fn new(rate: Option<Rate>) -> Pace {
        Pace { every: rate.map_or(Duration::ZERO, |rate| rate.every), next: None }
    }

    /// Returns when the next request may be sent; the first at once.
    pub(crate) async fn wait(&mut self) {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
        self.next = Some(Instant::now() + self.every);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_with_and_without_a_unit() {
        let every = |text| parse(text).map(|rate| rate.every.as_millis());
        assert_eq!(every("5/s"), Ok(200));
        assert_eq!(every("4"), Ok(250));
        assert_eq!(every("0.5/s"), Ok(2_000));
        assert_eq!(every("30/min"), Ok(2_000));
        assert_eq!(every("3600/h"), Ok(1_000));
        for text in ["", "fast", "0/s", "-1/s", "5/day", "1e-300/h", "nan"] {
            assert!(parse(text).unwrap_err().contains("give for example 5/s"), "{text}");
        }
    }
}
