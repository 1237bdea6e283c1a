//! `rowproof run`: upload, wait until every job settles, report.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::message::{Message, Restart, Task};
use rowproof_core::names;
use rowproof_core::pipeline::{Pipeline, Replaces};
use rowproof_io::app::App;
use rowproof_io::observe::job_of;

use crate::args;
use crate::inputs::{Input, place_inputs, read_pipeline};
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::world::{Workers, World};
use crate::{FAILED, OK, report};

/// Times an unfinished job is taken on again when nothing moves any more.
const NUDGES: u32 = 3;

/// Why a changed pipeline file does not start an object anew.
const LOADED_ALREADY: &str = "it was loaded under an earlier pipeline file, and with replaces = \"nothing\" its rows \
                              would be there twice; load it under another file name";

/// Runs the verb.
pub(crate) async fn run(args: args::Run) -> anyhow::Result<u8> {
    let pipeline = Arc::new(read_pipeline(&args.pipeline)?);
    let inputs = place_inputs(&pipeline, &args.inputs)?;
    let workers = Workers { count: usize::from(args.workers), processes: args.processes };
    let world = World::start_for(&args.out.dir, workers, &pipeline.name).await?;
    let work = load(&world, &pipeline, &inputs);
    let outcomes = tokio::select! {
        outcomes = work => outcomes,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("\ninterrupted: nothing is lost; the same command goes on where this one stopped");
            return Ok(130);
        }
    };
    let outcomes = outcomes?;
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
    world.shutdown().await;
    Ok(worst(&outcomes))
}

/// The worst input's exit code: failed before held before committed.
fn worst(outcomes: &[Outcome]) -> u8 {
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
    let mut refusals = vec![];
    for input in inputs {
        refusals.push(send(app, pipeline, input).await?);
    }
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    wait(world, pipeline, inputs, &mut progress).await?;
    progress.finish();
    let mut outcomes = vec![];
    for (input, refusal) in inputs.iter().zip(refusals) {
        let name = input.path.display().to_string();
        let job = job_of(app, pipeline, &input.captures, &input.key).await?;
        let mut outcome = match job {
            Some(job) => Outcome::of(app, &name, &job).await?,
            None => Outcome::without_job(&name, "no job began; see the messages above"),
        };
        outcome.error = outcome.error.or(refusal);
        outcome.seconds = started.elapsed().as_secs_f64();
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Uploads a file, unless these very bytes are stored: then they are observed again. The text says why
/// they may not be.
async fn send(app: &App, pipeline: &Pipeline, input: &Input) -> anyhow::Result<Option<String>> {
    let bucket = &app.settings.input_bucket;
    let path = input.path.clone();
    if let Some((size, stored)) = app.store.checksum(bucket, &input.key).await? {
        let found = tokio::task::spawn_blocking(move || crate::inputs::crc64(&path)).await??;
        if found == (size, stored) {
            if let Some(job) = job_of(app, pipeline, &input.captures, &input.key).await?
                && job.facts.pipeline_sha != pipeline.sha256()
            {
                if pipeline.source.replaces == Replaces::Nothing && job.state == JobState::Committed
                {
                    return Ok(Some(LOADED_ALREADY.to_owned()));
                }
                eprintln!("{}: the pipeline file has changed: starting anew", input.path.display());
            }
            observe(app, input).await?;
            return Ok(None);
        }
    }
    let upload = app.store.upload(bucket, &input.key, &input.path).await;
    upload.with_context(|| format!("{}", input.path.display()))?;
    Ok(None)
}

/// Asks for an object to be observed again.
async fn observe(app: &App, input: &Input) -> anyhow::Result<()> {
    let task = Task::Observe {
        bucket: app.settings.input_bucket.clone(),
        key: input.key.clone(),
        restart: Restart::IfChanged,
    };
    let queue = app.settings.uploads_queue_url.as_deref().unwrap_or_default();
    Ok(app.queue.send(queue, &Message::new(task), 0).await?)
}

/// Returns when every job has settled, or when nothing moves any more in spite of nudges.
async fn wait(
    world: &World,
    pipeline: &Pipeline,
    inputs: &[Input],
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let mut nudges = 0;
    let mut quiet = 0;
    let mut tick = 0_u32;
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        tick += 1;
        if tick.is_multiple_of(25) {
            progress.update(&world.app, &jobs(world, pipeline, inputs).await?).await?;
        }
        // Between two messages there is a moment without either: look twice.
        quiet = if world.is_idle() { quiet + 1 } else { 0 };
        if quiet < 2 {
            continue;
        }
        let jobs = jobs(world, pipeline, inputs).await?;
        let unsettled: Vec<_> = inputs
            .iter()
            .zip(&jobs)
            .filter(|(_, job)| job.as_ref().is_none_or(|job| !job.state.is_settled()))
            .collect();
        if unsettled.is_empty() || nudges == NUDGES {
            progress.update(&world.app, &jobs).await?;
            return Ok(());
        }
        nudges += 1;
        quiet = 0;
        for (input, _) in unsettled {
            observe(&world.app, input).await?;
        }
    }
}

async fn jobs(
    world: &World,
    pipeline: &Pipeline,
    inputs: &[Input],
) -> anyhow::Result<Vec<Option<Job>>> {
    let mut jobs = vec![];
    for input in inputs {
        jobs.push(job_of(&world.app, pipeline, &input.captures, &input.key).await?);
    }
    Ok(jobs)
}
