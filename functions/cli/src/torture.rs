//! `rowproof torture`: the user's own pipeline and data in runs that are full of faults, each compared
//! with a run that had none.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use rowproof_core::pipeline::Pipeline;
use rowproof_local::faults::{Class, Faults, Rates};
use serde_json::json;

use crate::inputs::{Input, place_inputs, read_pipeline};
use crate::run::load;
use crate::wait::or_interrupted;
use crate::world::{Workers, World};
use crate::{FAILED, INTERRUPTED, OK, report};

mod books;

use books::Books;

/// Chance of each fault of a request, and of one of a message, in parts of 10,000.
const REQUESTS: u64 = 150;
const MESSAGES: u64 = 500;
/// Nothing is later than this: a person waits.
const LONGEST_DELAY: Duration = Duration::from_millis(800);

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Pipeline file
    pipeline: PathBuf,
    /// Files to load
    #[arg(required = true)]
    inputs: Vec<PathBuf>,
    /// Runs with faults
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,
    /// Seed of the first run; each next one has the next
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The plan of faults of a seed.
pub(crate) fn plan_of(seed: u64) -> Faults {
    let mut rates = Rates::all(REQUESTS);
    for class in [Class::MessageTwice, Class::MessageLate, Class::MessageLost] {
        rates = rates.with(class, MESSAGES);
    }
    Faults::with_delays(seed, rates, LONGEST_DELAY)
}

/// How often each class of faults happened in these runs: in all, and in the run with the fewest.
pub(crate) fn table(runs: &[&Faults]) -> String {
    let mut text = format!("{:<28} {:>8} {:>9}", "fault", "in all", "at least");
    for class in Class::ALL {
        let counts = runs.iter().map(|faults| faults.tally().of(class));
        let least = counts.clone().min().unwrap_or(0);
        text.push_str(&format!("\n{class:<28} {:>8} {least:>9}", counts.sum::<u64>()));
    }
    text
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let pipeline = Arc::new(read_pipeline(&args.pipeline)?);
    let inputs = place_inputs(&pipeline, &args.inputs)?;
    let work = Box::pin(torture(&args, &pipeline, &inputs));
    match or_interrupted(work).await? {
        Some(code) => Ok(code),
        None => Ok(INTERRUPTED),
    }
}

async fn torture(args: &Args, pipeline: &Arc<Pipeline>, inputs: &[Input]) -> anyhow::Result<u8> {
    let clean = one_run(pipeline, inputs, None).await?;
    let expected = clean.books;
    report::line(&format!("without faults: {expected}"));
    let mut plans = vec![];
    let mut wrong = 0_u64;
    for seed in args.seed..args.seed.saturating_add(args.runs) {
        let faults = plan_of(seed);
        let run = one_run(pipeline, inputs, Some(faults.clone())).await?;
        let total = faults.tally().total();
        plans.push(faults);
        if run.books == expected {
            report::line(&format!("seed {seed}: {total} faults, the same rows"));
        } else {
            wrong += 1;
            let kept = run.dir.keep();
            report::line(&format!(
                "seed {seed}: {total} faults, DIFFERENT: {}; see {}",
                run.books,
                kept.display()
            ));
        }
    }
    let plans: Vec<_> = plans.iter().collect();
    report::line(&table(&plans));
    let runs = report::counted(args.runs, "run");
    report::line(&match wrong {
        0 => format!("{runs}: no row lost, none doubled"),
        _ => format!("{wrong} of {runs} went wrong; please report this with its seed"),
    });
    Ok(if wrong == 0 { OK } else { FAILED })
}

/// A run in a folder of its own, which is removed with it.
struct Run {
    dir: tempfile::TempDir,
    books: Books,
}

async fn one_run(
    pipeline: &Arc<Pipeline>,
    inputs: &[Input],
    faults: Option<Faults>,
) -> anyhow::Result<Run> {
    let dir = tempfile::TempDir::with_prefix("rowproof-torture-")?;
    let workers = Workers { count: 2, processes: false };
    let world = World::start_for(dir.path(), workers, &pipeline.name, faults.clone()).await?;
    Box::pin(load(&world, pipeline, inputs)).await?;
    if let Some(faults) = &faults {
        faults.stop();
        // Requests that were lost and come late; what they leave behind is the reconciler's to remove.
        tokio::time::sleep(LONGEST_DELAY * 2).await;
        world.duty(json!({ "duty": "reconcile" })).await?;
    }
    let outcomes = Box::pin(load(&world, pipeline, inputs)).await?;
    world.shutdown().await;
    let states = outcomes.iter().map(|outcome| outcome.state.clone()).collect();
    let books = read(dir.path(), states).await?;
    Ok(Run { dir, books })
}

async fn read(dir: &Path, states: Vec<String>) -> anyhow::Result<Books> {
    let dir = dir.to_owned();
    tokio::task::spawn_blocking(move || Books::read(&dir, states)).await?
}
