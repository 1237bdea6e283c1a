//! `rowproof revert`: a file's earlier version takes the place of today's.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use clap::Args as ClapArgs;
use rowproof_core::ids::SlotId;
use rowproof_core::ledger::Job;
use rowproof_io::app::App;
use rowproof_io::steps::revert::{self, Revert};

use crate::exit::{FAILED, INTERRUPTED, Usage};
use crate::local::wait::{Awaited, or_interrupted, settle};
use crate::local::world::World;
use crate::options::Out;
use crate::show::outcome::Outcome;
use crate::show::progress::Progress;
use crate::show::report;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Key of the file in the input bucket, as `rowproof status` shows it
    pub(crate) key: String,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Print the outcome as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let world = World::resume(&args.out.dir).await?;
    let code = or_interrupted(Box::pin(go_back(&world, &args))).await;
    world.shutdown().await;
    Ok(code?.unwrap_or(INTERRUPTED))
}

async fn go_back(world: &World, args: &Args) -> anyhow::Result<u8> {
    let app = &world.app;
    let started = Instant::now();
    let (job, to) = match revert::revert(app, &place_of(app, &args.key).await?).await? {
        Revert::Begun { job, to } => (job, to),
        Revert::Refused(why) => {
            eprintln!("error: {}: {why}", args.key);
            return Ok(FAILED);
        }
    };
    let object = &to.facts.object;
    eprintln!(
        "{}: going back to the rows of job {}, from {} as stored {}",
        args.key,
        to.facts.job,
        object.uri(),
        object.last_modified.rfc3339()
    );
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    let settled = settle(world, &[Awaited::Job(job)], &mut progress).await;
    progress.finish();
    let mut outcome = match settled?.pop().flatten() {
        Some(job) => Outcome::of(app, &object.uri(), &job).await?,
        None => Outcome::without_job(&object.uri(), "its job is gone; see `rowproof status`"),
    };
    outcome.seconds = started.elapsed().as_secs_f64();
    if args.json {
        report::line(&serde_json::to_string(&outcome)?);
    } else {
        let ready = app.pipelines.frozen(&to.facts.pipeline_sha).await?;
        let file = Path::new("the pipeline file");
        report::outcome(&args.out.dir, file, &ready.pipeline, &outcome);
    }
    Ok(outcome.exit_code())
}

/// The place in the table that the file holds, or held before another one took it over.
async fn place_of(app: &App, key: &str) -> anyhow::Result<SlotId> {
    let mut jobs: Vec<Job> = app.ledger.all_jobs().await?;
    jobs.retain(|job| job.facts.object.key == key);
    jobs.sort_by(|a, b| a.facts.slot.cmp(&b.facts.slot));
    jobs.dedup_by(|a, b| a.facts.slot == b.facts.slot);
    match jobs.as_slice() {
        [] => {
            Err(Usage(format!("no job has read {key}; `rowproof status` lists all files")).into())
        }
        [job] => Ok(job.facts.slot.clone()),
        [job, ..] => Err(Usage(format!(
            "{key} has loaded into {} places, the first of them by pipeline {}: it replaces nothing, \
             so there is nothing to go back to",
            jobs.len(),
            job.facts.pipeline
        ))
        .into()),
    }
}
