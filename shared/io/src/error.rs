//! Errors by meaning. A refused condition is an answer, not an error; a bad row is data, not an error.

use rowproof_core::ids::JobId;
use rowproof_core::ledger::{BadItem, ChunkId, Failure};
use thiserror::Error;

use crate::aws::error::AwsError;
use crate::postgres::PostgresError;

/// What can stop a step of the protocol.
#[derive(Debug, Error)]
pub enum StepError {
    /// AWS did not do it; the message comes back and the step is tried again.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The sink does not answer now. It tells nothing of the rows: no chunk is charged for it.
    #[error("the sink is unavailable: {0}")]
    Sink(AwsError),
    /// The table does not take rows now, whatever they are.
    #[error("Postgres: {0}")]
    Postgres(#[from] PostgresError),
    /// A stored item or document is not what it must be.
    #[error(transparent)]
    BadItem(#[from] BadItem),
    /// A stored document does not parse.
    #[error("{key} is not a valid {what}: {message}")]
    BadDocument {
        /// Key in the output bucket.
        key: String,
        /// What it should be.
        what: &'static str,
        /// Why not.
        message: String,
    },
    /// The object was overwritten or removed while it was read.
    #[error("{uri} changed while job {job} read it")]
    SourceChanged {
        /// `s3://bucket/key`.
        uri: String,
        /// The job.
        job: JobId,
    },
    /// The object cannot be loaded, however often it is tried.
    #[error("{}: {}", .0.code, .0.message)]
    Object(Failure),
    /// This worker lost its lease to another one: it writes nothing more.
    #[error("chunk {id} of job {} was taken over by another worker", .id.job)]
    Fenced {
        /// The chunk.
        id: ChunkId,
    },
    /// The pipeline of a job or object cannot be used.
    #[error("{0}")]
    Pipeline(String),
    /// A bug: the protocol does not allow this.
    #[error("{0}")]
    Broken(String),
}

impl StepError {
    /// Whether the same step goes through later, by itself.
    pub fn passes(&self) -> bool {
        match self {
            StepError::Aws(error) => error.class().passes(),
            StepError::Sink(_) | StepError::Postgres(_) => true,
            StepError::BadItem(_)
            | StepError::BadDocument { .. }
            | StepError::SourceChanged { .. }
            | StepError::Object(_)
            | StepError::Fenced { .. }
            | StepError::Pipeline(_)
            | StepError::Broken(_) => false,
        }
    }

    /// A failure while rows are written: one that passes is the sink's.
    pub(crate) fn of_sink(self) -> StepError {
        if self.passes()
            && let StepError::Aws(error) = self
        {
            return StepError::Sink(error);
        }
        self
    }

    /// A lasting failure of the object.
    pub fn object(code: &str, message: impl Into<String>) -> StepError {
        StepError::Object(Failure { code: code.to_owned(), message: message.into() })
    }
}

/// A panic in a worker thread is a bug; the message comes back and is tried again.
pub(crate) fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, StepError> {
    result.map_err(|error| StepError::Broken(format!("a worker thread broke down: {error}")))
}
