//! One transaction on a connection of the pool.

use std::time::Duration;

use bytes::Bytes;
use deadpool_postgres::Object;
use futures_util::SinkExt;
use rowproof_core::copy::{HEADER, TRAILER};
use rowproof_core::pipeline::Dsn;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CopyInSink, Row};

use super::connect::Databases;
use super::error::PostgresError;

/// Longest wait for one answer, in seconds.
const ANSWER_SECONDS: u64 = 120;
/// Bytes sent at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A parameter of a statement with its type: no statement is prepared, which a pooler may lose.
pub(crate) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

/// A transaction. Dropped before its end, it takes its connection along: nobody gets one in a state that
/// is not known.
pub(crate) struct Session {
    connection: Option<Object>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

impl Session {
    /// Begins a transaction.
    pub(crate) async fn begin(databases: &Databases, dsn: &Dsn) -> Result<Session, PostgresError> {
        let connection = databases.connection(dsn).await?;
        let session = Session { connection: Some(connection) };
        // A statement that hangs gives up before we do, and a session that we lost ends by itself. To
        // compile a plan takes longer than any of ours runs.
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = '{}s'; SET LOCAL lock_timeout = '60s'; \
             SET LOCAL idle_in_transaction_session_timeout = '{}s'; SET LOCAL work_mem = '64MB'; SET LOCAL jit = off; \
             SET CONSTRAINTS ALL IMMEDIATE",
            ANSWER_SECONDS - 5,
            2 * ANSWER_SECONDS
        );
        session.run("begin", &begin).await?;
        Ok(session)
    }

    /// Ends it and gives the connection back. An error leaves open whether the rows are there.
    pub(crate) async fn commit(self) -> Result<(), PostgresError> {
        self.end("COMMIT").await
    }

    /// Ends it without effect.
    pub(crate) async fn roll_back(self) -> Result<(), PostgresError> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, how: &str) -> Result<(), PostgresError> {
        self.run(&how.to_lowercase(), how).await?;
        drop(self.connection.take());
        Ok(())
    }

    fn connection(&self) -> Result<&Object, PostgresError> {
        let gone = || PostgresError::new(super::Fault::Passing, "write rows", "no connection");
        self.connection.as_ref().ok_or_else(gone)
    }

    /// Statements without parameters or rows.
    pub(crate) async fn run(&self, doing: &str, sql: &str) -> Result<(), PostgresError> {
        answered(doing, self.connection()?.batch_execute(sql)).await
    }

    /// The rows of a statement.
    pub(crate) async fn rows(
        &self,
        doing: &str,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Row>, PostgresError> {
        answered(doing, self.connection()?.query_typed(sql, params)).await
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(&self, doing: &str, sql: &str) -> Result<u64, PostgresError> {
        answered(doing, self.connection()?.execute_typed(sql, &[])).await
    }

    /// Numbers that a statement gives back, one a row.
    pub(crate) async fn numbers(&self, doing: &str, sql: &str) -> Result<Vec<u64>, PostgresError> {
        let rows = self.rows(doing, sql, &[]).await?;
        Ok(rows.iter().map(|row| number(row, 0)).collect())
    }

    /// Sends tuples.
    pub(crate) async fn copy(
        &self,
        sql: &str,
        pieces: impl Iterator<Item = Bytes>,
    ) -> Result<(), PostgresError> {
        const DOING: &str = "copy rows";
        let sink: CopyInSink<Bytes> = answered(DOING, self.connection()?.copy_in(sql)).await?;
        let mut sink = Box::pin(sink);
        answered(DOING, sink.feed(Bytes::from_static(HEADER))).await?;
        for piece in pieces {
            answered(DOING, sink.send(piece)).await?;
        }
        answered(DOING, sink.feed(Bytes::from_static(TRAILER))).await?;
        answered(DOING, sink.as_mut().finish()).await?;
        Ok(())
    }

    /// Reads a COPY stream to its end.
    pub(crate) async fn copy_out(
        &self,
        sql: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), PostgresError>,
    ) -> Result<(), PostgresError> {
        use futures_util::TryStreamExt;
        const DOING: &str = "read rows back";
        let stream = answered(DOING, self.connection()?.copy_out(sql)).await?;
        let mut stream = Box::pin(stream);
        while let Some(piece) = answered(DOING, stream.try_next()).await? {
            take(&piece)?;
        }
        Ok(())
    }
}

/// A number of a row or of rows; such are never negative.
pub(crate) fn number(row: &Row, index: usize) -> u64 {
    row.try_get::<_, i64>(index).ok().and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// Waits for an answer, but not for ever.
async fn answered<T>(
    doing: &str,
    call: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, PostgresError> {
    match tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS), call).await {
        Ok(answer) => answer.map_err(|error| PostgresError::of(doing, &error)),
        Err(_) => Err(PostgresError::late(doing, ANSWER_SECONDS)),
    }
}

/// Bytes in pieces, without a copy.
pub(crate) fn pieces(bytes: Bytes) -> impl Iterator<Item = Bytes> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = rest.len().min(PIECE_BYTES);
        (length > 0).then(|| rest.split_to(length))
    })
}
