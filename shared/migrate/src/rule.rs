//! The rule of `backfill.sql`: one statement for the rows of a batch, which the engine wraps.

use crate::error::MigrateError;
use crate::phase::Phase;
use crate::statements::{Lexeme, Statement, at_top};

/// Name that a rule reads the keys of its rows from.
pub const BATCH: &str = "rowproof_batch";

/// A rule that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which file it is from.
    pub phase: Phase,
    /// Line of its first word.
    pub line: u32,
    /// The statement.
    pub sql: String,
    /// Name of the table's rows in an UPDATE, as SQL; none for DELETE and INSERT.
    pub updated: Option<String>,
}

impl Rule {
    /// Reads the statement.
    pub(crate) fn read(phase: Phase, statement: &Statement) -> Result<Rule, MigrateError> {
        let lexemes = statement.lexemes();
        let refuse = |what: &str| {
            let (file, line, what) = (phase.file().to_owned(), statement.line, what.to_owned());
            Err(MigrateError::Folder { file, line, what })
        };
        let first = lexemes.first();
        let begins = |word| first.is_some_and(|first| first.is(word));
        if !(begins("update") || begins("delete") || begins("insert")) {
            return refuse(
                "a rule is one UPDATE, DELETE or INSERT; write \
                 UPDATE .. SET .. FROM rowproof_batch b WHERE t.id = b.id",
            );
        }
        if !lexemes.iter().any(|lexeme| lexeme.is(BATCH)) {
            return refuse(
                "it does not read rowproof_batch, so it would change all rows in one go",
            );
        }
        if at_top(&lexemes, |lexeme| lexeme.is("returning")) {
            return refuse("RETURNING is the engine's; remove it");
        }
        let updated = if begins("update") {
            let Some(name) = updated_name(&lexemes) else {
                return refuse(
                    "the name of the updated table was not found; write UPDATE table t SET ..",
                );
            };
            Some(name)
        } else {
            None
        };
        Ok(Rule { phase, line: statement.line, sql: statement.text.clone(), updated })
    }
}

/// `UPDATE [ONLY] table [*] [[AS] alias] SET`: the alias, or the table as written.
fn updated_name(lexemes: &[Lexeme<'_>]) -> Option<String> {
    let set = lexemes.iter().position(|lexeme| lexeme.is("set"))?;
    let between = lexemes.get(1..set)?;
    let is_mark = |lexeme: &&Lexeme<'_>| !["*", "(", ")"].contains(&lexeme.text);
    let mut words: Vec<&Lexeme<'_>> = between.iter().filter(is_mark).collect();
    if words.first().is_some_and(|first| first.is("only")) {
        words.remove(0);
    }
    words.retain(|word| !word.is("as"));
    // A qualified name is walked by its dots; a word after it is the alias.
    let mut end = 1;
    while words.get(end).is_some_and(|word| word.text == ".") {
        end += 2;
    }
    match words.get(end) {
        Some(alias) => Some(alias.text.to_owned()),
        None => Some(words.get(..end)?.iter().map(|word| word.text).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::split;

    fn read(sql: &str) -> Result<Rule, MigrateError> {
        Rule::read(Phase::Backfill, &split(sql).unwrap().remove(0))
    }

    #[test]
    fn the_updated_rows_are_found_by_their_name() {
        for (head, name) in [
            ("UPDATE customers t SET", "t"),
            ("UPDATE ONLY public.customers AS c SET", "c"),
            ("update \"public\".\"Odd name\" SET", "\"public\".\"Odd name\""),
            ("UPDATE customers * \"T\" SET", "\"T\""),
            ("UPDATE ONLY (customers) SET", "customers"),
        ] {
            let rule =
                read(&format!("{head} a = 1 FROM rowproof_batch b WHERE id = b.id")).unwrap();
            assert_eq!(rule.updated.as_deref(), Some(name), "{head}");
        }
        let rule = read("DELETE FROM a USING rowproof_batch b WHERE a.id = b.id").unwrap();
        assert_eq!(rule.updated, None);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (sql, what) in [
            ("UPDATE t SET a = 1", "all rows"),
            ("UPDATE t SET a = 'rowproof_batch'", "all rows"),
            ("DO $$ rowproof_batch $$", "one UPDATE"),
            ("WITH x AS (SELECT 1) UPDATE t SET a = 1 FROM rowproof_batch", "one UPDATE"),
            ("UPDATE t SET a = 1 FROM rowproof_batch b WHERE t.id = b.id RETURNING a", "RETURNING"),
        ] {
            let error = read(sql).unwrap_err().to_string();
            assert!(
                error.starts_with("backfill.sql:1: ") && error.contains(what),
                "{sql}: {error}"
            );
        }
    }
}
