//! SLOT: which version of which object owns the slot's rows, and which one is committed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::due_shard;
use super::item::{BadItem, Fields, Guard, Item, Key, Value, Write, json};
use super::job::{Job, JobFacts};
use crate::ids::{JobId, ObjectVersion, SlotId, job_id};
use crate::time::EpochSeconds;

/// What is stored about a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its id.
    pub slot: SlotId,
    /// Changes of the head so far; the compare-and-swap of T1 and T17.
    pub rev: i64,
    /// Generation of the head job.
    pub generation: i64,
    /// Job of the newest observed version.
    pub head_job: JobId,
    /// [`ObjectVersion::identity`] of it.
    pub head_version: String,
    /// `s3://` URI of it.
    pub head_uri: String,
    /// When S3 stored it.
    pub head_modified: EpochSeconds,
    /// Generation of the committed job, 0 before the first commit.
    pub committed_generation: i64,
    /// The committed job.
    pub committed_job: Option<JobId>,
    /// Key of the committed job's manifest.
    pub manifest: Option<String>,
    /// Set while the head is a job that an operator went back to.
    pub reverted: Option<Reverted>,
}

/// What an operator went back from, and to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverted {
    /// URI of the version that is not wanted: seen again, it is no news.
    pub from_uri: String,
    /// [`ObjectVersion::identity`] of it.
    pub from_version: String,
    /// The earlier job whose rows came back.
    pub to: JobId,
}

/// What T1 decides about an observed version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It becomes the head, as this job of this generation, if the write stands.
    NewHead {
        /// T1 or T17.
        write: Box<Write>,
        /// The new head job.
        job: JobId,
        /// Its generation.
        generation: i64,
    },
    /// It is the head; its job goes on.
    IsHead {
        /// The head job.
        job: JobId,
        /// Its generation.
        generation: i64,
    },
    /// A later file of another key holds the slot: this one is superseded at birth.
    Older,
    /// An operator went back from this very version to the head's.
    Reverted,
}

impl Slot {
    /// Where a slot is stored.
    pub fn key(slot: &SlotId) -> Key {
        Key { pk: format!("S#{slot}"), sk: "S".into() }
    }

    /// Reads a stored item.
    pub fn from_item(item: &Item) -> Result<Slot, BadItem> {
        let fields = Fields(item);
        Ok(Slot {
            slot: SlotId(fields.need_text("slot")?.to_owned()),
            rev: fields.need_number("rev")?,
            generation: fields.need_number("gen")?,
            head_job: JobId(fields.need_text("head_job")?.to_owned()),
            head_version: fields.need_text("head_version")?.to_owned(),
            head_uri: fields.need_text("head_uri")?.to_owned(),
            head_modified: EpochSeconds(fields.need_number("head_modified")?),
            committed_generation: fields.number("committed_gen").unwrap_or(0),
            committed_job: fields.text("committed_job").map(|job| JobId(job.to_owned())),
            manifest: fields.text("manifest").map(str::to_owned),
            reverted: fields.text("reverted").map(|_| fields.need_json("reverted")).transpose()?,
        })
    }

    /// Whether an operator went back from `object`.
    pub fn was_reverted(&self, object: &ObjectVersion) -> bool {
        self.reverted.as_ref().is_some_and(|reverted| {
            reverted.from_uri == object.uri() && reverted.from_version == object.identity()
        })
    }

    /// Whether `object` is what the head stands for.
    pub fn is_head(&self, object: &ObjectVersion) -> bool {
        self.head_uri == object.uri() && self.head_version == object.identity()
    }

    /// Whether `object`, of another key than the head, is later by (last modified, URI).
    fn is_later(&self, object: &ObjectVersion) -> bool {
        let uri = object.uri();
        (object.last_modified, uri.as_str()) > (self.head_modified, self.head_uri.as_str())
    }
}

/// T1, read then HEAD then swap: what an observed version is to its slot.
///
/// `object` must come from a HEAD made after `slot` was read: if the swap succeeds, nothing newer was
/// installed in between, and S3 had this version as current after the read. A head of another key can
/// only be replaced by a later file, so a repeated event of an older file never takes the slot back.
pub fn observe(
    id: &SlotId,
    slot: Option<&Slot>,
    object: &ObjectVersion,
    now: EpochSeconds,
    floor: i64,
) -> Observed {
    match slot {
        Some(slot) if slot.was_reverted(object) => Observed::Reverted,
        Some(slot) if slot.is_head(object) => {
            Observed::IsHead { job: slot.head_job.clone(), generation: slot.generation }
        }
        Some(slot) if slot.head_uri != object.uri() && !slot.is_later(object) => Observed::Older,
        Some(slot) => new_head("observe", id, Some(slot), object, now, floor),
        None => new_head("observe", id, None, object, now, floor),
    }
}

/// T17: the same version again, as a new generation; `force` also lets an older file of another key
/// take the slot back.
pub fn restart(
    id: &SlotId,
    slot: Option<&Slot>,
    object: &ObjectVersion,
    force: bool,
    now: EpochSeconds,
    floor: i64,
) -> Observed {
    match slot {
        Some(slot) if slot.head_uri != object.uri() && !slot.is_later(object) && !force => {
            Observed::Older
        }
        Some(_) | None => new_head("restart", id, slot, object, now, floor),
    }
}

