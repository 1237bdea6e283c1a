//! Reading one table: known keys, kinds of values, choices.

use super::problem::{At, Report, dotted, either, nearest, quoted};
use super::tree::{Node, Table, Value};

/// A table whose keys are all known.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) name: String,
    pub(crate) at: At,
    table: &'a Table,
}

/// A key of the file format; `unsupported` says what it is when this version cannot do it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) unsupported: Option<&'static str>,
}

/// A key that is read.
pub(crate) const fn key(name: &'static str) -> Key {
    Key { name, unsupported: None }
}

/// A key that is refused: `what` is not built.
pub(crate) const fn unsupported(name: &'static str, what: &'static str) -> Key {
    Key { name, unsupported: Some(what) }
}

/// The refusal of a feature that this version lacks.
pub(crate) fn not_supported(what: &str) -> String {
    format!("{what} not supported by this version of rowproof")
}

impl<'a> Section<'a> {
    /// Opens `table` and reports the keys that are not among `keys`.
    pub(crate) fn open(
        name: &str,
        at: At,
        table: &'a Table,
        keys: &[Key],
        report: &mut Report,
    ) -> Section<'a> {
        for entry in &table.0 {
            let full_name = dotted(name, &entry.key);
            match keys.iter().find(|key| key.name == entry.key) {
                Some(Key { unsupported: Some(what), .. }) => {
                    report.problem(entry.at, &full_name, not_supported(what), "");
                }
                Some(_) => {}
                None => {
                    let known = || {
                        let read = keys.iter().filter(|key| key.unsupported.is_none());
                        read.map(|key| key.name)
                    };
                    let write = match nearest(&entry.key, known()) {
                        Some(near) => near.to_owned(),
                        None => format!("one of {}", known().collect::<Vec<_>>().join(", ")),
                    };
                    report.problem(entry.at, &full_name, "unknown key", write);
                }
            }
        }
        Section { name: name.to_owned(), at, table }
    }

    /// Opens the table under `key`.
    pub(crate) fn section(
        &self,
        key: &str,
        keys: &[Key],
        report: &mut Report,
    ) -> Option<Section<'a>> {
        let section = self.any_section(key, report)?;
        Some(Section::open(&section.name, section.at, section.table, keys, report))
    }

    /// Opens the table under `key`, whose keys are the user's.
    pub(crate) fn any_section(&self, key: &str, report: &mut Report) -> Option<Section<'a>> {
        let node = self.get(key)?;
        let name = self.full(key);
        if let Value::Table(table) = &node.value {
            return Some(Section { name, at: node.at, table });
        }
        let what = format!("must be a table, not {}", node.value.kind());
        report.problem(node.at, &name, what, format!("[{name}] and its keys below"));
        None
    }

    pub(crate) fn full(&self, key: &str) -> String {
        dotted(&self.name, key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.table.entry(key).map(|entry| &entry.node)
    }

    pub(crate) fn table(&self) -> &'a Table {
        self.table
    }

    /// Where `key` stands, else the section.
    pub(crate) fn at(&self, key: &str) -> At {
        self.get(key).map_or(self.at, |node| node.at)
    }

    pub(crate) fn missing(&self, key: &str, write: &str, report: &mut Report) {
        report.problem(self.at, &self.full(key), "is missing", write);
    }

    pub(crate) fn wrong(
        &self,
        key: &str,
        what: impl Into<String>,
        write: &str,
        report: &mut Report,
    ) {
        report.problem(self.at(key), &self.full(key), what, write);
    }

    pub(crate) fn text(&self, key: &str, example: &str, report: &mut Report) -> Option<&'a str> {
        let node = self.get(key)?;
        text_of(node, &self.full(key), example, report)
    }

    pub(crate) fn flag(&self, key: &str, report: &mut Report) -> Option<bool> {
        let node = self.get(key)?;
        if let Value::Bool(flag) = node.value {
            return Some(flag);
        }
        let what = format!("must be true or false, not {}", node.value.kind());
        self.wrong(key, what, "true or false without quotes", report);
        None
    }

    pub(crate) fn count(&self, key: &str, report: &mut Report) -> Option<u64> {
        let node = self.get(key)?;
        if let Value::Integer(digits) = &node.value
            && let Ok(count) = digits.parse()
        {
            return Some(count);
        }
        let what = format!("must be a whole number from 0, not {}", shown(&node.value));
        self.wrong(key, what, "a number without quotes, e.g. 0", report);
        None
    }

    pub(crate) fn count_u32(&self, key: &str, report: &mut Report) -> Option<u32> {
        let count = self.count(key, report)?;
        let small = u32::try_from(count).ok();
        if small.is_none() {
            self.wrong(key, format!("is over {}", u32::MAX), "a smaller number", report);
        }
        small
    }

    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
        report: &mut Report,
    ) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        let text = self.text(key, &either(words()), report)?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*choice);
        }
        let write = nearest(text, words()).map_or_else(|| either(words()), quoted);
        self.wrong(key, format!("{} is not known here", quoted(text)), &write, report);
        None
    }

    /// A list of texts with the place of each.
    pub(crate) fn texts(
        &self,
        key: &str,
        example: &str,
        report: &mut Report,
    ) -> Option<Vec<(At, &'a str)>> {
        let node = self.get(key)?;
        let name = self.full(key);
        let Value::List(items) = &node.value else {
            let what = format!("must be a list of texts, not {}", node.value.kind());
            report.problem(node.at, &name, what, example);
            return None;
        };
        let read =
            |item: &'a Node| text_of(item, &name, example, report).map(|text| (item.at, text));
        Some(items.iter().filter_map(read).collect())
    }

    /// A value of any scalar kind, as text: what a field would hold.
    pub(crate) fn scalar(&self, key: &str, report: &mut Report) -> Option<String> {
        let node = self.get(key)?;
        scalar_of(node, &self.full(key), report)
    }
}

/// A scalar's text as a field would hold it.
pub(crate) fn scalar_of(node: &Node, name: &str, report: &mut Report) -> Option<String> {
    match &node.value {
        Value::Text(text) | Value::Integer(text) | Value::Float(text) | Value::Time(text) => {
            Some(text.clone())
        }
        Value::Bool(flag) => Some(flag.to_string()),
        list @ (Value::List(_) | Value::Table(_)) => {
            let what = format!("must be one value, not {}", list.kind());
            report.problem(node.at, name, what, "a number, or text in quotes");
            None
        }
    }
}

/// The text of a node.
pub(crate) fn text_of<'a>(
    node: &'a Node,
    name: &str,
    example: &str,
    report: &mut Report,
) -> Option<&'a str> {
    if let Value::Text(text) = &node.value {
        return Some(text);
    }
    let what = format!("must be text in quotes, not {}", shown(&node.value));
    report.problem(node.at, name, what, example);
    None
}

/// A value in a message.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Integer(text) | Value::Float(text) | Value::Time(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::List(_) | Value::Table(_) => value.kind().to_owned(),
    }
}
