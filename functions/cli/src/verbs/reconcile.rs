//! `rowproof reconcile`: the buckets against the ledger. The schedule does it by itself.

use std::io::IsTerminal;

use clap::Args as ClapArgs;
use serde_json::{Value, json};

use crate::exit::{FAILED, INTERRUPTED, OK};
use crate::local::wait::{Awaited, or_interrupted, settle};
use crate::local::world::World;
use crate::options::Out;
use crate::show::progress::Progress;
use crate::show::report::{counted, line};
use crate::verbs::rerun::parse_since;

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Only uploads stored since this date or RFC 3339 time; leftovers are not looked at
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Print what was done as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let since = args.since.as_deref().map(parse_since).transpose()?;
    let world = World::resume(&args.out.dir).await?;
    let event = match since {
        Some(since) => json!({ "duty": "reconcile", "since": since.rfc3339() }),
        None => json!({ "duty": "reconcile" }),
    };
    let found = or_interrupted(Box::pin(reconcile(&world, event))).await;
    world.shutdown().await;
    let Some(found) = found? else { return Ok(INTERRUPTED) };
    if args.json {
        line(&found.to_string());
    } else {
        told(&found).iter().for_each(|text| line(text));
    }
    // What could not be judged wants a look.
    Ok(if count(&found, "doubtful") == 0 { OK } else { FAILED })
}

/// What is found goes on until its jobs settle.
async fn reconcile(world: &World, event: Value) -> anyhow::Result<Value> {
    let found = world.duty(event).await?;
    if count(&found, "unobserved") > 0 {
        world.idle().await;
        let jobs = world.app.ledger.all_jobs().await?.into_iter();
        let unfinished = jobs.filter(|job| !job.state.is_settled());
        let awaited: Vec<_> = unfinished.map(|job| Awaited::Job(job.facts.job)).collect();
        let mut progress = Progress::new(std::io::stderr().is_terminal());
        let settled = settle(world, &awaited, &mut progress).await;
        progress.finish();
        settled?;
    }
    Ok(found)
}

fn count(found: &Value, key: &str) -> u64 {
    found.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn told(found: &Value) -> Vec<String> {
    let count = |key: &str| count(found, key);
    let removed = count("working_removed") + count("published_removed");
    let mut lines = vec![
        format!(
            "{} of pipelines: {} unknown to the ledger, loaded now",
            counted(count("objects"), "upload"),
            count("unobserved")
        ),
        format!("{} removed", counted(removed, "leftover file")),
    ];
    if count("unmatched") > 0 {
        lines.push(format!("{} that no pipeline matches", counted(count("unmatched"), "upload")));
    }
    if count("skipped") > 0 {
        lines.push(format!("{} skipped by their names", counted(count("skipped"), "upload")));
    }
    if count("doubtful") > 0 {
        lines.push(format!(
            "{} could not be judged and was left alone: run again with --verbose",
            counted(count("doubtful"), "thing")
        ));
    }
    if found.get("complete") == Some(&Value::Bool(false)) {
        lines.push("not all was looked at in the time there was: run it again".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconcile_says_what_it_found_and_what_it_left() {
        let found = json!({
            "objects": 3, "unobserved": 1, "unmatched": 2, "working_removed": 1,
            "published_removed": 1, "doubtful": 1, "complete": false
        });
        let lines = told(&found);
        assert_eq!(lines[0], "3 uploads of pipelines: 1 unknown to the ledger, loaded now");
        assert_eq!(lines[1], "2 leftover files removed");
        assert_eq!(lines.len(), 5);
        let nothing = json!({ "objects": 1, "complete": true });
        assert_eq!(told(&nothing).len(), 2);
    }
}
