//! Events: which objects a message is about, and which messages come back.

use rowproof_core::event::{self, EventError, ObjectRef, Refs};
use rowproof_core::message::Message;
use serde_json::{Value, json};

fn record(key: &str) -> Value {
    json!({
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-central-1",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "input"}, "object": {"key": key, "size": 3, "eTag": "e", "sequencer": "0A"}},
    })
}

fn with(mut record: Value, pointer: &str, value: Value) -> Value {
    *record.pointer_mut(pointer).unwrap() = value;
    record
}

fn records(records: &[Value]) -> Value {
    json!({"Records": records})
}

fn bridge(key: &str) -> Value {
    json!({
        "version": "0", "source": "aws.s3", "detail-type": "Object Created",
        "detail": {"bucket": {"name": "input"}, "object": {"key": key, "size": 3, "etag": "e"}},
    })
}

fn sns(inner: &Value) -> Value {
    json!({"Type": "Notification", "MessageId": "m", "Message": inner.to_string()})
}

fn sqs(id: usize, body: &str) -> Value {
    json!({"eventSource": "aws:sqs", "messageId": id.to_string(), "body": body})
}

fn batch(bodies: &[String]) -> Value {
    let all: Vec<Value> = (0..).zip(bodies).map(|(id, body)| sqs(id, body)).collect();
    records(&all)
}

/// What each message is about.
fn read(event: &Value) -> Vec<Result<Refs, EventError>> {
    let messages = event::messages(event).into_iter();
    messages.map(|message| message.body.and_then(|body| event::object_refs(&body))).collect()
}

fn keys(event: &Value) -> Vec<String> {
    let refs = read(event).into_iter().flat_map(|refs| refs.unwrap().objects);
    refs.map(|object| object.key).collect()
}

#[test]
fn keys_are_decoded_once_and_kept_to_the_letter() {
    let long = "k".repeat(1_024);
    let encoded_long = "%C3%BC".repeat(512);
    for (encoded, key) in [
        ("a.csv", "a.csv"),
        ("a+b.csv", "a b.csv"),
        ("a%2Bb.csv", "a+b.csv"),
        ("a%252Bb.csv", "a%2Bb.csv"),
        ("100%25.csv", "100%.csv"),
        ("%C3%BC%F0%9F%98%80.csv", "ü😀.csv"),
        ("ü.csv", "ü.csv"),
        ("u%CC%88.csv", "u\u{308}.csv"),
        ("a//b.csv", "a//b.csv"),
        ("/a.csv", "/a.csv"),
        ("../a/./b/../c.csv", "../a/./b/../c.csv"),
        ("%2E%2E/%2e%2e/etc/passwd", "../../etc/passwd"),
        ("a.csv+", "a.csv "),
        ("+", " "),
        ("a%0Ab%0D%1B%5B31m%00.csv", "a\nb\r\u{1b}[31m\0.csv"),
        ("a%E2%80%AEvsc.exe", "a\u{202e}vsc.exe"),
        ("%5C%22%27%60%24%7B%7D", "\\\"'`${}"),
        (long.as_str(), long.as_str()),
        (encoded_long.as_str(), &"ü".repeat(512)),
    ] {
        for event in [
            records(&[record(encoded)]),
            sns(&records(&[record(encoded)])),
            bridge(key),
            sns(&bridge(key)),
        ] {
            for event in [event.clone(), batch(&[event.to_string()])] {
                assert_eq!(keys(&event), [key], "{event}");
            }
        }
    }
    let wrong = |key: &str| records(&[record(key)]);
    for key in ["", "%", "a%2", "a%zz", "%FF.csv", "%C0%AF", "%ED%A0%80", &"k".repeat(1_025)] {
        let expected = EventError::Field { shape: "S3", field: "s3.object.key" };
        assert_eq!(read(&wrong(key)), [Err(expected)], "{key}");
    }
}

#[test]
fn repeated_reversed_and_bundled_events_name_every_object_they_are_about() {
    let twice = batch(&[records(&[record("a")]).to_string(), records(&[record("a")]).to_string()]);
    assert_eq!(keys(&twice), ["a", "a"], "the slot tells that they are one");
    let newer = with(record("a"), "/s3/object/sequencer", json!("0B"));
    let reversed = records(&[newer, record("a")]);
    assert_eq!(keys(&reversed), ["a", "a"], "the object itself is asked which is newer");
    let many: Vec<Value> = (0..1_000).map(|at| record(&format!("k{at}"))).collect();
    assert_eq!(keys(&records(&many)).len(), 1_000);
    assert_eq!(keys(&batch(&[records(&many).to_string()])).len(), 1_000);
    let mixed = records(&[
        record("a"),
        with(record("b"), "/eventName", json!("ObjectRemoved:Delete")),
        with(record("c/"), "/s3/object/size", json!(0)),
        with(record("d"), "/s3/object/size", json!(0)),
        with(record("e"), "/s3/bucket/name", json!("someone-elses")),
        with(record("f"), "/awsRegion", json!("mars-north-1")),
    ]);
    let refs = read(&mixed).remove(0).unwrap();
    let seen: Vec<_> = refs.objects.iter().map(|o| (o.bucket.as_str(), o.key.as_str())).collect();
    assert_eq!(seen, [("input", "a"), ("input", "d"), ("someone-elses", "e"), ("input", "f")]);
    assert_eq!((refs.deletes, refs.folder_markers), (1, 1));
}

