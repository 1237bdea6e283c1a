//! One field of a JSON record, changed; every other byte stays.

use std::ops::Range;

use super::text::New;
use super::trouble::Trouble;
use crate::decode::json_fields;

/// A field of an object: its name, and where name and value stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    key: Range<usize>,
    pub(super) value: Range<usize>,
}

/// The fields of a record that is one JSON object.
pub(super) fn members(record: &str) -> Option<Vec<Member>> {
    let fields = json_fields(record)?;
    let mut members: Vec<Member> = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let before = members.last().map_or(0, |member| member.value.end);
        let opens = before + record.get(before..value.start)?.find('"')?;
        let key = opens..closing_quote(record, opens)? + 1;
        members.push(Member { name, key, value });
    }
    Some(members)
}

/// The quote that closes the JSON string at `opens`.
fn closing_quote(record: &str, opens: usize) -> Option<usize> {
    let bytes = record.as_bytes();
    let mut at = opens + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The field's text as a column reads it; `None` for null, an object or an array.
pub(super) fn text_of(value: &str) -> Option<String> {
    match value.as_bytes() {
        [b'"', ..] => serde_json::from_str(value).ok(),
        [b'{' | b'[', ..] | b"null" | [] => None,
        _ => Some(value.to_owned()),
    }
}

/// The record with the first of the fields `names` that it has changed as `edit` says, or given the first
/// of the names when it has none of them.
pub(super) fn changed(
    record: &[u8],
    names: &[String],
    edit: impl FnOnce(Option<&[u8]>) -> Option<New>,
) -> Option<Vec<u8>> {
    let record = std::str::from_utf8(record).ok()?;
    let members = members(record)?;
    let member = names.iter().find_map(|name| members.iter().find(|member| member.name == *name));
    let Some(member) = member else {
        return appended(record, &members, names.first()?, edit(None)?);
    };
    let value = record.get(member.value.clone())?;
    let old = text_of(value);
    let new = match edit(old.as_deref().map(str::as_bytes))? {
        New::Text(text) if Some(text.as_slice()) == old.as_deref().map(str::as_bytes) => {
            return None;
        }
        New::Text(text) => {
            let text = String::from_utf8(text).ok()?;
            let literal = !value.starts_with('"') && is_literal(&text);
            if literal { text } else { serde_json::to_string(&text).ok()? }
        }
        New::Value(value) if Some(&value) == old.as_ref() => return None,
        New::Value(value) => serde_json::to_string(&value).ok()?,
        New::Null if value == "null" => return None,
        New::Null => "null".to_owned(),
    };
    splice(record, &member.value, &new)
}

/// A number or a boolean as JSON writes them.
fn is_literal(text: &str) -> bool {
    matches!(text, "true" | "false") || serde_json::from_str::<serde_json::Number>(text).is_ok()
}

fn appended(record: &str, members: &[Member], name: &str, new: New) -> Option<Vec<u8>> {
    let New::Value(value) = new else { return None };
    let (name, value) = (serde_json::to_string(name).ok()?, serde_json::to_string(&value).ok()?);
    let (at, comma) = match members.last() {
        Some(last) => (last.value.end, ","),
        None => (record.find('{')? + 1, ""),
    };
    splice(record, &(at..at), &format!("{comma}{name}:{value}"))
}

/// The record with field `from` named `to`; `None` when it has no such field.
pub(super) fn renamed(record: &[u8], from: &str, to: &str) -> Result<Option<Vec<u8>>, Trouble> {
    let Some(record) = std::str::from_utf8(record).ok() else { return Ok(None) };
    let members = members(record).unwrap_or_default();
    let Some(member) = members.iter().find(|member| member.name == from) else { return Ok(None) };
    if members.iter().any(|member| member.name == to) {
        return Err(Trouble::NameTaken(to.to_owned()));
    }
    let name = serde_json::to_string(to).ok();
    Ok(name.and_then(|name| splice(record, &member.key, &name)))
}

/// The record with `new` in this place.
fn splice(record: &str, place: &Range<usize>, new: &str) -> Option<Vec<u8>> {
    let (before, after) = (record.get(..place.start)?, record.get(place.end..)?);
    Some([before, new, after].concat().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_every_name_and_value_is_known() {
        let record = r#" { "a" : 1.50,"b\"\\":"x,\"y\":1" , "c":{"a":[1]},"":null}"#;
        let found = members(record).unwrap();
        let part = |place: &Range<usize>| record.get(place.clone()).unwrap();
        let shown: Vec<_> =
            found.iter().map(|member| (part(&member.key), part(&member.value))).collect();
        let expected = [
            (r#""a""#, "1.50"),
            (r#""b\"\\""#, r#""x,\"y\":1""#),
            (r#""c""#, r#"{"a":[1]}"#),
            (r#""""#, "null"),
        ];
        assert_eq!(shown, expected);
        assert_eq!(found[1].name, "b\"\\");
        assert_eq!(members("{}"), Some(vec![]));
        assert_eq!(members("[1]"), None);
        assert_eq!(members(r#"{"a":1"#), None);
    }
}
