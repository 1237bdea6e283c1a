//! `rowproof sweep`: everything unfinished is taken on again. The schedule does it by itself every
//! minute for what has not moved.

use std::io::IsTerminal;

use clap::Args as ClapArgs;
use serde_json::{Value, json};

use crate::exit::{INTERRUPTED, OK};
use crate::local::wait::{Awaited, or_interrupted, settle};
use crate::local::world::World;
use crate::options::Out;
use crate::show::progress::Progress;
use crate::show::report::{counted, line};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) out: Out,
    /// Print what was done as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let world = World::resume(&args.out.dir).await?;
    let swept = or_interrupted(Box::pin(sweep(&world))).await;
    world.shutdown().await;
    let Some(swept) = swept? else { return Ok(INTERRUPTED) };
    match args.json {
        true => line(&swept.to_string()),
        false => line(&told(&swept)),
    }
    Ok(OK)
}

/// What is unfinished goes on until it settles, or cannot.
async fn sweep(world: &World) -> anyhow::Result<Value> {
    let swept = world.duty(json!({ "duty": "sweep", "all": true })).await?;
    let jobs = world.app.ledger.all_jobs().await?.into_iter();
    let unfinished = jobs.filter(|job| !job.state.is_settled());
    let awaited: Vec<_> = unfinished.map(|job| Awaited::Job(job.facts.job)).collect();
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    let settled = settle(world, &awaited, &mut progress).await;
    progress.finish();
    settled.map(|_| swept)
}

fn told(swept: &Value) -> String {
    let count = |key: &str| swept.get(key).and_then(Value::as_u64).unwrap_or(0);
    if count("due") == 0 {
        return "nothing is unfinished".to_owned();
    }
    let mut text = format!(
        "{} taken on, {} observed again",
        counted(count("jobs"), "job"),
        counted(count("objects"), "object")
    );
    if count("failed") > 0 {
        text.push_str(&format!(
            ", {} could not be looked at: run again with --verbose",
            count("failed")
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_says_what_it_took_on() {
        let swept = json!({ "due": 3, "jobs": 2, "objects": 1, "rested": 0, "failed": 0 });
        assert_eq!(told(&swept), "2 jobs taken on, 1 object observed again");
        assert_eq!(told(&json!({ "due": 0 })), "nothing is unfinished");
    }
}