#[test]
fn news_that_is_no_upload_is_done_with() {
    let named = |name: &str| records(&[with(record("a"), "/eventName", json!(name))]);
    let bridged = |name: &str| with(bridge("a"), "/detail-type", json!(name));
    let deletes = |deletes| Refs { deletes, ..Refs::default() };
    let others = |others| Refs { others, ..Refs::default() };
    for (event, expected) in [
        (
            json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "input"}),
            Refs::default(),
        ),
        (sns(&json!({"Event": "s3:TestEvent"})), Refs::default()),
        (named("ObjectRemoved:Delete"), deletes(1)),
        (named("ObjectRemoved:DeleteMarkerCreated"), deletes(1)),
        (named("LifecycleExpiration:Delete"), deletes(1)),
        (bridged("Object Deleted"), deletes(1)),
        (named("ObjectTagging:Put"), others(1)),
        (named("ObjectRestore:Completed"), others(1)),
        (named("ReducedRedundancyLostObject"), others(1)),
        (named("SomethingNew:InTheFuture"), others(1)),
        (bridged("Object Storage Class Changed"), others(1)),
        (records(&[]), Refs::default()),
    ] {
        assert_eq!(read(&batch(&[event.to_string()])), [Ok(expected)], "{event}");
    }
}

#[test]
fn what_an_event_does_not_say_or_says_in_a_later_version_is_no_reason_to_refuse_it() {
    let bare = json!({"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "input"}, "object": {"key": "a"}}});
    let object = ObjectRef {
        bucket: "input".into(),
        key: "a".into(),
        version_id: None,
        etag: None,
        size: None,
        sequencer: None,
    };
    let expected = Refs { objects: vec![object], ..Refs::default() };
    assert_eq!(read(&records(std::slice::from_ref(&bare))), [Ok(expected.clone())]);
    let mut later = bare;
    later["eventVersion"] = json!("9.0");
    later["news"] = json!([{"a": null}]);
    later["eventName"] = json!("s3:ObjectCreated:Teleported");
    later["s3"]["object"]["versionId"] = json!(null);
    assert_eq!(read(&records(&[later])), [Ok(expected)]);
}

#[test]
fn a_message_that_is_not_understood_comes_back_and_the_others_do_not() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let bodies = [
        records(&[record("a")]).to_string(),
        "not JSON".to_owned(),
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
        "{\"Records\":null}".to_owned(),
        "{\"Records\":{}}".to_owned(),
        "{\"Records\":[null]}".to_owned(),
        "{\"Records\":[{}]}".to_owned(),
        "{\"Records\":[{\"eventSource\":\"aws:s3\"}]}".to_owned(),
        records(&[with(record("a"), "/eventSource", json!("aws:dynamodb"))]).to_string(),
        records(&[record("a"), json!({"eventSource": "aws:kinesis"})]).to_string(),
        json!({"source": "aws.ec2", "detail-type": "Object Created"}).to_string(),
        json!({"source": "aws.s3", "detail": {}}).to_string(),
        json!({"Type": "SubscriptionConfirmation", "Token": "t"}).to_string(),
        json!({"Type": "Notification"}).to_string(),
        json!({"Type": "Notification", "Message": "not JSON"}).to_string(),
        deep(127),
        deep(100_000),
        format!("{}1", "{\"Records\":[".repeat(50_000)),
        "x".repeat((1 << 20) + 1),
        format!("\"{}\"", "x".repeat(1 << 20)),
        "{\"rowproof\":1,\"kind\":\"unheard_of\"}".to_owned(),
        "{\"rowproof\":99,\"kind\":\"job\"}".to_owned(),
        records(&[record("b")]).to_string(),
    ];
    let event = batch(&bodies);
    let ids: Vec<_> = event::messages(&event).into_iter().map(|message| message.id).collect();
    let found = read(&event);
    for (at, found) in found.iter().enumerate() {
        let understood = at == 0 || at == bodies.len() - 1;
        assert_eq!(found.is_ok(), understood, "{}", &bodies[at][..bodies[at].len().min(80)]);
        assert_eq!(ids[at].as_deref(), Some(at.to_string().as_str()), "it can be reported alone");
    }
    for body in &bodies[bodies.len() - 3..] {
        let body = serde_json::from_str(body).unwrap();
        assert_eq!(Message::from_json(&body), None, "none of Rowproof's own either");
    }
}

#[test]
fn a_body_of_one_mebibyte_is_read_and_a_larger_one_comes_back() {
    let body = records(&[record("a")]).to_string();
    let padded = |len: usize| format!("{body}{}", " ".repeat(len - body.len()));
    assert_eq!(keys(&batch(&[padded(1 << 20)])), ["a"]);
    assert_eq!(read(&batch(&[padded((1 << 20) + 1)])), [Err(EventError::TooLarge)]);
    let one = records(&[record("a")]).to_string().len() - records(&[]).to_string().len() + 1;
    let full: Vec<Value> = (0..(1 << 20) / one - 1).map(|_| record("a")).collect();
    let full = records(&full);
    assert!((1_000_000..1 << 20).contains(&full.to_string().len()));
    assert_eq!(keys(&batch(&[full.to_string()])).len(), full["Records"].as_array().unwrap().len());
}
