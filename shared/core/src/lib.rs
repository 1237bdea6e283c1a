//! `rowproof-core` decides. Bytes, Arrow arrays and `now` come in, values go out: no async, no clock,
//! no environment, no network. See `shared/ARCHITECTURE.md` for the map.

pub mod block;
pub mod ids;
pub mod ledger;
pub mod message;
pub mod names;
pub mod pipeline;
pub mod plan;
pub mod receipt;
pub mod time;
