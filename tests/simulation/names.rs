//! What a request is, in words that are the same in every run of a seed.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};

use bytes::Bytes;
use hyper::Request;
use serde_json::Value;

/// A hash that is the same everywhere.
pub(crate) fn hash(seed: u64, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// Method, path, conditions and body, with random ids masked.
pub(crate) fn identity(request: &Request<Bytes>) -> String {
    let mut text = format!("{} {}", request.method(), request.uri());
    let told = ["x-amz-target", "range", "if-match", "if-none-match", "x-amz-copy-source"];
    for name in told {
        if let Some(value) = request.headers().get(name) {
            write!(text, " {name}={}", value.to_str().unwrap()).unwrap();
        }
    }
    match serde_json::from_slice::<Value>(request.body()) {
        Ok(value) if request.headers().contains_key("x-amz-target") => {
            text.push(' ');
            canonical(&value, &mut text);
        }
        _ => write!(text, " {:x}", hash(0, &String::from_utf8_lossy(request.body()))).unwrap(),
    }
    text
}

/// JSON with its keys in order: the SDK's maps have none.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for key in keys {
                write!(text, "{key}:").unwrap();
                canonical(&map[key], text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::String(string) => text.push_str(&masked(string)),
        other => write!(text, "{other}").unwrap(),
    }
}

/// Random ids (8-4-4-4-12 hexadecimal digits) become `#`.
fn masked(text: &str) -> String {
    const LEN: usize = 36;
    let bytes = text.as_bytes();
    let is_id = |at: usize| {
        bytes.get(at..at + LEN).is_some_and(|part| {
            part.iter().enumerate().all(|(index, byte)| match index {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
        })
    };
    let mut masked = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if is_id(at) {
            masked.push(b'#');
            at += LEN;
        } else {
            masked.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(masked).unwrap()
}

#[test]
fn random_ids_do_not_make_two_requests_different() {
    let body = |id: &str| format!("{{\"b\":\"x {id} y\",\"a\":{{\"z\":1,\"c\":[\"{id}\"]}}}}");
    let request = |body: String| {
        let request = Request::post("http://h/").header("x-amz-target", "DynamoDB.GetItem");
        identity(&request.body(Bytes::from(body)).unwrap())
    };
    let one = request(body("0b5c2bd5-5fbb-41b1-bbbd-f3e6d1ee9a51"));
    assert_eq!(one, request(body("ffffffff-5fbb-41b1-bbbd-f3e6d1ee9a51")));
    assert!(one.ends_with("{a:{c:[#,],z:1,},b:x # y,}"), "{one}");
    assert_ne!(one, request(body("none")));
}
