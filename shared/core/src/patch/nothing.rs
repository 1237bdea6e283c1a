//! Words that files write for "no value": which there are, in how many columns, as a pattern of a fix and
//! back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;

use crate::pipeline::{Column, CsvDialect};
use crate::toml_file::toml_string;

/// Such words, blanks around them aside.
pub(super) const NOTHING: &str = r"^\s*(?i:n\.?/?a\.?|null|none|nil|nan|-+|\?+|\.)?\s*$";
static NOTHING_REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(NOTHING).ok());

/// Longest text that is looked at, in bytes.
const WORD_BYTES_MAX: usize = 16;
/// Different words that are told apart.
const WORDS_MAX: usize = 50;
/// Columns that make a word one of the file.
const COLUMNS_MIN: usize = 2;
/// Around the words of a fix's pattern.
const BEFORE: &str = r"^\s*(?:";
const BEHIND: &str = r")\s*$";

/// Whether the text stands for "no value" in many files.
pub(super) fn means_nothing(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX && NOTHING_REGEX.as_ref().is_some_and(|regex| regex.is_match(text))
}

/// Words and the rows that have them.
#[derive(Debug, Default)]
pub(super) struct Words(BTreeMap<String, u64>);

impl Words {
    /// Counts the text when it stands for "no value".
    pub(super) fn note(&mut self, text: &str) {
        if !means_nothing(text) || (self.0.len() >= WORDS_MAX && !self.0.contains_key(text)) {
            return;
        }
        *self.0.entry(text.to_owned()).or_default() += 1;
    }

    /// The words, each once, without blanks around them.
    pub(super) fn trimmed(&self) -> BTreeSet<&str> {
        self.0.keys().map(|word| word.trim()).collect()
    }

    fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(word, rows)| (word.as_str(), *rows))
    }
}

/// A regular expression for exactly these words.
pub(super) fn pattern_of(words: &BTreeSet<&str>) -> String {
    let words: Vec<String> = words.iter().map(|word| regex::escape(word)).collect();
    format!("{BEFORE}{}{BEHIND}", words.join("|"))
}

/// The words of a pattern that is nothing but a list of them, such as `^(NA|nil)$`.
pub(super) fn words_of(pattern: &str) -> Option<Vec<String>> {
    let inside = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let inside = inside.strip_prefix(r"\s*").unwrap_or(inside);
    let inside = inside.strip_suffix(r"\s*").unwrap_or(inside);
    let group = inside.strip_prefix("(?:").or_else(|| inside.strip_prefix('('));
    let inside = match group {
        Some(group) => group.strip_suffix(')')?,
        None if inside.contains('|') => return None,
        None => inside,
    };
    let mut words = vec![String::new()];
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '|' => words.push(String::new()),
            '\\' => {
                let escaped = chars.next().filter(|c| !c.is_alphanumeric())?;
                words.last_mut()?.push(escaped);
            }
            '.' | '+' | '*' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            c => words.last_mut()?.push(c),
        }
    }
    Some(words)
}

/// What would read a word as NULL in every column, instead of a fix for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NullWords {
    /// Words that fail in several columns, most rows first.
    pub words: Vec<String>,
    /// Those columns.
    pub columns: BTreeSet<String>,
    /// Rows that fail for one of the words.
    pub rows: u64,
    /// What `csv.null` would be: as it is, and the words.
    null: Vec<String>,
}

impl NullWords {
    /// The line for `[source]` of the pipeline file.
    pub fn toml(&self) -> String {
        let words: Vec<_> = self.null.iter().map(|word| toml_string(word)).collect();
        format!("csv.null = [{}]", words.join(", "))
    }

    /// From the unquoted words that rows were rejected for in each column.
    pub(super) fn of<'a>(
        dialect: &CsvDialect,
        groups: impl Iterator<Item = (&'a Column, &'a Words)>,
    ) -> Option<NullWords> {
        let mut found: BTreeMap<&str, (u64, BTreeSet<&str>)> = BTreeMap::new();
        for (column, words) in groups.filter(|(column, _)| can_be_null(column)) {
            for (word, rows) in words.iter().filter(|(word, _)| !word.is_empty()) {
                let (all, columns) = found.entry(word).or_default();
                *all += rows;
                columns.insert(&column.name);
            }
        }
        found.retain(|_, (_, columns)| columns.len() >= COLUMNS_MIN);
        let mut words: Vec<_> = found.into_iter().collect();
        words.sort_by_key(|(_, (rows, _))| std::cmp::Reverse(*rows));
        let columns = words.iter().flat_map(|(_, (_, columns))| columns);
        let columns: BTreeSet<String> = columns.map(|name| (*name).to_owned()).collect();
        let rows = words.iter().map(|(_, (rows, _))| rows).sum();
        let words: Vec<String> = words.iter().map(|(word, _)| (*word).to_owned()).collect();
        let null = dialect.null.iter().chain(&words).cloned().collect();
        (!words.is_empty()).then_some(NullWords { words, columns, rows, null })
    }
}

/// Whether NULL is a value that the column takes.
pub(super) fn can_be_null(column: &Column) -> bool {
    column.nullable || column.default.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_words_is_a_pattern_and_a_pattern_a_list_of_words() {
        for words in [&["NA"][..], &["", "-", "n.a.", "?"], &["NA", "nil"]] {
            let pattern = pattern_of(&words.iter().copied().collect());
            let mut expected = words.to_vec();
            expected.sort_unstable();
            assert_eq!(words_of(&pattern).unwrap(), expected, "{pattern}");
            let regex = Regex::new(&pattern).unwrap();
            assert!(words.iter().all(|word| regex.is_match(&format!(" {word} "))), "{pattern}");
            assert!(!regex.is_match("x"), "{pattern}");
        }
        assert_eq!(words_of("^NA$").unwrap(), ["NA"]);
        assert_eq!(words_of("^(NA|-)$").unwrap(), ["NA", "-"]);
        for pattern in ["NA", "^NA", "^NA|x$", "^n.a$", r"^\d$", "^(?i:na)$", "^(a)|(b)$"] {
            assert_eq!(words_of(pattern), None, "{pattern}");
        }
    }
}
