//! The `match` of a source: which object keys it takes, and what their captures say.

use super::pattern_error::PatternError;
use std::collections::BTreeMap;

use regex::Regex;

use super::capture_format::CaptureFormat;
use crate::toml_file::problem::quoted;

/// Longest key that S3 takes, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// A compiled `match`: `*` stays within a folder, `**` crosses folders, `?` is one character,
/// `{name}` captures one or more characters of a folder and `{name:%Y%m%d}` a date or time.
///
/// Where a key could be read in several ways, earlier wildcards take as much as they can.
#[derive(Debug, Clone)]
pub struct KeyPattern {
    pub(super) steps: Vec<Step>,
    captures: Vec<Capture>,
    literal_directory: String,
    regex: Regex,
}

fn wrong(what: impl Into<String>, write: impl Into<String>) -> PatternError {
    PatternError { what: what.into(), write: write.into() }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Capture {
    name: String,
    format: Option<CaptureFormat>,
}

/// What a pattern consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// This character.
    Literal(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `**`
    Deep,
    /// `**/` where a folder may start: no folder, or folders with their slash.
    Folders,
    /// The capture with this index.
    Capture(usize, Option<CaptureFormat>),
}

impl KeyPattern {
    /// Compiles a `match`.
    ///
    /// # Errors
    /// The text is no glob, names a capture twice or badly, or can never match an S3 key.
    pub fn compile(text: &str) -> Result<KeyPattern, PatternError> {
        let (steps, captures) = Scanner::scan(text)?;
        check_key(text, &steps)?;
        let regex = Regex::new(&regex_text(&steps))
            .map_err(|_| wrong("is too large to compile", "a shorter pattern"))?;
        let literal: String = steps.iter().map_while(Step::literal).collect();
        let directory = match literal.rsplit_once('/') {
            Some((directory, _)) => format!("{directory}/"),
            None => String::new(),
        };
        Ok(KeyPattern { steps, captures, literal_directory: directory, regex })
    }

    /// The values of the captures, dates and times as ISO 8601; `None` when the key does not match.
    pub fn captures(&self, key: &str) -> Option<BTreeMap<String, String>> {
        let found = self.regex.captures(key)?;
        let mut values = BTreeMap::new();
        for (capture, value) in self.captures.iter().zip(found.iter().skip(1)) {
            let text = value?.as_str();
            let value = match &capture.format {
                Some(format) => format.normalise(text)?,
                None => text.to_owned(),
            };
            values.insert(capture.name.clone(), value);
        }
        Some(values)
    }

    /// Whether the key matches.
    pub fn matches(&self, key: &str) -> bool {
        self.captures(key).is_some()
    }

    /// The folder, with its last `/`, that every matching key is in; empty when there is none.
    pub fn literal_directory(&self) -> &str {
        &self.literal_directory
    }

    /// Names of the captures in pattern order.
    pub fn capture_names(&self) -> impl Iterator<Item = &str> {
        self.captures.iter().map(|capture| capture.name.as_str())
    }
}

impl Step {
    fn literal(&self) -> Option<char> {
        if let Step::Literal(c) = self { Some(*c) } else { None }
    }
}

fn regex_text(steps: &[Step]) -> String {
    let mut regex = String::from("(?s)^");
    for step in steps {
        match step {
            Step::Literal(c) => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            Step::One => regex.push_str("[^/]"),
            Step::Many => regex.push_str("[^/]*"),
            Step::Deep => regex.push_str(".*"),
            Step::Folders => regex.push_str("(?:.*/)?"),
            Step::Capture(_, None) => regex.push_str("([^/]+)"),
            Step::Capture(_, Some(format)) => {
                regex.push('(');
                format.push_regex(&mut regex);
                regex.push(')');
            }
        }
    }
    regex.push('$');
    regex
}

/// Refuses what can never match a key, or only keys that are no files.
fn check_key(text: &str, steps: &[Step]) -> Result<(), PatternError> {
    if text.is_empty() {
        return Err(wrong("is empty", "a pattern such as \"incoming/*.csv\""));
    }
    if text.len() > KEY_BYTES_MAX {
        let what = format!("is over {KEY_BYTES_MAX} bytes, more than an S3 key has");
        return Err(wrong(what, "a shorter pattern"));
    }
    if let Some(rest) = text.strip_prefix('/') {
        let what = "starts with a slash, and S3 keys do not";
        return Err(wrong(what, quoted(rest.trim_start_matches('/'))));
    }
    if text.strip_prefix("s3://").is_some() {
        return Err(wrong("is an address, not a key", "the part after the bucket's name"));
    }
    if text.ends_with('/') {
        let what = "ends with a slash, so it matches folder markers only";
        return Err(wrong(what, quoted(&format!("{text}*"))));
    }
    if text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        let what = "holds an empty, \".\" or \"..\" folder";
        return Err(wrong(what, "the key as S3 lists it"));
    }
    if steps.iter().filter_map(Step::literal).any(char::is_control) {
        return Err(wrong("holds a control character", "? in its place"));
    }
    Ok(())
}

