//! The one slot, its objects, and the clocks of the model.

use std::collections::BTreeMap;

use rowproof_core::ids::{ObjectVersion, SlotId, job_id};
use rowproof_core::ledger::{Failure, JobFacts, LEASE_SECONDS, PlanRef};
use rowproof_core::time::EpochSeconds;

/// What an honest clock says.
pub(crate) const NOW: EpochSeconds = EpochSeconds(1_000_000);

/// When a lease ends that was taken or renewed last.
pub(crate) const LIVE: EpochSeconds = EpochSeconds(NOW.0 + LEASE_SECONDS);

/// When a lease ended whose time has passed.
pub(crate) const PAST: EpochSeconds = EpochSeconds(NOW.0 - LEASE_SECONDS);

/// What a clock says that is a day fast: every lease seems over.
pub(crate) const FAST: EpochSeconds = EpochSeconds(NOW.0 + 86_400);

/// One version of an object: its entity tag and when S3 stored it. The totals of a job whose tag begins
/// with "bad" are over the limit of `hold_if`.
pub(crate) type Version = (&'static str, i64);

pub(crate) fn slot_id() -> SlotId {
    SlotId("slot".into())
}

pub(crate) fn object(key: u8, version: Version) -> ObjectVersion {
    ObjectVersion {
        bucket: "in".into(),
        key: ["a.csv", "b.csv", "c.csv"][usize::from(key)].into(),
        etag: version.0.into(),
        size: 100,
        version_id: None,
        last_modified: EpochSeconds(version.1),
    }
}

pub(crate) fn facts(object: ObjectVersion, generation: i64) -> JobFacts {
    JobFacts {
        job: job_id(&slot_id(), &object, generation),
        slot: slot_id(),
        generation,
        pipeline: "orders".into(),
        pipeline_sha: "sha".into(),
        object,
        captures: BTreeMap::new(),
        created_at: NOW,
        replay: None,
        reverts: None,
    }
}

pub(crate) fn plan_ref(plan: u8) -> PlanRef {
    PlanRef { key: format!("_plans/{plan}"), sha256: plan.to_string() }
}

pub(crate) fn failure(code: &str) -> Failure {
    Failure { code: code.into(), message: code.into() }
}
