//! A time that passes only when a simulation says so.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The time of one simulation, and who waits for which part of it.
#[derive(Debug)]
pub struct Timeline(Mutex<State>);

#[derive(Debug)]
struct State {
    now_ms: u64,
    /// By the time they wait for, then in the order in which they began to.
    waiting: BTreeMap<(u64, u64), Waker>,
    next: u64,
}

impl Timeline {
    /// Begins at `epoch_ms`, in milliseconds since 1970. It is never freed: a clock is copied
    /// everywhere, and a simulation needs one.
    pub fn new(epoch_ms: u64) -> &'static Timeline {
        let state = State { now_ms: epoch_ms, waiting: BTreeMap::new(), next: 0 };
        Box::leak(Box::new(Timeline(Mutex::new(state))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.state().now_ms
    }

    /// The earliest time that anybody waits for.
    pub fn next_ms(&self) -> Option<u64> {
        self.state().waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Sets the time, never back. Wakes nobody.
    pub fn set(&self, to_ms: u64) {
        let mut state = self.state();
        state.now_ms = state.now_ms.max(to_ms);
    }

    /// Wakes the first of those whose time has come; `false` when there is none. One at a time, so
    /// that each goes on alone.
    pub fn wake(&self) -> bool {
        let mut state = self.state();
        let now = state.now_ms;
        let entry = state.waiting.first_entry().filter(|entry| entry.key().0 <= now);
        let waker = entry.map(|entry| entry.remove());
        drop(state);
        waker.map(Waker::wake).is_some()
    }

    /// Waits so long. Nobody is woken when the future is dropped before.
    pub async fn sleep(&'static self, duration: Duration) {
        let until =
            self.now_ms().saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        Sleep { timeline: self, until, place: None }.await;
    }
}

struct Sleep {
    timeline: &'static Timeline,
    until: u64,
    place: Option<(u64, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.timeline.state();
        if state.now_ms >= self.until {
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or((self.until, state.next));
        state.next += 1;
        state.waiting.insert(place, context.waker().clone());
        drop(state);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.timeline.state().waiting.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn time_passes_only_when_it_is_told_to() {
        let timeline = Timeline::new(1_000);
        let slept = tokio::spawn(timeline.sleep(Duration::from_millis(50)));
        tokio::task::yield_now().await;
        assert_eq!((timeline.now_ms(), timeline.next_ms()), (1_000, Some(1_050)));
        timeline.set(1_049);
        assert!(!timeline.wake());
        timeline.set(1_050);
        assert!(timeline.wake());
        slept.await.unwrap();
        assert_eq!((timeline.now_ms(), timeline.next_ms()), (1_050, None));
        timeline.set(5);
        assert_eq!(timeline.now_ms(), 1_050, "time never goes back");
    }

    #[tokio::test]
    async fn who_gave_up_waiting_is_forgotten() {
        let timeline = Timeline::new(0);
        let slept = tokio::spawn(timeline.sleep(Duration::from_secs(1)));
        tokio::task::yield_now().await;
        slept.abort();
        assert!(slept.await.is_err());
        assert_eq!(timeline.next_ms(), None);
    }
}