/// Cuts a pattern into steps.
struct Scanner<'a> {
    rest: &'a str,
    steps: Vec<Step>,
    captures: Vec<Capture>,
}

impl<'a> Scanner<'a> {
    fn scan(text: &'a str) -> Result<(Vec<Step>, Vec<Capture>), PatternError> {
        let mut scanner = Scanner { rest: text, steps: Vec::new(), captures: Vec::new() };
        while let Some(c) = scanner.rest.chars().next() {
            scanner.step(c)?;
        }
        Ok((scanner.steps, scanner.captures))
    }

    fn step(&mut self, c: char) -> Result<(), PatternError> {
        if self.take("***") {
            return Err(wrong(
                "holds three stars in a row",
                "** to cross folders, * to stay in one",
            ));
        }
        let at_folder =
            matches!(self.steps.last(), None | Some(Step::Literal('/') | Step::Folders));
        let step = if at_folder && self.take("**/") {
            Step::Folders
        } else if self.take("**") {
            Step::Deep
        } else if self.take("*") {
            Step::Many
        } else if self.take("?") {
            Step::One
        } else if self.take("{") {
            self.capture()?
        } else if c == '}' {
            return Err(wrong("holds a } without its {", "{name}, or ? for the brace itself"));
        } else {
            self.rest = self.rest.get(c.len_utf8()..).unwrap_or("");
            Step::Literal(c)
        };
        self.steps.push(step);
        Ok(())
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn capture(&mut self) -> Result<Step, PatternError> {
        let Some((inside, rest)) = self.rest.split_once('}') else {
            return Err(wrong("holds a { without its }", "{name}, or ? for the brace itself"));
        };
        self.rest = rest;
        let (name, format) = match inside.split_once(':') {
            Some((name, format)) => (name, Some(format)),
            None => (inside, None),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_name {
            let what = format!("{} is no name for a capture", quoted(name));
            return Err(wrong(what, "letters, digits and _, e.g. {supplier} or {day:%Y%m%d}"));
        }
        if self.captures.iter().any(|capture| capture.name == name) {
            return Err(wrong(format!("captures {name} twice"), "another name for one of them"));
        }
        if let Some(Step::Capture(before, _)) = self.steps.last() {
            let before = self.captures.get(*before).map_or("", |capture| capture.name.as_str());
            let what = format!("nothing stands between the captures {before} and {name}");
            return Err(wrong(what, format!("a separator such as {{{before}}}_{{{name}}}")));
        }
        let format = match format {
            Some(text) => Some(CaptureFormat::compile(text).map_err(|error| {
                wrong(format!("the format of {name} {}", error.what), error.write)
            })?),
            None => None,
        };
        self.captures.push(Capture { name: name.to_owned(), format: format.clone() });
        Ok(Step::Capture(self.captures.len() - 1, format))
    }
}

#[cfg(test)]
mod tests;
