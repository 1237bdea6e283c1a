//! A text to a [`Condition`]: the SQL parser's tree, of which most is refused.

use regex::Regex;
use sqlparser::ast::{BinaryOperator, Expr, Ident, UnaryOperator, Value, ValueWithSpan};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::{
    Column, Comparison, Condition, Like, Literal, PredicateError, TEXT_BYTES_MAX, WORDS_MAX,
};
use crate::toml_file::{nearest, quoted};

/// Nesting of parentheses: a level takes a good deal of stack in the parser.
const NESTING_MAX: usize = 24;
/// Characters of SQL that a message repeats.
const SHOWN_CHARS_MAX: usize = 60;

type Parsed<T> = Result<T, PredicateError>;

pub(super) fn parse(text: &str) -> Parsed<Condition> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(PredicateError::TooLong(format!("{TEXT_BYTES_MAX} bytes")));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
    let tokens = tokens.map_err(|error| PredicateError::Syntax(error.to_string()))?;
    if tokens.iter().filter(|token| counts(token)).count() > WORDS_MAX {
        return Err(PredicateError::TooLong(format!("{WORDS_MAX} words")));
    }
    let parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX);
    let mut parser = parser.with_tokens_with_locations(tokens);
    if parser.peek_token_ref().token == Token::EOF {
        return Err(PredicateError::Syntax("it is empty; TRUE means every row".to_owned()));
    }
    if matches!(&parser.peek_token_ref().token, Token::Word(word) if word.keyword == Keyword::WHERE)
    {
        let message = "leave the word WHERE out: the predicate is what stands behind it";
        return Err(PredicateError::Syntax(message.to_owned()));
    }
    let parsed = parser.parse_expr().map_err(|error| syntax(&error))?;
    let next = parser.peek_token();
    if next.token == Token::SemiColon || next.token != Token::EOF {
        let place = next.span.start;
        let found = shown(&next.token);
        let message = format!("{found} at column {} is one too many", place.column);
        return Err(PredicateError::Syntax(message));
    }
    condition(&parsed)
}

/// Lists of values may be long; what nests may not.
fn counts(token: &TokenWithSpan) -> bool {
    let is_value =
        matches!(token.token, Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma);
    !is_value && !matches!(token.token, Token::Whitespace(_))
}

fn syntax(error: &ParserError) -> PredicateError {
    match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            PredicateError::Syntax(message.clone())
        }
        ParserError::RecursionLimitExceeded => {
            PredicateError::TooLong(format!("{NESTING_MAX} levels of parentheses"))
        }
    }
}

fn unsupported<T>(what: impl Into<String>) -> Parsed<T> {
    Err(PredicateError::Unsupported { what: what.into() })
}

/// SQL in a message, cut.
fn shown(sql: &impl ToString) -> String {
    let text = sql.to_string();
    let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if cut.len() < text.len() { format!("`{cut} ...`") } else { format!("`{cut}`") }
}

/// What an expression is, by its outermost part: SQL may nest deeper than the stack can print it.
#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a predicate takes")]
fn kind(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => shown(expr),
        Expr::BinaryOp { op, .. } => format!("the operator {}", shown(op)),
        Expr::UnaryOp { op, .. } => format!("the operator {}", shown(op)),
        Expr::Function(function) => format!("the function {}", shown(&function.name)),
        Expr::Case { .. } => "CASE".to_owned(),
        Expr::Cast { .. } | Expr::Convert { .. } => "CAST".to_owned(),
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            "a subquery (SELECT)".to_owned()
        }
        Expr::ILike { .. } => "ILIKE (LIKE minds the case)".to_owned(),
        Expr::SimilarTo { .. } | Expr::RLike { .. } => "SIMILAR TO or RLIKE (LIKE is)".to_owned(),
        Expr::IsTrue(_) | Expr::IsNotTrue(_) | Expr::IsFalse(_) | Expr::IsNotFalse(_) => {
            "IS TRUE or IS FALSE".to_owned()
        }
        Expr::IsDistinctFrom(..) | Expr::IsNotDistinctFrom(..) => "IS DISTINCT FROM".to_owned(),
        Expr::TypedString(_) => "a value with a type (a text in quotes is)".to_owned(),
        Expr::Tuple(_) => "a list".to_owned(),
        _ => "this kind of expression".to_owned(),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a predicate takes")]
