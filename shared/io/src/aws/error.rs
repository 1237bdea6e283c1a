//! An AWS call that failed, by what its answer means.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use thiserror::Error;

/// An AWS call that failed.
#[derive(Debug, Clone, Error)]
#[error("{operation} failed: {code}: {message}")]
pub struct AwsError {
    /// API operation and what it was for, e.g. `GetObject s3://bucket/key`.
    pub operation: String,
    /// Error code of the service, or the kind of a client-side failure.
    pub code: String,
    /// HTTP status, 0 when there was no answer.
    pub status: u16,
    /// The service's text.
    pub message: String,
}

impl AwsError {
    /// Turns an SDK error into its meaning.
    pub fn of<E>(operation: impl Into<String>, error: SdkError<E>) -> AwsError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        let kind = match &error {
            SdkError::ConstructionFailure(_) => "request could not be built",
            SdkError::TimeoutError(_) => "timed out",
            SdkError::DispatchFailure(_) => "no connection",
            SdkError::ResponseError(_) => "answer not understood",
            SdkError::ServiceError(_) | _ => "service error",
        };
        let code = match (error.code(), status) {
            (Some(code), _) => code.to_owned(),
            (None, 404) => "NotFound".to_owned(),
            (None, 412) => "PreconditionFailed".to_owned(),
            (None, _) => kind.to_owned(),
        };
        let message = match error.message() {
            Some(message) => message.to_owned(),
            None => innermost(&error),
        };
        AwsError { operation: operation.into(), code, status, message }
    }

    /// What the answer, or the lack of one, means for what to do next.
    pub fn class(&self) -> ErrorClass {
        const THROTTLED: [&str; 7] = [
            "ThrottlingException",
            "Throttling",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "SlowDown",
            "RequestThrottled",
            "TooManyRequestsException",
        ];
        match self.status {
            _ if THROTTLED.contains(&self.code.as_str()) => ErrorClass::Throttled,
            429 => ErrorClass::Throttled,
            409 => ErrorClass::Conflict,
            404 => ErrorClass::NotFound,
            412 => ErrorClass::Precondition,
            401 | 403 => ErrorClass::Denied,
            400..=499 => ErrorClass::Refused,
            0 | 500..=599 => ErrorClass::Unavailable,
            // An answer that says yes, of which something did not come through.
            _ => ErrorClass::Unavailable,
        }
    }

    /// The thing is not there.
    pub fn is_not_found(&self) -> bool {
        self.status == 404
    }

    /// A condition of the request does not hold.
    pub fn is_precondition(&self) -> bool {
        self.status == 412
    }

    /// Another conditional request is under way: neither yes nor no, ask again.
    pub fn is_conflict(&self) -> bool {
        self.status == 409
    }
}

/// What a failed call means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Too many requests: later, the same one goes through.
    Throttled,
    /// No answer, or the service is unwell: later, the same one goes through.
    Unavailable,
    /// Another conditional request is under way: ask again.
    Conflict,
    /// The thing is not there.
    NotFound,
    /// A condition does not hold: an answer, not a fault.
    Precondition,
    /// A right is missing: somebody has to grant it.
    Denied,
    /// The request itself is wrong.
    Refused,
}

impl ErrorClass {
    /// Whether the same request goes through later, by itself.
    pub fn passes(self) -> bool {
        match self {
            ErrorClass::Throttled | ErrorClass::Unavailable | ErrorClass::Conflict => true,
            ErrorClass::NotFound
            | ErrorClass::Precondition
            | ErrorClass::Denied
            | ErrorClass::Refused => false,
        }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}
