//! `CREATE INDEX CONCURRENTLY` as far as the engine has to know it.

use rowproof_core::sql::quote_text;

use crate::error::MigrateError;
use crate::link::Link;
use crate::statements::Statement;

/// Which index a statement builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IndexBuild {
    /// Its name as written.
    pub(crate) index: String,
    /// Its table as written.
    pub(crate) table: String,
}

impl IndexBuild {
    /// Reads `CREATE [UNIQUE] INDEX CONCURRENTLY [IF NOT EXISTS] name ON [ONLY] table`.
    pub(crate) fn read(statement: &Statement) -> Option<IndexBuild> {
        let lexemes = statement.lexemes();
        let builds = statement.begins(&["create", "index", "concurrently"])
            || statement.begins(&["create", "unique", "index", "concurrently"]);
        let at = lexemes.iter().position(|lexeme| lexeme.is("concurrently")).filter(|_| builds)?;
        let mut rest = lexemes.iter().skip(at + 1).peekable();
        while rest
            .next_if(|lexeme| ["if", "not", "exists"].iter().any(|word| lexeme.is(word)))
            .is_some()
        {}
        let index = rest.next().filter(|lexeme| !lexeme.is("on"))?.text.to_owned();
        rest.next().filter(|lexeme| lexeme.is("on"))?;
        rest.next_if(|lexeme| lexeme.is("only"));
        let mut table = rest.next()?.text.to_owned();
        while rest.next_if(|lexeme| lexeme.text == ".").is_some() {
            table = format!("{table}.{}", rest.next()?.text);
        }
        Some(IndexBuild { index, table })
    }

    /// The index is in its table's schema.
    pub(crate) fn drop_it(&self) -> String {
        match self.table.rsplit_once('.') {
            Some((schema, _)) => {
                format!("DROP INDEX CONCURRENTLY IF EXISTS {schema}.{}", self.index)
            }
            None => format!("DROP INDEX CONCURRENTLY IF EXISTS {}", self.index),
        }
    }
}

/// Whether an index is valid; nothing when there is none of this name on its table.
pub(crate) async fn built(
    link: &mut Link,
    build: &IndexBuild,
) -> Result<Option<bool>, MigrateError> {
    // As Postgres would read the name: in lower case unless it is quoted.
    let name = match build.index.strip_prefix('"') {
        Some(quoted) => quoted.trim_end_matches('"').replace("\"\"", "\""),
        None => build.index.to_lowercase(),
    };
    let sql = format!(
        "SELECT i.indisvalid AND i.indisready FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE c.relname = {} AND i.indrelid = to_regclass({})",
        quote_text(&name),
        quote_text(&build.table)
    );
    let answer = link.run("look for the index", &sql).await?;
    Ok(answer.text(0, 0).map(|valid| valid == "t"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statements::split;

    #[test]
    fn a_build_is_known_by_its_index_and_table() {
        for (sql, expected) in [
            ("CREATE INDEX CONCURRENTLY i ON t (a)", Some(("i", "t"))),
            (
                "create unique index concurrently IF NOT EXISTS \"I x\" ON ONLY public.\"T\" USING btree (a)",
                Some(("\"I x\"", "public.\"T\"")),
            ),
            ("CREATE INDEX CONCURRENTLY ON t (a)", None),
            ("CREATE INDEX i ON t (a)", None),
            ("REINDEX INDEX CONCURRENTLY i", None),
        ] {
            let found = IndexBuild::read(&split(sql).unwrap().remove(0));
            let found = found.as_ref().map(|build| (build.index.as_str(), build.table.as_str()));
            assert_eq!(found, expected, "{sql}");
        }
        let build = IndexBuild { index: "i".into(), table: "public.t".into() };
        assert_eq!(build.drop_it(), "DROP INDEX CONCURRENTLY IF EXISTS public.i");
    }
}
