//! SQL over a row that the sink's own engine evaluates: read here, so that it can be nothing but a
//! condition over the contract's columns.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use crate::sql::{quote, quote_text};

/// Longest text, in bytes.
const BYTES_MAX: usize = 8 << 10;
/// Deepest nesting.
const DEPTH_MAX: usize = 32;

/// The condition as Postgres reads it, with every name quoted.
///
/// # Errors
/// What the text has that a condition does not take.
pub(super) fn condition(text: &str, is_column: &dyn Fn(&str) -> bool) -> Result<String, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("is over {BYTES_MAX} bytes"));
    }
    let dialect = PostgreSqlDialect {};
    let parser = Parser::new(&dialect).with_recursion_limit(DEPTH_MAX);
    let mut parser = parser.try_with_sql(text).map_err(|error| format!("is not SQL: {error}"))?;
    let parsed = parser.parse_expr().map_err(|error| format!("is not SQL: {error}"))?;
    let rest = parser.peek_token();
    if rest.token != sqlparser::tokenizer::Token::EOF {
        return Err(format!("goes on after a condition, with {rest}"));
    }
    render(&parsed, is_column)
}

#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a condition")]
fn render(expr: &Expr, is_column: &dyn Fn(&str) -> bool) -> Result<String, String> {
    let sub = |expr: &Expr| render(expr, is_column);
    let not = |negated: bool| if negated { "NOT " } else { "" };
    Ok(match expr {
        Expr::Identifier(name) if is_column(&name.value) => quote(&name.value),
        Expr::Identifier(name) => return Err(format!("names {}, which is no column", name.value)),
        Expr::Nested(inner) => format!("({})", sub(inner)?),
        Expr::Value(value) => literal(&value.value)?,
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => format!("NOT ({})", sub(expr)?),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => format!("-({})", sub(expr)?),
        Expr::BinaryOp { left, op, right } => {
            format!("({} {} {})", sub(left)?, operator(op)?, sub(right)?)
        }
        Expr::IsNull(inner) => format!("({} IS NULL)", sub(inner)?),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", sub(inner)?),
        Expr::IsTrue(inner) => format!("({} IS TRUE)", sub(inner)?),
        Expr::IsFalse(inner) => format!("({} IS FALSE)", sub(inner)?),
        Expr::InList { expr, list, negated } => {
            let list = list.iter().map(sub).collect::<Result<Vec<_>, _>>()?;
            format!("({} {}IN ({}))", sub(expr)?, not(*negated), list.join(", "))
        }
        Expr::Between { expr, negated, low, high } => {
            format!("({} {}BETWEEN {} AND {})", sub(expr)?, not(*negated), sub(low)?, sub(high)?)
        }
        Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
            format!("({} {}LIKE {})", sub(expr)?, not(*negated), sub(pattern)?)
        }
        other => return Err(format!("has {other}, which a condition over a row does not take")),
    })
}

#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a condition")]
fn literal(value: &Value) -> Result<String, String> {
    match value {
        Value::Number(digits, _) => Ok(digits.to_string()),
        // No backslash means anything but itself.
        Value::SingleQuotedString(text) if !text.contains('\0') => Ok(quote_text(text)),
        Value::Boolean(flag) => Ok(flag.to_string()),
        Value::Null => Ok("NULL".to_owned()),
        other => Err(format!("has {other}, which is no plain value")),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "SQL has far more than a condition")]
fn operator(op: &BinaryOperator) -> Result<&'static str, String> {
    Ok(match op {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::And => "AND",
        BinaryOperator::Or => "OR",
        other => return Err(format!("has {other}, which a condition over a row does not take")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        condition(text, &|name| ["op", "n", "select"].contains(&name))
    }

    #[test]
    fn a_condition_is_written_with_quoted_names() {
        assert_eq!(read("op = 'D'").unwrap(), "(\"op\" = E'D')");
        let text = "op in ('D', 'it''s \\') and not (n between -1 and 2 or \"select\" is null)";
        let sql = "((\"op\" IN (E'D', E'it''s \\\\')) AND NOT ((((\"n\" BETWEEN -(1) AND 2) OR \
                   (\"select\" IS NULL)))))";
        assert_eq!(read(text).unwrap(), sql);
    }

    #[test]
    fn nothing_but_a_condition_over_columns_gets_through() {
        for text in [
            "",
            "op = 'D'; drop table x",
            "other = 1",
            "pg_sleep(10) is null",
            "op = (select 1)",
            "op::regclass is null",
            "n = $1",
            "op = 'D' -- and more\n or n = now()",
            "exists (select 1)",
            "x.op = 1",
            "op || 'x' = 'y'",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("{}n = 1{}", "(".repeat(400), ")".repeat(400))).is_err());
    }
}
