//! The index of unfinished work. It lags behind the table, so it only finds what is then read.

use aws_sdk_dynamodb::types::AttributeValue;
use rowproof_core::ids::{JobId, SlotId};
use rowproof_core::ledger::Fields;
use rowproof_core::time::EpochSeconds;

use super::{Ledger, from_attributes};
use crate::aws::error::AwsError;

/// Something that was unfinished a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// A job that has not settled.
    Job(JobId),
    /// A slot whose head may have no job yet.
    Slot(SlotId),
}

impl Ledger {
    /// Up to `limit` things of one shard that are due in `[from, until]`, the longest due first.
    pub async fn due(
        &self,
        shard: u32,
        (from, until): (EpochSeconds, EpochSeconds),
        limit: i32,
    ) -> Result<Vec<Due>, AwsError> {
        let shard = format!("D#{shard:02}");
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("due")
            .key_condition_expression("due_shard = :shard AND due_at BETWEEN :from AND :until")
            .expression_attribute_values(":shard", AttributeValue::S(shard.clone()))
            .expression_attribute_values(":from", AttributeValue::N(from.0.to_string()))
            .expression_attribute_values(":until", AttributeValue::N(until.0.to_string()))
            .limit(limit)
            .send()
            .await;
        let answer =
            answer.map_err(|e| AwsError::of(format!("Query of what is due, {shard}"), e))?;
        let found = answer.items().iter().filter_map(|attributes| {
            let item = from_attributes(attributes);
            let fields = Fields(&item);
            named(fields.text("pk")?, fields.text("sk")?)
        });
        Ok(found.collect())
    }
}

fn named(pk: &str, sk: &str) -> Option<Due> {
    match (pk.split_once('#')?, sk) {
        (("J", job), "J") => Some(Due::Job(JobId(job.to_owned()))),
        (("S", slot), "S") => Some(Due::Slot(SlotId(slot.to_owned()))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_jobs_and_slots_are_told_from_all_others() {
        assert_eq!(named("J#abc", "J"), Some(Due::Job(JobId("abc".into()))));
        assert_eq!(named("S#abc", "S"), Some(Due::Slot(SlotId("abc".into()))));
        for (pk, sk) in [("J#abc", "G#0000"), ("P#orders", "P"), ("J", "J"), ("", "")] {
            assert_eq!(named(pk, sk), None, "{pk} {sk}");
        }
    }
}
