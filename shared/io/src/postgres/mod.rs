//! How a Postgres server is reached: connection strings, TLS, sign-in, sessions, and what its errors mean.

pub(crate) mod connect;
pub(crate) mod error;
pub(crate) mod server;
pub(crate) mod session;
mod token;

pub use self::connect::Databases;
pub use self::error::{Fault, PostgresError};
pub use self::server::Server;
