//! What a statement of `contract.sql` does, as far as it can be taken back.

use rowproof_core::sql::quote_text;

use crate::statements::{Lexeme, Statement, at_top};

/// Only what is known here is taken back; all else counts as lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A constraint is added.
    Adds { table: String, constraint: String },
    /// A column may no longer be NULL.
    Requires { table: String, column: String },
    /// A column has another default from now on; the one of before is looked up when it is set.
    Defaults { table: String, column: String },
    /// A constraint is validated.
    Validates,
    /// A constraint goes that a statement before it had added.
    DropsOwn,
    /// What was there is gone or another.
    Destroys,
}

impl Effect {
    /// Of each statement, in the light of those before it.
    pub(crate) fn read_all(statements: &[Statement]) -> Vec<Effect> {
        let mut added: Vec<(String, String)> = vec![];
        let mut effects = vec![];
        for statement in statements {
            let effect = Effect::read(statement, &added);
            if let Effect::Adds { table, constraint } = &effect {
                added.push((table.clone(), constraint.clone()));
            }
            effects.push(effect);
        }
        effects
    }

    fn read(statement: &Statement, added: &[(String, String)]) -> Effect {
        let lexemes = statement.lexemes();
        let Some((table, rest)) = altered(&lexemes) else { return Effect::Destroys };
        let stands = |words: &[&str], at: usize| {
            rest.len() >= at + words.len()
                && rest.iter().skip(at).zip(words).all(|(lexeme, word)| lexeme.is(word))
        };
        let words = |words: &[&str]| stands(words, 0);
        let name =
            |at: usize| rest.get(at).map(|lexeme| lexeme.text.to_owned()).unwrap_or_default();
        let ends = |words: &[&str], at: usize| rest.len() == at + words.len() && stands(words, at);
        if words(&["add", "constraint"]) && !at_top(rest, |lexeme| lexeme.text == ",") {
            return Effect::Adds { table, constraint: name(2) };
        }
        if words(&["validate", "constraint"]) && rest.len() == 3 {
            return Effect::Validates;
        }
        if words(&["alter", "column"]) && ends(&["set", "not", "null"], 3) {
            return Effect::Requires { table, column: name(2) };
        }
        if words(&["alter"]) && ends(&["set", "not", "null"], 2) {
            return Effect::Requires { table, column: name(1) };
        }
        let at = if words(&["alter", "column"]) { 3 } else { 2 };
        let sets = words(&["alter"]) && stands(&["set", "default"], at);
        if sets && !at_top(rest, |lexeme| lexeme.text == ",") {
            return Effect::Defaults { table, column: name(at - 1) };
        }
        let drops = words(&["drop", "constraint"]) && rest.len() == 3;
        if drops && added.contains(&(table, name(2))) {
            return Effect::DropsOwn;
        }
        Effect::Destroys
    }

    /// The query for the statement that takes a default back.
    pub(crate) fn default_before(&self) -> Option<String> {
        let Effect::Defaults { table, column } = self else { return None };
        let (of, name) = (quote_text(table), quote_text(column));
        let alter = quote_text(&format!("ALTER TABLE {table} ALTER COLUMN {column} "));
        Some(format!(
            "SELECT {alter} || coalesce('SET DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), 'DROP DEFAULT') \
             FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = {of}::regclass AND a.attname = (parse_ident({name}))[1]"
        ))
    }

