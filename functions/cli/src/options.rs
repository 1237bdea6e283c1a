//! Options that verbs share.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// Where the local AWS keeps its disk.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct Out {
    /// Folder that holds the local AWS: input/, output/, failures/ and the ledger
    #[arg(long = "out", value_name = "DIR", default_value = "rowproof-out")]
    pub(crate) dir: PathBuf,
}
