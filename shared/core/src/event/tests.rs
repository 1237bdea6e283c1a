use serde_json::json;

use super::*;

fn fixture(name: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/events");
    let text = std::fs::read_to_string(format!("{folder}/{name}.json")).expect("the fixture");
    serde_json::from_str(&text).expect("JSON")
}

/// What every message of a fixture is about.
fn refs(name: &str) -> Vec<Result<Refs, EventError>> {
    let read = |message: Message| message.body.and_then(|body| object_refs(&body));
    messages(&fixture(name)).into_iter().map(read).collect()
}

fn only(name: &str) -> Refs {
    let mut all = refs(name);
    assert_eq!(all.len(), 1, "{name}");
    all.remove(0).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn every_wrapping_of_an_s3_record_gives_the_object() {
    let expected = ObjectRef {
        bucket: "acme-input".into(),
        key: "incoming/acme gmbh/orders_ü+1.csv".into(),
        version_id: Some("L4kqtJlcpXroDTDmpUMLUo".into()),
        etag: Some("9b2cf535f27731c974343645a3985328".into()),
        size: Some(1843),
        sequencer: Some("0067F1C3A29D5E8B41".into()),
    };
    for name in ["s3_direct", "sqs_s3", "sqs_sns_s3", "sns_direct"] {
        assert_eq!(only(name).objects, std::slice::from_ref(&expected), "{name}");
    }
}

#[test]
fn every_wrapping_of_an_event_bridge_event_gives_the_object() {
    let expected = ObjectRef {
        bucket: "acme-input".into(),
        key: "incoming/acme gmbh/100%25+ü.csv".into(),
        version_id: Some("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e".into()),
        etag: Some("9b2cf535f27731c974343645a3985328".into()),
        size: Some(1843),
        sequencer: Some("0067F1C3A29D5E8B41".into()),
    };
    for name in ["eventbridge_direct", "sqs_eventbridge", "sqs_sns_eventbridge"] {
        assert_eq!(only(name).objects, std::slice::from_ref(&expected), "{name}");
    }
}

#[test]
fn a_key_is_decoded_exactly_once() {
    let refs = only("s3_encoded_percent");

    assert_eq!(refs.objects[0].key, "incoming/100%25.csv");
}

#[test]
fn what_is_no_upload_is_counted_and_skipped() {
    let none = Refs::default();
    for (name, expected) in [
        ("s3_deletes", Refs { deletes: 3, ..none.clone() }),
        ("s3_folder_marker", Refs { folder_markers: 1, ..none.clone() }),
        ("s3_other_events", Refs { others: 2, ..none.clone() }),
        ("eventbridge_deleted", Refs { deletes: 1, ..none.clone() }),
        ("eventbridge_other", Refs { others: 1, ..none.clone() }),
        ("s3_test_event", none.clone()),
        ("sqs_test_event", none.clone()),
    ] {
        assert_eq!(only(name), expected, "{name}");
    }
}

#[test]
fn a_multipart_upload_is_an_upload() {
    let refs = only("s3_multipart");

    assert_eq!(refs.objects[0].etag.as_deref(), Some("3858f62230ac3c915f300c664312c11f-9"));
    assert_eq!(refs.objects[0].size, Some(73_400_320));
}

#[test]
fn a_bad_message_of_a_batch_fails_alone_and_keeps_its_id() {
    let batch = messages(&fixture("sqs_batch_mixed"));
    let ids: Vec<&str> = batch.iter().filter_map(|message| message.id.as_deref()).collect();
    let refs = refs("sqs_batch_mixed");

    assert_eq!(ids.len(), 4);
    assert!(ids[2].starts_with("00000003-"));
    assert!(refs[0].is_ok() && refs[3].is_ok());
    assert_eq!(refs[1], Err(EventError::NotJson));
    let unknown = refs[2].clone().expect_err("unknown").to_string();
    assert_eq!(unknown, "the event has an unknown shape: the keys hello, secret");
}

#[test]
fn an_unknown_shape_is_named_without_its_values() {
    let many: Value = (0..20).map(|i| (format!("key{i}"), json!("secret"))).collect();
    for (body, expected) in [
        (json!({}), "no keys"),
        (json!(null), "null"),
        (json!([1]), "a list"),
        (json!(7), "a number"),
        (json!({"Records": [{"a": "secret"}]}), "a record with the keys a"),
        (json!({"Records": {"a": "secret"}}), "the keys Records"),
        (json!({"x\u{1b}[31m": 1}), "the keys x\\u{1b}[31m"),
        (many, "key7 and more"),
        (fixture("scheduled"), "the keys version, id, detail-type"),
    ] {
        let error = object_refs(&body).expect_err("unknown").to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn a_known_shape_must_be_whole() {
    let record = fixture("s3_direct")["Records"][0].clone();
    let bridge = fixture("eventbridge_direct");
    let change = |base: &Value, pointer: &str, value: Value| {
        let mut changed = base.clone();
        *changed.pointer_mut(pointer).expect("the place") = value;
        changed
    };
    let long = "k".repeat(1025);
    for (pointer, value, field) in [
        ("/eventName", json!(null), "eventName"),
        ("/s3", json!(null), "s3.object"),
        ("/s3/bucket/name", json!(""), "s3.bucket.name"),
        ("/s3/object/key", json!(""), "s3.object.key"),
        ("/s3/object/key", json!(7), "s3.object.key"),
        ("/s3/object/key", json!("a%2"), "s3.object.key"),
        ("/s3/object/key", json!("a%zz"), "s3.object.key"),
        ("/s3/object/key", json!("a%+1"), "s3.object.key"),
        ("/s3/object/key", json!("a%ff"), "s3.object.key"),
        ("/s3/object/key", json!(long), "s3.object.key"),
        ("/s3/object/size", json!(-1), "size"),
        ("/s3/object/sequencer", json!(1), "sequencer"),
    ] {
        let body = json!({"Records": [change(&record, pointer, value)]});
        let expected = EventError::Field { shape: "S3", field };
        assert_eq!(object_refs(&body), Err(expected), "{pointer}");
    }
    for (pointer, value, field) in [
        ("/detail-type", json!(null), "detail-type"),
        ("/detail", json!({}), "detail.object"),
        ("/detail/bucket/name", json!(null), "detail.bucket.name"),
        ("/detail/object/key", json!(long), "detail.object.key"),
        ("/detail/object/size", json!("1"), "size"),
    ] {
        let body = change(&bridge, pointer, value);
        let expected = EventError::Field { shape: "EventBridge", field };
        assert_eq!(object_refs(&body), Err(expected), "{pointer}");
    }
    let sns = json!({"Type": "Notification"});
    assert!(matches!(object_refs(&sns), Err(EventError::Field { shape: "SNS", .. })));
}

#[test]
fn bodies_over_one_mebibyte_are_refused() {
    let large = "x".repeat(BODY_BYTES_MAX);
    let batch =
        json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": large + "x"}]});
    let many: Vec<Value> = vec![json!([]); BODY_BYTES_MAX];

    assert_eq!(messages(&batch)[0].body, Err(EventError::TooLarge));
    assert_eq!(object_refs(&json!({"a": "x".repeat(BODY_BYTES_MAX)})), Err(EventError::TooLarge));
    assert_eq!(object_refs(&json!({"x".repeat(BODY_BYTES_MAX): 1})), Err(EventError::TooLarge));
    assert_eq!(object_refs(&Value::Array(many)), Err(EventError::TooLarge));
}

#[test]
fn wrappings_are_undone_a_few_times_only() {
    let mut body = fixture("s3_direct");
    for _ in 0..4 {
        body = json!({"Type": "Notification", "Message": body.to_string()});
    }

    assert_eq!(object_refs(&body).map(|refs| refs.objects.len()), Ok(1));
    let deeper = json!({"Type": "Notification", "Message": body.to_string()});
    assert_eq!(object_refs(&deeper), Err(EventError::TooDeep));
}

#[test]
fn a_record_without_an_id_or_a_body_is_an_error_of_its_own() {
    let batch = json!({"Records": [
        {"eventSource": "aws:sqs", "body": "{}"},
        {"eventSource": "aws:sqs", "messageId": "m"},
    ]});

    let messages = messages(&batch);

    assert_eq!(messages[0].body, Err(EventError::BadRecord("messageId")));
    assert_eq!(messages[0].id, None);
    assert_eq!(messages[1].body, Err(EventError::BadRecord("body")));
    assert_eq!(messages[1].id.as_deref(), Some("m"));
}

#[test]
fn an_event_that_is_no_batch_is_one_message_without_an_id() {
    let event = fixture("eventbridge_direct");

    assert_eq!(messages(&event), [Message { id: None, body: Ok(event.clone()) }]);
}
