//! One session, and transactions on it whose settings end with them: a pooler may be in between.
//!
//! Everything is sent by the simple protocol, so nothing is prepared and several statements travel at once.

use std::time::Duration;

use rowproof_io::postgres::{PostgresError, Server};
use serde::de::DeserializeOwned;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::error::MigrateError;

/// Longer than any limit of a statement that is meant to end soon.
const ANSWER: Duration = Duration::from_secs(90);

/// A session that is opened when it is needed, and opened again when it was lost.
#[derive(Debug)]
pub(crate) struct Link {
    server: Server,
    client: Option<Client>,
    answer: Duration,
}

/// What a message of statements gave.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Rows of all statements, in order.
    pub(crate) rows: Vec<SimpleQueryRow>,
    /// Rows that each statement changed or gave.
    pub(crate) counts: Vec<u64>,
}

impl Answer {
    /// A field as text; nothing for NULL.
    pub(crate) fn text(&self, row: usize, column: usize) -> Option<&str> {
        self.rows.get(row).and_then(|row| row.try_get(column).ok().flatten())
    }

    /// A field as a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, row: usize, column: usize) -> Option<T> {
        self.text(row, column).and_then(|text| text.parse().ok())
    }

    /// The first field, which holds JSON; nothing for no row or NULL.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<Option<T>, MigrateError> {
        let Some(text) = self.text(0, 0) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|error| MigrateError::Bug {
            what: format!("the database's own record cannot be read: {error}"),
        })
    }

    /// The first column as JSON, row by row.
    pub(crate) fn jsons<T: DeserializeOwned>(&self) -> Result<Vec<T>, MigrateError> {
        let texts = (0..self.rows.len()).filter_map(|row| self.text(row, 0));
        let read = texts.map(serde_json::from_str).collect::<Result<Vec<T>, _>>();
        read.map_err(|error| MigrateError::Bug {
            what: format!("the database's own record cannot be read: {error}"),
        })
    }
}

impl Link {
    pub(crate) fn new(server: Server) -> Link {
        Link { server, client: None, answer: ANSWER }
    }

    /// Longest wait for an answer from now on; the usual one for nothing.
    pub(crate) fn wait_for(&mut self, answer: Option<Duration>) {
        self.answer = answer.unwrap_or(ANSWER);
    }

    async fn client(&mut self) -> Result<&Client, PostgresError> {
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = None;
        }
        match &mut self.client {
            Some(client) => Ok(client),
            empty => Ok(empty.insert(self.server.connect().await?)),
        }
    }

    /// Forgets the session: the server rolls back what was open on it.
    pub(crate) fn close(&mut self) {
        self.client = None;
    }

    /// Sends statements; the first that fails ends them.
    pub(crate) async fn run(&mut self, doing: &str, sql: &str) -> Result<Answer, PostgresError> {
        let answer = self.answer;
        let call = self.client().await?.simple_query(sql);
        let messages = match tokio::time::timeout(answer, call).await {
            Ok(Ok(messages)) => messages,
            Ok(Err(error)) => return Err(PostgresError::of(doing, &error)),
            Err(_) => {
                // The answer may still come, to a question that nobody remembers.
                self.close();
                return Err(PostgresError::late(doing, answer.as_secs()));
            }
        };
        let mut answer = Answer::default();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                answer.rows.push(row);
            } else if let SimpleQueryMessage::CommandComplete(count) = message {
                answer.counts.push(count);
            }
        }
        Ok(answer)
    }

    /// Ends a transaction without effect. A session that cannot is forgotten, which does the same.
    pub(crate) async fn roll_back(&mut self) {
        if self.client.as_ref().is_some_and(|client| !client.is_closed())
            && self.run("roll back", "ROLLBACK").await.is_err()
        {
            self.close();
        }
    }
}

/// Whether the same call may go through later, on a new session if need be.
pub(crate) fn passes(error: &PostgresError) -> bool {
    match error.state() {
        // No answer at all: the connection is gone, or never was.
        None => error.fault == rowproof_io::postgres::Fault::Passing,
        Some(state) => {
            ["55P03", "40P01", "40001", "57014"].contains(&state)
                || state.starts_with("08")
                || state.starts_with("57P")
                || state.starts_with("53")
                || state == "25P03"
        }
    }
}

/// Whether a lock was not to be had in time.
pub(crate) fn is_lock(error: &PostgresError) -> bool {
    matches!(error.state(), Some("55P03" | "40P01"))
}
