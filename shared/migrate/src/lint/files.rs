//! Each statement in the file whose way of running it needs.

use squawk_syntax::SyntaxKind;
use squawk_syntax::ast::{self, AstNode, Stmt};

use crate::config::OnInvalid;
use crate::phase::Mode;
use crate::phase::Phase;

use super::actions::{self, Kind};
use super::scripts::{Script, within};
use super::{Finding, Sources};

pub(super) fn look(sources: &Sources) -> Vec<Finding> {
    let mut findings = undo(sources);
    findings.extend(empty(sources));
    for script in &sources.scripts {
        for statement in script.statements() {
            findings.extend(anywhere(script, &statement));
            findings.extend(index(sources, script, &statement));
            findings.extend(misplaced(script, &statement));
        }
    }
    findings.extend(too_early(sources));
    findings
}

/// Files that do nothing, and a condition for rows that nothing is done to.
fn empty(sources: &Sources) -> Vec<Finding> {
    let mut findings = vec![];
    for script in sources.scripts.iter().filter(|script| script.statements().is_empty()) {
        let file = (script.phase.file(), 0);
        let what = "it has no statement, so its phase does nothing";
        findings.push(Finding::at(
            file,
            "empty-file",
            what,
            "write the statement, or remove the file",
        ));
    }
    let has_rule =
        sources.script(Phase::Backfill).is_some_and(|script| !script.statements().is_empty());
    let needs = sources.config.iter().any(|config| config.backfill.needs.is_some());
    if needs && !has_rule {
        let what = "backfill.needs says which rows need a rule, and there is none";
        let instead = "a rule in backfill.sql, or no backfill.needs";
        findings.push(Finding::at(("migration.toml", 0), "needs-without-rule", what, instead));
    }
    findings
}

/// What a statement is, as far as its file cares.
fn is_query(statement: &Stmt) -> bool {
    matches!(
        statement,
        Stmt::Select(_)
            | Stmt::CompoundSelect(_)
            | Stmt::ParenSelect(_)
            | Stmt::Values(_)
            | Stmt::Table(_)
    )
}

fn is_data(statement: &Stmt) -> bool {
    let writes = matches!(
        statement,
        Stmt::Update(_)
            | Stmt::Insert(_)
            | Stmt::Delete(_)
            | Stmt::Merge(_)
            | Stmt::Copy(_)
            | Stmt::Truncate(_)
    );
    let node = statement.syntax();
    let hidden = is_query(statement)
        && (within::<ast::Update>(node).next().is_some()
            || within::<ast::Insert>(node).next().is_some()
            || within::<ast::Delete>(node).next().is_some());
    writes || hidden
}

fn is_transaction(statement: &Stmt) -> bool {
    matches!(
        statement,
        Stmt::Begin(_)
            | Stmt::Commit(_)
            | Stmt::Rollback(_)
            | Stmt::SavepointCreate(_)
            | Stmt::ReleaseSavepoint(_)
            | Stmt::PrepareTransaction(_)
    )
}

/// Whether it refuses to run in a transaction.
fn needs_autocommit(statement: &Stmt) -> bool {
    let concurrently = statement.syntax().descendants_with_tokens();
    let concurrently =
        concurrently.into_iter().any(|one| one.kind() == SyntaxKind::CONCURRENTLY_KW);
    let refresh = matches!(statement, Stmt::Refresh(_));
    (concurrently && !refresh) || matches!(statement, Stmt::Vacuum(_))
}

fn is_temporary(statement: &Stmt) -> bool {
    let persistence = if let Stmt::CreateTable(create) = statement {
        create.persistence()
    } else if let Stmt::CreateTableAs(create) = statement {
        create.persistence()
    } else if let Stmt::SelectInto(select) = statement {
        select.into_clause().and_then(|into| into.persistence())
    } else {
        None
    };
    matches!(persistence, Some(ast::Persistence::Temp(_)))
}

