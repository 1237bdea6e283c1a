//! `rowproof discard`: a held job ends without rows.

use clap::Args as ClapArgs;
use rowproof_core::ledger;
use rowproof_io::app::App;

use crate::exit::OK;
use crate::local::world::World;
use crate::options::Out;
use crate::show::{jobs, report};
use crate::verbs::approve;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Id of the job, or the beginning of it
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Why, for whoever looks at the job later
    #[arg(long)]
    pub(crate) reason: String,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    jobs::checked_reason(&args.reason)?;
    let world = World::open(&args.out.dir).await?;
    let result = discard(&world.app, &args).await;
    world.shutdown().await;
    result
}

async fn discard(app: &App, args: &Args) -> anyhow::Result<u8> {
    let job = jobs::find(app, &args.job).await?;
    approve::show(app, &job).await?;
    let (id, by) = (&job.facts.job, jobs::operator());
    let write = ledger::discard(&job, &by, jobs::checked_reason(&args.reason)?, app.clock.now())?;
    if !app.ledger.perform(&write).await?.stands() {
        anyhow::bail!("job {id} has changed meanwhile: look at it again by `rowproof why {id}`");
    }
    let slot = app.ledger.slot(&job.facts.slot).await?;
    let before = match slot.and_then(|slot| slot.committed_job) {
        Some(before) => format!("the rows of job {before} stay visible"),
        None => "nothing of its file is visible".to_owned(),
    };
    let dir = args.out.dir.display();
    report::line(&format!("job {id} is discarded by {by}: {before}"));
    report::line(&format!(
        "next: correct the file or the pipeline file and `rowproof run` them, or: rowproof rerun {id} --out {dir}"
    ));
    Ok(OK)
}
