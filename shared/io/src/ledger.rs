//! The ledger on DynamoDB: performs the writes that `rowproof_core::ledger` decides, and reads back.

mod due;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement,
    KeyType, Projection, ProjectionType, ReturnValuesOnConditionCheckFailure, ScalarAttributeType,
};
use rowproof_core::ids::{JobId, SlotId};
use rowproof_core::ledger::{
    Chunk, ChunkId, Fields, Guard, Item, Job, Key, Outage, Performed, Slot, Value, WRITE_ID, Write,
    group_key,
};

use crate::aws::error::AwsError;
use crate::error::StepError;

pub use self::due::Due;

/// The table.
#[derive(Debug, Clone)]
pub struct Ledger {
    client: Client,
    table: String,
}

impl Ledger {
    /// Over this client and table.
    pub fn new(client: Client, table: String) -> Ledger {
        Ledger { client, table }
    }

    /// Creates the table as the deployment template does, unless it is there: for a local AWS.
    pub async fn ensure_table(&self) -> Result<(), AwsError> {
        let text = |name: &str, kind: ScalarAttributeType| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()
        };
        let key = |name: &str, kind: KeyType| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build()
        };
        let broken = |error| {
            AwsError::of("CreateTable", SdkError::<CreateTableError>::construction_failure(error))
        };
        let keys = [key("pk", KeyType::Hash), key("sk", KeyType::Range)];
        let due = [key("due_shard", KeyType::Hash), key("due_at", KeyType::Range)];
        let attributes = [
            text("pk", ScalarAttributeType::S),
            text("sk", ScalarAttributeType::S),
            text("due_shard", ScalarAttributeType::S),
            text("due_at", ScalarAttributeType::N),
        ];
        let only_keys = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
        let index = GlobalSecondaryIndex::builder()
            .index_name("due")
            .set_key_schema(Some(due.into_iter().collect::<Result<_, _>>().map_err(broken)?))
            .projection(only_keys)
            .build();
        let answer = self
            .client
            .create_table()
            .table_name(&self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .set_key_schema(Some(keys.into_iter().collect::<Result<_, _>>().map_err(broken)?))
            .set_attribute_definitions(Some(
                attributes.into_iter().collect::<Result<_, _>>().map_err(broken)?,
            ))
            .global_secondary_indexes(index.map_err(broken)?)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) =>
            {
                Ok(())
            }
            Err(error) => Err(AwsError::of(format!("CreateTable {}", self.table), error)),
        }
    }

    /// Performs a conditional write. Every send of it carries one id, so a write whose answer was
    /// lost is recognised when its repeat is refused.
    pub async fn perform(&self, write: &Write) -> Result<Performed, AwsError> {
        let write_id = uuid::Uuid::new_v4().to_string();
        let mut expression = Expression::default();
        let condition = expression.condition(&write.guard);
        let update = expression.update(write, &write_id);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(&write.key)))
            .condition_expression(condition)
            .update_expression(update)
            .set_expression_attribute_names(Some(expression.names))
            .set_expression_attribute_values(Some(expression.values))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match answer {
            Ok(_) => return Ok(Performed::Stands),
            Err(error) => error,
        };
        if let SdkError::ServiceError(refused) = &error
            && let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(old) =
                refused.err()
        {
            return Ok(write.judge(old.item().map(from_attributes), &write_id));
        }
        let operation = format!("UpdateItem {} of {} {}", write.name, write.key.pk, write.key.sk);
        Err(AwsError::of(operation, error))
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, AwsError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key_attributes(key)))
            .consistent_read(true)
            .send()
            .await;
        let answer = answer
            .map_err(|error| AwsError::of(format!("GetItem {} {}", key.pk, key.sk), error))?;
        Ok(answer.item().map(from_attributes))
    }

    /// A slot as stored.
    pub async fn slot(&self, slot: &SlotId) -> Result<Option<Slot>, StepError> {
        let item = self.get(&Slot::key(slot)).await?;
        Ok(item.as_ref().map(Slot::from_item).transpose()?)
    }

    /// A job as stored.
    pub async fn job(&self, job: &JobId) -> Result<Option<Job>, StepError> {
        let item = self.get(&Job::key(job)).await?;
        Ok(item.as_ref().map(Job::from_item).transpose()?)
    }

    /// A chunk as stored; absent means READY at epoch 0.
    pub async fn chunk(&self, id: &ChunkId) -> Result<Option<Chunk>, StepError> {
        let item = self.get(&id.key()).await?;
        Ok(item.as_ref().map(Chunk::from_item).transpose()?)
    }

    /// Whether a group is closed.
    pub async fn group_is_closed(&self, job: &JobId, group: u32) -> Result<bool, StepError> {
        Ok(self.get(&group_key(job, group)).await?.is_some())
    }

    /// The outage of a pipeline's sink; `None` while it is well.
    pub async fn outage(&self, pipeline: &str) -> Result<Option<Outage>, StepError> {
        let item = self.get(&Outage::key(pipeline)).await?;
        Ok(item.as_ref().map(Outage::from_item).transpose()?.flatten())
    }

    /// The stored chunks of a group by one consistent query, in the order of their rows: parts stand
    /// behind what they are parts of.
    pub async fn chunks_of_group(
        &self,
        job: &JobId,
        group: u32,
    ) -> Result<Vec<(ChunkId, Chunk)>, StepError> {
        let pk = ChunkId::group_pk(job, group);
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(pk.clone()))
            .into_paginator()
            .send();
        let mut chunks = vec![];
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::of(format!("Query {pk}"), error))?;
            for attributes in page.items() {
                let item = from_attributes(attributes);
                let number = Fields(&item).need_number("chunk")?;
                let chunk = u32::try_from(number).map_err(|_| Fields(&item).bad("chunk"))?;
                let part = Fields(&item).text("part").unwrap_or_default().to_owned();
                let id = ChunkId { job: job.clone(), chunk, part };
                chunks.push((id, Chunk::from_item(&item)?));
            }
        }
        Ok(chunks)
    }

    /// Every job in the table, in no order. Reads the whole table: for operators, not for functions.
    pub async fn all_jobs(&self) -> Result<Vec<Job>, StepError> {
        let mut pages = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .filter_expression("sk = :sk")
            .expression_attribute_values(":sk", AttributeValue::S("J".into()))
            .into_paginator()
            .send();
        let mut jobs = vec![];
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| AwsError::of("Scan of all jobs", error))?;
            for attributes in page.items() {
                jobs.push(Job::from_item(&from_attributes(attributes))?);
            }
        }
        Ok(jobs)
    }
}

