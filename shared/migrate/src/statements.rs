//! A SQL file in its statements, by the tokens of Postgres: a semicolon within quotes, dollar quotes,
//! comments, parentheses or the body of a SQL function ends nothing.

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

/// One statement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without comments before it and without the semicolon.
    pub text: String,
    /// Line of its first word in the file, counted from 1.
    pub line: u32,
}

/// A word, mark or literal of a statement; blanks and comments are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexeme<'a> {
    /// As written.
    pub text: &'a str,
    /// Whether it is a plain word: a keyword, or a name without quotes.
    pub is_word: bool,
}

impl Lexeme<'_> {
    /// Whether it is this keyword, in any case.
    pub fn is(&self, word: &str) -> bool {
        self.is_word && self.text.eq_ignore_ascii_case(word)
    }
}

/// A quote or comment that never closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unterminated {
    /// Line on which it opens, counted from 1.
    pub line: u32,
}

impl Statement {
    /// Its words, marks and literals.
    pub fn lexemes(&self) -> Vec<Lexeme<'_>> {
        let mut found = vec![];
        let mut at = 0;
        for token in tokenize(&self.text) {
            let text = piece(&self.text, at, token.len);
            at += text.len();
            if !is_blank(token.kind) && token.kind != TokenKind::Eof {
                found.push(Lexeme { text, is_word: token.kind == TokenKind::Ident });
            }
        }
        found
    }

    /// Whether these keywords stand somewhere in it, one directly after the other.
    pub fn has(&self, words: &[&str]) -> bool {
        let lexemes = self.lexemes();
        lexemes
            .windows(words.len())
            .any(|window| window.iter().zip(words).all(|(lexeme, word)| lexeme.is(word)))
    }

    /// Whether its first words are these.
    pub fn begins(&self, words: &[&str]) -> bool {
        let lexemes = self.lexemes();
        lexemes.len() >= words.len() && lexemes.iter().zip(words).all(|(lexeme, w)| lexeme.is(w))
    }
}

/// Whether one of these stands outside of all parentheses.
pub(crate) fn at_top(lexemes: &[Lexeme<'_>], is_it: impl Fn(&Lexeme<'_>) -> bool) -> bool {
    let mut depth = 0_i32;
    lexemes.iter().any(|lexeme| {
        match lexeme.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        depth == 0 && is_it(lexeme)
    })
}

/// Cuts a file in its statements; those without a word are left out.
///
/// # Errors
/// A quote or a comment does not close.
pub fn split(sql: &str) -> Result<Vec<Statement>, Unterminated> {
    let mut statements = vec![];
    let mut current = Current::default();
    let (mut at, mut line) = (0, 1_u32);
    for token in tokenize(sql) {
        let text = piece(sql, at, token.len);
        if is_open(token.kind) {
            return Err(Unterminated { line });
        }
        if token.kind == TokenKind::Semi && current.is_at_top() {
            current.end(sql, at, &mut statements);
        } else if !is_blank(token.kind) && token.kind != TokenKind::Eof {
            current.start.get_or_insert((at, line));
            current.take(token.kind, text);
        }
        at += text.len();
        let ends = text.bytes().filter(|byte| *byte == b'\n').count();
        line = line.saturating_add(u32::try_from(ends).unwrap_or(u32::MAX));
    }
    current.end(sql, at, &mut statements);
    Ok(statements)
}

/// The statement that is being read.
#[derive(Default)]
struct Current {
    /// Byte and line of its first word.
    start: Option<(usize, u32)>,
    parentheses: u32,
    /// Depth of BEGIN ATOMIC and CASE in the body of a SQL function.
    blocks: u32,
    is_create: bool,
    is_routine: bool,
    words: u32,
}

