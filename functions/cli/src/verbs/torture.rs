//! `rowproof torture`: the user's own pipeline and data in runs that are full of faults, each compared
//! with a run that had none.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args as ClapArgs;
use rowproof_core::pipeline::Pipeline;
use rowproof_local::faults::Faults;
use serde_json::json;

use crate::exit::{FAILED, INTERRUPTED, OK};
use crate::input::inputs::{Input, check_order, place_inputs, read_pipeline};
use crate::local::fault_plan::{LONGEST_DELAY, plan_of, table};
use crate::local::functions::Workers;
use crate::local::wait::or_interrupted;
use crate::local::world::World;
use crate::show::report;
use crate::verbs::run::load;

mod books;

use books::Books;

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

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    check_order("torture", &args.pipeline, &args.inputs)?;
    let pipeline = Arc::new(read_pipeline(&args.pipeline)?);
    let inputs = place_inputs(&pipeline, &args.inputs, None)?;
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
    let workers = Workers::of(2, false, &[]);
    let world = World::start_for(dir.path(), &workers, &pipeline.name, faults.clone()).await?;
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const PIPELINE: &str = "version = 1\nname = \"ids\"\n[source]\nmatch = \"incoming/*.csv\"\n\
        format = \"csv\"\n[columns]\nid = \"int64\"\n[sink.parquet]\npath = \"curated/ids\"\n";

    /// The command's control: what it compares goes red.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_file_that_is_lost_or_there_twice_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (toml, csv) = (dir.path().join("ids.toml"), dir.path().join("ids.csv"));
        fs::write(&toml, PIPELINE).unwrap();
        fs::write(&csv, "id\n1\n2\nno number\n3\n").unwrap();
        let pipeline = Arc::new(read_pipeline(&toml).unwrap());
        let inputs = place_inputs(&pipeline, &[csv], None).unwrap();
        let run = Box::pin(one_run(&pipeline, &inputs, None)).await.unwrap();
        let states = vec!["COMMITTED".to_owned()];
        let again = || Books::read(run.dir.path(), states.clone()).unwrap();
        assert_eq!(again(), run.books);

        let table = run.dir.path().join("output/curated/ids");
        let file = fs::read_dir(&table).unwrap().next().unwrap().unwrap().path();
        fs::copy(&file, table.join("twice.parquet")).unwrap();
        assert_ne!(again(), run.books);
        fs::remove_file(&file).unwrap();
        assert_eq!(again(), run.books, "a row is the same in any file");
        fs::remove_file(table.join("twice.parquet")).unwrap();
        assert_ne!(again(), run.books);
    }
}