fn new_head(
    name: &'static str,
    id: &SlotId,
    slot: Option<&Slot>,
    object: &ObjectVersion,
    now: EpochSeconds,
    floor: i64,
) -> Observed {
    let generation = slot.map_or(0, |slot| slot.generation).max(floor) + 1;
    let job = job_id(id, object, generation);
    let write = Box::new(swap_head(name, id, slot, object, generation, &job, now));
    Observed::NewHead { write, job, generation }
}

/// The swap of a slot's head that T1, T17 and a revert are.
fn swap_head(
    name: &'static str,
    id: &SlotId,
    slot: Option<&Slot>,
    object: &ObjectVersion,
    generation: i64,
    job: &JobId,
    now: EpochSeconds,
) -> Write {
    let rev = slot.map_or(0, |slot| slot.rev);
    let set = BTreeMap::from([
        ("slot", Value::from(id.0.as_str())),
        ("rev", Value::N(rev + 1)),
        ("gen", Value::N(generation)),
        ("head_job", Value::from(job.0.as_str())),
        ("head_version", Value::S(object.identity())),
        ("head_uri", Value::S(object.uri())),
        ("head_modified", Value::N(object.last_modified.0)),
        ("due_shard", due_shard(&job.0)),
        ("due_at", Value::N(now.plus(60).0)),
    ]);
    let guard = match slot {
        None => Guard::Absent,
        Some(slot) => Guard::Eq("rev", Value::N(slot.rev)),
    };
    let effect = Guard::Eq("head_job", Value::from(job.0.as_str()));
    Write { name, key: Slot::key(id), guard, effect, set, remove: vec!["reverted"] }
}

/// An operator goes back to the rows of `to`, an earlier committed job of the slot: a new generation
/// that shows them again. The version that is the head now is remembered, so that an event or a
/// reconcile of it does not undo the decision; any other version takes the slot as ever.
pub fn revert(slot: &Slot, to: &JobFacts, now: EpochSeconds) -> (Write, JobId, i64) {
    let generation = slot.generation + 1;
    let job = job_id(&slot.slot, &to.object, generation);
    let mut write = swap_head("revert", &slot.slot, Some(slot), &to.object, generation, &job, now);
    let reverted = Reverted {
        from_uri: slot.head_uri.clone(),
        from_version: slot.head_version.clone(),
        to: to.job.clone(),
    };
    // The same version seen anew at this moment would make the same job, and is no decision.
    write.effect = Guard::All(vec![write.effect, Guard::Eq("reverted", json(&reverted))]);
    write.set.insert("reverted", json(&reverted));
    write.remove.clear();
    (write, job, generation)
}

/// T11d: the job's rows are the slot's rows. Refused when the same or a newer generation is committed.
pub fn commit_slot(job: &Job, manifest: &str) -> Write {
    let generation = job.facts.generation;
    Write {
        name: "commit_slot",
        key: Slot::key(&job.facts.slot),
        guard: Guard::All(vec![
            Guard::Exists,
            Guard::Any(vec![
                Guard::Missing("committed_gen"),
                Guard::Lt("committed_gen", generation),
            ]),
        ]),
        effect: Guard::Eq("committed_job", Value::from(job.facts.job.0.as_str())),
        set: BTreeMap::from([
            ("committed_gen", Value::N(generation)),
            ("committed_job", Value::from(job.facts.job.0.as_str())),
            ("manifest", Value::from(manifest)),
        ]),
        remove: vec![],
    }
}

/// After T11d: the slot leaves the index of unfinished work, if no newer version took its head. A
/// newer head whose job nobody created yet must be found there.
pub fn settle_slot(job: &Job) -> Write {
    let id = || Value::from(job.facts.job.0.as_str());
    Write {
        name: "settle_slot",
        key: Slot::key(&job.facts.slot),
        guard: Guard::All(vec![Guard::Eq("head_job", id()), Guard::Eq("committed_job", id())]),
        effect: Guard::Missing("due_shard"),
        set: BTreeMap::new(),
        remove: vec!["due_shard", "due_at"],
    }
}

/// The slot leaves the index of unfinished work: the job of its head is there, and is listed itself
/// while it is unfinished.
pub fn rest_slot(slot: &Slot) -> Write {
    Write {
        name: "rest_slot",
        key: Slot::key(&slot.slot),
        guard: Guard::Eq("rev", Value::N(slot.rev)),
        effect: Guard::Missing("due_shard"),
        set: BTreeMap::new(),
        remove: vec!["due_shard", "due_at"],
    }
}

/// The slot's manifest after a replay: the next revision of the same job. Refused when another job's
/// rows have taken the slot.
pub fn raise_manifest(parent: &Job, from: &str, to: &str) -> Write {
    let id = Value::from(parent.facts.job.0.as_str());
    Write {
        name: "raise_manifest",
        key: Slot::key(&parent.facts.slot),
        guard: Guard::All(vec![
            Guard::Eq("committed_job", id),
            Guard::Eq("manifest", Value::from(from)),
        ]),
        effect: Guard::Eq("manifest", Value::from(to)),
        set: BTreeMap::from([("manifest", Value::from(to))]),
        remove: vec![],
    }
}
