//! Runners that are killed.
