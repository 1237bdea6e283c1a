//! What has to come before what, over all files.

use squawk_syntax::ast::{self, AstNode};

use crate::generate::UNDO_COLUMN;
use crate::phase::Phase;

use super::actions::{Action, Added, Kind};
use super::expressions::{columns as columns_of, conjuncts, in_list};
use super::files::{assignments, relation};
use super::scripts::within;
use super::{Finding, Sources};

impl Sources {
    fn of(&self, phase: Phase) -> impl Iterator<Item = &Action> {
        self.actions.iter().filter(move |action| action.phase == phase)
    }

    /// Whether a trigger of expand.sql fills the rows of a table whoever writes them.
    fn is_synced(&self, table: &str) -> bool {
        self.of(Phase::Expand).any(|action| {
            action.table == table && matches!(action.kind, Kind::CreateTrigger { keeps_rows: true })
        })
    }

    /// Constraints that are added, with where.
    fn added(&self) -> impl Iterator<Item = (&Action, &Added)> {
        self.actions.iter().filter_map(|action| {
            let Kind::AddConstraint(added) = &action.kind else { return None };
            Some((action, added))
        })
    }

    /// Whether a file makes the table, so that it has no rows and no users.
    fn is_new(&self, table: &str) -> bool {
        let mut made = self.actions.iter().filter(|one| matches!(one.kind, Kind::CreateTable));
        made.any(|action| action.table == table)
    }

    /// Table, alias, and what the backfill sets.
    fn backfilled(&self) -> Vec<(String, String, String, ast::Expr)> {
        let Some(script) = self.script(Phase::Backfill) else { return vec![] };
        let mut found = vec![];
        for update in within::<ast::Update>(&script.tree.syntax_node()) {
            let Some((table, alias)) = relation(update.relation_name(), update.alias()) else {
                continue;
            };
            for (column, expr) in assignments(&update) {
                found.push((table.clone(), alias.clone(), column, expr));
            }
        }
        found
    }
}

/// Columns that are added, filled and given a default.
pub(super) fn columns(sources: &Sources) -> Vec<Finding> {
    let mut findings = copies(sources);
    let backfilled = sources.backfilled();
    for action in sources.of(Phase::Contract).chain(sources.of(Phase::Online)) {
        let Kind::SetDefault { column } = &action.kind else { continue };
        let filled =
            backfilled.iter().any(|(table, _, name, _)| table == &action.table && name == column);
        let early = sources.of(Phase::Expand).any(|one| {
            one.table == action.table
                && matches!(
                    &one.kind,
                    Kind::AddColumn { column: name, has_default: true, .. }
                    | Kind::SetDefault { column: name } if name == column
                )
        });
        if filled && !early && !sources.is_synced(&action.table) {
            findings.push(Finding::at(
                action.place,
                "default-after-backfill",
                "rows that are inserted between the backfill and this stay without a value",
                "the default (or a trigger) in expand.sql, so that the backfill meets only older rows",
            ));
        }
    }
    findings
}

/// A rule that fills a new column from others of the same row, with nothing that keeps them in step.
fn copies(sources: &Sources) -> Vec<Finding> {
    let Some(script) = sources.script(Phase::Backfill) else { return vec![] };
    let key = sources.config.as_ref().map(|config| config.target.key.clone()).unwrap_or_default();
    let mut findings = vec![];
    for (table, alias, column, expr) in sources.backfilled() {
        let is_added = sources.of(Phase::Expand).any(|action| {
            action.table == table
                && matches!(&action.kind, Kind::AddColumn { column: name, .. } if *name == column)
        });
        let from = columns_of(expr.syntax()).into_iter().find(|one| {
            let own = one.table.as_ref().is_some_and(|table| *table == alias);
            own && one.name != column && !key.contains(&one.name)
        });
        let Some(from) = from else { continue };
        // What a row was is written down once, not kept in step.
        if column == UNDO_COLUMN {
            continue;
        }
        if is_added && !sources.is_synced(&table) {
            findings.push(Finding::at(
                script.place(expr.syntax()),
                "copy-without-sync",
                &format!(
                    "a row whose {} changes after its batch keeps the old {column}",
                    from.name
                ),
                "a BEFORE INSERT OR UPDATE trigger FOR EACH ROW in expand.sql that sets it too",
            ));
        }
    }
    findings
}