/// What is wrong in whatever file.
fn anywhere(script: &Script, statement: &Stmt) -> Vec<Finding> {
    let place = script.place(statement.syntax());
    let mut findings = vec![];
    if is_transaction(statement) {
        findings.push(Finding::at(
            place,
            "transaction-in-file",
            "the engine begins and ends transactions; this one would commit a part, or end its lease's guard",
            "nothing: remove it, the file's name says how it runs",
        ));
    }
    if let Stmt::Do(block) = statement {
        let body = block.body().and_then(|body| body.string_value()).unwrap_or_default();
        let is_end = |word: &str| {
            word.eq_ignore_ascii_case("commit") || word.eq_ignore_ascii_case("rollback")
        };
        if body.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_end) {
            findings.push(Finding::at(
                place,
                "commit-in-do",
                "COMMIT within DO fails with 2D000 in any transaction, and none of it can be resumed",
                "one UPDATE over rowproof_batch in backfill.sql; the engine commits each batch",
            ));
        }
    }
    if is_temporary(statement) {
        findings.push(Finding::at(
            place,
            "temp-table",
            "a temporary table is gone with its connection, and the next call has another one",
            "an [[invariant]] of kind aggregate or distribution; what it measures is kept in the database",
        ));
    }
    if let Stmt::Set(set) = statement
        && !matches!(set.set_scope(), Some(ast::SetScope::LocalScope(_)))
    {
        findings.push(Finding::at(
            place,
            "plain-set",
            "SET outlives its transaction: behind a pooler it leaks into the sessions of others",
            "locks.lock_timeout and locks.statement_timeout in migration.toml, or SET LOCAL",
        ));
    }
    findings
}

fn index(sources: &Sources, script: &Script, statement: &Stmt) -> Vec<Finding> {
    let Stmt::CreateIndex(create) = statement else { return vec![] };
    if create.concurrently_token().is_none() {
        return vec![];
    }
    let place = script.place(statement.syntax());
    let name = create.index().and_then(|index| index.path()?.segment()).map(|name| name.text());
    let Some(name) = name else {
        return vec![Finding::at(
            place,
            "unnamed-index",
            "without a name nobody can look whether the index became valid",
            "CREATE INDEX CONCURRENTLY name ON ..",
        )];
    };
    let probed = sources.config.iter().flat_map(|config| &config.invariants).any(|invariant| {
        matches!(&invariant.kind,
            crate::config::InvariantKind::IndexValid { index } if index.name == name)
    });
    if create.if_not_exists().is_none() || probed {
        return vec![];
    }
    vec![Finding::at(
        place,
        "if-not-exists-index",
        "a build that broke off leaves an INVALID index of this name, which IF NOT EXISTS takes for done",
        "CREATE INDEX CONCURRENTLY without IF NOT EXISTS: the engine drops an invalid one and builds anew",
    )]
}

/// The right file of a statement that stands in the wrong one.
fn misplaced(script: &Script, statement: &Stmt) -> Option<Finding> {
    if is_transaction(statement) {
        return None;
    }
    let place = script.place(statement.syntax());
    let wrong = |what: &str, instead: &str| Some(Finding::at(place, "wrong-file", what, instead));
    let local_set = matches!(statement, Stmt::Set(_));
    match script.phase.mode() {
        Mode::ReadOnly if is_data(statement) || !(is_query(statement) || local_set) => wrong(
            "this file runs in a transaction that cannot write",
            "queries that give no row when all is well; changes belong in expand.sql or backfill.sql",
        ),
        Mode::OneTransaction | Mode::TransactionEach if needs_autocommit(statement) => wrong(
            "it cannot run in a transaction, and this file's statements do",
            "it in online.sql; in down.sql the form without CONCURRENTLY",
        ),
        Mode::OneTransaction | Mode::TransactionEach if is_data(statement) => wrong(
            "it changes all its rows in one transaction, and holds their locks until its end",
            "a rule over rowproof_batch in backfill.sql (or undo_backfill.sql)",
        ),
        Mode::Autocommit
            if !needs_autocommit(statement) && !matches!(statement, Stmt::Analyze(_)) =>
        {
            wrong(
                "here nothing limits how long it waits for its lock, and nothing takes it back",
                "it in expand.sql or contract.sql; online.sql is for CONCURRENTLY",
            )
        }
        Mode::Rule
            if !(is_data(statement) || is_query(statement) || matches!(statement, Stmt::Do(_))) =>
        {
            wrong(
                "this file holds the rule for rows, which runs once a batch",
                "changes of the schema in expand.sql or contract.sql",
            )
        }
        Mode::ReadOnly
        | Mode::OneTransaction
        | Mode::Autocommit
        | Mode::Rule
        | Mode::TransactionEach => None,
    }
}

