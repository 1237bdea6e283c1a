//! The SQL files as syntax trees. A file that [`Folder`](crate::folder::Folder) refuses is read too, so that
//! all findings come at once.

use std::fs;
use std::path::Path;

use squawk_syntax::ast::{self, AstNode};
use squawk_syntax::{Parse, SourceFile, SyntaxNode};

use crate::config::Config;
use crate::error::MigrateError;
use crate::phase::Phase;

use super::{Finding, Sources};

/// One SQL file.
pub(super) struct Script {
    pub(super) phase: Phase,
    pub(super) text: String,
    pub(super) tree: Parse<SourceFile>,
}

impl Script {
    /// Its statements, without the empty ones between semicolons.
    pub(super) fn statements(&self) -> Vec<ast::Stmt> {
        let filled = |one: &ast::Stmt| !matches!(one, ast::Stmt::EmptyStmt(_));
        self.tree.tree().stmts().filter(filled).collect()
    }

    /// Name and line of a node, for a finding.
    pub(super) fn place(&self, node: &SyntaxNode) -> (&'static str, u32) {
        (self.phase.file(), self.line(first_byte(node)))
    }

    /// Line of a byte, counted from 1.
    pub(super) fn line(&self, byte: usize) -> u32 {
        let before = self.text.get(..byte).unwrap_or_default();
        let ends = before.bytes().filter(|byte| *byte == b'\n').count();
        u32::try_from(ends + 1).unwrap_or(u32::MAX)
    }
}

/// Where a node's first word begins.
fn first_byte(node: &SyntaxNode) -> usize {
    let words = node.descendants_with_tokens().filter_map(|element| element.into_token());
    let first = words.into_iter().find(|token| !token.kind().is_trivia());
    first.map_or(node.text_range(), |token| token.text_range()).start().into()
}

/// The nodes of one type within a node.
pub(super) fn within<N: AstNode>(node: &SyntaxNode) -> impl Iterator<Item = N> {
    node.descendants().filter_map(N::cast)
}

/// Reads the SQL files that are there, in the order in which they run.
pub(super) fn read(path: &Path) -> Result<Vec<Script>, MigrateError> {
    let refuse = |file: String, error: std::io::Error| MigrateError::Folder {
        file,
        line: 0,
        what: error.to_string(),
    };
    if let Err(error) = fs::read_dir(path) {
        return Err(refuse(path.display().to_string(), error));
    }
    let mut scripts = vec![];
    for phase in Phase::ALL {
        let file = path.join(phase.file());
        if file.is_file() {
            let text =
                fs::read_to_string(file).map_err(|error| refuse(phase.file().into(), error))?;
            scripts.push(Script { phase, tree: SourceFile::parse(&text), text });
        }
    }
    Ok(scripts)
}

/// The settings, as far as they can be read.
pub(super) fn read_config(path: &Path) -> Option<Config> {
    toml::from_str(&fs::read_to_string(path.join("migration.toml")).ok()?).ok()
}

/// What the grammar does not know.
pub(super) fn look(sources: &Sources) -> Vec<Finding> {
    let mut findings = vec![];
    for script in &sources.scripts {
        for error in script.tree.errors() {
            let line = script.line(error.range().start().into());
            findings.push(Finding::at(
                (script.phase.file(), line),
                "syntax",
                &format!("Postgres would not understand this: {}", error.message()),
                "a statement that psql accepts",
            ));
        }
    }
    findings
}

impl Sources {
    /// The file of a phase, when it is there.
    pub(super) fn script(&self, phase: Phase) -> Option<&Script> {
        self.scripts.iter().find(|script| script.phase == phase)
    }

    /// Name of the target without its schema.
    pub(super) fn target(&self) -> Option<&str> {
        self.config.as_ref().map(|config| config.target.table.name.as_str())
    }
}
