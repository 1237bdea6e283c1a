//! What the tests of the whole program share: a folder to run in, files to load, and the truth about them.

pub(crate) mod cloud;
pub(crate) mod oracle;
pub(crate) mod orders;
#[cfg(unix)]
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod sabotage;
pub(crate) mod table;
pub(crate) mod world;
