//! Values of `migration.toml` that are more than a number or a text.

use std::fmt;
use std::time::Duration;

use rowproof_core::sql::quote;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time, written as `500ms`, `2s`, `30m`, `24h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl Span {
    /// So many milliseconds.
    pub const fn ms(ms: u64) -> Span {
        Span(Duration::from_millis(ms))
    }

    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }

    /// Reads one.
    pub fn parse(text: &str) -> Option<Span> {
        let end = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at_checked(end)?;
        let number: u64 = number.parse().ok()?;
        let ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.checked_mul(ms).map(Span::ms)
    }

    /// In milliseconds.
    pub fn as_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.as_ms();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let whole = units.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
        match whole {
            Some((unit, name)) => write!(formatter, "{}{name}", ms / unit),
            None => write!(formatter, "{ms}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = String::deserialize(deserializer)?;
        Span::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "\"{text}\" is no length of time; write \"500ms\", \"2s\" or \"24h\""
            ))
        })
    }
}

/// A table by its schema and name, as Postgres stores them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Schema.
    pub schema: String,
    /// Name in it.
    pub name: String,
}

impl TableName {
    /// Reads `schema.table` as Postgres does: without quotes in lower case, within double quotes as it is.
    pub fn parse(text: &str) -> Option<TableName> {
        let mut parts = vec![];
        let mut rest = text;
        loop {
            let (part, after) = take_name(rest)?;
            parts.push(part);
            match after.strip_prefix('.') {
                Some(after) => rest = after,
                None if after.is_empty() => break,
                None => return None,
            }
        }
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(schema), Some(name), None) => Some(TableName { schema, name }),
            _ => None,
        }
    }

    /// As SQL has it.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

/// A name as SQL has it: without quotes in lower case, within double quotes as it is.
pub fn name_in_sql(text: &str) -> Option<String> {
    take_name(text).filter(|(_, rest)| rest.is_empty()).map(|(name, _)| name)
}

/// A name at the start of a text, and what follows it.
fn take_name(text: &str) -> Option<(String, &str)> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
        let (name, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        return (!name.is_empty()).then(|| (name.to_lowercase(), rest));
    };
    let mut name = String::new();
    let mut rest = inner;
    loop {
        let (before, after) = rest.split_once('"')?;
        name.push_str(before);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return (!name.is_empty()).then_some((name, after)),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.schema, self.name)
    }
}

impl Serialize for TableName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.quoted())
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TableName, D::Error> {
        let text = String::deserialize(deserializer)?;
        TableName::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text} is no table; write \"schema.table\", or \"schema.\\\"Table\\\"\" for a name in quotes"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        for (text, ms) in [("500ms", 500), ("2s", 2_000), ("30m", 1_800_000), ("7d", 604_800_000)] {
            assert_eq!(Span::parse(text).map(Span::as_ms), Some(ms), "{text}");
        }
        for text in
            ["", "5", "s", "2 s", "-1s", "1.5s", "99999999999999999999s", "9999999999999999999d"]
        {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn tables_are_read_as_postgres_does() {
        for (text, schema, name) in [
            ("public.customers", "public", "customers"),
            ("Public.Customers", "public", "customers"),
            ("app.\"Odd \"\"name\"\".x\"", "app", "Odd \"name\".x"),
        ] {
            let found = TableName::parse(text);
            let expected = TableName { schema: schema.into(), name: name.into() };
            assert_eq!(found, Some(expected), "{text}");
        }
        for text in ["customers", "a.b.c", "a.", ".a", "a.\"b", "a b.c", "a.b; DROP"] {
            assert_eq!(TableName::parse(text), None, "{text}");
        }
    }
}
