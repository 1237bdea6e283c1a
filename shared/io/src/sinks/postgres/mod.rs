//! Rows into a table, each chunk in one transaction whose first row says so.
//!
//! A transaction begins with the chunk's row in `rowproof.loads`, which is unique. Whoever comes second
//! (a repeated message, a worker that woke up late, the same worker whose commit was never answered)
//! finds it and takes over the outcome that is stored there, whatever it made of the chunk itself. The
//! slot's generation in `rowproof.slots` keeps older versions out. One lock a table, for the length of
//! the transaction, lets writers of one table go in turn: what a row is compared with is what it replaces.
//!
//! Nothing here outlives its transaction, so a pooler may be in between.

mod chunk;
mod landed;
mod missing;
mod object;
mod origin;
mod refuse;
mod replay;
mod staged;
mod table;
mod verify;
mod write;

pub use self::table::{Difference, check_table};

pub(crate) use self::chunk::load_chunk;
pub(crate) use self::landed::remove_stale_archive;
pub(crate) use self::missing::guard_missing;
pub(crate) use self::object::{Published, publish_object};
pub(crate) use self::replay::publish_replay;
pub(crate) use self::verify::{TableHeld, read_back};
