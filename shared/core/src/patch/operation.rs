//! What a fix does.

use regex::bytes::Regex;

use super::moment::{DateText, StampText};

/// A regular expression over bytes; texts in it match UTF-8.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let regex = Regex::new(text).map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        })?;
        Ok(Pattern { text: text.to_owned(), regex })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }
}

/// A pattern and what comes in the place of its matches.
#[derive(Debug, Clone)]
pub struct Replacement {
    pattern: Pattern,
    with: String,
}

impl Replacement {
    /// `with` may hold `$1`, `${1}` and `${name}` for groups of the pattern, and `$$` for a `$`.
    ///
    /// # Errors
    /// When `with` names a group that the pattern does not have: it would stand for nothing.
    pub fn new(pattern: Pattern, with: &str) -> Result<Replacement, String> {
        let unknown = groups_named(with).into_iter().find(|name| {
            let number = name.parse::<usize>().ok();
            let known = match number {
                Some(number) => number < pattern.regex.captures_len(),
                None => pattern.regex.capture_names().flatten().any(|known| known == *name),
            };
            !known
        });
        match unknown {
            Some(name) => Err(format!("names the group {name:?}, which the pattern does not have")),
            None => Ok(Replacement { pattern, with: with.to_owned() }),
        }
    }

    /// The pattern.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// What comes in the place of its matches.
    pub fn with(&self) -> &str {
        &self.with
    }

    pub(super) fn apply(&self, text: &[u8]) -> Vec<u8> {
        self.pattern.regex.replace_all(text, self.with.as_bytes()).into_owned()
    }
}

/// The names behind `$` as the regex crate reads them: `$1a` is the group `1a`.
fn groups_named(with: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = with;
    while let Some((_, after)) = rest.split_once('$') {
        let braced = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        if let Some((name, after)) = braced {
            names.push(name);
            rest = after;
        } else if let Some(after) = after.strip_prefix('$') {
            rest = after;
        } else {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
            let (name, after) = after.split_at_checked(end).unwrap_or((after, ""));
            if !name.is_empty() {
                names.push(name);
            }
            rest = after;
        }
    }
    names
}

/// What a fix does; see the [module](super) for each.
#[derive(Debug, Clone)]
pub enum Operation {
    /// Every match in the field's text.
    Replace(Replacement),
    /// A value.
    Set(String),
    /// No value.
    SetNull,
    /// Drops characters at both ends: white space of any kind, or these.
    Trim(Option<String>),
    /// A number with another decimal sign and perhaps thousands separators, any of these characters.
    CastDecimal {
        /// Between the whole part and the fraction.
        decimal: char,
        /// Between groups of three digits; empty for none.
        thousands: String,
    },
    /// A date in another format.
    CastDate(DateText),
    /// A timestamp in another format.
    CastTimestamp(StampText),
    /// The name of a field of a JSON object.
    Rename {
        /// The name in the record.
        from: String,
        /// The name that the pipeline knows.
        to: String,
    },
    /// Every match in the whole record.
    Raw(Replacement),
}

impl Operation {
    /// Whether it works on the whole record instead of one column.
    pub(super) fn is_of_record(&self) -> bool {
        match self {
            Operation::Rename { .. } | Operation::Raw(_) => true,
            Operation::Replace(_)
            | Operation::Set(_)
            | Operation::SetNull
            | Operation::Trim(_)
            | Operation::CastDecimal { .. }
            | Operation::CastDate(_)
            | Operation::CastTimestamp(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_the_pattern_lacks_is_refused() {
        for (pattern, with, fine) in [
            ("a(b)", "$1", true),
            ("a(b)", "${1}00", true),
            ("a(b)", "$0", true),
            ("a(?<x>b)", "$x-", true),
            ("a(b)", "5 $$", true),
            ("a(b)", "5 $", true),
            ("a(b)", "$ 5", true),
            ("a(b)", "$100", false),
            ("a(b)", "$1Z", false),
            ("a(b)", "$2", false),
            ("ab", "${x}", false),
        ] {
            let found = Replacement::new(Pattern::new(pattern).unwrap(), with);
            assert_eq!(found.is_ok(), fine, "{pattern} {with}");
        }
    }

    #[test]
    fn a_bad_pattern_is_explained_in_one_line() {
        for pattern in ["(a", "a{2", "[a", "(?=a)"] {
            let error = Pattern::new(pattern).unwrap_err();
            assert!(!error.is_empty() && !error.contains('\n'), "{pattern}: {error}");
        }
    }
}