fn condition(expr: &Expr) -> Parsed<Condition> {
    match expr {
        Expr::Nested(inner) => condition(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut parts = vec![];
            flatten(left, &BinaryOperator::And, &mut parts)?;
            flatten(right, &BinaryOperator::And, &mut parts)?;
            Ok(Condition::All(parts))
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            let mut parts = vec![];
            flatten(left, &BinaryOperator::Or, &mut parts)?;
            flatten(right, &BinaryOperator::Or, &mut parts)?;
            Ok(Condition::Any(parts))
        }
        Expr::BinaryOp { left, op, right } => compare(left, op, right),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            Ok(Condition::Not(Box::new(condition(expr)?)))
        }
        Expr::Value(ValueWithSpan { value: Value::Boolean(truth), .. }) => {
            Ok(Condition::Constant(*truth))
        }
        Expr::IsNull(expr) => column(expr).map(Condition::IsNull),
        Expr::IsNotNull(expr) => Ok(negated(true, Condition::IsNull(column(expr)?))),
        Expr::InList { expr, list, negated: not } => {
            let column = column(expr)?;
            let literals =
                list.iter().map(|value| literal(column, value)).collect::<Parsed<_>>()?;
            Ok(negated(*not, Condition::OneOf(column, literals)))
        }
        Expr::Between { expr, negated: not, low, high } => {
            let column = column(expr)?;
            let (low, high) = (literal(column, low)?, literal(column, high)?);
            Ok(negated(*not, Condition::Between(column, low, high)))
        }
        Expr::Like { negated: not, any: false, expr, pattern, escape_char } => {
            Ok(negated(*not, like(expr, pattern, escape_char.as_ref())?))
        }
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => {
            unsupported(format!("{} where a condition must stand", shown(expr)))
        }
        other => unsupported(kind(other)),
    }
}

/// The parts of `a AND b AND c`, with and without parentheses around two of them.
#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a predicate takes")]
fn flatten(expr: &Expr, wanted: &BinaryOperator, parts: &mut Vec<Condition>) -> Parsed<()> {
    match expr {
        Expr::Nested(inner) => flatten(inner, wanted, parts),
        Expr::BinaryOp { left, op, right } if op == wanted => {
            flatten(left, wanted, parts)?;
            flatten(right, wanted, parts)
        }
        part => {
            parts.push(condition(part)?);
            Ok(())
        }
    }
}

fn negated(not: bool, condition: Condition) -> Condition {
    if not { Condition::Not(Box::new(condition)) } else { condition }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a predicate takes")]
fn compare(left: &Expr, op: &BinaryOperator, right: &Expr) -> Parsed<Condition> {
    let (forth, back) = match op {
        BinaryOperator::Eq => (Comparison::Equal, Comparison::Equal),
        BinaryOperator::NotEq => (Comparison::NotEqual, Comparison::NotEqual),
        BinaryOperator::Lt => (Comparison::Less, Comparison::Greater),
        BinaryOperator::LtEq => (Comparison::LessOrEqual, Comparison::GreaterOrEqual),
        BinaryOperator::Gt => (Comparison::Greater, Comparison::Less),
        BinaryOperator::GtEq => (Comparison::GreaterOrEqual, Comparison::LessOrEqual),
        other => return unsupported(format!("the operator {}", shown(other))),
    };
    if is_literal(left) && !is_literal(right) {
        let column = column(right)?;
        return Ok(Condition::Compare(column, back, literal(column, left)?));
    }
    let column = column(left)?;
    Ok(Condition::Compare(column, forth, literal(column, right)?))
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(_) | Expr::UnaryOp { op: UnaryOperator::Minus, .. })
}

#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a predicate takes")]
fn column(expr: &Expr) -> Parsed<Column> {
    match expr {
        Expr::Nested(inner) => column(inner),
        Expr::Identifier(name) => named(name),
        other => unsupported(format!("{} where a column must stand", kind(other))),
    }
}

