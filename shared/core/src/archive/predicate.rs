//! Which archived rows: the condition behind SQL's `WHERE`, over the archive's columns.
//!
//! | | |
//! |---|---|
//! | comparisons | `=`, `<>` (or `!=`), `<`, `<=`, `>`, `>=`: a column with a text in single quotes or a whole number |
//! | tests | `[NOT] IN (..)`, `[NOT] BETWEEN .. AND ..`, `[NOT] LIKE '..' [ESCAPE '.']`, `IS [NOT] NULL` |
//! | joined by | `AND`, `OR`, `NOT`, parentheses; `TRUE` is every row |
//!
//! Values mean what they mean in SQL: a comparison with NULL is neither true nor false, and only rows for
//! which the whole is true match. Texts are compared byte by byte; `LIKE` minds the case. Anything else that
//! SQL knows is refused by name.
//!
//! `Display` gives the canonical text: equal for two predicates that differ only in blanks, case of words,
//! `!=` for `<>`, needless parentheses and the side on which the column stands.

mod parse;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt::{self, Display, Write as _};

use regex::Regex;

use super::ArchivedRow;

/// Longest text of a predicate, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Most words and signs of a predicate, not counting values and the commas between them.
const WORDS_MAX: usize = 500;

/// A condition over [`ArchivedRow`]s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate(Condition);

/// Why a text is no predicate. The message says what is supported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PredicateError {
    /// Not SQL.
    #[error("the predicate is not SQL: {0}")]
    Syntax(String),
    /// Longer than anything that a person writes.
    #[error("the predicate has over {0}; split it into several")]
    TooLong(String),
    /// No such column.
    #[error("the failure archive has no column {name}{hint}; columns: {}", columns())]
    Column {
        /// As written.
        name: String,
        /// What to write instead.
        hint: String,
    },
    /// A text compared with a number, or the other way round.
    #[error("{0}")]
    Kind(String),
    /// SQL that a predicate does not take.
    #[error("a predicate does not take {what}: it takes {SUPPORTED}; columns: {}", columns())]
    Unsupported {
        /// The part at fault.
        what: String,
    },
}

const SUPPORTED: &str = "comparisons of a column with a text or a whole number (=, <>, <, <=, >, >=), \
                         IN, BETWEEN, LIKE and IS NULL, joined by AND, OR, NOT and parentheses";

fn columns() -> String {
    Column::ALL.map(|(name, _)| name).join(", ")
}

/// A condition without anything to look up or to compile.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Constant(bool),
    Compare(Column, Comparison, Literal),
    OneOf(Column, Vec<Literal>),
    Between(Column, Literal, Literal),
    Like(Column, Like),
    IsNull(Column),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessOrEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterOrEqual => order.is_ge(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Literal {
    Text(String),
    Number(i64),
}

impl Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) => write!(f, "'{}'", text.replace('\'', "''")),
            Literal::Number(number) => write!(f, "{number}"),
        }
    }
}

/// A `LIKE` pattern, compiled.
#[derive(Debug, Clone)]
struct Like {
    pattern: String,
    escape: Option<char>,
    regex: Regex,
}

impl PartialEq for Like {
    fn eq(&self, other: &Like) -> bool {
        self.pattern == other.pattern && self.escape == other.escape
    }
}

impl Eq for Like {}

/// A value of a row.
enum Cell<'a> {
    Text(Option<&'a str>),
    Number(i64),
}

type Get = for<'a> fn(&'a ArchivedRow) -> Cell<'a>;

/// A column of the archive, by its place in [`Column::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Column(usize);

impl Column {
    const ALL: [(&'static str, Get); 20] = [
        ("source_id", |row| Cell::Text(Some(&row.source_id))),
        ("error", |row| Cell::Text(Some(&row.error))),
        ("raw_data", |row| Cell::Text(row.raw_data.as_deref())),
        ("timestamp", |row| Cell::Text(Some(&row.timestamp))),
        ("error_code", |row| Cell::Text(Some(&row.error_code))),
        ("column", |row| Cell::Text(row.column.as_deref())),
        ("value", |row| Cell::Text(row.value.as_deref())),
        ("rule", |row| Cell::Text(row.rule.as_deref())),
        ("stage", |row| Cell::Text(Some(&row.stage))),
        ("row_number", |row| Cell::Number(row.row_number)),
        ("byte_start", |row| Cell::Number(row.byte_start)),
        ("byte_end", |row| Cell::Number(row.byte_end)),
        ("job", |row| Cell::Text(Some(&row.job))),
        ("chunk", |row| Cell::Text(Some(&row.chunk))),
        ("fix", |row| Cell::Number(row.fix)),
        ("pipeline", |row| Cell::Text(Some(&row.pipeline))),
        ("pipeline_sha", |row| Cell::Text(Some(&row.pipeline_sha))),
        ("source_bucket", |row| Cell::Text(Some(&row.source_bucket))),
        ("source_key", |row| Cell::Text(Some(&row.source_key))),
        ("source_version", |row| Cell::Text(Some(&row.source_version))),
    ];

    fn name(self) -> &'static str {
        Column::ALL.get(self.0).map_or("", |(name, _)| name)
    }

