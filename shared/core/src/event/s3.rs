//! The two shapes of S3's own news: notification records, and `EventBridge` events.

use serde_json::Value;

use super::{EventError, ObjectRef, Refs};
use crate::pipeline::KEY_BYTES_MAX;

const RECORD: &str = "S3";
const BRIDGE: &str = "EventBridge";

/// Longest bucket name, in bytes.
const BUCKET_BYTES_MAX: usize = 255;
/// Longest version id, `ETag` or sequencer, in bytes.
const TOKEN_BYTES_MAX: usize = 1024;

/// Adds a notification record. Its key is URL-encoded as in a form: `+` is a space.
pub(super) fn add_record(record: &Value, refs: &mut Refs) -> Result<(), EventError> {
    let wrong = |field| EventError::Field { shape: RECORD, field };
    let name = record.get("eventName").and_then(Value::as_str).ok_or(wrong("eventName"))?;
    let name = name.strip_prefix("s3:").unwrap_or(name);
    match name.split(':').next() {
        Some("ObjectCreated") => {}
        Some("ObjectRemoved" | "LifecycleExpiration") => {
            refs.deletes += 1;
            return Ok(());
        }
        // Restored, tagged, replicated: the object's bytes are what they were.
        _ => {
            refs.others += 1;
            return Ok(());
        }
    }
    let s3 = record.get("s3").ok_or(wrong("s3"))?;
    let object = s3.get("object").ok_or(wrong("s3.object"))?;
    let key = object.get("key").and_then(Value::as_str).and_then(decode_key);
    let found = ObjectRef {
        bucket: bucket(s3).ok_or(wrong("s3.bucket.name"))?,
        key: key.filter(|key| is_key(key)).ok_or(wrong("s3.object.key"))?,
        version_id: token(object, "versionId").map_err(wrong)?,
        etag: token(object, "eTag").map_err(wrong)?,
        size: size(object).map_err(wrong)?,
        sequencer: token(object, "sequencer").map_err(wrong)?,
    };
    add(found, refs);
    Ok(())
}

/// Adds an `EventBridge` event. Its key is not encoded.
pub(super) fn add_event_bridge(event: &Value, refs: &mut Refs) -> Result<(), EventError> {
    let wrong = |field| EventError::Field { shape: BRIDGE, field };
    match event.get("detail-type").and_then(Value::as_str).ok_or(wrong("detail-type"))? {
        "Object Created" => {}
        "Object Deleted" => {
            refs.deletes += 1;
            return Ok(());
        }
        _ => {
            refs.others += 1;
            return Ok(());
        }
    }
    let detail = event.get("detail").ok_or(wrong("detail"))?;
    let object = detail.get("object").ok_or(wrong("detail.object"))?;
    let key = object.get("key").and_then(Value::as_str).map(str::to_owned);
    let found = ObjectRef {
        bucket: bucket(detail).ok_or(wrong("detail.bucket.name"))?,
        key: key.filter(|key| is_key(key)).ok_or(wrong("detail.object.key"))?,
        version_id: token(object, "version-id").map_err(wrong)?,
        etag: token(object, "etag").map_err(wrong)?,
        size: size(object).map_err(wrong)?,
        sequencer: token(object, "sequencer").map_err(wrong)?,
    };
    add(found, refs);
    Ok(())
}

fn add(found: ObjectRef, refs: &mut Refs) {
    if found.key.ends_with('/') && found.size.unwrap_or(0) == 0 {
        refs.folder_markers += 1;
    } else {
        refs.objects.push(found);
    }
}

fn bucket(parent: &Value) -> Option<String> {
    let name = parent.get("bucket")?.get("name")?.as_str()?;
    (1..=BUCKET_BYTES_MAX).contains(&name.len()).then(|| name.to_owned())
}

fn is_key(key: &str) -> bool {
    (1..=KEY_BYTES_MAX).contains(&key.len())
}

/// A short text that may be missing.
fn token(object: &Value, field: &'static str) -> Result<Option<String>, &'static str> {
    match object.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= TOKEN_BYTES_MAX => {
            let text = text.trim_matches('"');
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        Some(_) => Err(field),
    }
}

fn size(object: &Value) -> Result<Option<u64>, &'static str> {
    match object.get("size") {
        None | Some(Value::Null) => Ok(None),
        Some(size) => size.as_u64().map(Some).ok_or("size"),
    }
}

/// Undoes the encoding of a notification's key, once. `None` for a cut `%` or bytes that are no UTF-8.
fn decode_key(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}
