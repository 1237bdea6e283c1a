//! What sets the steps going: messages, schedules, operators.

pub mod advance;
pub mod arrive;
pub mod reconcile;
pub mod redrive;
mod retrying;
pub mod sweep;
pub mod verify;
