//! `rowproof run`: upload, wait until every job settles, report.

use clap::Args as ClapArgs;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use bytes::Bytes;
use rowproof_core::ids::JobId;
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::message::Restart;
use rowproof_core::names;
use rowproof_core::pipeline::{Pipeline, Replaces};
use rowproof_io::app::App;
use rowproof_io::steps::observe::job_of;

use crate::exit::{FAILED, INTERRUPTED, OK};
use crate::input::inputs::{Input, check_order, place_inputs, read_pipeline};
use crate::local::fault_plan::{plan_of, table};
use crate::local::functions::Workers;
use crate::local::wait::{Awaited, observe, or_interrupted, settle};
use crate::local::world::World;
use crate::options::Out;
use crate::show::outcome::Outcome;
use crate::show::progress::Progress;
use crate::show::report;

/// Why a changed pipeline file does not start an object anew.
const LOADED_ALREADY: &str = "it was loaded under an earlier pipeline file, and with replaces = \"nothing\" its rows \
                              would be there twice; load it under another file name";

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Pipeline file
    pipeline: PathBuf,
    /// Files to load
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    #[command(flatten)]
    out: Out,
    /// Object key to store the only file under, instead of its name in the folder of source.match: files of
    /// one name are told apart by it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Print one JSON object a line for each input, last
    #[arg(long)]
    json: bool,
    /// Chunks worked on at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: u16,
    /// Run the functions as processes under a Lambda Runtime API
    #[arg(long)]
    processes: bool,
    /// Let requests and messages of the functions fail, by the plan of this number
    #[arg(long, value_name = "SEED")]
    faults: Option<u64>,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    check_order("run", &args.pipeline, &args.inputs)?;
    let pipeline = Arc::new(read_pipeline(&args.pipeline)?);
    let inputs = place_inputs(&pipeline, &args.inputs, args.key.as_deref())?;
    let workers = Workers::of(args.workers, args.processes, &[&pipeline]);
    let faults = args.faults.map(plan_of);
    let world = World::start_for(&args.out.dir, &workers, &pipeline.name, faults.clone()).await?;
    let work = Box::pin(load(&world, &pipeline, &inputs));
    let Some(outcomes) = or_interrupted(work).await? else { return Ok(INTERRUPTED) };
    if args.json {
        let lines: Result<Vec<_>, _> = outcomes.iter().map(serde_json::to_string).collect();
        report::line(&lines?.join("\n"));
    } else {
        for outcome in &outcomes {
            report::outcome(&args.out.dir, &args.pipeline, &pipeline, outcome);
        }
    }
    for peak in world.peak_rss_kb() {
        tracing::info!(peak_rss_kb = peak, "largest resident size of a function's process");
    }
    if let Some(faults) = &faults {
        eprintln!("{}", table(&[faults]));
    }
    world.shutdown().await;
    Ok(worst(&outcomes))
}

/// The worst input's exit code: failed before held before committed.
pub(crate) fn worst(outcomes: &[Outcome]) -> u8 {
    let codes: Vec<_> = outcomes.iter().map(Outcome::exit_code).collect();
    if codes.contains(&FAILED) { FAILED } else { codes.into_iter().max().unwrap_or(OK) }
}

/// Uploads the inputs and waits for their jobs.
pub(crate) async fn load(
    world: &World,
    pipeline: &Arc<Pipeline>,
    inputs: &[Input],
) -> anyhow::Result<Vec<Outcome>> {
    let started = Instant::now();
    let app = &world.app;
    let key = format!("{}{}.json", names::PIPELINES, pipeline.name);
    app.store.put(&app.settings.output_bucket, &key, Bytes::from(pipeline.to_json())).await?;
    let mut sent = vec![];
    let taken = || inputs.iter().filter(|input| input.skipped.is_none());
    for input in taken() {
        sent.push(send(app, pipeline, input).await?);
    }
    let awaited: Vec<_> = taken().map(|input| awaited(pipeline, input)).collect();
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    let jobs = settle(world, &awaited, &mut progress).await?;
    progress.finish();
    let mut outcomes = vec![];
    let mut settled = jobs.into_iter().zip(sent);
    for input in inputs {
        let name = input.path.display().to_string();
        if let Some(what) = input.skipped {
            outcomes.push(Outcome::skipped(&name, what));
            continue;
        }
        let Some((job, Sent { refusal, shown })) = settled.next() else { break };
        let mut outcome = match &job {
            Some(job) => Outcome::of(app, &name, job).await?,
            None => Outcome::without_job(&name, "no job began; see the messages above"),
        };
        outcome.error = outcome.error.or(refusal);
        // A job that moved on in the meantime was written for.
        let same = |job: &Job| shown == Some((job.facts.job.clone(), job.rev));
        outcome.already_loaded = job.as_ref().is_some_and(same);
        outcome.seconds = started.elapsed().as_secs_f64();
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// What became of a file that was sent.
#[derive(Default)]
struct Sent {
    /// Why it may not be loaded.
    refusal: Option<String>,
    /// The job that has loaded these very bytes under this very pipeline already, and its revision.
    shown: Option<(JobId, i64)>,
}

/// Uploads a file, unless these very bytes are stored: then they are observed again.
async fn send(app: &App, pipeline: &Pipeline, input: &Input) -> anyhow::Result<Sent> {
    let bucket = &app.settings.input_bucket;
    let path = input.path.clone();
    let local = tokio::task::spawn_blocking(move || crate::input::inputs::crc64(&path)).await??;
    if app.store.checksum(bucket, &input.key).await?.as_ref() == Some(&local) {
        let mut sent = Sent::default();
        if let Some(job) = job_of(app, pipeline, &input.captures, &input.key).await? {
            let changed = job.facts.pipeline_sha != pipeline.sha256();
            let committed = job.state == JobState::Committed;
            if changed && committed && pipeline.source.replaces == Replaces::Nothing {
                return Ok(Sent { refusal: Some(LOADED_ALREADY.to_owned()), shown: None });
            }
            if changed {
                eprintln!("{}: the pipeline file has changed: starting anew", input.path.display());
            } else if committed {
                sent.shown = Some((job.facts.job, job.rev));
            }
        }
        observe(app, &input.key, Restart::IfChanged).await?;
        return Ok(sent);
    }
    let upload = app.store.upload(bucket, &input.key, &input.path, &local.1).await;
    upload.with_context(|| format!("{}", input.path.display()))?;
    Ok(Sent::default())
}

fn awaited(pipeline: &Arc<Pipeline>, input: &Input) -> Awaited {
    Awaited::Object {
        pipeline: pipeline.clone(),
        captures: input.captures.clone(),
        key: input.key.clone(),
        before: None,
        restart: Restart::IfChanged,
    }
}
