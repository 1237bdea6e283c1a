//! `rowproof redrive`: what failed for good goes through again, from where it stood.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use clap::Args as ClapArgs;
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::message::{Message, Task};
use rowproof_io::app::App;
use rowproof_io::duties::redrive::{failed_chunks, is_discarded};

use crate::exit::{FAILED, INTERRUPTED, OK, Usage};
use crate::local::wait::{Awaited, or_interrupted, settle};
use crate::local::world::World;
use crate::options::Out;
use crate::show::outcome::Outcome;
use crate::show::progress::Progress;
use crate::show::rate::{self, Pace, Rate};
use crate::show::report::counted;
use crate::show::{jobs, report};
use crate::verbs::run::worst;

#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["job", "all"]))]
pub(crate) struct Args {
    /// This job: its id, or the beginning of it
    #[arg(long)]
    pub(crate) job: Option<String>,
    /// Every job that is BLOCKED or FAILED, except those that were discarded
    #[arg(long)]
    pub(crate) all: bool,
    /// Only what failed with this code, as `rowproof why` shows it
    #[arg(long, value_name = "CODE")]
    pub(crate) cause: Option<String>,
    /// At most so many jobs at a time: 5/s, 30/min
    #[arg(long, value_name = "N/s", value_parser = rate::parse)]
    pub(crate) rate: Option<Rate>,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Print one JSON object a line for each job
    #[arg(long)]
    pub(crate) json: bool,
}

/// A job to bring back.
#[derive(Debug)]
struct Target {
    job: Job,
    /// Chunks that failed and are meant.
    chunks: usize,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let world = World::resume(&args.out.dir).await?;
    let code = or_interrupted(Box::pin(redrive(&world, &args))).await;
    world.shutdown().await;
    Ok(code?.unwrap_or(INTERRUPTED))
}

async fn redrive(world: &World, args: &Args) -> anyhow::Result<u8> {
    let targets = select(&world.app, args).await?;
    if targets.is_empty() {
        report::line("nothing has failed that could come back; `rowproof status` lists all jobs");
        return Ok(OK);
    }
    let started = Instant::now();
    let mut pace = Pace::new(args.rate);
    let mut awaited = vec![];
    for target in &targets {
        pace.wait().await;
        awaited.push(request(&world.app, args, target).await?);
    }
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    let settled = settle(world, &awaited, &mut progress).await;
    progress.finish();
    let mut outcomes = vec![];
    for (target, job) in targets.iter().zip(settled?) {
        let name = target.job.facts.object.uri();
        let mut outcome = match job {
            Some(job) => Outcome::of(&world.app, &name, &job).await?,
            None => Outcome::without_job(
                &name,
                "it did not come back: somebody decided about it meanwhile, see `rowproof why`",
            ),
        };
        outcome.seconds = started.elapsed().as_secs_f64();
        show(world, args, &target.job, &outcome).await?;
        outcomes.push(outcome);
    }
    Ok(worst(&outcomes))
}

async fn select(app: &App, args: &Args) -> anyhow::Result<Vec<Target>> {
    if let Some(text) = &args.job {
        let job = jobs::find(app, text).await?;
        return match examine(app, &job, args.cause.as_deref()).await? {
            Ok(target) => Ok(vec![target]),
            Err(why) => Err(Usage(format!("job {} cannot come back: {why}", job.facts.job)).into()),
        };
    }
    let mut targets = vec![];
    for job in app.ledger.all_jobs().await? {
        if !matches!(job.state, JobState::Blocked | JobState::Failed) {
            continue;
        }
        match examine(app, &job, args.cause.as_deref()).await? {
            Ok(target) => targets.push(target),
            Err(why) => eprintln!("job {}: left alone: {why}", job.facts.job),
        }
    }
    targets.sort_by_key(|target| target.job.facts.created_at);
    Ok(targets)
}

/// What would come back of a job, or why nothing can.
async fn examine(
    app: &App,
    job: &Job,
    cause: Option<&str>,
) -> anyhow::Result<Result<Target, String>> {
    let id = &job.facts.job;
    match job.state {
        // A chunk may have failed already although the job does not know.
        JobState::Blocked | JobState::Failed | JobState::Running => {}
        JobState::Planning
        | JobState::Held
        | JobState::Committing
        | JobState::Committed
        | JobState::Superseded => {
            return Ok(Err(format!("it is {}, nothing of it has failed", job.state.as_str())));
        }
    }
    if is_discarded(job) {
        return Ok(Err(format!("it was discarded; `rowproof rerun {id}` loads its file again")));
    }
    let slot = app.ledger.slot(&job.facts.slot).await?;
    if slot.is_some_and(|slot| slot.head_job != *id) {
        return Ok(Err("a newer file or run has taken its place".to_owned()));
    }
    let failed = failed_chunks(app, job).await?;
    let causes: Vec<_> = failed.iter().filter_map(|(_, chunk)| chunk.failure.as_ref()).collect();
    let meant = causes.iter().filter(|why| cause.is_none_or(|cause| cause == why.code)).count();
    let own = job.failure.as_ref().filter(|_| job.state == JobState::Failed);
    let is_meant = own.is_some_and(|why| cause.is_none_or(|cause| cause == why.code));
    if meant == 0 && !is_meant && (cause.is_some() || job.state == JobState::Running) {
        let mut codes: Vec<_> = causes.iter().chain(&own).map(|why| why.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        return Ok(Err(match codes.is_empty() {
            true => "nothing of it has failed".to_owned(),
            false => format!("it failed with {}", codes.join(", ")),
        }));
    }
    Ok(Ok(Target { job: job.clone(), chunks: meant }))
}

/// The request is named after the job's revision: two people who saw the same ask for the same.
async fn request(app: &App, args: &Args, target: &Target) -> anyhow::Result<Awaited> {
    let (job, rev) = (target.job.facts.job.clone(), target.job.rev);
    if !args.json {
        let chunks = u64::try_from(target.chunks)?;
        eprintln!("{}: {} back", target.job.facts.object.uri(), counted(chunks, "failed chunk"));
    }
    let task = Task::Redrive {
        job: job.clone(),
        rev: Some(rev),
        cause: args.cause.clone(),
        request: format!("rev-{rev}"),
    };
    let queue = app.settings.redrive_queue_url.as_deref().unwrap_or_default();
    app.queue.send(queue, &Message::new(task), 0).await?;
    // A RUNNING job is not decided about again: only its chunks come back.
    let after = if target.job.state == JobState::Running { rev - 1 } else { rev };
    Ok(Awaited::Later { job, after })
}

async fn show(world: &World, args: &Args, job: &Job, outcome: &Outcome) -> anyhow::Result<()> {
    if args.json {
        report::line(&serde_json::to_string(outcome)?);
        return Ok(());
    }
    let ready = world.app.pipelines.frozen(&job.facts.pipeline_sha).await?;
    report::outcome(&args.out.dir, Path::new("the pipeline file"), &ready.pipeline, outcome);
    if outcome.exit_code() == FAILED {
        eprintln!("it failed again; look at the log, or run with --verbose");
    }
    Ok(())
}
