//! What is wrong in a pipeline file, where, and what to write instead.

use std::fmt::{self, Write as _};

/// One thing wrong (or doubtful) in a pipeline file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File it stands in: the pipeline file or one of its `extends` bases.
    pub file: String,
    /// Line in that file, from 1.
    pub line: usize,
    /// Dotted name of the key, e.g. `columns.amount.max`; empty for the file as a whole.
    pub name: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead; empty when there is nothing to suggest.
    pub write: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.name.is_empty() {
            write!(f, "{}: ", self.name)?;
        }
        f.write_str(&self.what)?;
        if !self.write.is_empty() {
            write!(f, "; write {}", self.write)?;
        }
        Ok(())
    }
}

/// Everything wrong in a pipeline file, by file and line. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_char('\n')?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Where a key or value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At {
    /// Index into [`Report::files`].
    pub(crate) file: usize,
    /// Line, from 1.
    pub(crate) line: usize,
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Names of the files read, the pipeline file first.
    pub(crate) files: Vec<String>,
    problems: Vec<(At, Problem)>,
    warnings: Vec<(At, Problem)>,
    notes: Vec<(At, Problem)>,
}

impl Report {
    pub(crate) fn problem(
        &mut self,
        at: At,
        name: &str,
        what: impl Into<String>,
        write: impl Into<String>,
    ) {
        let problem = self.entry(at, name, what.into(), write.into());
        self.problems.push((at, problem));
    }

    pub(crate) fn warn(
        &mut self,
        at: At,
        name: &str,
        what: impl Into<String>,
        write: impl Into<String>,
    ) {
        let problem = self.entry(at, name, what.into(), write.into());
        self.warnings.push((at, problem));
    }

    pub(crate) fn note(
        &mut self,
        at: At,
        name: &str,
        what: impl Into<String>,
        write: impl Into<String>,
    ) {
        let problem = self.entry(at, name, what.into(), write.into());
        self.notes.push((at, problem));
    }

    /// Whether something is wrong with this key already.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.problems.iter().any(|(_, problem)| problem.name == name)
    }

    fn entry(&self, at: At, name: &str, what: String, write: String) -> Problem {
        let file = self.files.get(at.file).cloned().unwrap_or_default();
        Problem { file, line: at.line, name: name.to_owned(), what, write }
    }

    /// Everything wrong, in the order of the file; `None` when nothing is.
    pub(crate) fn into_problems(self) -> Option<Problems> {
        (!self.problems.is_empty()).then(|| Problems(sorted(self.problems)))
    }

    /// What was read, the warnings and the notes, or everything wrong; in the order of the files.
    pub(crate) fn finish<T>(
        self,
        read: Option<T>,
    ) -> Result<(T, Vec<Problem>, Vec<Problem>), Problems> {
        match read {
            Some(read) if self.problems.is_empty() => {
                Ok((read, sorted(self.warnings), sorted(self.notes)))
            }
            _ => Err(Problems(sorted(self.problems))),
        }
    }
}

fn sorted(mut found: Vec<(At, Problem)>) -> Vec<Problem> {
    found.sort_by_key(|(at, _)| (at.file, at.line));
    found.into_iter().map(|(_, problem)| problem).collect()
}

/// Characters of a user's text that a message repeats.
const SHOWN_CHARS_MAX: usize = 80;

/// `text` as a TOML basic string, control characters escaped and the rest cut after
/// [`SHOWN_CHARS_MAX`]: safe on a terminal and ready to be pasted.
pub(crate) fn quoted(text: &str) -> String {
    let cut = text.chars().count() > SHOWN_CHARS_MAX;
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let quoted = toml_string(&shown);
    if cut { format!("{quoted} (cut)") } else { quoted }
}

/// A name that a file brought along, between backticks: escaped and cut as by [`quoted`].
pub(crate) fn ticked(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let cut = if shown.len() < text.len() { "..." } else { "" };
    format!("`{}{cut}`", escaped(&shown))
}

/// `text` as a complete TOML basic string.
pub(crate) fn toml_string(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// What stands between the quotes of a TOML basic string.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Direction marks and other format characters would change how the message reads.
            c if c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
                || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}') =>
            {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// `text` as a TOML key: bare where that is possible.
pub(crate) fn toml_key(text: &str) -> String {
    let bare = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { text.to_owned() } else { toml_string(text) }
}

/// `parent.key`, the key quoted where TOML would need it.
pub(crate) fn dotted(parent: &str, key: &str) -> String {
    let key: String = key.chars().take(SHOWN_CHARS_MAX).collect();
    if parent.is_empty() { toml_key(&key) } else { format!("{parent}.{}", toml_key(&key)) }
}

/// The known word nearest to `word`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower: String = word.chars().take(SHOWN_CHARS_MAX).collect::<String>().to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `"a", "b" or "c"`.
pub(crate) fn either<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}
