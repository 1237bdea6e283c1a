//! `rowproof dev`: the local AWS stays up, and every upload starts its functions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args as ClapArgs;
use rowproof_core::ids::JobId;
use rowproof_core::ledger::{Job, JobState};
use rowproof_core::names;
use rowproof_core::pipeline::{KeyPattern, Pipeline};
use rowproof_io::app::App;
use rowproof_io::pipelines::Ready;
use rowproof_local::{ACCESS_KEY, LocalError, REGION, SECRET_KEY};
use serde_json::{Value, json};

use crate::exit::{OK, Usage};
use crate::input::inputs::read_pipeline;
use crate::local::functions::Workers;
use crate::local::world::World;
use crate::options::Out;
use crate::show::outcome::Outcome;
use crate::show::report;

/// Between two looks at the jobs.
const LOOK: Duration = Duration::from_millis(500);
/// Between two sweeps.
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Pipeline files to use, besides those that the folder has already
    pub(crate) pipelines: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Port on 127.0.0.1 for all services
    #[arg(long, default_value_t = 4566)]
    pub(crate) port: u16,
    /// Chunks worked on at a time
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) workers: u16,
    /// Run the functions as processes under a Lambda Runtime API
    #[arg(long)]
    pub(crate) processes: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let mut pipelines = vec![];
    for path in &args.pipelines {
        let pipeline = read_pipeline(path)?;
        // Its columns are compiled as well before anything starts.
        Ready::compile(pipeline.clone())?;
        pipelines.push(pipeline);
    }
    let workers = Workers::of(args.workers, args.processes, &pipelines.iter().collect::<Vec<_>>());
    let started = World::start(&args.out.dir, Some(&workers), Some(args.port)).await;
    let world = started.map_err(|error| name_port(error, args.port))?;
    let served = tokio::select! {
        result = serve(&world, &pipelines) => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    report::line("\nstopping: work that is under way ends first");
    world.shutdown().await;
    served.map(|()| OK)
}

fn name_port(error: anyhow::Error, port: u16) -> anyhow::Error {
    match error.downcast_ref::<LocalError>() {
        Some(LocalError::Bind { error, .. }) => {
            let text = format!(
                "port {port} on 127.0.0.1 cannot be used: {error}; give another one by --port, or \
                 stop what uses it"
            );
            Usage(text).into()
        }
        Some(LocalError::Disk { .. } | LocalError::DynamoDb { .. } | LocalError::NoQueue(_))
        | None => error,
    }
}

/// Never ends by itself.
async fn serve(world: &World, given: &[Pipeline]) -> anyhow::Result<()> {
    let app = &world.app;
    for pipeline in given {
        let key = format!("{}{}.json", names::PIPELINES, pipeline.name);
        let text = Bytes::from(pipeline.to_json());
        app.store.put(&app.settings.output_bucket, &key, text).await?;
    }
    let stored = app.pipelines.stored().await?;
    let patterns: Vec<_> =
        stored.iter().map(|ready| ready.pipeline.source.pattern.as_str()).collect();
    report::line(&welcome(world.endpoint().unwrap_or_default(), &world.dir, &patterns));
    let mut known = BTreeMap::new();
    for job in app.ledger.all_jobs().await? {
        known.insert(job.facts.job.clone(), (job.state, job.rev));
    }
    let open = go_on(world).await?;
    if open > 0 {
        report::line(&format!("going on with {}", report::counted(open, "unfinished file")));
    }
    let told = tell(world, known);
    tokio::try_join!(told, keep_house(world)).map(drop)
}

