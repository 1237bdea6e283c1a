//! placeholder
use rowproof_core::ledger::{ChunkId, Job};

use crate::app::App;
use crate::clock::Deadline;
use crate::error::StepError;
pub(crate) async fn advance_replay(
    _app: &App,
    _job: Job,
    _deadline: Deadline,
) -> Result<(), StepError> {
    Ok(())
}
pub(crate) async fn replay_chunk(
    _app: &App,
    _job: &Job,
    _id: &ChunkId,
    _deadline: Deadline,
) -> Result<(), StepError> {
    Ok(())
}
