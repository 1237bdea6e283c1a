//! Tags of an object as a header or a document writes them.

use crate::events::percent_decode;
use s3s::{S3Result, s3_error};
use std::collections::BTreeMap;
/// As many as S3 takes, and as long.
const TAGS_MAX: usize = 10;

const NAME_CHARACTERS_MAX: usize = 128;

const VALUE_CHARACTERS_MAX: usize = 256;

pub(super) type Tags = BTreeMap<String, String>;

/// Reads the header `x-amz-tagging`: `name=value&name=value`, encoded as in a URL.
pub(super) fn parse(header: &str) -> S3Result<Tags> {
    let decoded = |text: &str| {
        percent_decode(&text.replace('+', " "))
            .map_err(|error| s3_error!(error, InvalidTag, "x-amz-tagging is not UTF-8"))
    };
    let mut pairs = vec![];
    for pair in header.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((decoded(name)?, decoded(value)?));
    }
    checked(pairs)
}

pub(super) fn checked(pairs: Vec<(String, String)>) -> S3Result<Tags> {
    let count = pairs.len();
    if count > TAGS_MAX {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than {TAGS_MAX}"));
    }
    let too_long = pairs.iter().find(|(name, value)| {
        name.is_empty()
            || name.chars().count() > NAME_CHARACTERS_MAX
            || value.chars().count() > VALUE_CHARACTERS_MAX
    });
    if too_long.is_some() {
        return Err(s3_error!(InvalidTag, "a tag has no name, or its name or value is too long"));
    }
    let tags: Tags = pairs.into_iter().collect();
    if tags.len() != count {
        return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_a_header_are_decoded() {
        let tags = parse("a=1&b=x%20y+z&%C3%BC=").unwrap();
        let tags: Vec<_> =
            tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("a", "1"), ("b", "x y z"), ("ü", "")]);
        assert!(parse("").unwrap().is_empty());
        assert!(parse("a=1&a=2").is_err());
        assert!(parse(&"x=1&".repeat(11)).is_err());
    }
}
