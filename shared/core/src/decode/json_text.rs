//! The text of one JSON object, also where it holds the numbers that JSON has no word for.
//!
//! Python's `json`, `DuckDB` and others write NaN and the infinities as JavaScript does: `NaN`, `Infinity` and
//! `-Infinity`. RFC 8259 has none of the three, so parsers refuse the object. Here they are numbers without
//! quotes; the column's type decides what becomes of them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

const WORDS: [&str; 3] = ["NaN", "Infinity", "-Infinity"];

/// The names of an object's fields and the places of their values in `record`, in order; `None` when `record`
/// is not one JSON object. A byte order mark before it is passed over, and so is what stands around an object
/// that is a line of a list.
pub fn json_fields(record: &str) -> Option<Vec<(String, Range<usize>)>> {
    let object = item(record.strip_prefix('\u{feff}').unwrap_or(record));
    let before = object.as_ptr().addr() - record.as_ptr().addr();
    let read = |text: &str| {
        let fields: Fields<'_> = serde_json::from_str(text).ok()?;
        let place = |(name, value): (String, &RawValue)| {
            let start = before + (value.get().as_ptr().addr() - text.as_ptr().addr());
            (name, start..start + value.get().len())
        };
        Some(fields.0.into_iter().map(place).collect())
    };
    read(object).or_else(|| read(&with_plain_numbers(object)?))
}

/// The item of a list that is written with an item a line: without the bracket before and behind it, and without
/// the comma.
pub(super) fn item(line: &str) -> &str {
    let blanks = [' ', '\t', '\r'];
    let line = line.trim_matches(blanks);
    let line = line.strip_prefix(['[', ',']).unwrap_or(line);
    let line = line.strip_suffix([']', ',']).unwrap_or(line);
    line.trim_matches(blanks)
}

/// The text with digits in the place of each byte of a number that JSON has no word for, so that every other
/// byte stays where it was; `None` when it holds no such number.
pub(super) fn with_plain_numbers(text: &str) -> Option<String> {
    let mut plain = Cow::Borrowed(text.as_bytes());
    let mut at = 0;
    // Whether a value may start here.
    let mut opens = false;
    while let Some(byte) = text.as_bytes().get(at) {
        let length = match byte {
            b'"' => string_length(text.as_bytes().get(at..)?),
            b'N' | b'I' | b'-' if opens => match word_length(text.get(at..)?) {
                Some(length) => {
                    let digits = at + usize::from(*byte == b'-')..at + length;
                    plain.to_mut().get_mut(digits)?.fill(b'1');
                    length
                }
                None => 1,
            },
            _ => 1,
        };
        opens = matches!(byte, b':' | b',' | b'[' | b' ' | b'\t' | b'\n' | b'\r');
        at += length;
    }
    match plain {
        Cow::Borrowed(_) => None,
        Cow::Owned(bytes) => String::from_utf8(bytes).ok(),
    }
}

/// Bytes of the word that `text` starts with, if it ends where a value may end.
fn word_length(text: &str) -> Option<usize> {
    let length = WORDS.iter().find(|word| text.starts_with(**word))?.len();
    let next = text.as_bytes().get(length);
    let ends = matches!(next, None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
    ends.then_some(length)
}

/// Bytes of the JSON string that `text` starts with, up to the end of `text` when it is not closed.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// The fields of an object, in order, their values as written.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Option<String> {
        with_plain_numbers(text)
    }

    #[test]
    fn numbers_without_a_word_in_json_become_digits_of_their_length() {
        assert_eq!(plain(r#"{"a":NaN}"#).as_deref(), Some(r#"{"a":111}"#));
        assert_eq!(
            plain(r#"{"a": -Infinity , "b":[NaN,Infinity]}"#).as_deref(),
            Some(r#"{"a": -11111111 , "b":[111,11111111]}"#)
        );
    }

    #[test]
    fn texts_and_other_words_stay() {
        for text in [
            r#"{"NaN":"NaN","b":"\" :NaN,"}"#,
            r#"{"a":NaNs,"b":1NaN,"c":-NaN,"d":nan,"e":+Infinity,"f":--Infinity}"#,
            r#"{"a":"é NaN"#,
            r#"{"a":"\"#,
            "",
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    #[test]
    fn places_of_values_are_those_in_the_record() {
        let record = "\u{feff}{\"é\":NaN,\"b\":\"x\", \"c\" : -Infinity}";
        let fields = json_fields(record).unwrap();
        let shown: Vec<_> = fields
            .iter()
            .map(|(name, place)| (name.as_str(), record.get(place.clone()).unwrap_or("")))
            .collect();
        assert_eq!(shown, [("é", "NaN"), ("b", "\"x\""), ("c", "-Infinity")]);
        assert_eq!(json_fields(" [{\"a\": 1},"), Some(vec![("a".to_owned(), 8..9)]));
        assert_eq!(json_fields(r#"{"a":NaN"#), None);
        assert_eq!(json_fields(r#"[NaN]"#), None);
    }
}
