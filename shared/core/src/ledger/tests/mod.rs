//! The transitions on a store in memory, where [`super::Write::apply`] is the meaning of a write.

mod clauses;
mod fixtures;
mod guards;
mod guards_chunk;
mod interleavings;
mod interleavings_job;
mod own_write;
mod random;
mod scenarios;
mod scenarios_job;
mod states;
