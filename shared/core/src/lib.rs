//! `rowproof-core` decides. Bytes, Arrow arrays and `now` come in, values go out: no async, no clock,
//! no environment, no network. See `shared/ARCHITECTURE.md` for the map.

pub mod archive;
pub mod block;
pub mod check;
pub mod copy;
pub mod decode;
pub mod digest;
pub mod engine;
pub mod event;
pub mod housekeeping;
pub mod ids;
pub mod infer;
pub mod input;
pub mod isolate;
pub mod ledger;
pub mod message;
pub mod names;
pub mod patch;
pub mod pipeline;
pub mod pipeline_file;
pub mod plan;
pub mod receipt;
pub mod replay;
pub mod sink;
pub mod split;
pub mod sql;
pub mod table;
pub mod time;
pub mod toml_file;
pub mod view;
