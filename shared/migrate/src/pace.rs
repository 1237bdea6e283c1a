//! How large a batch is and how long the next one waits.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Backfill;
use crate::progress::Progress;

/// Batches that a percentile is of.
const KEPT: usize = 50;
/// Weight of the newest batch in moving averages.
const WEIGHT: f64 = 0.1;

/// Times of the last batches.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    last_ms: VecDeque<f64>,
}

impl Pace {
    /// Takes a batch's time in; the next one's size follows.
    pub(crate) fn take(&mut self, progress: &mut Progress, limits: &Backfill, ms: f64) {
        self.last_ms.push_back(ms);
        if self.last_ms.len() > KEPT {
            self.last_ms.pop_front();
        }
        let mut sorted: Vec<f64> = self.last_ms.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() * 99).div_ceil(100).saturating_sub(1);
        progress.p99_ms = sorted.get(at).copied().unwrap_or(ms);
        progress.batch_ms = moved(progress.batch_ms, ms);
        progress.batch_size = next_size(progress.batch_size, limits, ms);
    }

    /// Takes in how many rows a time brought, waits included.
    pub(crate) fn rate(progress: &mut Progress, rows: u64, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        if seconds <= 0.0 || rows == 0 {
            return;
        }
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let now = f64::from(rows) / seconds;
        let off = (now - progress.rate).abs();
        progress.rate_deviation =
            if progress.rate == 0.0 { 0.0 } else { moved(progress.rate_deviation, off) };
        progress.rate = moved(progress.rate, now);
    }
}

/// What a step may take, in milliseconds, by what the last ones took.
pub(crate) fn worst_ms(progress: &Progress) -> u64 {
    let ms = 3.0 * progress.p99_ms.max(progress.batch_ms);
    Duration::try_from_secs_f64(ms / 1000.0)
        .map_or(u64::MAX, |worst| u64::try_from(worst.as_millis()).unwrap_or(u64::MAX))
}

/// The wait after a batch, so that it ran for its share of the time.
pub(crate) fn wait_after(limits: &Backfill, ms: f64) -> Duration {
    let seconds = ms / 1000.0 * (1.0 - limits.duty) / limits.duty;
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn moved(average: f64, new: f64) -> f64 {
    if average == 0.0 { new } else { average + WEIGHT * (new - average) }
}

/// Up slowly and down fast. A batch below the minimum, which a failing row made small, grows back.
fn next_size(size: u32, limits: &Backfill, ms: f64) -> u32 {
    let target = f64::from(limits.target_ms);
    let up = size.saturating_add(size.div_ceil(10).saturating_mul(3));
    if size < limits.min {
        return size.saturating_mul(2).min(limits.min);
    }
    if ms <= target * 0.8 {
        up.clamp(limits.min, limits.max)
    } else if ms > target * 1.25 {
        (size / 2).clamp(limits.min, limits.max)
    } else {
        size.clamp(limits.min, limits.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Direction;

    #[test]
    fn a_batch_grows_until_it_takes_its_time_and_halves_when_it_takes_too_long() {
        let limits = Backfill::default();
        for (size, ms, next) in [
            (1_000, 10.0, 1_300),
            (1_000, 50.0, 1_000),
            (1_000, 200.0, 500),
            (150, 200.0, 100),
            (100, 200.0, 100),
            (19_000, 1.0, 20_000),
            (1, 1.0, 2),
            (64, 500.0, 100),
        ] {
            assert_eq!(next_size(size, &limits, ms), next, "{size} in {ms} ms");
        }
    }

    #[test]
    fn the_time_that_a_step_may_take_comes_from_the_slowest() {
        let limits = Backfill::default();
        let mut progress = Progress::new(Direction::Forward, vec![], None, 1_000, None);
        let mut pace = Pace::default();
        for _ in 0..98 {
            pace.take(&mut progress, &limits, 40.0);
        }
        pace.take(&mut progress, &limits, 400.0);
        assert_eq!(worst_ms(&progress), 1_200);
        assert_eq!(wait_after(&limits, 40.0), Duration::from_millis(40));
        assert_eq!(wait_after(&Backfill { duty: 1.0, ..limits }, 40.0), Duration::ZERO);
    }
}