/// What only the applications of after bear, or what scans a table, before the backfill.
fn too_early(sources: &Sources) -> Vec<Finding> {
    let mut findings = vec![];
    for action in sources.actions.iter().filter(|action| action.phase == Phase::Expand) {
        let (what, instead) = match &action.kind {
            Kind::Validate { .. } => (
                "VALIDATE reads the whole table, here under the locks of all of expand.sql",
                "it in contract.sql, where each statement has a transaction of its own",
            ),
            Kind::SetNotNull { .. } => (
                "SET NOT NULL before the backfill fails on every row that has no value yet",
                "it in contract.sql, after a validated CHECK (.. IS NOT NULL)",
            ),
            Kind::DropColumn | Kind::DropTable | Kind::Rename => (
                "applications that run now still use it, and nothing brings it back",
                "it in contract.sql, behind the gate",
            ),
            Kind::AddColumn { .. }
            | Kind::SetDefault { .. }
            | Kind::AddConstraint(_)
            | Kind::CreateTable
            | Kind::CreateTrigger { .. } => continue,
        };
        findings.push(Finding::at(action.place, "wrong-file", what, instead));
    }
    findings
}

/// What takes the migration back.
fn undo(sources: &Sources) -> Vec<Finding> {
    let Some(config) = &sources.config else { return vec![] };
    let has = |phase| sources.script(phase).is_some_and(|one| !one.statements().is_empty());
    let mut findings = vec![];
    if config.on_invalid == OnInvalid::Rollback && !config.reversible {
        findings.push(Finding::at(
            ("migration.toml", 0),
            "rollback-impossible",
            "on_invalid = \"rollback\" undoes by files that reversible = false says are not there",
            "reversible = true with down.sql and undo_backfill.sql, or on_invalid = \"pause\"",
        ));
    }
    let schema = has(Phase::Expand) || has(Phase::Online);
    for (needed, phase) in [(schema, Phase::Down), (has(Phase::Backfill), Phase::UndoBackfill)] {
        if config.reversible && needed && !has(phase) {
            findings.push(Finding::at(
                (phase.file(), 0),
                "missing-undo",
                "reversible = true promises a way back that is not written",
                "this file, or reversible = false",
            ));
        }
    }
    findings
}

/// Names of the columns that a rule sets, with what they are set to.
pub(super) fn assignments(update: &ast::Update) -> Vec<(String, ast::Expr)> {
    let list = update.set_clause().and_then(|clause| clause.set_column_list());
    let mut found = vec![];
    for column in list.iter().flat_map(|list| list.set_columns()) {
        if let ast::SetColumn::SetSingleColumn(one) = column
            && let Some(name) = one.column_target().and_then(|target| target.name())
            && let Some(expr) = one.set_expr().and_then(|value| value.expr())
        {
            found.push((ast::NameLike::text(&name), expr));
        }
    }
    found
}

/// Names that the rows of a relation go by: its alias, else its name.
pub(super) fn relation(
    name: Option<ast::RelationName>,
    alias: Option<ast::OptionalAsAlias>,
) -> Option<(String, String)> {
    let name = actions::last(name?.relation_name_ref()?.path_ref())?;
    let alias = alias.and_then(|alias| alias.name()).map(|alias| ast::NameLike::text(&alias));
    Some((name.clone(), alias.unwrap_or(name)))
}
