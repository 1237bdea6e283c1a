//! Level 2 of a dry run: each statement runs on an empty copy of the schema, and the server says what it
//! locked, wrote anew and read.
//!
//! The copy is a database that is thrown away afterwards: each statement is committed, because the next one
//! builds on it. Words of the server are those of `lc_messages = C`.

use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_postgres::Client;

use rowproof_io::postgres::{Fault, PostgresError, Server};

use crate::error::MigrateError;
use crate::folder::Folder;
use crate::locks::LockMode;
use crate::phase::Mode;
use crate::phase::Phase;
use crate::statements::Statement;

mod clone;
mod observe;

pub use self::clone::clone_schema;

/// What the level leaves to others.
const NOT_CHECKED: [&str; 4] = [
    "how long a scan or a rewrite takes: the copy has no rows",
    "whether rows meet a constraint, or a cast fails on one",
    "the rule for rows and its plan: see plan",
    "roles and rights: the copy belongs to the role that made it",
];

/// Two sessions on the scratch database: one runs, the other looks on.
#[derive(Debug)]
pub struct Scratch {
    worker: Client,
    watcher: Client,
    words: UnboundedReceiver<String>,
}

/// What a statement did.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Name of the file within the migration's folder.
    pub file: String,
    /// Line of the statement, counted from 1.
    pub line: u32,
    /// Whether it ran in a transaction; the others were watched by a second session.
    pub in_transaction: bool,
    /// Strongest lock on each table that was there before, by name; of an index, one that keeps readers out.
    pub locks: Vec<(String, LockMode)>,
    /// Tables that were written anew.
    pub rewrites: Vec<String>,
    /// Whether all rows of a table are read.
    pub scans: bool,
    /// What the server said about rewriting, reading and what it was spared.
    pub words: Vec<String>,
}

impl Verdict {
    /// Whether readers of a table wait for it.
    pub fn blocks_reads(&self) -> bool {
        self.locks.iter().any(|(_, mode)| mode.blocks_reads())
    }

    /// Whether writers of a table wait for it.
    pub fn blocks_writes(&self) -> bool {
        self.locks.iter().any(|(_, mode)| mode.blocks_writes())
    }
}

/// All verdicts.
#[derive(Debug, Clone, Serialize)]
pub struct ShadowReport {
    /// Version of the server that spoke, as `server_version` has it.
    pub server: String,
    /// One a statement, in the order in which they run.
    pub verdicts: Vec<Verdict>,
    /// What remains open.
    pub not_checked: Vec<&'static str>,
}

impl Scratch {
    /// Over two sessions at the scratch database.
    ///
    /// # Errors
    /// The database is not empty, or the role may not set `lc_messages`: it has to be a superuser there.
    pub async fn open(server: &Server) -> Result<Scratch, MigrateError> {
        let (worker, words) = server.connect_hearing().await?;
        let watcher = server.connect().await?;
        let scratch = Scratch { worker, watcher, words };
        scratch.run("SET lc_messages = 'C'; SET client_min_messages = debug1").await?;
        Ok(scratch)
    }

    /// Refuses a database that holds something: it would be filled.
    async fn check_empty(&self) -> Result<(), MigrateError> {
        const DOING: &str = "look at the scratch database";
        let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
        let counted = self.worker.query_typed(sql, &[]).await;
        let counted = counted.map_err(|error| PostgresError::of(DOING, &error))?;
        let found: i64 = counted.first().and_then(|row| row.try_get(0).ok()).unwrap_or(0);
        if found > 0 {
            let what =
                format!("it is not empty ({found} relations): make one with CREATE DATABASE");
            return Err(PostgresError::new(Fault::Setup, DOING, what).into());
        }
        Ok(())
    }

    async fn run(&self, sql: &str) -> Result<(), MigrateError> {
        let done = self.worker.batch_execute(sql).await;
        Ok(done.map_err(|error| PostgresError::of("ask the scratch database", &error))?)
    }

