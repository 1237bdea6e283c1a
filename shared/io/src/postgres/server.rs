//! Sessions of one's own, outside of any pool: for work that is fenced by other means.

use std::fmt;
use std::sync::Arc;

use rowproof_core::pipeline::Dsn;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use super::connect::{CONNECT, Databases, Place};
use super::error::PostgresError;

/// A database to open sessions at.
#[derive(Clone)]
pub struct Server(Known);

#[derive(Clone)]
enum Known {
    Text(Arc<str>),
    Dsn(Arc<Databases>, Dsn),
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Server")
    }
}

impl Server {
    /// Where a connection string says: a URL or `key=value` pairs.
    pub fn at(text: &str) -> Server {
        Server(Known::Text(text.into()))
    }

    /// Where a `dsn` says. Secrets and tokens are read for each session, since they end.
    pub fn known(databases: Arc<Databases>, dsn: Dsn) -> Server {
        Server(Known::Dsn(databases, dsn))
    }

    /// Opens a session. It ends when the client is dropped.
    ///
    /// # Errors
    /// The place cannot be read, or the server cannot be reached or does not let us in.
    pub async fn connect(&self) -> Result<Client, PostgresError> {
        Ok(self.connect_hearing().await?.0)
    }

    /// As [`Server::connect`], with what the server says beside its answers: notices, as texts.
    ///
    /// # Errors
    /// As [`Server::connect`].
    pub async fn connect_hearing(
        &self,
    ) -> Result<(Client, UnboundedReceiver<String>), PostgresError> {
        let place = self.place().await?;
        let doing = format!("connect to {}", place.name());
        match tokio::time::timeout(CONNECT, open(&place, &doing)).await {
            Ok(opened) => opened,
            Err(_) => Err(PostgresError::late(&doing, CONNECT.as_secs())),
        }
    }

    /// The same place for programs of Postgres itself: names and values of environment variables, the
    /// password among them.
    ///
    /// # Errors
    /// The place cannot be read.
    pub async fn variables(&self) -> Result<Vec<(&'static str, String)>, PostgresError> {
        Ok(self.place().await?.variables())
    }

    async fn place(&self) -> Result<Place, PostgresError> {
        match &self.0 {
            Known::Text(text) => Place::parse("what was given", text),
            Known::Dsn(databases, dsn) => databases.resolve(dsn).await,
        }
    }
}

async fn open(
    place: &Place,
    doing: &str,
) -> Result<(Client, UnboundedReceiver<String>), PostgresError> {
    let config = place.session();
    let failed = |error: &tokio_postgres::Error| PostgresError::of(doing, error);
    if place.is_encrypted() {
        let opened = config.connect(place.connector()?).await;
        let (client, connection) = opened.map_err(|error| failed(&error))?;
        Ok((client, hear(connection)))
    } else {
        let (client, connection) = config.connect(NoTls).await.map_err(|error| failed(&error))?;
        Ok((client, hear(connection)))
    }
}

/// Drives a connection. A session's end is told by the next call on its client.
fn hear<S, T>(mut connection: Connection<S, T>) -> UnboundedReceiver<String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, words) = unbounded_channel();
    tokio::spawn(async move {
        let next = std::future::poll_fn(|context| connection.poll_message(context));
        let mut next = std::pin::pin!(next);
        while let Some(Ok(message)) = next.as_mut().await {
            if let AsyncMessage::Notice(notice) = message {
                // Most have nobody who listens.
                sender.send(notice.message().to_owned()).ok();
            }
        }
    });
    words
}
