//! `rowproof-core` decides. Bytes, Arrow arrays and `now` come in, values go out: no async, no clock,
//! no environment, no network. See `shared/ARCHITECTURE.md` for the map.

pub mod block;
<<<<<<< HEAD
pub mod ids;
pub mod ledger;
pub mod message;
pub mod names;
pub mod pipeline;
pub mod plan;
pub mod receipt;
pub mod time;
=======
pub mod decode;
pub mod input;
pub mod pipeline;
pub mod split;
>>>>>>> 566a76d656a245ca231e2d9216006cc3963681de
