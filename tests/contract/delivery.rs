//! From an upload through its event to a function.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rowproof_local::{
    EventShape, Invoke, InvokeError, Mapping, Notification, Options, QueueOptions,
};
use serde_json::{Value, json};

use crate::support::World;

const KEY: &str = "in/a+b ü&%.csv";

async fn world() -> World {
    World::local(Options::default()).await.with_bucket().await
}

fn invoke(
    function: impl Fn(Value) -> Result<Value, InvokeError> + Send + Sync + 'static,
) -> Invoke {
    let function = Arc::new(function);
    Arc::new(move |event| {
        let function = Arc::clone(&function);
        Box::pin(async move { function(event) })
    })
}

fn mapping(queue: &str) -> Mapping {
    Mapping {
        queue: queue.to_owned(),
        batch_size: 10,
        concurrency_max: 2,
        visibility: Duration::from_secs(60),
    }
}

/// Collects the bodies of the messages a queue delivers.
fn collect(world: &World, queue: &str) -> Arc<Mutex<Vec<Value>>> {
    let seen = Arc::<Mutex<Vec<Value>>>::default();
    let into = Arc::clone(&seen);
    let function = invoke(move |event| {
        for record in event["Records"].as_array().unwrap() {
            let body = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
            into.lock().unwrap().push(body);
        }
        Ok(Value::Null)
    });
    world.local_aws().map(mapping(queue), function).unwrap();
    seen
}

async fn idle(world: &World, queues: &[&str]) {
    let idle = world.local_aws().idle(queues);
    tokio::time::timeout(Duration::from_secs(30), idle).await.unwrap();
}

#[tokio::test]
async fn an_upload_is_told_to_the_queue_in_both_shapes() {
    let world = world().await;
    let aws = world.local_aws();
    for (queue, shape) in [("bridge", EventShape::EventBridge), ("s3", EventShape::S3)] {
        aws.create_queue(queue, &QueueOptions::default());
        let (bucket, prefix) = (world.bucket.clone(), "in/".to_owned());
        aws.notify(Notification { bucket, prefix, queue: queue.to_owned(), shape });
    }
    let (bridge, s3) = (collect(&world, "bridge"), collect(&world, "s3"));
    let tag = world.put(KEY, b"abc").await;
    world.put("elsewhere", b"abc").await;
    let copy = world.s3.copy_object().bucket(&world.bucket).key("in/copy");
    copy.copy_source(format!("{}/elsewhere", world.bucket)).send().await.unwrap();
    idle(&world, &["bridge", "s3"]).await;

    let bridge = bridge.lock().unwrap();
    assert_eq!(bridge.len(), 2, "{bridge:?}");
    let (first, second) = (&bridge[0]["detail"], &bridge[1]["detail"]);
    assert_eq!(first["object"]["key"], KEY);
    assert_eq!(first["object"]["size"], 3);
    assert_eq!(format!("\"{}\"", first["object"]["etag"].as_str().unwrap()), tag);
    assert_eq!((&first["reason"], &second["reason"]), (&json!("PutObject"), &json!("CopyObject")));
    assert!(first["object"]["sequencer"].as_str() < second["object"]["sequencer"].as_str());
    let s3 = s3.lock().unwrap();
    assert_eq!(s3.len(), 2, "{s3:?}");
    assert_eq!(s3[0]["Records"][0]["s3"]["object"]["key"], "in/a%2Bb+%C3%BC%26%25.csv");
    assert_eq!(s3[1]["Records"][0]["eventName"], "ObjectCreated:Copy");
}

#[tokio::test]
async fn the_event_is_what_lambda_gets() {
    let world = world().await;
    world.local_aws().create_queue("q", &QueueOptions::default());
    let seen = Arc::<Mutex<Option<Value>>>::default();
    let into = Arc::clone(&seen);
    let function = invoke(move |event| {
        *into.lock().unwrap() = Some(event);
        Ok(json!({"batchItemFailures": []}))
    });
    world.local_aws().map(mapping("q"), function).unwrap();
    world.local_aws().send("q", "body".to_owned()).unwrap();
    idle(&world, &["q"]).await;
    let event = seen.lock().unwrap().take().unwrap();
    let record = &event["Records"][0];
    assert_eq!(record["body"], "body");
    assert_eq!(record["eventSource"], "aws:sqs");
    assert_eq!(record["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:q");
    assert_eq!(record["md5OfBody"], "841a2d689ad86bd1611447453c22c6fc");
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "1");
    assert!(record["messageId"].is_string() && record["receiptHandle"].is_string());
}

