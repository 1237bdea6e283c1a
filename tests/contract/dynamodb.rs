//! Items: the limits and answers that the ledger relies on.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};

use crate::refusal;
use crate::support::World;

#[tokio::test]
async fn an_item_over_400_kilobytes_is_refused() {
    let world = World::start().await.with_table().await;
    let put = |bytes: usize| {
        let put = world.dynamodb.put_item().table_name(&world.table);
        let put = put.item("pk", AttributeValue::S("k".into()));
        put.item("data", AttributeValue::B(Blob::new(vec![0; bytes])))
    };
    put(399 * 1024).send().await.unwrap();
    assert_eq!(refusal!(put(400 * 1024)), (400, "ValidationException".to_owned()));
}

#[tokio::test]
async fn a_refused_condition_shows_the_item_that_is_there() {
    let world = World::start().await.with_table().await;
    let put = |owner: &str| {
        let put = world.dynamodb.put_item().table_name(&world.table);
        let put = put.item("pk", AttributeValue::S("k".into()));
        put.item("owner", AttributeValue::S(owner.into()))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    };
    put("first").send().await.unwrap();
    let refused = put("second").send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(
        refused,
    ) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(refused.item.unwrap()["owner"], AttributeValue::S("first".into()));
}
