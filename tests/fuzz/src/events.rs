//! Any JSON is an event with objects in bounds, or is refused; another wrapping changes nothing.

use rowproof_core::event::{self, EventError, Refs};
use rowproof_core::message::Message;
use rowproof_core::pipeline::{KEY_BYTES_MAX, KeyPattern};
use serde_json::{Value, json};

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(data) else {
        return as_body(&String::from_utf8_lossy(data));
    };
    let messages = event::messages(&event);
    assert!(!messages.is_empty() || event.get("Records").is_some());
    for message in messages {
        let found = message.body.and_then(|body| {
            drop(Message::from_json(&body));
            event::object_refs(&body)
        });
        in_bounds(&found);
    }
    let bare = event::object_refs(&event);
    in_bounds(&bare);
    let text = event.to_string();
    as_body(&text);
    // One more wrapping may be one too many, or take the text over its limit.
    for wrapped in [json!({"Type": "Notification", "Message": text}), json!(text)] {
        match (event::object_refs(&wrapped), &bare) {
            (Err(EventError::TooDeep | EventError::TooLarge | EventError::NotJson), _) => {}
            (found, bare) => assert_eq!(&found, bare, "{wrapped}"),
        }
    }
}

/// As the body of a queue's message: it keeps its id, whatever it is.
fn as_body(text: &str) {
    let batch = json!({"Records": [
        {"eventSource": "aws:sqs", "messageId": "1", "body": text},
        {"eventSource": "aws:sqs", "messageId": "2", "body": "{\"Event\":\"s3:TestEvent\"}"},
    ]});
    let messages = event::messages(&batch);
    let ids: Vec<_> = messages.iter().filter_map(|message| message.id.as_deref()).collect();
    assert_eq!(ids, ["1", "2"]);
    for message in messages {
        in_bounds(&message.body.and_then(|body| event::object_refs(&body)));
    }
}

fn in_bounds(found: &Result<Refs, EventError>) {
    match found {
        Ok(refs) => {
            let pattern = KeyPattern::compile("incoming/{a}/x_{day:%Y%m%d}*").expect("a pattern");
            for object in &refs.objects {
                assert!((1..=KEY_BYTES_MAX).contains(&object.key.len()));
                assert!((1..=255).contains(&object.bucket.len()));
                drop(pattern.captures(&object.key));
            }
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.len() < 2_000 && !text.chars().any(char::is_control), "{text:?}");
        }
    }
}