impl Current {
    fn is_at_top(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn take(&mut self, kind: TokenKind, text: &str) {
        if kind == TokenKind::OpenParen {
            self.parentheses += 1;
        } else if kind == TokenKind::CloseParen {
            self.parentheses = self.parentheses.saturating_sub(1);
        } else if kind == TokenKind::Ident {
            let is = |word: &str| text.eq_ignore_ascii_case(word);
            self.is_create |= self.words == 0 && is("create");
            self.is_routine |= self.is_create && (is("function") || is("procedure"));
            self.words += 1;
            if self.is_routine && (is("begin") || (is("case") && self.blocks > 0)) {
                self.blocks += 1;
            } else if is("end") {
                self.blocks = self.blocks.saturating_sub(1);
            }
        }
    }

    fn end(&mut self, sql: &str, at: usize, statements: &mut Vec<Statement>) {
        if let Some((start, line)) = self.start {
            let text = sql.get(start..at).unwrap_or_default().trim_end().to_owned();
            statements.push(Statement { text, line });
        }
        *self = Current::default();
    }
}

fn piece(sql: &str, at: usize, length: u32) -> &str {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    sql.get(at..at.saturating_add(length)).unwrap_or_default()
}

fn is_blank(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. })
}

/// Whether a quote or comment begins here and never ends.
fn is_open(kind: TokenKind) -> bool {
    let TokenKind::Literal { kind } = kind else {
        return matches!(
            kind,
            TokenKind::BlockComment { terminated: false }
                | TokenKind::QuotedIdent { terminated: false, .. }
        );
    };
    matches!(
        kind,
        LiteralKind::Str { terminated: false }
            | LiteralKind::NationalStr { terminated: false }
            | LiteralKind::ByteStr { terminated: false }
            | LiteralKind::BitStr { terminated: false }
            | LiteralKind::DollarQuotedString { terminated: false }
            | LiteralKind::UnicodeEscStr { terminated: false }
            | LiteralKind::EscStr { terminated: false }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(sql: &str) -> Vec<(String, u32)> {
        let statements = split(sql).unwrap();
        statements.into_iter().map(|one| (one.text, one.line)).collect()
    }

    #[test]
    fn a_semicolon_ends_a_statement_only_at_its_top() {
        for (sql, expected) in [
            ("SELECT 1; SELECT 2", vec![("SELECT 1", 1), ("SELECT 2", 1)]),
            ("-- a;b\n\nSELECT ';' ;\n;;", vec![("SELECT ';'", 3)]),
            ("/* a; /* b; */ c; */ SELECT 1", vec![("SELECT 1", 1)]),
            (
                "SELECT E'it\\';s'; SELECT 'it'';s'",
                vec![("SELECT E'it\\';s'", 1), ("SELECT 'it'';s'", 1)],
            ),
            ("SELECT \"a;b\"\n; SELECT 1", vec![("SELECT \"a;b\"", 1), ("SELECT 1", 2)]),
            (
                "DO $x$ a; $$ b; $$ $x$;SELECT $1",
                vec![("DO $x$ a; $$ b; $$ $x$", 1), ("SELECT $1", 1)],
            ),
            (
                "CREATE RULE r AS ON INSERT TO t DO (a; b); SELECT 1",
                vec![("CREATE RULE r AS ON INSERT TO t DO (a; b)", 1), ("SELECT 1", 1)],
            ),
            (
                "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN b END; SELECT 2; END;\nSELECT 1",
                vec![
                    (
                        "CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN b END; SELECT 2; END",
                        1,
                    ),
                    ("SELECT 1", 2),
                ],
            ),
            (
                "SELECT CASE WHEN a THEN b END; SELECT 1",
                vec![("SELECT CASE WHEN a THEN b END", 1), ("SELECT 1", 1)],
            ),
            ("\u{feff}SELECT 'é'; -- end", vec![("SELECT 'é'", 1)]),
            ("  -- nothing\n", vec![]),
        ] {
            let found = parts(sql);
            let found: Vec<_> = found.iter().map(|(text, line)| (text.as_str(), *line)).collect();
            assert_eq!(found, expected, "{sql}");
        }
    }

    #[test]
    fn what_never_closes_is_named_by_its_line() {
        for sql in ["SELECT 1;\nSELECT 'a", "\n/* a /* */", "\nSELECT $a$ $b$", "\nSELECT \"a"] {
            assert_eq!(split(sql), Err(Unterminated { line: 2 }), "{sql}");
        }
    }

    #[test]
    fn words_are_told_from_what_is_quoted() {
        let one =
            split("create  UNIQUE index \"unique\" ON t (a) -- drop table\n").unwrap().remove(0);
        assert!(one.begins(&["CREATE", "UNIQUE", "INDEX"]) && one.has(&["index"]));
        assert!(!one.has(&["DROP"]) && !one.has(&["index", "unique"]));
        assert!(!one.begins(&["create", "unique", "index", "unique"]));
    }
}
