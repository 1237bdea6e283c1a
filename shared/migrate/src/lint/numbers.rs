//! Counts that are compared over time, and guards against an empty table.

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode, BinOp};

use crate::config::InvariantKind;
use crate::phase::Phase;

use super::expressions::counts;
use super::scripts::within;
use super::{Finding, Sources, actions};

const SETTINGS: (&str, u32) = ("migration.toml", 0);

pub(super) fn look(sources: &Sources) -> Vec<Finding> {
    let mut findings = vec![];
    for phase in [Phase::Precheck, Phase::Validate] {
        let Some(script) = sources.script(phase) else { continue };
        for pair in within::<ast::BinExpr>(&script.tree.syntax_node()).filter(compares_a_count) {
            let place = script.place(pair.syntax());
            findings.push(match phase == Phase::Precheck {
                true => empty(place),
                false => count(place),
            });
        }
    }
    if let Some(script) = sources.script(Phase::Precheck) {
        for call in within::<ast::ExistsFn>(&script.tree.syntax_node()) {
            if asks_for_any_row(sources, &call) {
                findings.push(empty(script.place(call.syntax())));
            }
        }
    }
    findings.extend(invariants(sources));
    findings
}

fn count(place: (&str, u32)) -> Finding {
    Finding::at(
        place,
        "count-invariant",
        "one insert meanwhile is a false alarm, and an insert with a delete is a false pass",
        "a query for the rows that are wrong (kind zero_rows), or an aggregate of two columns in one snapshot",
    )
}

fn empty(place: (&str, u32)) -> Finding {
    Finding::at(
        place,
        "empty-check",
        "it is right for production and stops every fresh environment",
        "expect_rows = { min = 1, on_empty = \"abort\" } (or \"skip\") in target of migration.toml",
    )
}

/// `count(..) = x` or `<>`; more and less than are questions of state.
fn compares_a_count(pair: &ast::BinExpr) -> bool {
    let is_equality = matches!(pair.op(), Some(BinOp::Eq(_) | BinOp::Neq(_) | BinOp::Neqb(_)));
    let sides = [pair.lhs(), pair.rhs()];
    is_equality && sides.iter().flatten().any(|side| counts(side.syntax()))
}

/// `EXISTS (SELECT .. FROM target)` without a condition.
fn asks_for_any_row(sources: &Sources, call: &ast::ExistsFn) -> bool {
    let Some(query) = within::<ast::Select>(call.syntax()).next() else { return false };
    let mut from = query
        .from_clause()
        .into_iter()
        .flat_map(|from| within::<ast::RelationFromItem>(from.syntax()).collect::<Vec<_>>());
    let name = from.next().and_then(|item| actions::last(item.relation_name_ref()?.path_ref()));
    query.where_clause().is_none() && name.is_some() && name.as_deref() == sources.target()
}

fn invariants(sources: &Sources) -> Vec<Finding> {
    let mut findings = vec![];
    for invariant in sources.config.iter().flat_map(|config| &config.invariants) {
        let bad = match &invariant.kind {
            InvariantKind::ZeroRows { sql } => {
                within::<ast::BinExpr>(&SourceFile::parse(sql).syntax_node())
                    .any(|pair| compares_a_count(&pair))
            }
            InvariantKind::Aggregate { left, right, .. } => counts_all(left) || counts_all(right),
            InvariantKind::Distribution { .. }
            | InvariantKind::FkOrphans { .. }
            | InvariantKind::ConstraintValid { .. }
            | InvariantKind::IndexValid { .. } => false,
        };
        if bad {
            let mut finding = count(SETTINGS);
            finding.what = format!("invariant {}: {}", invariant.name, finding.what);
            findings.push(finding);
        }
    }
    findings
}

/// A count of all rows of a table, whatever they hold.
fn counts_all(sql: &str) -> bool {
    let node = SourceFile::parse(sql).syntax_node();
    let chooses = within::<ast::WhereClause>(&node).next().is_some()
        || within::<ast::HavingClause>(&node).next().is_some();
    counts(&node) && !chooses
}
