//! What the values of a column must obey.

use regex::bytes::Regex;

use crate::block::RejectCode;

/// What the values of a fixed-width type must obey.
#[derive(Debug, Clone)]
pub(crate) struct Rules<T> {
    pub(crate) min: Option<T>,
    pub(crate) max: Option<T>,
    pub(crate) one_of: Option<Vec<T>>,
    /// Stands in for NULL.
    pub(crate) default: Option<T>,
}

/// What text must obey.
#[derive(Debug, Clone)]
pub(crate) struct TextRules {
    /// Characters.
    pub(crate) min_length: Option<usize>,
    /// Characters.
    pub(crate) max_length: Option<usize>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) one_of: Option<TextSet>,
    /// Stands in for NULL.
    pub(crate) default: Option<String>,
}

/// Allowed texts. Those of up to 7 bytes are compared as one number.
#[derive(Debug, Clone, Default)]
pub(crate) struct TextSet {
    short: Vec<u64>,
    long: Vec<Vec<u8>>,
}

/// Up to 7 bytes and their count, distinct for distinct texts.
#[inline]
fn packed(text: &[u8]) -> Option<u64> {
    if text.len() > 7 {
        return None;
    }
    Some(text.iter().fold(text.len() as u64, |number, byte| number << 8 | u64::from(*byte)))
}

impl<T: Copy + PartialOrd> Rules<T> {
    /// Nothing to judge.
    pub(crate) fn is_empty(&self) -> bool {
        self.min.is_none() && self.max.is_none() && self.one_of.is_none()
    }

    /// The first rule that the value breaks. NaN is in no range.
    #[inline]
    pub(crate) fn broken(&self, value: T) -> Option<RejectCode> {
        let above = self.min.is_none_or(|min| value >= min);
        let below = self.max.is_none_or(|max| value <= max);
        if !above || !below {
            return Some(RejectCode::Range);
        }
        let allowed = self.one_of.as_ref().is_none_or(|values| values.contains(&value));
        (!allowed).then_some(RejectCode::OneOf)
    }
}

impl TextRules {
    /// Nothing to judge.
    pub(crate) fn is_empty(&self) -> bool {
        self.min_length.is_none()
            && self.max_length.is_none()
            && self.pattern.is_none()
            && self.one_of.is_none()
    }

    /// The first rule that the text breaks.
    #[inline]
    pub(crate) fn broken(&self, text: &[u8]) -> Option<RejectCode> {
        if self.length_is_wrong(text) {
            return Some(RejectCode::Length);
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            return Some(RejectCode::Pattern);
        }
        let allowed = self.one_of.as_ref().is_none_or(|values| values.contains(text));
        (!allowed).then_some(RejectCode::OneOf)
    }

    #[inline]
    fn length_is_wrong(&self, text: &[u8]) -> bool {
        if self.min_length.is_none() && self.max_length.is_none() {
            return false;
        }
        // Every byte but the continuation bytes of UTF-8 starts a character.
        let characters = text.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        self.min_length.is_some_and(|min| characters < min)
            || self.max_length.is_some_and(|max| characters > max)
    }
}

impl TextSet {
    pub(crate) fn new(values: &[String]) -> TextSet {
        let mut set = TextSet::default();
        for value in values.iter().map(String::as_bytes) {
            match packed(value) {
                Some(number) => set.short.push(number),
                None => set.long.push(value.to_vec()),
            }
        }
        set.long.sort_unstable();
        set
    }

    #[inline]
    pub(crate) fn contains(&self, text: &[u8]) -> bool {
        match packed(text) {
            Some(number) => self.short.contains(&number),
            None => self.long.binary_search_by(|value| value.as_slice().cmp(text)).is_ok(),
        }
    }
}
