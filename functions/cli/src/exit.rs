//! Exit codes, and the error that is a mistake of the caller.

/// Exit code: everything committed and balanced.
pub(crate) const OK: u8 = 0;

/// Exit code: anything that is none of the others.
pub(crate) const FAILED: u8 = 1;

/// Exit code: bad usage or a bad pipeline file.
pub(crate) const USAGE: u8 = 2;

/// Exit code: a job waits for `approve` or `discard`.
pub(crate) const HELD: u8 = 3;

/// Exit code: ended by Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// A mistake in how the program was called: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);
