//! The folder that holds a local AWS, and the functions that run on it.

pub(crate) mod connect;
pub(crate) mod fault_plan;
pub(crate) mod functions;
pub(crate) mod lock;
pub(crate) mod wait;
pub(crate) mod world;
