//! `rowproof-core` decides. Bytes, Arrow arrays and `now` come in, values go out: no async, no clock,
//! no environment, no network. See `shared/ARCHITECTURE.md` for the map.

pub mod block;
pub mod event;
pub mod infer;
pub mod pipeline;
