//! How the values of a column are written, where that differs from what its type reads by itself.

use serde::{Deserialize, Serialize};

/// How a column's values are written, beyond what its type reads by itself. The default is "as the type
/// says", and is not part of the canonical JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// Words that mean true, as written; together with `false_words`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub true_words: Vec<String>,
    /// Words that mean false, as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub false_words: Vec<String>,
    /// Stands between the whole part and the fraction of a number; a point by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimal_separator: Option<char>,
    /// May stand between groups of three digits; nothing by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thousands: Option<char>,
    /// Ways to write a negative number besides a minus before it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub negative: Vec<Negative>,
    /// Texts that may stand before or after a number and do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affix: Vec<String>,
    /// Digits of a time that are finer than a microsecond are cut off instead of refused.
    #[serde(skip_serializing_if = "is_false")]
    pub truncate_subsecond: bool,
    /// The time of day behind a date is dropped instead of refused.
    #[serde(skip_serializing_if = "is_false")]
    pub drop_time_of_day: bool,
    /// IANA zone of timestamps without an offset, instead of the source's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// What a local time is that its zone has twice or never; it is rejected by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_time: Option<LocalTime>,
}

impl Reading {
    /// Whether nothing is declared.
    pub fn is_default(&self) -> bool {
        *self == Reading::default()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A way to write a negative number besides a minus before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negative {
    /// `5.00-`
    Trailing,
    /// `(5.00)`
    Parentheses,
    /// The minus sign U+2212 for the hyphen.
    Unicode,
}

/// What a local time is that its zone has twice (clocks were put back) or never (put forward).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocalTime {
    /// The row is rejected.
    Reject,
    /// The earlier of the two instants that the offsets before and after the change give.
    Earlier,
    /// The later of them.
    Later,
}

/// How dates or times are written: one format, or several of which the first that fits is taken. Each is
/// a strftime format or one of the words of the type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Formats {
    /// One format.
    One(String),
    /// Several, in the order in which they are tried.
    AnyOf(Vec<String>),
}

impl Formats {
    /// The formats in order.
    pub fn texts(&self) -> &[String] {
        match self {
            Formats::One(text) => std::slice::from_ref(text),
            Formats::AnyOf(texts) => texts,
        }
    }
}
