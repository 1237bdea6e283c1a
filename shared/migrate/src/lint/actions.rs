//! What the statements of all files do to tables, in the order in which they run.

use squawk_syntax::SyntaxNode;
use squawk_syntax::ast::{self, AlterTableAction, AstNode, Constraint, NameLike as _};

use crate::phase::Phase;

use super::expressions;
use super::scripts::Script;

/// One thing that a statement does to a table.
pub(super) struct Action {
    pub(super) phase: Phase,
    /// Number of its statement within the file.
    pub(super) statement: usize,
    /// File and line.
    pub(super) place: (&'static str, u32),
    /// The table's name, without its schema.
    pub(super) table: String,
    pub(super) kind: Kind,
}

/// Names are as Postgres stores them.
pub(super) enum Kind {
    AddColumn { column: String, has_default: bool, is_not_null: bool },
    DropColumn,
    Rename,
    SetDefault { column: String },
    SetNotNull { column: String },
    AddConstraint(Added),
    Validate { constraint: String },
    CreateTable,
    DropTable,
    CreateTrigger { keeps_rows: bool },
}

/// A constraint that is added.
pub(super) struct Added {
    pub(super) name: Option<String>,
    pub(super) is_not_valid: bool,
    pub(super) is_foreign_key: bool,
    /// Expression of a CHECK.
    pub(super) check: Option<ast::Expr>,
}

impl Added {
    /// Columns that a CHECK wants to be there.
    pub(super) fn not_null(&self) -> Vec<String> {
        let parts = self.check.clone().map(expressions::conjuncts).unwrap_or_default();
        let tests = parts.iter().filter_map(|part| expressions::null_test(part, false));
        tests.map(|column| column.name).collect()
    }
}

/// What all files do.
pub(super) fn collect(scripts: &[Script]) -> Vec<Action> {
    let mut actions = vec![];
    for script in scripts {
        for (statement, parsed) in script.statements().iter().enumerate() {
            for (table, node, kind) in of(parsed) {
                let place = script.place(&node);
                actions.push(Action { phase: script.phase, statement, place, table, kind });
            }
        }
    }
    actions
}

fn of(statement: &ast::Stmt) -> Vec<(String, SyntaxNode, Kind)> {
    if let ast::Stmt::AlterTable(alter) = statement {
        let name = alter.table_relation_name().and_then(|name| name.table_name_ref());
        let Some(table) = name.and_then(|name| last(name.path_ref())) else { return vec![] };
        let mut found = vec![];
        for action in alter.actions() {
            let kinds = kinds(&action);
            found.extend(kinds.into_iter().map(|(node, kind)| (table.clone(), node, kind)));
        }
        return found;
    }
    let node = statement.syntax().clone();
    let one = if let ast::Stmt::CreateTable(create) = statement {
        let name = create.table_name().and_then(|name| name.path()?.segment());
        name.map(|name| (name.text(), Kind::CreateTable))
    } else if let ast::Stmt::DropTable(drop) = statement {
        drop.table_name_refs()
            .next()
            .and_then(|name| last(name.path_ref()))
            .map(|name| (name, Kind::DropTable))
    } else if let ast::Stmt::CreateTrigger(trigger) = statement {
        let name = trigger.on_relation().and_then(|on| on.relation_name_ref());
        let kind = Kind::CreateTrigger { keeps_rows: keeps_rows(trigger) };
        name.and_then(|name| last(name.path_ref())).map(|name| (name, kind))
    } else {
        None
    };
    one.map(|(table, kind)| (table, node, kind)).into_iter().collect()
}

/// Last part of a name with dots.
pub(super) fn last(path: Option<ast::PathRef>) -> Option<String> {
    path.and_then(|path| path.segment()).map(|segment| segment.text())
}

fn kinds(action: &AlterTableAction) -> Vec<(SyntaxNode, Kind)> {
    let node = action.syntax().clone();
    if let AlterTableAction::AddColumn(add) = action {
        return add_column(add);
    }
    let kind = if let AlterTableAction::DropColumn(_) = action {
        Some(Kind::DropColumn)
    } else if let AlterTableAction::RenameColumn(_) | AlterTableAction::TableRenameTo(_) = action {
        Some(Kind::Rename)
    } else if let AlterTableAction::AddConstraint(add) = action {
        add.constraint().map(|constraint| Kind::AddConstraint(added(&constraint)))
    } else if let AlterTableAction::ValidateConstraint(validate) = action {
        let name = validate.constraint_name_ref().and_then(|name| last(name.path_ref()));
        name.map(|constraint| Kind::Validate { constraint })
    } else if let AlterTableAction::AlterColumn(alter) = action {
        let column = alter.column_name_ref().map(|name| name.text()).unwrap_or_default();
        match alter.option() {
            Some(ast::AlterColumnOption::SetDefault(_)) => Some(Kind::SetDefault { column }),
            Some(ast::AlterColumnOption::SetNotNull(_)) => Some(Kind::SetNotNull { column }),
            _ => None,
        }
    } else {
        None
    };
    kind.map(|kind| (node, kind)).into_iter().collect()
}

fn add_column(add: &ast::AddColumn) -> Vec<(SyntaxNode, Kind)> {
    let has = |wanted: fn(&Constraint) -> bool| add.constraints().any(|one| wanted(&one));
    let kind = Kind::AddColumn {
        column: add.column_name().map(|name| name.text()).unwrap_or_default(),
        has_default: has(|one| {
            matches!(one, Constraint::DefaultConstraint(_) | Constraint::GeneratedConstraint(_))
        }),
        is_not_null: has(|one| matches!(one, Constraint::NotNullConstraint(_))),
    };
    let mut found = vec![(add.syntax().clone(), kind)];
    for constraint in add.constraints() {
        if let Constraint::CheckConstraint(_) | Constraint::ReferencesConstraint(_) = constraint {
            let kind = Kind::AddConstraint(added(&constraint));
            found.push((constraint.syntax().clone(), kind));
        }
    }
    found
}

fn added(constraint: &Constraint) -> Added {
    let check =
        if let Constraint::CheckConstraint(check) = constraint { check.expr() } else { None };
    Added {
        name: constraint.constraint_name().map(|name| name.text()),
        is_not_valid: constraint.is_not_valid(),
        is_foreign_key: matches!(
            constraint,
            Constraint::ForeignKeyConstraint(_) | Constraint::ReferencesConstraint(_)
        ),
        check,
    }
}

/// Whether a trigger can fill a row before it is written, whoever inserts or updates it.
fn keeps_rows(trigger: &ast::CreateTrigger) -> bool {
    let events = trigger.trigger_event_list().map(|list| list.trigger_events().collect::<Vec<_>>());
    let events = events.unwrap_or_default();
    let on_insert =
        events.iter().any(|one| matches!(one, ast::TriggerEvent::TriggerEventInsert(_)));
    let on_update =
        events.iter().any(|one| matches!(one, ast::TriggerEvent::TriggerEventUpdate(_)));
    let before = matches!(trigger.timing(), Some(ast::Timing::TimingBefore(_)));
    let each_row = matches!(trigger.trigger_level(), Some(ast::TriggerLevel::ForEachRow(_)));
    before && each_row && on_insert && on_update
}
