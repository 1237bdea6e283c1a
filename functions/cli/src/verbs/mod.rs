//! The verbs, one file each.

pub(crate) mod amend;
pub(crate) mod approve;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod discard;
pub(crate) mod failures;
pub(crate) mod files;
pub(crate) mod init;
pub(crate) mod reconcile;
pub(crate) mod redrive;
pub(crate) mod replay;
pub(crate) mod rerun;
pub(crate) mod revert;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod sweep;
pub(crate) mod torture;
pub(crate) mod verify;
pub(crate) mod why;
