//! Level 1 of a dry run: what the files of a migration say, without a database.
//!
//! Each file is read into the syntax tree of Postgres' grammar. Rules over all files together find what no
//! single statement shows: an order that loses rows, a statement in the wrong file, a copy that nothing
//! keeps in step. Squawk's rules for single statements come on top. Not seen here: the table, its rows, its
//! size, and what functions and triggers do inside.

use std::path::Path;

use serde::Serialize;

use crate::config::Config;
use crate::error::MigrateError;
use crate::folder::Folder;

mod actions;
mod expressions;
mod files;
mod numbers;
mod order;
mod rule;
mod scripts;
mod squawk;

use self::actions::Action;
use self::scripts::Script;

/// Something that is better written in another way before anything runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Name of the file within the migration's folder.
    pub file: String,
    /// Line, counted from 1; 0 when the whole file is meant.
    pub line: u32,
    /// A name that stays, for programs.
    pub code: String,
    /// What happens.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

/// All that the rules look at.
struct Sources {
    /// The settings; none when they cannot be read, which is a finding of its own.
    config: Option<Config>,
    scripts: Vec<Script>,
    actions: Vec<Action>,
}

/// Reads a folder and gives what is wrong in it, in order of file and line. Empty is good.
///
/// # Errors
/// The folder itself cannot be read.
pub fn lint(path: &Path) -> Result<Vec<Finding>, MigrateError> {
    let loaded = Folder::load(path);
    let scripts = scripts::read(path)?;
    let config = scripts::read_config(path);
    let actions = actions::collect(&scripts);
    let sources = Sources { config, scripts, actions };
    let mut findings = vec![];
    for look in [
        scripts::look,
        files::look,
        rule::look,
        order::columns,
        order::constraints,
        numbers::look,
        squawk::look,
    ] {
        findings.extend(look(&sources));
    }
    if let Err(MigrateError::Folder { file, line, what }) = loaded {
        // A rule that found the same place says more.
        if !findings.iter().any(|found| found.file == file && found.line == line) {
            let (what, instead) = match what.split_once("; ") {
                Some((what, instead)) => (what.to_owned(), instead.to_owned()),
                None => {
                    (what, "compare it with a folder that `rowproof migrate new` writes".to_owned())
                }
            };
            findings.push(Finding { file, line, code: "folder".to_owned(), what, instead });
        }
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}

impl Finding {
    /// At a place in a file.
    fn at(place: (&str, u32), code: &str, what: &str, instead: &str) -> Finding {
        Finding {
            file: place.0.to_owned(),
            line: place.1,
            code: code.to_owned(),
            what: what.to_owned(),
            instead: instead.to_owned(),
        }
    }
}
