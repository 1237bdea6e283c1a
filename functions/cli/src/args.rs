//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

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
    Run(Run),
    /// Show every job: state, file, rows, chunks
    Status(crate::status::Args),
    /// Tell what happened to a job, what is visible now and what to do next
    Why(crate::why::Args),
    /// List the data files that make up a pipeline's table now
    Files(crate::files::Args),
    /// List, count, show or export rejected rows
    Failures(crate::failures::Args),
    /// Check a job's receipt again, against everything that is still there
    Verify(crate::verify::Args),
    /// Let a held job go on, for the totals that are shown
    Approve(crate::approve::Args),
    /// Drop a held job: nothing of it is loaded
    Discard(crate::discard::Args),
    /// Load failed rows again after a correction: a patch, or an export corrected by hand
    Replay(crate::replay::Args),
    /// Write the fixes of a patch into the pipeline file, so that the next file needs no patch
    Amend(crate::amend::Args),
    /// Load files again under the pipeline file that is stored now
    Rerun(crate::rerun::Args),
    /// Bring back jobs and chunks that failed for good
    Redrive(crate::redrive::Args),
    /// Go back to the rows that a file's earlier version had loaded
    Revert(crate::revert::Args),
    /// Take on everything unfinished, as the schedule does every minute
    Sweep(crate::sweep::Args),
    /// Compare the buckets with the ledger: uploads that no event told of, and leftovers
    Reconcile(crate::reconcile::Args),
    /// Keep a local AWS up whose functions start on every upload
    Dev(crate::dev::Args),
    /// Two minutes that show what it does: a crash, bad rows, a corrected file
    Demo(crate::demo::Args),
    /// Load files again and again while requests and messages fail, and compare every run with a clean one
    Torture(crate::torture::Args),
    /// Print a first pipeline file for a file: types, nullability and a key, guessed from its rows
    Init(crate::init::Args),
    /// Check a pipeline file, and try it on files without writing anything
    Check(crate::check::Args),
    /// Migrate data of a Postgres database: resumable, throttled, checked, and reversible until you say so
    Migrate(crate::migrate::Args),
}

const EXIT_CODES: &str = "Exit code: 0 all committed and balanced (rejected rows included), \
                          1 a job failed, 2 bad usage or pipeline file, 3 a job is held";

/// Where the local AWS keeps its disk.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Out {
    /// Folder that holds the local AWS: input/, output/, failures/ and the ledger
    #[arg(long = "out", value_name = "DIR", default_value = "rowproof-out")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct Run {
    /// Pipeline file
    pub(crate) pipeline: PathBuf,
    /// Files to load
    #[arg(required = true)]
    pub(crate) inputs: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Object key to store the only file under, instead of its name in the folder of source.match: files of
    /// one name are told apart by it
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Print one JSON object a line for each input, last
    #[arg(long)]
    pub(crate) json: bool,
    /// Chunks worked on at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// Run the functions as processes under a Lambda Runtime API
    #[arg(long)]
    pub(crate) processes: bool,
    /// Let requests and messages of the functions fail, by the plan of this number
    #[arg(long, value_name = "SEED")]
    pub(crate) faults: Option<u64>,
}
