//! A migration's folder: `migration.toml` and one SQL file a phase. The file's name fixes how its
//! statements run, so a reviewer sees it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::error::MigrateError;
use crate::phase::Phase;
use crate::rule::Rule;
use crate::statements::{Statement, split};

const SETTINGS: &str = "migration.toml";

/// SHA-256 over the names and bytes of a folder's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum(pub [u8; 32]);

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// One SQL file.
#[derive(Debug, Clone)]
pub struct Script {
    /// Which.
    pub phase: Phase,
    /// The whole text.
    pub text: String,
    /// Its statements.
    pub statements: Vec<Statement>,
}

/// A folder that was read and checked.
#[derive(Debug, Clone)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// `migration.toml`.
    pub config: Config,
    /// Its text, for messages that name a line of it.
    pub config_text: String,
    /// The SQL files that are there, in the order of [`Phase::ALL`].
    pub scripts: Vec<Script>,
    /// Of all files.
    pub checksum: Checksum,
    /// `backfill.sql`, taken apart.
    pub backfill: Option<Rule>,
    /// `undo_backfill.sql`, taken apart.
    pub undo_backfill: Option<Rule>,
}

/// Characters of a migration's name, so that a session's name can hold it.
pub const ID_MAX: usize = 40;

impl Folder {
    /// Reads and checks a folder.
    ///
    /// # Errors
    /// A file cannot be read, is not known, or something in it cannot be.
    pub fn load(path: &Path) -> Result<Folder, MigrateError> {
        let files = read_files(path)?;
        let settings = files.iter().find(|(name, _)| name == SETTINGS);
        let Some((_, config_text)) = settings else {
            let what = format!("{} has none; it says what is migrated and how", path.display());
            return Err(wrong(SETTINGS, 0, what));
        };
        let config = read_config(config_text)?;
        check_config(path, &config)?;
        let mut scripts = vec![];
        for phase in Phase::ALL {
            if let Some((_, text)) = files.iter().find(|(name, _)| name == phase.file()) {
                scripts.push(read_script(phase, text)?);
            }
        }
        let mut folder = Folder {
            path: path.to_owned(),
            checksum: checksum(&files),
            config_text: config_text.clone(),
            config,
            scripts,
            backfill: None,
            undo_backfill: None,
        };
        folder.backfill = folder.rule(Phase::Backfill)?;
        folder.undo_backfill = folder.rule(Phase::UndoBackfill)?;
        folder.check_phases()?;
        Ok(folder)
    }

    /// The statements of a phase; none when it has no file.
    pub fn statements(&self, phase: Phase) -> &[Statement] {
        let script = self.scripts.iter().find(|script| script.phase == phase);
        script.map_or(&[], |script| script.statements.as_slice())
    }

    fn rule(&self, phase: Phase) -> Result<Option<Rule>, MigrateError> {
        let statements = self.statements(phase);
        match statements {
            [] => Ok(None),
            [one] => Rule::read(phase, one).map(Some),
            [_, second, ..] => {
                let what = "a second statement; the engine runs one rule, batch by batch".into();
                Err(wrong(phase.file(), second.line, what))
            }
        }
    }

    fn check_phases(&self) -> Result<(), MigrateError> {
        for script in &self.scripts {
            let transaction = script.statements.iter().find(|one| controls_transaction(one));
            if let Some(one) = transaction {
                let what = "it begins or ends a transaction, which the engine does; remove it";
                return Err(wrong(script.phase.file(), one.line, what.into()));
            }
        }
        let has = |phase| !self.statements(phase).is_empty();
        if self.config.reversible {
            let down = has(Phase::Expand) || has(Phase::Online);
            for (needed, phase) in
                [(down, Phase::Down), (has(Phase::Backfill), Phase::UndoBackfill)]
            {
                if needed && !has(phase) {
                    let what = "it is missing; write it, or say reversible = false".into();
                    return Err(wrong(phase.file(), 0, what));
                }
            }
        }
        Ok(())
    }
}

/// Whether a migration can have this name.
pub(crate) fn is_name(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=ID_MAX).contains(&id.len()) && id.chars().all(plain)
}

fn wrong(file: &str, line: u32, what: String) -> MigrateError {
    MigrateError::Folder { file: file.to_owned(), line, what }
}

