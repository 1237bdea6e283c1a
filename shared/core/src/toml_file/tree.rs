//! A pipeline file as a tree in which every value knows its file and line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{At, Report, dotted, quoted};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

/// A TOML value with `${ENV}` filled in.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(String),
    /// Decimal digits with an optional sign.
    Integer(String),
    /// As written.
    Float(String),
    Bool(bool),
    /// A date or time as written.
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "text",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Bool(_) => "true or false",
            Value::Time(_) => "a date or time",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Gives the variables of `${NAME}`.
pub(crate) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A table in file order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table(pub(crate) Vec<Entry>);

/// One key of a table.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: At,
    pub(crate) node: Node,
}

impl Table {
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    /// Puts `over` on top: tables merge key by key, anything else is replaced. A key keeps the
    /// place of its first mention, so a base's columns stay in order.
    pub(crate) fn overlay(&mut self, over: Table) {
        for entry in over.0 {
            let Some(mine) = self.0.iter_mut().find(|mine| mine.key == entry.key) else {
                self.0.push(entry);
                continue;
            };
            mine.at = entry.at;
            mine.node.at = entry.node.at;
            match (&mut mine.node.value, entry.node.value) {
                (Value::Table(below), Value::Table(above)) => below.overlay(above),
                (below, above) => *below = above,
            }
        }
    }
}

/// Reads one file; a syntax error is its only problem. Without `env` texts stand as they are.
pub(crate) fn read(
    file: usize,
    text: &str,
    env: Option<&Environment<'_>>,
    report: &mut Report,
) -> Option<Table> {
    let lines = Lines::of(text);
    match DeTable::parse(text) {
        Ok(root) => Some(Builder { file, lines, env, report }.table("", root.get_ref())),
        Err(error) => {
            let line = lines.line(error.span().map_or(0, |span| span.start));
            let what = format!("not valid TOML: {}", error.message().replace('\n', ", "));
            report.problem(At { file, line }, "", what, "");
            None
        }
    }
}

/// Byte offsets at which lines start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Lines {
        let starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Lines(std::iter::once(0).chain(starts).collect())
    }

    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset).max(1)
    }
}

struct Builder<'a> {
    file: usize,
    lines: Lines,
    env: Option<&'a Environment<'a>>,
    report: &'a mut Report,
}

impl Builder<'_> {
    fn at<T>(&self, spanned: &Spanned<T>) -> At {
        At { file: self.file, line: self.lines.line(spanned.span().start) }
    }

    fn table(&mut self, name: &str, table: &DeTable<'_>) -> Table {
        let entries = table.iter().map(|(key, value)| {
            let at = self.at(key);
            let key = key.get_ref().to_string();
            let mut node = self.node(&dotted(name, &key), value);
            // A table's own span starts at a header that may stand far from this key.
            if matches!(node.value, Value::Table(_)) {
                node.at = at;
            }
            Entry { key, at, node }
        });
        Table(entries.collect())
    }

    fn node(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Node {
        let at = self.at(value);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(self.expand(at, name, text)),
            DeValue::Integer(number) => {
                match i128::from_str_radix(number.as_str(), number.radix()) {
                    Ok(value) => Value::Integer(value.to_string()),
                    Err(_) => Value::Integer(number.as_str().to_owned()),
                }
            }
            DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(list) => {
                Value::List(list.iter().map(|item| self.node(name, item)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(name, table)),
        };
        Node { at, value }
    }

    fn expand(&mut self, at: At, name: &str, text: &str) -> String {
        let Some(env) = self.env else { return text.to_owned() };
        match expand(text, env) {
            Ok(text) => text,
            Err(ExpandError::Unset(variable)) => {
                let what = format!("the environment variable {variable} is not set");
                let write = format!("${{{variable}:-default}}, or set it");
                self.report.problem(at, name, what, write);
                text.to_owned()
            }
            Err(ExpandError::Malformed) => {
                let what = format!("{} holds a ${{ that names no variable", quoted(text));
                self.report.problem(at, name, what, "${NAME} or ${NAME:-default}, or $${ for ${");
                text.to_owned()
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum ExpandError {
    Unset(String),
    Malformed,
}

/// Fills in `${NAME}` and `${NAME:-default}` (used when NAME is unset or empty); `$${` is `${`.
fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<String, ExpandError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let (inside, after) = after.split_once('}').ok_or(ExpandError::Malformed)?;
        let (variable, default) = match inside.split_once(":-") {
            Some((variable, default)) => (variable, Some(default)),
            None => (inside, None),
        };
        if !is_variable(variable) {
            return Err(ExpandError::Malformed);
        }
        match (env(variable), default) {
            (Some(value), None) => out.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
            (_, Some(default)) => out.push_str(default),
            (None, None) => return Err(ExpandError::Unset(variable.to_owned())),
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "STAGE" => Some("prod".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn variables_are_filled_in_as_a_shell_would() {
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("${STAGE}", Ok("prod")),
            ("a/${STAGE}/b-${STAGE}", Ok("a/prod/b-prod")),
            ("${NONE:-dev}", Ok("dev")),
            ("${EMPTY:-dev}", Ok("dev")),
            ("[${EMPTY}]", Ok("[]")),
            ("${STAGE:-dev}", Ok("prod")),
            ("${NONE:-}", Ok("")),
            ("$${STAGE}", Ok("${STAGE}")),
            ("^[^@]+$", Ok("^[^@]+$")),
            ("cost $5", Ok("cost $5")),
            ("${NONE}", Err(ExpandError::Unset("NONE".into()))),
            ("${STAGE", Err(ExpandError::Malformed)),
            ("${}", Err(ExpandError::Malformed)),
            ("${a b}", Err(ExpandError::Malformed)),
        ] {
            assert_eq!(expand(text, &env), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_value_filled_in_is_not_filled_in_again() {
        let env = |name: &str| (name == "A").then(|| "${B}".to_owned());

        assert_eq!(expand("${A}", &env), Ok("${B}".to_owned()));
    }
}
