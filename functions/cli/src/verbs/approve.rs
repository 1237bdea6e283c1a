//! `rowproof approve`: a held job goes on, for the totals that were shown.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use clap::Args as ClapArgs;
use rowproof_core::ledger::{self, Job, JobState};
use rowproof_io::app::App;

use crate::exit::{FAILED, INTERRUPTED};
use crate::local::wait::{Awaited, or_interrupted, settle, take_on};
use crate::local::world::World;
use crate::options::Out;
use crate::show::outcome::{Outcome, load_manifest};
use crate::show::progress::Progress;
use crate::show::report::{approval_of, counted, grouped};
use crate::show::{jobs, report};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Id of the job, or the beginning of it
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Why, for whoever looks at the job later
    #[arg(long)]
    pub(crate) reason: String,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    jobs::checked_reason(&args.reason)?;
    let world = World::resume(&args.out.dir).await?;
    let work = Box::pin(approve(&world, &args));
    let outcome = or_interrupted(work).await;
    let code = match &outcome {
        Ok(Some(outcome)) => outcome.exit_code(),
        Ok(None) => INTERRUPTED,
        Err(_) => FAILED,
    };
    world.shutdown().await;
    outcome.map(|_| code)
}

async fn approve(world: &World, args: &Args) -> anyhow::Result<Outcome> {
    let app = &world.app;
    let job = jobs::find(app, &args.job).await?;
    let id = &job.facts.job;
    // Approved before, and interrupted on the way.
    let goes_on = job.approval.is_some() && !job.state.is_settled();
    if !goes_on {
        show(app, &job).await?;
        let slot = app.ledger.slot(&job.facts.slot).await?;
        let head = slot.map_or(job.facts.generation, |slot| slot.generation);
        let (by, reason) = (jobs::operator(), jobs::checked_reason(&args.reason)?);
        let write = ledger::approve(&job, &by, reason, head, app.clock.now())?;
        if !app.ledger.perform(&write).await?.stands() {
            anyhow::bail!(
                "job {id} has changed meanwhile: look at it again by `rowproof why {id}`"
            );
        }
        eprintln!("approved by {by}: {reason}");
    }
    let started = Instant::now();
    take_on(app, id).await?;
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    let settled = settle(world, &[Awaited::Job(id.clone())], &mut progress).await;
    progress.finish();
    let settled = settled?.pop().flatten().unwrap_or(job);
    let mut outcome = Outcome::of(app, &settled.facts.object.uri(), &settled).await?;
    outcome.seconds = started.elapsed().as_secs_f64();
    if args.json {
        report::line(&serde_json::to_string(&outcome)?);
    } else {
        let ready = app.pipelines.frozen(&settled.facts.pipeline_sha).await?;
        let file = Path::new("the pipeline file");
        report::outcome(&args.out.dir, file, &ready.pipeline, &outcome);
    }
    Ok(outcome)
}

/// Shows what is about to be decided on.
pub(crate) async fn show(app: &App, job: &Job) -> anyhow::Result<()> {
    let facts = &job.facts;
    if job.state != JobState::Held {
        return Ok(());
    }
    eprintln!("job {} of {}", facts.job, facts.object.uri());
    if let Some(hold) = &job.hold {
        eprintln!("  held: {}", hold.message);
    }
    if let Some(manifest) = load_manifest(app, job).await? {
        let counts = manifest.totals.counts;
        eprintln!(
            "  {} read, {} good, {} rejected",
            counted(counts.read, "row"),
            grouped(counts.loaded),
            grouped(counts.rejected)
        );
        for reason in manifest.totals.reasons.iter().take(5) {
            let column = reason.column.as_ref().map(|c| format!(" in {c}")).unwrap_or_default();
            eprintln!("  {:>9} rejected: {}{column}", grouped(reason.rows), reason.code);
        }
        eprintln!("  {}", approval_of(counts.read, counts.loaded, counts.rejected));
    }
    Ok(())
}
