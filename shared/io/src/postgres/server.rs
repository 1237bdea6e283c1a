//! Sessions of one's own, outside of any pool: for work that is fenced by other means.

use std::fmt;
use std::sync::Arc;

use rowproof_core::pipeline::Dsn;
use tokio_postgres::{Client, NoTls};

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
        let place = match &self.0 {
            Known::Text(text) => Place::parse("what was given", text)?,
            Known::Dsn(databases, dsn) => databases.resolve(dsn).await?,
        };
        let doing = format!("connect to {}", place.name());
        match tokio::time::timeout(CONNECT, open(&place, &doing)).await {
            Ok(opened) => opened,
            Err(_) => Err(PostgresError::late(&doing, CONNECT.as_secs())),
        }
    }
}

async fn open(place: &Place, doing: &str) -> Result<Client, PostgresError> {
    let config = place.session();
    let failed = |error: &tokio_postgres::Error| PostgresError::of(doing, error);
    // A session's end is told by the next call on its client.
    if place.is_encrypted() {
        let (client, connection) =
            config.connect(place.connector()?).await.map_err(|error| failed(&error))?;
        tokio::spawn(async move { connection.await.ok() });
        Ok(client)
    } else {
        let (client, connection) = config.connect(NoTls).await.map_err(|error| failed(&error))?;
        tokio::spawn(async move { connection.await.ok() });
        Ok(client)
    }
}
