//! The rule for rows: one statement over `rowproof_batch`, joined by the key.

use squawk_syntax::ast::{self, AstNode, BinOp, Expr, NameLike as _, Stmt};
use squawk_syntax::{SourceFile, SyntaxNode};

use crate::phase::Mode;
use crate::phase::Phase;
use crate::rule::BATCH;

use super::expressions::{bare, column, columns, conjuncts, null_test};
use super::files::{assignments, relation};
use super::scripts::{Script, within};
use super::{Finding, Sources, actions};

pub(super) fn look(sources: &Sources) -> Vec<Finding> {
    let mut findings = vec![];
    for script in sources.scripts.iter().filter(|one| one.phase.mode() == Mode::Rule) {
        findings.extend(shape(script));
        for statement in script.statements() {
            findings.extend(clauses(sources, script, &statement));
            findings.extend(join(sources, script, &statement));
        }
    }
    findings.extend(stays_null(sources));
    findings
}

/// One UPDATE, DELETE or INSERT that reads the batch.
fn shape(script: &Script) -> Vec<Finding> {
    let mut findings = vec![];
    for (number, statement) in script.statements().iter().enumerate() {
        let place = script.place(statement.syntax());
        let is_rule = matches!(statement, Stmt::Update(_) | Stmt::Delete(_) | Stmt::Insert(_));
        if let Stmt::Do(_) | Stmt::Call(_) = statement {
            findings.push(Finding::at(
                place,
                "rule-loops",
                "a loop of its own cannot be resumed, throttled or bounded by the engine",
                "the one UPDATE, DELETE or INSERT that the loop repeats, over rowproof_batch",
            ));
        } else if !is_rule || number > 0 {
            findings.push(Finding::at(
                place,
                "rule-shape",
                "the engine wraps exactly one UPDATE, DELETE or INSERT",
                "UPDATE table t SET .. FROM rowproof_batch b WHERE t.id = b.id",
            ));
        }
        if is_rule && batch(statement.syntax()).is_none() {
            findings.push(Finding::at(
                place,
                "rule-without-batch",
                "it changes every row in one transaction, and once a batch again",
                "UPDATE table t SET .. FROM rowproof_batch b WHERE t.id = b.id",
            ));
        }
    }
    findings
}

fn clauses(sources: &Sources, script: &Script, statement: &Stmt) -> Vec<Finding> {
    let node = statement.syntax();
    let mut findings = vec![];
    let limit = within::<ast::LimitClause>(node).map(|one| one.syntax().clone());
    let fetch = within::<ast::FetchClause>(node).map(|one| one.syntax().clone());
    for clause in limit.chain(fetch) {
        // The first row of another table is a value like any other.
        let query = clause.ancestors().find_map(ast::Select::cast);
        let walks = query.is_none_or(|query| {
            batch(query.syntax()).is_some() || reads(&query, sources.target().unwrap_or_default())
        });
        if !walks {
            continue;
        }
        findings.push(Finding::at(
            script.place(&clause),
            "rule-limit",
            "the engine sizes the batches; a loop by LIMIT reads the table from its start each time, and ends \
             early when rows are locked",
            "the rule without LIMIT, over rowproof_batch",
        ));
    }
    for clause in within::<ast::LockingClause>(node) {
        findings.push(Finding::at(
            script.place(clause.syntax()),
            "rule-row-lock",
            "the batch is locked already; FOR UPDATE keeps other tables from referring to its rows, and SKIP \
             LOCKED leaves rows out for good",
            "the rule without a locking clause",
        ));
    }
    for clause in within::<ast::ReturningClause>(node) {
        findings.push(Finding::at(
            script.place(clause.syntax()),
            "rule-returning",
            "the engine counts the rows by a RETURNING of its own",
            "the rule without RETURNING",
        ));
    }
    findings
}

/// Name that the batch goes by.
fn batch(node: &SyntaxNode) -> Option<String> {
    within::<ast::RelationFromItem>(node).find_map(|item| {
        let name = actions::last(item.relation_name_ref()?.path_ref())?;
        let alias = item.alias().and_then(|alias| alias.name()).map(|alias| alias.text());
        (name == BATCH).then(|| alias.unwrap_or(name))
    })
}

