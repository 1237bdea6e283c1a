//! Limits that an operator may change while a migration runs. They are kept in the database: the folder's
//! checksum stays as it was.

use serde::{Deserialize, Serialize};

use crate::config::{Backfill, Config, OnSignalMissing, Throttle};
use crate::values::Span;

/// New limits; what is not given stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThrottleChange {
    /// As `backfill.target_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_ms: Option<u32>,
    /// As `backfill.max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// As `backfill.duty`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duty: Option<f64>,
    /// As `throttle.max_replica_lag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_replica_lag: Option<Span>,
    /// As `throttle.max_lock_waiters`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lock_waiters: Option<u32>,
    /// As `throttle.pause_on_autovacuum`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_on_autovacuum: Option<bool>,
    /// As `throttle.max_slot_wal_mb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_slot_wal_mb: Option<u64>,
    /// As `throttle.max_snapshot_age`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_snapshot_age: Option<Span>,
    /// As `throttle.on_signal_missing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_signal_missing: Option<OnSignalMissing>,
}

impl ThrottleChange {
    /// All limits as they are.
    pub(crate) fn of(backfill: &Backfill, throttle: &Throttle) -> ThrottleChange {
        ThrottleChange {
            target_ms: Some(backfill.target_ms),
            max: Some(backfill.max),
            duty: Some(backfill.duty),
            max_replica_lag: Some(throttle.max_replica_lag),
            max_lock_waiters: Some(throttle.max_lock_waiters),
            pause_on_autovacuum: Some(throttle.pause_on_autovacuum),
            max_slot_wal_mb: Some(throttle.max_slot_wal_mb),
            max_snapshot_age: Some(throttle.max_snapshot_age),
            on_signal_missing: Some(throttle.on_signal_missing),
        }
    }

    /// What is wrong with it: the key, and what to write.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        if self.duty.is_some_and(|duty| !(duty > 0.0 && duty <= 1.0)) {
            return Some("duty: write a number above 0 and at most 1, such as 0.5");
        }
        if self.target_ms == Some(0) {
            return Some("target_ms: write milliseconds above 0, such as 50");
        }
        (self.max == Some(0)).then_some("max: write at least 1")
    }

    /// Puts the new limits over the old ones.
    fn apply(&self, backfill: &mut Backfill, throttle: &mut Throttle) {
        set(&mut backfill.target_ms, self.target_ms);
        set(&mut backfill.max, self.max);
        backfill.min = backfill.min.min(backfill.max);
        set(&mut backfill.duty, self.duty);
        set(&mut throttle.max_replica_lag, self.max_replica_lag);
        set(&mut throttle.max_lock_waiters, self.max_lock_waiters);
        set(&mut throttle.pause_on_autovacuum, self.pause_on_autovacuum);
        set(&mut throttle.max_slot_wal_mb, self.max_slot_wal_mb);
        set(&mut throttle.max_snapshot_age, self.max_snapshot_age);
        set(&mut throttle.on_signal_missing, self.on_signal_missing);
    }
}

/// The folder's limits, with what an operator changed.
pub(crate) fn in_force(config: &Config, change: Option<&ThrottleChange>) -> (Backfill, Throttle) {
    let (mut backfill, mut throttle) = (config.backfill.clone(), config.throttle.clone());
    if let Some(change) = change {
        change.apply(&mut backfill, &mut throttle);
    }
    (backfill, throttle)
}

fn set<T>(place: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *place = new;
    }
}