/// Every file by its name, in order of name. What begins with a dot is an editor's.
fn read_files(path: &Path) -> Result<Vec<(String, String)>, MigrateError> {
    let unreadable = |name: &str, error: std::io::Error| wrong(name, 0, error.to_string());
    let place = path.display().to_string();
    let listing = fs::read_dir(path).map_err(|error| unreadable(&place, error))?;
    let mut files = vec![];
    for entry in listing {
        let entry = entry.map_err(|error| unreadable(&place, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let known = name == SETTINGS || Phase::ALL.iter().any(|phase| phase.file() == name);
        if known {
            let text =
                fs::read_to_string(entry.path()).map_err(|error| unreadable(&name, error))?;
            files.push((name, text));
        } else if !name.starts_with('.') && !name.ends_with(".md") {
            let known: Vec<&str> = Phase::ALL.iter().map(|phase| phase.file()).collect();
            let what = format!(
                "no phase has this name, so it would never run; a folder holds {SETTINGS}, {} and *.md",
                known.join(", ")
            );
            return Err(wrong(&name, 0, what));
        }
    }
    files.sort();
    Ok(files)
}

fn read_config(text: &str) -> Result<Config, MigrateError> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let written = text.lines().nth(line - 1).unwrap_or_default().trim();
        let what = error.message().to_owned();
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        match written {
            "" => wrong(SETTINGS, line, what),
            _ => wrong(SETTINGS, line, format!("{what} (at `{written}`)")),
        }
    })
}

fn check_config(path: &Path, config: &Config) -> Result<(), MigrateError> {
    let refuse = |key: &str, what: String| Err(wrong(SETTINGS, 0, format!("{key}: {what}")));
    let canonical = fs::canonicalize(path);
    let name =
        canonical.ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let id = config.id.as_str();
    if name.as_deref() != Some(id) {
        let name = name.unwrap_or_default();
        return refuse("id", format!("\"{id}\" is not the folder's name; write id = \"{name}\""));
    }
    if !is_name(id) {
        let what = format!(
            "write at most {ID_MAX} of a-z, 0-9 and _, so that a session's name can hold it"
        );
        return refuse("id", what);
    }
    let backfill = &config.backfill;
    let Some(order) =
        (1..=backfill.max).contains(&backfill.min).then_some(backfill.min..=backfill.max)
    else {
        return refuse("backfill.min", "it has to be at least 1 and at most backfill.max".into());
    };
    if !order.contains(&backfill.start) {
        return refuse(
            "backfill.start",
            "it has to lie between backfill.min and backfill.max".into(),
        );
    }
    if !(backfill.duty > 0.0 && backfill.duty <= 1.0) {
        return refuse("backfill.duty", "write a number above 0 and at most 1, such as 0.5".into());
    }
    if backfill.target_ms == 0 {
        return refuse("backfill.target_ms", "write milliseconds above 0, such as 50".into());
    }
    if let Some(queries) = &config.gates.queries {
        let number = |id: &String| id.parse::<i64>().is_err();
        if queries.ids.is_empty() || queries.ids.iter().any(number) {
            let what =
                "write queryid values of pg_stat_statements, each as a text, such as \"-42\"";
            return refuse("gates.queries.ids", what.into());
        }
        if !(queries.slower_max >= 0.0 && queries.slower_max.is_finite()) {
            return refuse("gates.queries.slower_max", "write 0 or more, such as 0.2".into());
        }
    }
    if config.gates.health.as_ref().is_some_and(|health| health.soak.as_ms() == 0) {
        return refuse("gates.health.soak", "write a time above 0, such as \"10m\"".into());
    }
    if config.locks.attempts == 0 {
        return refuse("locks.attempts", "write at least 1".into());
    }
    for (key, span) in [
        ("locks.lock_timeout", config.locks.lock_timeout),
        ("locks.statement_timeout", config.locks.statement_timeout),
    ] {
        if span.as_ms() == 0 {
            return refuse(key, "0 would mean no limit; write one, such as \"500ms\"".into());
        }
    }
    Ok(())
}

fn read_script(phase: Phase, text: &str) -> Result<Script, MigrateError> {
    let statements = split(text).map_err(|open| {
        let what = "a quote or comment that opens here is never closed".into();
        wrong(phase.file(), open.line, what)
    })?;
    Ok(Script { phase, text: text.to_owned(), statements })
}

fn controls_transaction(statement: &Statement) -> bool {
    let words = ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"];
    let lexemes = statement.lexemes();
    let first = lexemes.first();
    first.is_some_and(|first| words.iter().any(|word| first.is(word)))
}

fn checksum(files: &[(String, String)]) -> Checksum {
    let mut hash = Sha256::new();
    for (name, text) in files {
        // The lengths keep two files from being taken for one.
        hash.update(format!("{} {}\n", name, text.len()));
        hash.update(text);
    }
    Checksum(hash.finalize().into())
}

#[cfg(test)]
mod tests;