    fn is_number(self) -> bool {
        ["row_number", "byte_start", "byte_end", "fix"].contains(&self.name())
    }

    fn cell(self, row: &ArchivedRow) -> Cell<'_> {
        Column::ALL.get(self.0).map_or(Cell::Text(None), |(_, get)| get(row))
    }

    /// `None` when the row's value is NULL.
    fn order(self, row: &ArchivedRow, literal: &Literal) -> Option<Ordering> {
        match (self.cell(row), literal) {
            (Cell::Text(text), Literal::Text(literal)) => text.map(|text| text.cmp(literal)),
            (Cell::Number(number), Literal::Number(literal)) => Some(number.cmp(literal)),
            (Cell::Text(_), Literal::Number(_)) | (Cell::Number(_), Literal::Text(_)) => None,
        }
    }
}

impl Predicate {
    /// Reads the text behind `WHERE`.
    ///
    /// # Errors
    /// When it is no SQL, or SQL that goes beyond a predicate.
    pub fn parse(text: &str) -> Result<Predicate, PredicateError> {
        parse::parse(text).map(Predicate)
    }

    /// Every row.
    pub fn all() -> Predicate {
        Predicate(Condition::Constant(true))
    }

    /// Whether the condition is true of the row; not when it is false or unknown.
    pub fn matches(&self, row: &ArchivedRow) -> bool {
        self.0.judge(row) == Some(true)
    }
}

impl Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, Binding::Any)
    }
}

/// How tightly the surroundings bind: what must stand in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Any,
    All,
    Not,
}

impl Condition {
    /// SQL's three values: `None` is unknown.
    fn judge(&self, row: &ArchivedRow) -> Option<bool> {
        match self {
            Condition::All(parts) => joined(parts, row, false),
            Condition::Any(parts) => joined(parts, row, true),
            Condition::Not(part) => part.judge(row).map(|truth| !truth),
            Condition::Constant(truth) => Some(*truth),
            Condition::Compare(column, comparison, literal) => {
                column.order(row, literal).map(|order| comparison.holds(order))
            }
            Condition::OneOf(column, literals) => {
                let mut orders = literals.iter().map(|literal| column.order(row, literal));
                orders.try_fold(false, |found, order| order.map(|order| found || order.is_eq()))
            }
            Condition::Between(column, low, high) => {
                let (low, high) = (column.order(row, low)?, column.order(row, high)?);
                Some(low.is_ge() && high.is_le())
            }
            Condition::Like(column, like) => match column.cell(row) {
                Cell::Text(text) => text.map(|text| like.regex.is_match(text)),
                Cell::Number(_) => None,
            },
            Condition::IsNull(column) => Some(matches!(column.cell(row), Cell::Text(None))),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, outside: Binding) -> fmt::Result {
        match self {
            Condition::Any(parts) => list(f, parts, " OR ", Binding::Any, outside),
            Condition::All(parts) => list(f, parts, " AND ", Binding::All, outside),
            Condition::Not(part) => {
                f.write_str("NOT ")?;
                part.write(f, Binding::Not)
            }
            Condition::Constant(true) => f.write_str("TRUE"),
            Condition::Constant(false) => f.write_str("FALSE"),
            Condition::Compare(column, comparison, literal) => {
                write!(f, "{} {} {literal}", column.name(), comparison.sign())
            }
            Condition::OneOf(column, literals) => {
                let literals: Vec<_> = literals.iter().map(Literal::to_string).collect();
                write!(f, "{} IN ({})", column.name(), literals.join(", "))
            }
            Condition::Between(column, low, high) => {
                write!(f, "{} BETWEEN {low} AND {high}", column.name())
            }
            Condition::Like(column, like) => {
                write!(f, "{} LIKE {}", column.name(), Literal::Text(like.pattern.clone()))?;
                match like.escape {
                    Some(escape) => write!(f, " ESCAPE {}", Literal::Text(escape.to_string())),
                    None => Ok(()),
                }
            }
            Condition::IsNull(column) => write!(f, "{} IS NULL", column.name()),
        }
    }
}

/// AND (`decided` by a false part) or OR (by a true one); otherwise an unknown part leaves it unknown.
fn joined(parts: &[Condition], row: &ArchivedRow, decided: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match part.judge(row) {
            Some(truth) if truth == decided => return Some(decided),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!decided)
}

fn list(
    f: &mut fmt::Formatter<'_>,
    parts: &[Condition],
    word: &str,
    own: Binding,
    outside: Binding,
) -> fmt::Result {
    let parentheses = outside > own;
    if parentheses {
        f.write_char('(')?;
    }
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        part.write(f, own)?;
    }
    if parentheses { f.write_char(')') } else { Ok(()) }
}