    /// The statement that takes it back; nothing when there is nothing to do.
    pub(crate) fn undone_by(&self) -> Option<String> {
        match self {
            Effect::Adds { table, constraint } => {
                Some(format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {constraint}"))
            }
            Effect::Requires { table, column } => {
                Some(format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"))
            }
            Effect::Defaults { .. } | Effect::Validates | Effect::DropsOwn | Effect::Destroys => {
                None
            }
        }
    }
}

/// Whether a statement drops a column or a table, or empties one, also within a DO.
pub(crate) fn drops_rows(statement: &Statement) -> bool {
    let words: Vec<String> =
        statement.text.split_whitespace().map(str::to_ascii_lowercase).collect();
    let said = |first: &str, second: &str| {
        words.windows(2).any(|pair| matches!(pair, [one, two] if one == first && two == second))
    };
    let lexemes = statement.lexemes();
    let bare = altered(&lexemes).is_some_and(|(_, rest)| {
        let word =
            |at: usize, word| rest.get(at).is_some_and(|lexeme: &Lexeme<'_>| lexeme.is(word));
        word(0, "drop") && !word(1, "constraint")
    });
    let begins = |word| lexemes.first().is_some_and(|first| first.is(word));
    bare || said("drop", "column")
        || said("drop", "table")
        || begins("truncate")
        || begins("delete")
}

/// `ALTER TABLE [IF EXISTS] [ONLY] table`, and what follows.
fn altered<'a, 'b>(lexemes: &'b [Lexeme<'a>]) -> Option<(String, &'b [Lexeme<'a>])> {
    if !(lexemes.first()?.is("alter") && lexemes.get(1)?.is("table")) {
        return None;
    }
    let mut at = 2;
    while ["if", "exists", "only"]
        .iter()
        .any(|word| lexemes.get(at).is_some_and(|one| one.is(word)))
    {
        at += 1;
    }
    let mut table = lexemes.get(at)?.text.to_owned();
    while lexemes.get(at + 1).is_some_and(|one| one.text == ".") {
        at += 2;
        table = format!("{table}.{}", lexemes.get(at)?.text);
    }
    Some((table, lexemes.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::split;

    #[test]
    fn what_can_be_taken_back_is_known_by_its_form() {
        let sql = "ALTER TABLE public.t ADD CONSTRAINT c CHECK (a IN (1, 2)) NOT VALID;
            ALTER TABLE public.t VALIDATE CONSTRAINT c;
            ALTER TABLE ONLY public.t ALTER COLUMN \"A b\" SET NOT NULL;
            ALTER TABLE public.t ALTER a SET NOT NULL;
            ALTER TABLE public.t DROP CONSTRAINT c;
            ALTER TABLE public.t DROP CONSTRAINT other;
            ALTER TABLE public.t ADD CONSTRAINT d CHECK (a > 0), DROP COLUMN b;
            ALTER TABLE public.t DROP COLUMN b;
            ALTER TABLE public.t ALTER COLUMN a SET DEFAULT 5, DROP COLUMN b;
            DROP TABLE t";
        let effects = Effect::read_all(&split(sql).unwrap());
        let undone: Vec<Option<String>> = effects.iter().map(Effect::undone_by).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(undone[0], text("ALTER TABLE public.t DROP CONSTRAINT IF EXISTS c"));
        assert_eq!(undone[2], text("ALTER TABLE public.t ALTER COLUMN \"A b\" DROP NOT NULL"));
        assert_eq!(undone[3], text("ALTER TABLE public.t ALTER COLUMN a DROP NOT NULL"));
        assert_eq!((&effects[1], &effects[4]), (&Effect::Validates, &Effect::DropsOwn));
        let set = "ALTER TABLE public.t ALTER COLUMN a SET DEFAULT 5; ALTER TABLE t ALTER \"B\" SET DEFAULT 'x'";
        let defaults = |table: &str, column: &str| Effect::Defaults {
            table: table.to_owned(),
            column: column.to_owned(),
        };
        let read = Effect::read_all(&split(set).unwrap());
        assert_eq!(read, [defaults("public.t", "a"), defaults("t", "\"B\"")]);
        assert!(effects[5..].iter().all(|effect| *effect == Effect::Destroys), "{effects:?}");
    }

    #[test]
    fn what_drops_rows_or_their_values_is_known() {
        for (sql, drops) in [
            ("ALTER TABLE t DROP COLUMN b", true),
            ("alter table t drop b", true),
            ("ALTER TABLE t DROP CONSTRAINT c", false),
            ("ALTER TABLE t ALTER b DROP NOT NULL", false),
            ("DROP TABLE t", true),
            ("DROP TRIGGER a ON t", false),
            ("TRUNCATE t", true),
            ("DO $x$ BEGIN DROP TRIGGER a ON t; ALTER TABLE t\n DROP  COLUMN b; END $x$", true),
            ("DO $x$ BEGIN ALTER TABLE t RENAME b TO b_old; END $x$", false),
        ] {
            assert_eq!(drops_rows(&split(sql).unwrap()[0]), drops, "{sql}");
        }
    }
}
