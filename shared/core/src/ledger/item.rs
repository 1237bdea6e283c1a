//! The shape of a ledger write: an item, a condition on what is stored, and the attributes to set.
//!
//! [`Write::apply`] is the meaning of a conditional write. DynamoDB performs the same writes in
//! production; tests and models perform them here.

use std::collections::BTreeMap;

/// An attribute value. Nested facts are JSON text in a [`Value::S`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// Text.
    S(String),
    /// Whole number.
    N(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::S(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::S(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::N(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::N(i64::from(number))
    }
}

/// Attributes of one stored item.
pub type Item = BTreeMap<String, Value>;

/// Where an item is stored.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

/// A condition on the stored item. A comparison with a missing attribute is false, as in DynamoDB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// Nothing is stored under the key.
    Absent,
    /// Something is stored under the key.
    Exists,
    /// The attribute is not there.
    Missing(&'static str),
    /// The attribute equals the value.
    Eq(&'static str, Value),
    /// The attribute is there and differs from the value.
    Ne(&'static str, Value),
    /// The attribute is a smaller number.
    Lt(&'static str, i64),
    /// The attribute is one of the texts.
    In(&'static str, Vec<&'static str>),
    /// All hold.
    All(Vec<Guard>),
    /// At least one holds.
    Any(Vec<Guard>),
    /// Never holds.
    Never,
}

impl Guard {
    /// Whether the condition holds on what is stored.
    pub fn holds(&self, stored: Option<&Item>) -> bool {
        let get = |name: &str| stored.and_then(|item| item.get(name));
        match self {
            Guard::Absent => stored.is_none(),
            Guard::Exists => stored.is_some(),
            Guard::Missing(name) => get(name).is_none(),
            Guard::Eq(name, value) => get(name) == Some(value),
            Guard::Ne(name, value) => get(name).is_some_and(|found| found != value),
            Guard::Lt(name, number) => matches!(get(name), Some(Value::N(found)) if found < number),
            Guard::In(name, texts) => {
                matches!(get(name), Some(Value::S(found)) if texts.contains(&found.as_str()))
            }
            Guard::All(guards) => guards.iter().all(|guard| guard.holds(stored)),
            Guard::Any(guards) => guards.iter().any(|guard| guard.holds(stored)),
            Guard::Never => false,
        }
    }
}

/// The attribute that names the logical write which stored an item last.
pub const WRITE_ID: &str = "write_id";

/// One conditional write of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The transition, for logs and models.
    pub name: &'static str,
    /// Where.
    pub key: Key,
    /// Condition for the write to happen.
    pub guard: Guard,
    /// What a stored item looks like when this write's effect stands already, whoever wrote it.
    pub effect: Guard,
    /// Attributes to set.
    pub set: BTreeMap<&'static str, Value>,
    /// Attributes to remove.
    pub remove: Vec<&'static str>,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Performed {
    /// It happened now, or its effect stood already: by an earlier send of this very write whose
    /// answer was lost, or by an equal write of somebody else.
    Stands,
    /// The condition refused it; what is stored instead.
    Refused(Option<Item>),
}

impl Performed {
    /// Whether the effect stands.
    pub fn stands(&self) -> bool {
        matches!(self, Performed::Stands)
    }
}

impl Write {
    /// What is stored afterwards, or `None` when the condition refuses.
    pub fn apply(&self, stored: Option<&Item>, write_id: &str) -> Option<Item> {
        if !self.guard.holds(stored) {
            return None;
        }
        let mut item = stored.cloned().unwrap_or_default();
        item.insert("pk".into(), Value::from(self.key.pk.as_str()));
        item.insert("sk".into(), Value::from(self.key.sk.as_str()));
        for (name, value) in &self.set {
            item.insert((*name).to_owned(), value.clone());
        }
        for name in &self.remove {
            item.remove(*name);
        }
        item.insert(WRITE_ID.to_owned(), Value::from(write_id));
        Some(item)
    }

    /// The own-write rule: what a refused write means, given what is stored and the id this logical
    /// write carried on every send.
    pub fn judge(&self, stored: Option<Item>, write_id: &str) -> Performed {
        let own = Guard::Eq(WRITE_ID, Value::from(write_id));
        if own.holds(stored.as_ref()) || self.effect.holds(stored.as_ref()) {
            return Performed::Stands;
        }
        Performed::Refused(stored)
    }
}

/// An item that lacks an attribute or holds one of the wrong kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ledger item {pk} {sk}: attribute `{name}` is missing or of the wrong kind")]
pub struct BadItem {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
    /// The attribute.
    pub name: String,
}

/// Typed access to an item's attributes.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a Item);

impl<'a> Fields<'a> {
    /// Text, if it is there.
    pub fn text(self, name: &str) -> Option<&'a str> {
        match self.0.get(name) {
            Some(Value::S(text)) => Some(text),
            Some(Value::N(_)) | None => None,
        }
    }

    /// Number, if it is there.
    pub fn number(self, name: &str) -> Option<i64> {
        match self.0.get(name) {
            Some(Value::N(number)) => Some(*number),
            Some(Value::S(_)) | None => None,
        }
    }

    /// Text that must be there.
    pub fn need_text(self, name: &str) -> Result<&'a str, BadItem> {
        self.text(name).ok_or_else(|| self.bad(name))
    }

    /// Number that must be there.
    pub fn need_number(self, name: &str) -> Result<i64, BadItem> {
        self.number(name).ok_or_else(|| self.bad(name))
    }

    /// JSON text that must be there and parse.
    pub fn need_json<T: serde::de::DeserializeOwned>(self, name: &str) -> Result<T, BadItem> {
        serde_json::from_str(self.need_text(name)?).map_err(|_| self.bad(name))
    }

    /// The error for an attribute of this item.
    pub fn bad(self, name: &str) -> BadItem {
        BadItem {
            pk: self.text("pk").unwrap_or_default().to_owned(),
            sk: self.text("sk").unwrap_or_default().to_owned(),
            name: name.to_owned(),
        }
    }
}

/// JSON text of a value that always serialises.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Value {
    Value::S(serde_json::to_string(value).unwrap_or_default())
}
