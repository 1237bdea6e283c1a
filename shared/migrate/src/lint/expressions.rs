//! What an expression says about columns.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AstNode, BinOp, Expr, PostfixOp};

/// A column that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Name or alias of its table, when it is written.
    pub(super) table: Option<String>,
    pub(super) name: String,
}

/// An expression without the parentheses and casts around it.
pub(super) fn bare(expr: Expr) -> Expr {
    let inner = if let Expr::ParenExpr(paren) = &expr {
        paren.expr()
    } else if let Expr::CastExpr(cast) = &expr {
        cast.expr()
    } else if let Expr::BinExpr(pair) = &expr
        && let Some(BinOp::ColonColon(_)) = pair.op()
    {
        pair.lhs()
    } else {
        None
    };
    inner.map_or(expr, bare)
}

/// The column that an expression is.
pub(super) fn column(expr: Expr) -> Option<Column> {
    let expr = bare(expr);
    if let Expr::NameRef(name) = &expr {
        return Some(Column { table: None, name: name.text() });
    }
    let Expr::FieldExpr(field) = &expr else { return None };
    let Expr::NameRef(table) = field.base()? else { return None };
    Some(Column { table: Some(table.text()), name: field.field()?.text() })
}

/// All columns that an expression reads, also in the queries within it.
pub(super) fn columns(node: &SyntaxNode) -> Vec<Column> {
    let mut found = vec![];
    for expr in node.descendants().filter_map(Expr::cast) {
        let part_of_more = expr.syntax().parent().is_some_and(|parent| {
            let called = ast::CallExpr::cast(parent.clone())
                .and_then(|call| call.expr())
                .is_some_and(|name| name.syntax() == expr.syntax());
            called || ast::FieldExpr::can_cast(parent.kind())
        });
        let is_name = matches!(expr, Expr::NameRef(_) | Expr::FieldExpr(_));
        if is_name && !part_of_more {
            found.extend(column(expr));
        }
    }
    found
}

/// The parts of an expression that AND holds together.
pub(super) fn conjuncts(expr: Expr) -> Vec<Expr> {
    let expr = bare(expr);
    if let Expr::BinExpr(pair) = &expr
        && let (Some(BinOp::And(_)), Some(left), Some(right)) = (pair.op(), pair.lhs(), pair.rhs())
    {
        let mut parts = conjuncts(left);
        parts.extend(conjuncts(right));
        return parts;
    }
    vec![expr]
}

/// The column of `c IS NULL` (`null` true) or `c IS NOT NULL`.
pub(super) fn null_test(expr: &Expr, null: bool) -> Option<Column> {
    if let Expr::PostfixExpr(test) = expr {
        let op = test.op()?;
        let found = match null {
            true => matches!(op, PostfixOp::IsNull(_)),
            false => matches!(op, PostfixOp::NotNull(_)),
        };
        return found.then(|| test.expr().and_then(column)).flatten();
    }
    let Expr::BinExpr(test) = expr else { return None };
    let is_null = matches!(test.rhs()?, Expr::Literal(literal)
        if matches!(literal.kind(), Some(ast::LitKind::Null(_))));
    let op = test.op()?;
    let found = match null {
        true => matches!(op, BinOp::Is(_)),
        false => matches!(op, BinOp::IsNot(_)),
    };
    (is_null && found).then(|| test.lhs().and_then(column)).flatten()
}

/// The column of `c IN (..)` or `c = ANY (..)`.
pub(super) fn in_list(expr: &Expr) -> Option<Column> {
    let Expr::BinExpr(test) = expr else { return None };
    let is_any = matches!(test.rhs()?, Expr::CallExpr(call) if call.any_fn().is_some());
    let op = test.op()?;
    let found = matches!(op, BinOp::In(_)) || (is_any && matches!(op, BinOp::Eq(_)));
    found.then(|| test.lhs().and_then(column)).flatten()
}

/// Whether `count(..)` is called in it.
pub(super) fn counts(node: &SyntaxNode) -> bool {
    node.descendants().filter_map(ast::CallExpr::cast).any(|call| {
        call.expr()
            .is_some_and(|name| matches!(bare(name), Expr::NameRef(name) if name.text() == "count"))
    })
}
