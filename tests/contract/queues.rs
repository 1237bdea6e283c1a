//! Queues: delivery, redelivery, dead letters and limits.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};

use crate::refusal;
use crate::support::World;

type Attributes = HashMap<QueueAttributeName, String>;

async fn queue(world: &World, suffix: &str, attributes: Attributes) -> String {
    let create = world.sqs.create_queue().queue_name(format!("{}{suffix}", world.queue));
    create.set_attributes(Some(attributes)).send().await.unwrap().queue_url.unwrap()
}

async fn receive(world: &World, url: &str, max: i32) -> Vec<Message> {
    let receive = world.sqs.receive_message().queue_url(url).max_number_of_messages(max);
    let receive = receive.wait_time_seconds(2).message_attribute_names("All");
    let receive = receive.message_system_attribute_names(MessageSystemAttributeName::All);
    receive.send().await.unwrap().messages.unwrap_or_default()
}

async fn attribute(world: &World, url: &str, name: QueueAttributeName) -> String {
    let get = world.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    get.send().await.unwrap().attributes.unwrap()[&name].clone()
}

#[tokio::test]
async fn a_message_arrives_with_its_attributes_and_is_gone_when_deleted() {
    let world = World::start().await;
    let url = queue(&world, "", Attributes::new()).await;
    let value = MessageAttributeValue::builder().data_type("String").string_value("v").build();
    let send = world.sqs.send_message().queue_url(&url).message_body("{\"a\":\"ü\"}");
    send.message_attributes("name", value.unwrap()).send().await.unwrap();
    let messages = receive(&world, &url, 10).await;
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message.body(), Some("{\"a\":\"ü\"}"));
    assert_eq!(message.message_attributes().unwrap()["name"].string_value(), Some("v"));
    let system = message.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    let in_flight = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(attribute(&world, &url, in_flight.clone()).await, "1");
    let receipt = message.receipt_handle().unwrap();
    world.sqs.delete_message().queue_url(&url).receipt_handle(receipt).send().await.unwrap();
    assert_eq!(attribute(&world, &url, in_flight).await, "0");
}

#[tokio::test]
async fn a_message_that_is_not_deleted_is_delivered_again() {
    let world = World::start().await;
    let url = queue(&world, "", Attributes::new()).await;
    world.sqs.send_message().queue_url(&url).message_body("m").send().await.unwrap();
    let take = world.sqs.receive_message().queue_url(&url).visibility_timeout(1);
    let first = take.send().await.unwrap().messages.unwrap().remove(0);
    let hidden = world.sqs.receive_message().queue_url(&url).send().await.unwrap();
    assert!(hidden.messages.is_none());
    let again = receive(&world, &url, 1).await.remove(0);
    assert_eq!(again.message_id, first.message_id);
    let count = &again.attributes().unwrap()[&MessageSystemAttributeName::ApproximateReceiveCount];
    assert_eq!(count, "2");
    // The receipt of the first delivery is worth nothing any more.
    let stale = first.receipt_handle().unwrap();
    world.sqs.delete_message().queue_url(&url).receipt_handle(stale).send().await.unwrap();
    let receipt = again.receipt_handle().unwrap();
    let show = world.sqs.change_message_visibility().queue_url(&url).receipt_handle(receipt);
    show.visibility_timeout(0).send().await.unwrap();
    assert_eq!(receive(&world, &url, 1).await.len(), 1);
}