/// Says what becomes of jobs. Never ends by itself.
async fn tell(world: &World, mut known: BTreeMap<JobId, (JobState, i64)>) -> anyhow::Result<()> {
    let app = &world.app;
    loop {
        for job in newly_settled(app, &mut known).await? {
            let outcome = Outcome::of(app, &job.facts.object.uri(), &job).await?;
            for line in news(&world.dir, &outcome) {
                report::line(&line);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Queues live in memory, so what an earlier process left unfinished is asked for again, and so are
/// files that were stored while nobody listened.
async fn go_on(world: &World) -> anyhow::Result<u64> {
    let swept = world.duty(json!({ "duty": "sweep", "all": true })).await?;
    let found = world.duty(json!({ "duty": "reconcile", "since": "1970-01-01" })).await?;
    let counts = [swept.get("jobs"), swept.get("objects"), found.get("unobserved")];
    Ok(counts.into_iter().flatten().filter_map(Value::as_u64).sum())
}

/// What the deployed schedules do. Never ends by itself.
async fn keep_house(world: &World) -> anyhow::Result<()> {
    let mut minute = tokio::time::interval(MINUTE);
    for minutes in 0_u64.. {
        minute.tick().await;
        let hourly = minutes % 60 == 1;
        let duties = if hourly { &["sweep", "reconcile"][..] } else { &["sweep"] };
        for duty in duties {
            // The next one does what this one could not.
            if let Err(error) = world.duty(json!({ "duty": duty })).await {
                tracing::error!(duty, %error, "the schedule's duty failed");
            }
        }
    }
    Ok(())
}

/// Jobs that have settled since the last look, oldest first.
async fn newly_settled(
    app: &App,
    known: &mut BTreeMap<JobId, (JobState, i64)>,
) -> anyhow::Result<Vec<Job>> {
    let mut settled = vec![];
    for job in app.ledger.all_jobs().await? {
        let now = (job.state, job.rev);
        if known.insert(job.facts.job.clone(), now) != Some(now) && job.state.is_settled() {
            settled.push(job);
        }
    }
    settled.sort_by_key(|job| (job.updated_at, job.facts.generation));
    Ok(settled)
}

/// How to reach it.
fn welcome(endpoint: &str, dir: &Path, patterns: &[&str]) -> String {
    let dir = dir.display();
    let mut lines = vec![
        format!("a local AWS is at {endpoint}; its disk is {dir}"),
        "in the shell that uploads:".to_owned(),
        format!("  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION={REGION}"),
        format!("  export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={SECRET_KEY}"),
    ];
    let folders: BTreeSet<String> = patterns.iter().filter_map(|text| folder_of(text)).collect();
    for folder in &folders {
        lines.push(format!("  aws s3 cp FILE.csv s3://input/{folder}"));
    }
    if let Some(folder) = folders.first() {
        lines.push("or in Python:".to_owned());
        lines.push(format!(
            "  import boto3\n  s3 = boto3.client(\"s3\", endpoint_url=\"{endpoint}\", region_name=\"{REGION}\",\n    \
             aws_access_key_id=\"{ACCESS_KEY}\", aws_secret_access_key=\"{SECRET_KEY}\")\n  \
             s3.upload_file(\"FILE.csv\", \"input\", \"{folder}FILE.csv\")"
        ));
    }
    match patterns.is_empty() {
        true => lines.push(
            "there is no pipeline yet, so uploads start nothing: give pipeline files, \
             `rowproof dev PIPELINE`"
                .to_owned(),
        ),
        false => lines.push(format!("keys that start a job: {}", patterns.join(", "))),
    }
    lines.push("Ctrl-C stops it; what is stored stays".to_owned());
    lines.join("\n")
}

fn folder_of(pattern: &str) -> Option<String> {
    Some(KeyPattern::compile(pattern).ok()?.literal_directory().to_owned())
}

/// A job's outcome in a line or two.
fn news(dir: &Path, outcome: &Outcome) -> Vec<String> {
    let mut text = format!("{}: {}", outcome.input, outcome.state);
    if outcome.rows_read > 0 {
        text.push_str(&format!(": {}", report::equation(outcome)));
    }
    let mut lines = vec![text];
    lines.extend(outcome.error.as_ref().map(|error| format!("  {error}")));
    let dir = dir.display();
    if let Some(job) = outcome.job.as_ref().filter(|_| outcome.state != "COMMITTED") {
        lines.push(format!("  next: rowproof why {job} --out {dir}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_names_the_folder_of_each_pipeline() {
        let patterns = ["incoming/*.csv*", "events/{day:%Y%m%d}.jsonl"];
        let text = welcome("http://127.0.0.1:4566", Path::new("out"), &patterns);
        assert!(text.contains("aws s3 cp FILE.csv s3://input/incoming/"), "{text}");
        assert!(text.contains("s3://input/events/"), "{text}");
        assert!(text.contains("AWS_ENDPOINT_URL=http://127.0.0.1:4566"), "{text}");
    }

    #[test]
    fn without_a_pipeline_it_says_that_uploads_start_nothing() {
        let text = welcome("http://127.0.0.1:4566", Path::new("out"), &[]);
        assert!(text.contains("there is no pipeline yet"), "{text}");
    }

    #[test]
    fn news_of_a_failure_name_the_next_command() {
        let mut outcome = Outcome::without_job("s3://input/a.csv", "bad_header: m");
        outcome.job = Some("j".into());
        let lines = news(Path::new("out"), &outcome);
        assert_eq!(
            lines,
            ["s3://input/a.csv: FAILED", "  bad_header: m", "  next: rowproof why j --out out"]
        );
    }
}
