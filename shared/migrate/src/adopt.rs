//! Histories of other tools, taken over so that one place says what was done to a database.

use rowproof_core::sql::quote_text;
use rowproof_io::postgres::Server;
use serde::Serialize;

use crate::error::MigrateError;
use crate::link::Link;
use crate::schema;

/// Another tool's history that `adopt` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum History {
    /// `_sqlx_migrations`.
    Sqlx,
    /// `refinery_schema_history`.
    Refinery,
    /// `sqitch.changes`.
    Sqitch,
}

impl History {
    const ALL: [History; 3] = [History::Sqlx, History::Refinery, History::Sqitch];

    fn table(self) -> &'static str {
        match self {
            History::Sqlx => "_sqlx_migrations",
            History::Refinery => "refinery_schema_history",
            History::Sqitch => "sqitch.changes",
        }
    }

    /// Name, checksum and time of each migration that went through.
    fn query(self) -> &'static str {
        match self {
            History::Sqlx => {
                "SELECT 'sqlx_' || version || '_' || description, encode(checksum, 'hex'), installed_on::text \
                 FROM _sqlx_migrations WHERE success"
            }
            History::Refinery => {
                "SELECT 'refinery_' || version || '_' || name, checksum::text, applied_on::text \
                 FROM refinery_schema_history"
            }
            History::Sqitch => {
                "SELECT 'sqitch_' || project || '_' || change, change_id::text, committed_at::text \
                 FROM sqitch.changes"
            }
        }
    }
}

/// Takes the histories of other tools over, as migrations that are `adopted`: how many of each are new.
/// Their tables stay as they are, and a second time adds only what is new.
///
/// # Errors
/// The database does not answer, or a table of that name is not the tool's.
pub async fn adopt(server: &Server) -> Result<Vec<(History, u64)>, MigrateError> {
    let mut link = Link::new(server.clone());
    schema::ensure(&mut link).await?;
    let mut taken = vec![];
    for history in History::ALL {
        let look = format!("SELECT to_regclass({}) IS NOT NULL", quote_text(history.table()));
        if link.run("look for a history", &look).await?.text(0, 0) != Some("t") {
            continue;
        }
        let sql = format!(
            "WITH old (id, checksum, at) AS ({}), \
             new AS (INSERT INTO rowproof_migrate.migration (id, checksum, state, tool_version) \
               SELECT id, checksum, 'adopted', '{}' FROM old ON CONFLICT (id) DO NOTHING RETURNING id), \
             told AS (INSERT INTO rowproof_migrate.event (migration_id, kind, detail) \
               SELECT id, 'adopted', jsonb_build_object('from', {}, 'applied_at', at) FROM old \
               JOIN new USING (id)) SELECT count(*) FROM new",
            history.query(),
            env!("CARGO_PKG_VERSION"),
            quote_text(history.table())
        );
        let answer = link.run("adopt a history", &sql).await?;
        taken.push((history, answer.number(0, 0).unwrap_or(0)));
    }
    Ok(taken)
}