/// Whether the batch is joined by every column of the key.
fn join(sources: &Sources, script: &Script, statement: &Stmt) -> Vec<Finding> {
    let Some(alias) = batch(statement.syntax()) else { return vec![] };
    let joined = joined(statement.syntax(), &alias);
    let key = sources.config.as_ref().map(|config| config.target.key.clone()).unwrap_or_default();
    let missing: Vec<&str> =
        key.iter().filter(|name| !joined.contains(name)).map(String::as_str).collect();
    let rescans = "without all of the key in the join every batch reads the whole table";
    let mut findings = vec![];
    if joined.is_empty() || !missing.is_empty() {
        findings.push(Finding::at(
            script.place(statement.syntax()),
            "rule-rescans",
            rescans,
            &match missing.is_empty() {
                true => "WHERE t.id = b.id, for every column of the primary key".to_owned(),
                false => format!("WHERE t.c = b.c also for {}", missing.join(", ")),
            },
        ));
    }
    let Some(target) = sources.target() else { return findings };
    for query in within::<ast::Select>(statement.syntax()) {
        let outer = outer_names(statement, &alias);
        let tied = columns(query.syntax())
            .iter()
            .any(|column| column.table.as_ref().is_some_and(|table| outer.contains(table)));
        if reads(&query, target) && !tied {
            findings.push(Finding::at(
                script.place(query.syntax()),
                "rule-rescans",
                "this query reads the whole target again for every batch",
                "the rows of rowproof_batch alone; a condition on rows belongs in backfill.needs",
            ));
        }
    }
    findings
}

/// Whether a query names a table in its FROM.
fn reads(query: &ast::Select, table: &str) -> bool {
    let from = query.from_clause();
    let mut items = from.iter().flat_map(|from| within::<ast::RelationFromItem>(from.syntax()));
    items.any(|item| {
        let name = item.relation_name_ref().and_then(|name| actions::last(name.path_ref()));
        name.as_deref() == Some(table)
    })
}

/// Names of the rule's own rows.
fn outer_names(statement: &Stmt, batch: &str) -> Vec<String> {
    let mut names = vec![batch.to_owned()];
    let own = if let Stmt::Update(update) = statement {
        relation(update.relation_name(), update.alias())
    } else if let Stmt::Delete(delete) = statement {
        relation(delete.relation_name(), delete.alias())
    } else {
        None
    };
    names.extend(own.map(|(_, alias)| alias));
    names
}

/// Columns that equal a column of the batch.
fn joined(node: &SyntaxNode, batch: &str) -> Vec<String> {
    let mut found = vec![];
    for pair in within::<ast::BinExpr>(node) {
        let (Some(left), Some(right)) = (pair.lhs(), pair.rhs()) else { continue };
        if let Some(BinOp::Eq(_)) = pair.op() {
            let (left, right) = (parts(left), parts(right));
            for (one, other) in left.into_iter().zip(right) {
                let of_batch = |side: &Expr| {
                    column(side.clone()).filter(|name| name.table.as_deref() == Some(batch))
                };
                found.extend(of_batch(&one).or(of_batch(&other)).map(|name| name.name));
            }
        } else if let Some(BinOp::In(_)) = pair.op()
            && within::<ast::RelationFromItem>(right.syntax()).next().is_some()
        {
            found.extend(parts(left).into_iter().filter_map(column).map(|name| name.name));
        }
    }
    found
}

/// The members of a row, or the one expression.
fn parts(expr: Expr) -> Vec<Expr> {
    let expr = bare(expr);
    if let Expr::TupleExpr(row) = &expr { row.exprs().collect() } else { vec![expr] }
}

/// `needs` says that a column has no value, and the rule may give it none.
fn stays_null(sources: &Sources) -> Vec<Finding> {
    let needs = sources.config.as_ref().and_then(|config| config.backfill.needs.clone());
    let (Some(needs), Some(script)) = (needs, sources.script(Phase::Backfill)) else {
        return vec![];
    };
    let parsed = SourceFile::parse(&format!("SELECT 1 WHERE {needs}"));
    let filter = within::<ast::WhereClause>(&parsed.syntax_node()).next();
    let tests = filter.and_then(|filter| filter.expr()).map(conjuncts).unwrap_or_default();
    let named = |null| tests.iter().filter_map(move |one| null_test(one, null)).map(|one| one.name);
    let (empty, present): (Vec<_>, Vec<_>) = (named(true).collect(), named(false).collect());
    let mut findings = vec![];
    for update in within::<ast::Update>(&script.tree.syntax_node()) {
        for (name, expr) in assignments(&update).into_iter().filter(|(one, _)| empty.contains(one))
        {
            let copied = column(expr.clone()).filter(|from| !present.contains(&from.name));
            let no_else =
                matches!(bare(expr.clone()), Expr::CaseExpr(case) if case.else_clause().is_none());
            if no_else || copied.is_some() {
                findings.push(Finding::at(
                    script.place(expr.syntax()),
                    "rule-stays-null",
                    &format!(
                        "where the rule gives NULL, {name} IS NULL holds for ever: the sweeps find the row again \
                         and the run ends as NotConverging"
                    ),
                    "an ELSE, or a backfill.needs that also asks for the source: AND t.source IS NOT NULL",
                ));
            }
        }
    }
    findings
}
