//! `rowproof verify`: a job's receipt checked again, against everything that is still there.

use rowproof_core::ledger::Job;
use rowproof_core::receipt::Counts;
use rowproof_io::app::App;
use rowproof_io::duties::verify::{Outcome, Verification, verify_job};
use serde_json::{Value, json};

use crate::exit::{FAILED, OK};
use crate::local::world::World;
use crate::options::Out;
use crate::show::jobs;
use crate::show::report::{counted, equation_of, line};

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code: 0 nothing that can still be checked is wrong, 1 something is")]
pub(crate) struct Args {
    /// Job to verify, or the start of its id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) job: Option<String>,
    /// Verify every job that has a receipt
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Print one JSON object a line for each job
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let world = World::open(&args.out.dir).await?;
    let code = verify(&world.app, &args).await;
    world.shutdown().await;
    code
}

async fn verify(app: &App, args: &Args) -> anyhow::Result<u8> {
    let wanted = match &args.job {
        Some(job) => vec![jobs::find(app, job).await?],
        None => {
            let mut all = app.ledger.all_jobs().await?;
            all.sort_by_key(|job| (job.facts.created_at, job.facts.job.0.clone()));
            all
        }
    };
    let (mut receipts, mut without, mut code) = (0, 0, OK);
    for job in &wanted {
        let Some(found) = verify_job(app, job).await? else {
            without += 1;
            continue;
        };
        receipts += 1;
        if !found.verified() {
            code = FAILED;
        }
        match args.json {
            true => line(&object(job, &found).to_string()),
            false => print(job, &found),
        }
    }
    if receipts == 0 {
        eprintln!("error: {}", no_receipt(&wanted));
        return Ok(FAILED);
    }
    if args.all && !args.json {
        let skipped = match without {
            0 => String::new(),
            jobs => format!("; {} without a receipt", counted(jobs, "job")),
        };
        let verdict = if code == OK { "all verified" } else { "NOT all verified" };
        line(&format!("{}: {verdict}{skipped}", counted(receipts, "receipt")));
    }
    Ok(code)
}

/// Why there is nothing to verify, and what to do.
fn no_receipt(jobs: &[Job]) -> String {
    match jobs {
        [job] => {
            let (id, state) = (&job.facts.job, job.state.as_str());
            if let Some(replay) = &job.facts.replay {
                let parent = &replay.parent;
                return format!(
                    "job {id} is a replay: its rows are in the receipt of job {parent}; \
                     `rowproof verify {parent}`"
                );
            }
            format!("job {id} is {state} and has no receipt; see `rowproof why {id}`")
        }
        _ => "no job here has a receipt yet; see `rowproof status`".to_owned(),
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "failed",
        Outcome::Unchecked => "unchecked",
    }
}

fn object(job: &Job, found: &Verification) -> Value {
    let Counts { read, loaded, unchanged, filtered, superseded, rejected } =
        found.manifest.totals.counts;
    let checks: Vec<_> = found
        .findings
        .iter()
        .map(|finding| {
            let result = word(finding.outcome);
            json!({ "check": finding.check, "result": result, "detail": finding.detail })
        })
        .collect();
    json!({
        "job": job.facts.job.0,
        "state": job.state.as_str(),
        "source": job.facts.object.uri(),
        "verified": found.verified(),
        "rows_read": read,
        "rows_loaded": loaded,
        "rows_unchanged": unchanged,
        "rows_filtered": filtered,
        "rows_superseded": superseded,
        "rows_rejected": rejected,
        "source_digest": found.manifest.totals.source_digest.to_string(),
        "loaded_digest": found.manifest.totals.loaded_digest.to_string(),
        "checks": checks,
    })
}

fn print(job: &Job, found: &Verification) {
    let totals = &found.manifest.totals;
    line(&format!("job {} {} {}", job.facts.job, job.state.as_str(), job.facts.object.uri()));
    line(&format!("  {}", equation_of(&totals.counts, found.manifest.recheck().is_empty())));
    for finding in &found.findings {
        let word = word(finding.outcome);
        let word =
            if finding.outcome == Outcome::Ok { word.to_owned() } else { word.to_uppercase() };
        line(&format!("  {word:<9} {:<8} {}", finding.check, finding.detail));
    }
    let unchecked = found.findings.iter().filter(|found| found.outcome == Outcome::Unchecked);
    match (found.verified(), unchecked.count()) {
        (true, 0) => line("  verified"),
        (true, _) => line("  verified, but for what is unchecked"),
        (false, _) => line("  NOT verified"),
    }
}