    /// Runs all of a folder but its rules for rows. `down.sql` runs on what expand and online made, which
    /// are then run once more, so that the rest has what it builds on.
    ///
    /// # Errors
    /// A statement fails; those after it build on it.
    pub async fn shadow(&mut self, folder: &Folder) -> Result<ShadowReport, MigrateError> {
        let made = [Phase::Expand, Phase::Online];
        let mut verdicts = self.phases(folder, &[Phase::Precheck]).await?;
        verdicts.extend(self.phases(folder, &made).await?);
        if !folder.statements(Phase::Down).is_empty() {
            verdicts.extend(self.phases(folder, &[Phase::Down]).await?);
            self.phases(folder, &made).await?;
        }
        verdicts.extend(self.phases(folder, &[Phase::Validate, Phase::Contract]).await?);
        let server = self.worker.query_one("SHOW server_version", &[]).await;
        let server = server.map_err(|error| PostgresError::of("ask for the version", &error))?;
        Ok(ShadowReport { server: server.get(0), verdicts, not_checked: NOT_CHECKED.to_vec() })
    }

    async fn phases(
        &mut self,
        folder: &Folder,
        phases: &[Phase],
    ) -> Result<Vec<Verdict>, MigrateError> {
        let mut verdicts = vec![];
        for phase in phases {
            for statement in folder.statements(*phase) {
                verdicts.push(self.statement(*phase, statement).await?);
            }
        }
        Ok(verdicts)
    }

    /// Runs one statement as its phase does.
    ///
    /// # Errors
    /// It fails.
    pub async fn statement(
        &mut self,
        phase: Phase,
        statement: &Statement,
    ) -> Result<Verdict, MigrateError> {
        while self.words.try_recv().is_ok() {}
        let in_transaction = phase.mode() != Mode::Autocommit;
        let before = observe::tables(&self.worker).await?;
        let locks = if in_transaction {
            self.within(phase, statement).await?
        } else {
            self.watched(phase, statement, &before).await?
        };
        let after = observe::tables(&self.worker).await?;
        let mut words = vec![];
        while let Ok(word) = self.words.try_recv() {
            words.push(word);
        }
        words.retain(|word| observe::matters(word));
        // Its indexes are built on files that are empty then.
        let empties = statement.lexemes().first().is_some_and(|first| first.is("truncate"));
        let scans = !empties && words.iter().any(|word| observe::is_scan(word, &before));
        Ok(Verdict {
            file: phase.file().to_owned(),
            line: statement.line,
            in_transaction,
            locks: observe::strongest(&before, locks),
            rewrites: observe::rewritten(&before, &after),
            scans,
            words,
        })
    }

    /// In a transaction that reads its own locks before it ends.
    async fn within(
        &self,
        phase: Phase,
        statement: &Statement,
    ) -> Result<Vec<observe::Held>, MigrateError> {
        let begin = if phase.mode() == Mode::ReadOnly { "BEGIN READ ONLY" } else { "BEGIN" };
        self.run(begin).await?;
        if let Err(error) = self.worker.batch_execute(&statement.text).await {
            self.run("ROLLBACK").await?;
            return Err(failed(phase, statement, &error));
        }
        let held = observe::held(&self.worker, None).await?;
        self.run("COMMIT").await?;
        Ok(held)
    }

    /// Outside of a transaction: an open one of the watcher's makes it wait with its locks in hand.
    async fn watched(
        &self,
        phase: Phase,
        statement: &Statement,
        tables: &[observe::Table],
    ) -> Result<Vec<observe::Held>, MigrateError> {
        let pid = observe::pid(&self.worker).await?;
        observe::occupy(&self.watcher, tables).await?;
        let running = self.worker.batch_execute(&statement.text);
        let watching = observe::until_it_waits(&self.watcher, pid);
        let mut running = std::pin::pin!(running);
        let (held, early) = tokio::select! {
            held = watching => (held?, None),
            done = &mut running => (vec![], Some(done)),
        };
        observe::leave(&self.watcher).await?;
        let done = match early {
            Some(done) => done,
            None => running.await,
        };
        done.map_err(|error| failed(phase, statement, &error))?;
        Ok(held)
    }
}

fn failed(phase: Phase, statement: &Statement, error: &tokio_postgres::Error) -> MigrateError {
    MigrateError::Statement {
        file: phase.file().to_owned(),
        line: statement.line,
        source: PostgresError::of("run it on the copy", error),
    }
}