/// Collects placeholders while an expression is written.
#[derive(Default)]
struct Expression {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value(&mut self, value: &Value) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), to_attribute(value));
        placeholder
    }

    fn condition(&mut self, guard: &Guard) -> String {
        match guard {
            Guard::Absent => format!("attribute_not_exists({})", self.name("pk")),
            Guard::Exists => format!("attribute_exists({})", self.name("pk")),
            Guard::Missing(name) => format!("attribute_not_exists({})", self.name(name)),
            Guard::Eq(name, value) => format!("{} = {}", self.name(name), self.value(value)),
            Guard::Ne(name, value) => {
                let name = self.name(name);
                format!("(attribute_exists({name}) AND {name} <> {})", self.value(value))
            }
            Guard::Lt(name, number) => {
                format!("{} < {}", self.name(name), self.value(&Value::N(*number)))
            }
            Guard::In(name, texts) => {
                let name = self.name(name);
                let values: Vec<_> =
                    texts.iter().map(|text| self.value(&Value::from(*text))).collect();
                format!("{name} IN ({})", values.join(", "))
            }
            Guard::All(guards) => self.joined(guards, " AND "),
            Guard::Any(guards) => self.joined(guards, " OR "),
            // Every item has a pk, so this holds of nothing.
            Guard::Never => {
                let name = self.name("pk");
                format!("(attribute_exists({name}) AND attribute_not_exists({name}))")
            }
        }
    }

    fn joined(&mut self, guards: &[Guard], word: &str) -> String {
        let parts: Vec<_> = guards.iter().map(|guard| self.condition(guard)).collect();
        format!("({})", parts.join(word))
    }

    fn update(&mut self, write: &Write, write_id: &str) -> String {
        let mut sets: Vec<_> = write
            .set
            .iter()
            .map(|(name, value)| format!("{} = {}", self.name(name), self.value(value)))
            .collect();
        sets.push(format!("{} = {}", self.name(WRITE_ID), self.value(&Value::from(write_id))));
        let mut text = format!("SET {}", sets.join(", "));
        if !write.remove.is_empty() {
            let removes: Vec<_> = write.remove.iter().map(|name| self.name(name)).collect();
            text.push_str(&format!(" REMOVE {}", removes.join(", ")));
        }
        text
    }
}

fn key_attributes(key: &Key) -> HashMap<String, AttributeValue> {
    HashMap::from([
        ("pk".to_owned(), AttributeValue::S(key.pk.clone())),
        ("sk".to_owned(), AttributeValue::S(key.sk.clone())),
    ])
}

fn to_attribute(value: &Value) -> AttributeValue {
    match value {
        Value::S(text) => AttributeValue::S(text.clone()),
        Value::N(number) => AttributeValue::N(number.to_string()),
    }
}

/// Attributes of other kinds are not ours and are left out.
fn from_attributes(attributes: &HashMap<String, AttributeValue>) -> Item {
    let convert = |value: &AttributeValue| match value.as_s() {
        Ok(text) => Some(Value::S(text.clone())),
        Err(_) => value.as_n().ok().and_then(|number| number.parse().ok()).map(Value::N),
    };
    attributes.iter().filter_map(|(name, value)| Some((name.clone(), convert(value)?))).collect()
}
