//! Exactly one writer wins, every time.

use std::future::Future;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::join_all;

use crate::support::World;

const ROUNDS: usize = 200;
/// Of the races that go through the lock of another one.
const ROUNDS_FEW: usize = 50;

/// Runs `attempt(round, contender)` for all contenders at once; `true` is a win.
async fn one_winner<F>(rounds: usize, contenders: usize, attempt: impl Fn(usize, usize) -> F)
where
    F: Future<Output = bool> + Send + 'static,
{
    for round in 0..rounds {
        let tasks = (0..contenders).map(|contender| tokio::spawn(attempt(round, contender)));
        let won = join_all(tasks).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 1, "winners in round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_conditional_items_one_is_written() {
    let world = World::start().await.with_table().await;
    one_winner(ROUNDS, 64, |round, contender| {
        let put = world
            .dynamodb
            .put_item()
            .table_name(&world.table)
            .item("pk", AttributeValue::S(format!("round-{round}")))
            .item("owner", AttributeValue::N(contender.to_string()))
            .condition_expression("attribute_not_exists(pk)");
        async move {
            match put.send().await {
                Ok(_) => true,
                Err(error) => {
                    let error = error.into_service_error();
                    assert!(error.is_conditional_check_failed_exception(), "{error:?}");
                    false
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_that_take_over_a_lease_one_gets_it() {
    let world = World::start().await.with_table().await;
    let item = world.dynamodb.put_item().table_name(&world.table);
    let item = item.item("pk", AttributeValue::S("lease".into()));
    item.item("epoch", AttributeValue::N("0".into())).send().await.unwrap();
    one_winner(ROUNDS, 32, |round, contender| {
        let update = world
            .dynamodb
            .update_item()
            .table_name(&world.table)
            .key("pk", AttributeValue::S("lease".into()))
            .update_expression("SET epoch = :next, owner_id = :me")
            .condition_expression("epoch = :seen")
            .expression_attribute_values(":seen", AttributeValue::N(round.to_string()))
            .expression_attribute_values(":next", AttributeValue::N((round + 1).to_string()))
            .expression_attribute_values(":me", AttributeValue::N(contender.to_string()));
        async move { update.send().await.is_ok() }
    })
    .await;
    let get = world.dynamodb.get_item().table_name(&world.table).consistent_read(true);
    let got = get.key("pk", AttributeValue::S("lease".into())).send().await.unwrap();
    let epoch = got.item.unwrap()["epoch"].as_n().unwrap().clone();
    assert_eq!(epoch, ROUNDS.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_that_create_an_object_one_does() {
    let world = World::start().await.with_bucket().await;
    one_winner(ROUNDS, 64, |round, contender| {
        let put = world
            .s3
            .put_object()
            .bucket(&world.bucket)
            .key(format!("race/{round}"))
            .if_none_match("*")
            .body(format!("{contender}").into_bytes().into());
        async move {
            match put.send().await {
                Ok(_) => true,
                Err(error) => {
                    let status = error.raw_response().unwrap().status().as_u16();
                    assert!(matches!(status, 409 | 412), "{error:?}");
                    false
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_that_replace_an_object_one_does() {
    let world = World::start().await.with_bucket().await;
    let tag = std::sync::Mutex::new(world.put("current.json", b"start").await);
    for round in 0..ROUNDS_FEW {
        let seen = tag.lock().unwrap().clone();
        let tasks = (0..32).map(|contender| {
            let put = world.s3.put_object().bucket(&world.bucket).key("current.json");
            let put = put.if_match(&seen).body(format!("{round}-{contender}").into_bytes().into());
            tokio::spawn(async move { put.send().await.ok().and_then(|put| put.e_tag) })
        });
        let tags: Vec<String> =
            join_all(tasks).await.into_iter().filter_map(|tag| tag.unwrap()).collect();
        assert_eq!(tags.len(), 1, "winners in round {round}");
        *tag.lock().unwrap() = tags[0].clone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_32_that_publish_a_copy_one_does() {
    let world = World::start().await.with_bucket().await;
    for contender in 0..32 {
        let put = world.s3.put_object().bucket(&world.bucket).key(format!("_staging/{contender}"));
        put.body(format!("{contender}").into_bytes().into()).send().await.unwrap();
    }
    one_winner(ROUNDS_FEW, 32, |round, contender| {
        let copy = world
            .s3
            .copy_object()
            .copy_source(format!("{}/_staging/{contender}", world.bucket))
            .bucket(&world.bucket)
            .key(format!("final/{round}"))
            .if_none_match("*");
        async move { copy.send().await.is_ok() }
    })
    .await;
}