#[tokio::test]
async fn a_poison_message_ends_in_the_dead_letter_queue_and_can_be_moved_back() {
    let world = World::start().await;
    let dead = queue(&world, "-dead", Attributes::new()).await;
    let dead_arn = attribute(&world, &dead, QueueAttributeName::QueueArn).await;
    let policy = format!("{{\"deadLetterTargetArn\":\"{dead_arn}\",\"maxReceiveCount\":\"2\"}}");
    let attributes = Attributes::from([
        (QueueAttributeName::RedrivePolicy, policy),
        (QueueAttributeName::VisibilityTimeout, "0".to_owned()),
    ]);
    let url = queue(&world, "", attributes).await;
    world.sqs.send_message().queue_url(&url).message_body("poison").send().await.unwrap();
    for _ in 0..2 {
        assert_eq!(receive(&world, &url, 1).await.len(), 1);
    }
    assert!(receive(&world, &url, 1).await.is_empty());
    let got = receive(&world, &dead, 1).await.remove(0);
    assert_eq!(got.body(), Some("poison"));
    let show = world.sqs.change_message_visibility().queue_url(&dead).visibility_timeout(0);
    show.receipt_handle(got.receipt_handle().unwrap()).send().await.unwrap();

    world.sqs.start_message_move_task().source_arn(&dead_arn).send().await.unwrap();
    assert_eq!(receive(&world, &url, 1).await.remove(0).body(), Some("poison"));
}

#[tokio::test]
async fn a_message_over_one_mebibyte_is_refused() {
    let world = World::start().await;
    let url = queue(&world, "", Attributes::new()).await;
    let send =
        |bytes: usize| world.sqs.send_message().queue_url(&url).message_body("x".repeat(bytes));
    send(1 << 20).send().await.unwrap();
    let refused = refusal!(send((1 << 20) + 1));
    assert_eq!(refused, (400, "InvalidParameterValue".to_owned()));
}

#[tokio::test]
async fn a_bad_entry_fails_alone_in_its_batch() {
    let world = World::start().await;
    let url = queue(&world, "", Attributes::new()).await;
    let entry = |id: &str, body: &str| {
        SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
    };
    let send = world.sqs.send_message_batch().queue_url(&url);
    let send = send.entries(entry("good", "1")).entries(entry("bad", "\u{1}"));
    let sent = send.send().await.unwrap();
    assert_eq!((sent.successful().len(), sent.failed().len()), (1, 1));
    assert_eq!(sent.failed()[0].id(), "bad");
    assert!(sent.failed()[0].sender_fault());

    let receipt = receive(&world, &url, 10).await.remove(0).receipt_handle.unwrap();
    let change = ChangeMessageVisibilityBatchRequestEntry::builder().id("a").visibility_timeout(30);
    let change = change.receipt_handle(&receipt).build().unwrap();
    let changed = world.sqs.change_message_visibility_batch().queue_url(&url).entries(change);
    assert_eq!(changed.send().await.unwrap().successful().len(), 1);
    let delete = |id: &str, receipt: &str| {
        let entry = DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(receipt);
        entry.build().unwrap()
    };
    let deleted = world.sqs.delete_message_batch().queue_url(&url);
    let deleted = deleted.entries(delete("a", &receipt)).entries(delete("b", "nonsense"));
    let deleted = deleted.send().await.unwrap();
    assert_eq!((deleted.successful().len(), deleted.failed().len()), (1, 1));
}

#[tokio::test]
async fn a_queue_that_is_not_there_is_named_in_the_error() {
    let world = World::start().await;
    let get = world.sqs.get_queue_url().queue_name(&world.queue);
    let error = get.send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_message() {
    let world = World::start().await;
    let url = queue(&world, "", Attributes::new()).await;
    let poll = world.sqs.receive_message().queue_url(&url).wait_time_seconds(20).send();
    let poll = tokio::spawn(poll);
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.sqs.send_message().queue_url(&url).message_body("m").send().await.unwrap();
    let polled = tokio::time::timeout(Duration::from_secs(10), poll).await;
    assert_eq!(polled.unwrap().unwrap().unwrap().messages().len(), 1);
}

#[tokio::test]
async fn a_delayed_message_comes_later_and_a_purge_empties_the_queue() {
    let world = World::start().await;
    let url = queue(&world, "", Attributes::new()).await;
    let send = world.sqs.send_message().queue_url(&url).message_body("m").delay_seconds(1);
    send.send().await.unwrap();
    let now = world.sqs.receive_message().queue_url(&url).send().await.unwrap();
    assert!(now.messages.is_none());
    assert_eq!(receive(&world, &url, 1).await.len(), 1);
    world.sqs.purge_queue().queue_url(&url).send().await.unwrap();
    let in_flight = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(attribute(&world, &url, in_flight).await, "0");
}