#[tokio::test]
async fn only_the_failed_messages_of_a_batch_come_again() {
    let world = world().await;
    let aws = world.local_aws();
    aws.create_queue("dead", &QueueOptions::default());
    let redrive = Some(("dead".to_owned(), 3));
    aws.create_queue("q", &QueueOptions { redrive, ..QueueOptions::default() });
    for body in ["good", "bad", "good"] {
        aws.send("q", body.to_owned()).unwrap();
    }
    let (good, bad) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (good_seen, bad_seen) = (Arc::clone(&good), Arc::clone(&bad));
    let function = invoke(move |event| {
        let mut failed = Vec::new();
        for record in event["Records"].as_array().unwrap() {
            if record["body"] == "bad" {
                bad_seen.fetch_add(1, Ordering::Relaxed);
                failed.push(json!({"itemIdentifier": record["messageId"]}));
            } else {
                good_seen.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(json!({"batchItemFailures": failed}))
    });
    aws.map(mapping("q"), function).unwrap();
    idle(&world, &["q"]).await;
    assert_eq!((good.load(Ordering::Relaxed), bad.load(Ordering::Relaxed)), (2, 3));
    assert_eq!(aws.depth("dead").unwrap().visible, 1);
}

#[tokio::test]
async fn an_error_a_panic_and_an_unknown_identifier_bring_the_whole_batch_again() {
    for failure in ["error", "panic", "unknown"] {
        let world = world().await;
        let aws = world.local_aws();
        aws.create_queue("q", &QueueOptions::default());
        aws.send("q", "one".to_owned()).unwrap();
        aws.send("q", "two".to_owned()).unwrap();
        let delivered = Arc::<Mutex<Vec<usize>>>::default();
        let into = Arc::clone(&delivered);
        let function = invoke(move |event| {
            let mut delivered = into.lock().unwrap();
            delivered.push(event["Records"].as_array().unwrap().len());
            let first = delivered.len() == 1;
            drop(delivered);
            match failure {
                _ if !first => Ok(Value::Null),
                "panic" => panic!("a handler that panics"),
                "unknown" => Ok(json!({"batchItemFailures": [{"itemIdentifier": "nobody"}]})),
                _ => Err(InvokeError { kind: "Unhandled".into(), message: "no".into() }),
            }
        });
        aws.map(mapping("q"), function).unwrap();
        idle(&world, &["q"]).await;
        let delivered = delivered.lock().unwrap();
        assert_eq!(delivered[0], 2, "{failure}");
        assert_eq!(delivered.iter().sum::<usize>(), 4, "{failure}");
    }
}

#[tokio::test]
async fn a_function_that_sends_on_is_not_idle_in_between() {
    let world = world().await;
    for queue in ["first", "second"] {
        world.local_aws().create_queue(queue, &QueueOptions::default());
    }
    let done = Arc::new(AtomicUsize::new(0));
    let (sqs, url) = (world.sqs.clone(), world.local_aws().queue_url("second"));
    let forward: Invoke = Arc::new(move |_| {
        let send = sqs.send_message().queue_url(&url).message_body("on").send();
        Box::pin(async move {
            send.await.unwrap();
            Ok(Value::Null)
        })
    });
    let count = Arc::clone(&done);
    let slow: Invoke = Arc::new(move |event| {
        let count = Arc::clone(&count);
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            count.fetch_add(event["Records"].as_array().unwrap().len(), Ordering::Relaxed);
            Ok(Value::Null)
        })
    });
    world.local_aws().map(Mapping { batch_size: 1, ..mapping("first") }, forward).unwrap();
    world.local_aws().map(mapping("second"), slow).unwrap();
    for _ in 0..20 {
        world.local_aws().send("first", "go".to_owned()).unwrap();
    }
    idle(&world, &["first", "second"]).await;
    assert_eq!(done.load(Ordering::Relaxed), 20);
}
