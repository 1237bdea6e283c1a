//! The transitions on a store in memory, where [`super::Write::apply`] is the meaning of a write.

mod clauses;
mod fixtures;
mod guards;
mod guards_chunk;
mod guards_redrive;
mod guards_replay;
mod guards_split;
mod interleavings;
mod interleavings_job;
mod interleavings_outage;
mod interleavings_replay;
mod interleavings_split;
mod own_write;
mod random;
mod scenarios;
mod scenarios_job;
mod scenarios_poison;
mod scenarios_redrive;
mod scenarios_replay;
mod states;
