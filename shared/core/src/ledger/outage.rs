//! A sink that cannot be reached: one item a pipeline, so that one notification is sent and no chunk is
//! charged for it.

use std::collections::BTreeMap;

use super::item::{BadItem, Fields, Guard, Item, Key, Value, Write};
use crate::time::EpochSeconds;

/// Seconds before the first look at a sink that did not answer; doubled with every further one.
const RETRY_SECONDS: i64 = 15;
/// Longest wait between two looks, in seconds.
const RETRY_SECONDS_MAX: i64 = 240;

/// A sink that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// When it was first seen.
    pub since: EpochSeconds,
    /// When somebody should look again.
    pub retry_at: EpochSeconds,
    /// Looks in vain.
    pub looks: i64,
    /// The mark, by its own name: two outages may begin within one second.
    pub mark: String,
}

impl Outage {
    /// Where the outage of a pipeline's sink is stored.
    pub fn key(pipeline: &str) -> Key {
        Key { pk: format!("P#{pipeline}"), sk: "P".into() }
    }

    /// Reads a stored item; `None` when the sink is well.
    pub fn from_item(item: &Item) -> Result<Option<Outage>, BadItem> {
        let fields = Fields(item);
        let Some(since) = fields.number("since") else { return Ok(None) };
        Ok(Some(Outage {
            since: EpochSeconds(since),
            retry_at: EpochSeconds(fields.need_number("retry_at")?),
            looks: fields.need_number("looks")?,
            mark: fields.need_text("mark")?.to_owned(),
        }))
    }
}

/// The sink does not answer, and nobody has said so yet: whoever's write stands tells the operators.
/// `mark` is new for every such write, so exactly one worker tells, also when its answer was lost and
/// others have looked again since.
pub fn mark_unavailable(pipeline: &str, mark: &str, now: EpochSeconds) -> Write {
    Write {
        name: "mark_unavailable",
        key: Outage::key(pipeline),
        guard: Guard::Missing("since"),
        effect: Guard::Eq("mark", Value::from(mark)),
        set: BTreeMap::from([
            ("mark", Value::from(mark)),
            ("since", Value::N(now.0)),
            ("retry_at", Value::N(now.plus(RETRY_SECONDS).0)),
            ("looks", Value::N(1)),
        ]),
        remove: vec![],
    }
}

/// It still does not answer: the next look comes later.
pub fn extend_outage(pipeline: &str, outage: &Outage, now: EpochSeconds) -> Write {
    let doublings = u32::try_from(outage.looks.clamp(0, 16)).unwrap_or(16);
    let wait = RETRY_SECONDS.saturating_mul(1 << doublings).min(RETRY_SECONDS_MAX);
    Write {
        name: "extend_outage",
        key: Outage::key(pipeline),
        guard: Guard::All(vec![
            Guard::Eq("mark", Value::from(outage.mark.as_str())),
            Guard::Eq("looks", Value::N(outage.looks)),
        ]),
        effect: Guard::Never,
        set: BTreeMap::from([
            ("retry_at", Value::N(now.plus(wait).0)),
            ("looks", Value::N(outage.looks + 1)),
        ]),
        remove: vec![],
    }
}

/// It answers again.
pub fn end_outage(pipeline: &str, outage: &Outage) -> Write {
    Write {
        name: "end_outage",
        key: Outage::key(pipeline),
        guard: Guard::Eq("mark", Value::from(outage.mark.as_str())),
        effect: Guard::Missing("since"),
        set: BTreeMap::new(),
        remove: vec!["mark", "since", "retry_at", "looks"],
    }
}