/// Constraints, and the statements that lean on them.
pub(super) fn constraints(sources: &Sources) -> Vec<Finding> {
    let mut findings = vec![];
    for (action, added) in sources.added() {
        if sources.is_new(&action.table) || undoes(action.phase) {
            continue;
        }
        if (added.check.is_some() || added.is_foreign_key) && !added.is_not_valid {
            findings.push(Finding::at(
                action.place,
                "constraint-without-not-valid",
                "it reads the whole table under a lock that keeps writers out",
                "ADD CONSTRAINT name .. NOT VALID, then VALIDATE CONSTRAINT name in contract.sql",
            ));
        }
        findings.extend(before_backfill(sources, action, added));
        findings.extend(lets_null_pass(sources, action, added));
    }
    for action in &sources.actions {
        if undoes(action.phase) {
            continue;
        }
        if let Kind::Validate { constraint } = &action.kind {
            findings.extend(same_transaction(sources, action, constraint));
        } else if let Kind::SetNotNull { column } = &action.kind {
            findings.extend(scans(sources, action, column));
        }
    }
    findings
}

fn undoes(phase: Phase) -> bool {
    matches!(phase, Phase::Down | Phase::UndoBackfill)
}

/// A not-null check that the rows of before do not meet yet.
fn before_backfill(sources: &Sources, action: &Action, added: &Added) -> Option<Finding> {
    if action.phase != Phase::Expand || sources.is_synced(&action.table) {
        return None;
    }
    let backfilled = sources.backfilled();
    let filled_later = added.not_null().into_iter().find(|column| {
        backfilled.iter().any(|(table, _, name, _)| *table == action.table && name == column)
    })?;
    Some(Finding::at(
        action.place,
        "check-before-backfill",
        &format!(
            "until its batch, an update of any other column of a row fails: {filled_later} is still NULL"
        ),
        "the check in contract.sql, or a trigger in expand.sql that fills the row",
    ))
}

/// `c IN (..)` is not false for NULL, and a check refuses only what is false.
fn lets_null_pass(sources: &Sources, action: &Action, added: &Added) -> Option<Finding> {
    let parts = added.check.clone().map(conjuncts).unwrap_or_default();
    let listed = parts.iter().find_map(in_list)?.name;
    let refused = sources.actions.iter().any(|one| {
        one.table == action.table
            && (matches!(&one.kind, Kind::AddConstraint(other) if other.not_null().contains(&listed))
                || matches!(
                    &one.kind,
                    Kind::SetNotNull { column } | Kind::AddColumn { column, is_not_null: true, .. }
                        if *column == listed
                ))
    });
    (!refused).then(|| {
        Finding::at(
            action.place,
            "check-passes-null",
            &format!("a row without {listed} passes: NULL IN (..) is not false"),
            "CHECK (c IS NOT NULL AND c IN (..)), or c IS NULL OR c IN (..) where NULL is meant to pass",
        )
    })
}

fn same_transaction(sources: &Sources, action: &Action, constraint: &str) -> Option<Finding> {
    let together = sources.added().any(|(other, added)| {
        let statement = other.statement == action.statement || action.phase == Phase::Expand;
        other.phase == action.phase && statement && added.name.as_deref() == Some(constraint)
    });
    together.then(|| {
        Finding::at(
            action.place,
            "validate-same-transaction",
            "the strong lock of ADD CONSTRAINT is held through all of the scan",
            "VALIDATE CONSTRAINT as a statement of its own in contract.sql, after the one that adds it",
        )
    })
}

/// SET NOT NULL without a check that spares it the scan.
fn scans(sources: &Sources, action: &Action, column: &str) -> Option<Finding> {
    let before = |other: &Action| (other.phase, other.statement) < (action.phase, action.statement);
    let proven = sources.added().any(|(at, added)| {
        let validated = sources.actions.iter().any(|one| {
            before(one)
                && matches!(&one.kind, Kind::Validate { constraint }
                    if added.name.as_ref() == Some(constraint))
        });
        at.table == action.table && added.not_null().iter().any(|one| one == column) && validated
    });
    (!proven && !sources.is_new(&action.table)).then(|| {
        Finding::at(
            action.place,
            "set-not-null-scans",
            "it reads the whole table while nobody can read or write it",
            "ADD CONSTRAINT .. CHECK (c IS NOT NULL) NOT VALID, VALIDATE CONSTRAINT, then SET NOT NULL, then DROP \
             CONSTRAINT",
        )
    })
}
