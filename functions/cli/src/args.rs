//! The command line.

use clap::{Parser, Subcommand};

/// Load files from S3, know where every row went, fix and reload only the bad ones.
#[derive(Debug, Parser)]
#[command(name = "rowproof", version, arg_required_else_help = true)]
pub(crate) struct Args {
    /// Show what the functions log
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load files through a pipeline into a folder: the main job, on a local AWS
    #[command(after_help = EXIT_CODES)]
    Run(crate::verbs::run::Args),
    /// Show every job: state, file, rows, chunks
    Status(crate::verbs::status::Args),
    /// Tell what happened to a job, what is visible now and what to do next
    Why(crate::verbs::why::Args),
    /// List the data files that make up a pipeline's table now
    Files(crate::verbs::files::Args),
    /// List, count, show or export rejected rows
    Failures(crate::verbs::failures::Args),
    /// Check a job's receipt again, against everything that is still there
    Verify(crate::verbs::verify::Args),
    /// Let a held job go on, for the totals that are shown
    Approve(crate::verbs::approve::Args),
    /// Drop a held job: nothing of it is loaded
    Discard(crate::verbs::discard::Args),
    /// Load failed rows again after a correction: a patch, or an export corrected by hand
    Replay(crate::verbs::replay::Args),
    /// Write the fixes of a patch into the pipeline file, so that the next file needs no patch
    Amend(crate::verbs::amend::Args),
    /// Load files again under the pipeline file that is stored now
    Rerun(crate::verbs::rerun::Args),
    /// Bring back jobs and chunks that failed for good
    Redrive(crate::verbs::redrive::Args),
    /// Go back to the rows that a file's earlier version had loaded
    Revert(crate::verbs::revert::Args),
    /// Take on everything unfinished, as the schedule does every minute
    Sweep(crate::verbs::sweep::Args),
    /// Compare the buckets with the ledger: uploads that no event told of, and leftovers
    Reconcile(crate::verbs::reconcile::Args),
    /// Keep a local AWS up whose functions start on every upload
    Dev(crate::verbs::dev::Args),
    /// Two minutes that show what it does: a crash, bad rows, a corrected file
    Demo(crate::verbs::demo::Args),
    /// Load files again and again while requests and messages fail, and compare every run with a clean one
    Torture(crate::verbs::torture::Args),
    /// Print a first pipeline file for a file: types, nullability and a key, guessed from its rows
    Init(crate::verbs::init::Args),
    /// Check a pipeline file, and try it on files without writing anything
    Check(crate::verbs::check::Args),
    /// Migrate data of a Postgres database: resumable, throttled, checked, and reversible until you say so
    Migrate(crate::migrate::Args),
}

const EXIT_CODES: &str = "Exit code: 0 all committed and balanced (rejected rows included), \
                          1 a job failed, 2 bad usage or pipeline file, 3 a job is held";