/// Without quotes the case of a name does not count.
fn named(name: &Ident) -> Parsed<Column> {
    let exact = name.quote_style.is_some();
    let folded = if exact { name.value.clone() } else { name.value.to_lowercase() };
    let found = Column::ALL.iter().position(|(known, _)| *known == folded);
    found.map(Column).ok_or_else(|| {
        let near = nearest(&folded, Column::ALL.map(|(known, _)| known));
        let hint = match (exact, near) {
            (_, Some(near)) => format!(" (did you mean {near}?)"),
            (true, None) => format!(" (a text stands in single quotes: '{}')", name.value),
            (false, None) => String::new(),
        };
        PredicateError::Column { name: quoted(&name.value), hint }
    })
}

/// The value, which must be of the column's kind.
fn literal(column: Column, expr: &Expr) -> Parsed<Literal> {
    let name = column.name();
    match (value(expr)?, column.is_number()) {
        (Literal::Text(text), true) => {
            let message = format!("{name} is a number: write it without quotes, not {text:?}");
            Err(PredicateError::Kind(message))
        }
        (Literal::Number(number), false) => {
            let message = format!("{name} is text: write '{number}' instead of {number}");
            Err(PredicateError::Kind(message))
        }
        (literal, _) => Ok(literal),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a predicate takes")]
fn value(expr: &Expr) -> Parsed<Literal> {
    match expr {
        Expr::Nested(inner) => value(inner),
        Expr::Value(found) => match &found.value {
            Value::SingleQuotedString(text) => Ok(Literal::Text(text.clone())),
            Value::Number(digits, false) => number(digits),
            Value::Null => unsupported("a comparison with NULL, which is never true (IS NULL is)"),
            other => unsupported(format!("the value {}", shown(other))),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match expr.as_ref() {
            Expr::Value(ValueWithSpan { value: Value::Number(digits, false), .. }) => {
                number(&format!("-{digits}"))
            }
            other => unsupported(format!("{} where a value must stand", kind(other))),
        },
        Expr::Identifier(Ident { quote_style: Some('"'), value, .. }) => {
            let hint = format!("the name \"{value}\" as a value: write '{value}' for a text");
            unsupported(hint)
        }
        other => unsupported(format!("{} where a value must stand", kind(other))),
    }
}

fn number(digits: &str) -> Parsed<Literal> {
    match digits.parse() {
        Ok(number) => Ok(Literal::Number(number)),
        Err(_) => {
            unsupported(format!("the number {} (whole numbers of 64 bits only)", shown(&digits)))
        }
    }
}

fn like(expr: &Expr, pattern: &Expr, escape: Option<&ValueWithSpan>) -> Parsed<Condition> {
    let column = column(expr)?;
    let name = column.name();
    let Literal::Text(pattern) = value(pattern)? else {
        return Err(PredicateError::Kind("LIKE needs a pattern in single quotes".to_owned()));
    };
    if column.is_number() {
        return Err(PredicateError::Kind(format!("{name} is a number: LIKE is for texts")));
    }
    let escape = match escape.map(|escape| &escape.value) {
        None => None,
        Some(Value::SingleQuotedString(text)) => {
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(escape), None) => Some(escape),
                _ => return unsupported(format!("ESCAPE '{text}' (it is one character)")),
            }
        }
        Some(other) => return unsupported(format!("ESCAPE {}", shown(other))),
    };
    let regex = regex_of(&pattern, escape)?;
    Ok(Condition::Like(column, Like { pattern, escape, regex }))
}

fn regex_of(pattern: &str, escape: Option<char>) -> Parsed<Regex> {
    let mut text = String::from("(?s)^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => match chars.next() {
                Some(c) => text.push_str(&regex::escape(&c.to_string())),
                None => return unsupported("a LIKE pattern that ends in its escape character"),
            },
            '%' => text.push_str(".*"),
            '_' => text.push('.'),
            c => text.push_str(&regex::escape(&c.to_string())),
        }
    }
    text.push('$');
    Regex::new(&text).map_err(|_| PredicateError::TooLong("what LIKE can take".to_owned()))
}
