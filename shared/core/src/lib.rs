//! `rowproof-core` decides. Bytes, Arrow arrays and `now` come in, values go out: no async, no clock,
//! no environment, no network. See `shared/ARCHITECTURE.md` for the map.

pub mod archive;
pub mod block;
pub mod check;
pub mod digest;
pub mod pipeline;
pub mod table;
