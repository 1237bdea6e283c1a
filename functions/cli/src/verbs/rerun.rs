//! `rowproof rerun`: objects again, under today's pipeline file. What they loaded before stays
//! visible until the new rows take over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use clap::Args as ClapArgs;
use rowproof_core::ids::{SlotId, slot_id};
use rowproof_core::ledger::{self, Job, Observed, Slot};
use rowproof_core::message::Restart;
use rowproof_core::pipeline::{Pipeline, Replaces};
use rowproof_core::time::EpochSeconds;
use rowproof_io::app::App;
use rowproof_io::error::StepError;
use rowproof_io::pipelines::{Matched, Ready};
use serde_json::json;

use crate::exit::{FAILED, INTERRUPTED, OK, Usage};
use crate::local::wait::{Awaited, observe, or_interrupted, settle};
use crate::local::world::World;
use crate::options::Out;
use crate::show::outcome::Outcome;
use crate::show::progress::Progress;
use crate::show::rate::{self, Pace, Rate};
use crate::show::{jobs, report};
use crate::verbs::run::worst;

#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["job", "prefix", "since"]))]
pub(crate) struct Args {
    /// The file of this job: its id, or the beginning of it
    pub(crate) job: Option<String>,
    /// Every file whose key begins so
    #[arg(long, value_name = "KEYPREFIX")]
    pub(crate) prefix: Option<String>,
    /// Every file with a job begun since this date or RFC 3339 time
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<String>,
    /// Also when a later file holds the place of this one: its rows take the later ones' place
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Only list what would run
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// At most so many files at a time: 5/s, 30/min
    #[arg(long, value_name = "N/s", value_parser = rate::parse)]
    pub(crate) rate: Option<Rate>,
    /// Print one JSON object a line for each file
    #[arg(long)]
    pub(crate) json: bool,
}

/// A file to run again.
#[derive(Debug, Clone)]
struct Target {
    key: String,
    pipeline: Arc<Pipeline>,
    captures: BTreeMap<String, String>,
    slot: SlotId,
    /// The job of its newest version, if there is one.
    before: Option<Job>,
    /// The pipeline file is another one than that job ran under.
    changed: bool,
}

/// A file that cannot run again.
#[derive(Debug, Clone)]
struct Refused {
    key: String,
    why: String,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let since = args.since.as_deref().map(parse_since).transpose()?;
    let world = match args.dry_run {
        true => World::open(&args.out.dir).await?,
        false => World::resume(&args.out.dir).await?,
    };
    let code = or_interrupted(Box::pin(rerun(&world, &args, since))).await;
    world.shutdown().await;
    Ok(code?.unwrap_or(INTERRUPTED))
}

/// A date or a time.
pub(crate) fn parse_since(text: &str) -> anyhow::Result<EpochSeconds> {
    let time = EpochSeconds::parse(text);
    time.ok_or_else(|| {
        Usage(format!("--since {text}: give a date, 2026-03-01, or a time, 2026-03-01T08:00:00Z"))
            .into()
    })
}

async fn rerun(world: &World, args: &Args, since: Option<EpochSeconds>) -> anyhow::Result<u8> {
    let keys = select(&world.app, args, since).await?;
    let mut targets = vec![];
    let mut refused = vec![];
    for key in keys {
        match examine(&world.app, &key, args.force).await? {
            Ok(target) => targets.push(target),
            Err(why) => refused.push(Refused { key, why }),
        }
    }
    if args.force {
        refuse_rivals(&targets)?;
    }
    for refused in &refused {
        eprintln!("{}: not run: {}", refused.key, refused.why);
    }
    name_pipelines(&targets);
    let code = match args.dry_run {
        true => list(args, &targets, &refused)?,
        false => load(world, args, &targets).await?,
    };
    Ok(if refused.is_empty() { code } else { FAILED })
}

/// Keys to look at, each once.
async fn select(
    app: &App,
    args: &Args,
    since: Option<EpochSeconds>,
) -> anyhow::Result<BTreeSet<String>> {
    if let Some(job) = &args.job {
        return Ok(BTreeSet::from([jobs::find(app, job).await?.facts.object.key]));
    }
    let (keys, what): (BTreeSet<String>, String) = match (&args.prefix, since) {
        (Some(prefix), _) => {
            let keys = app.store.list(&app.settings.input_bucket, prefix).await?;
            let keys = keys.into_iter().filter(|key| !key.ends_with('/'));
            (keys.collect(), format!("no file's key begins with `{prefix}`"))
        }
        (None, since) => {
            let since = since.unwrap_or_default();
            let jobs = app.ledger.all_jobs().await?.into_iter();
            let keys = jobs.filter(|job| job.facts.created_at >= since);
            let keys = keys.map(|job| job.facts.object.key);
            (keys.collect(), format!("no job has begun since {}", since.rfc3339()))
        }
    };
    if keys.is_empty() {
        return Err(Usage(format!("{what}; `rowproof status` lists all jobs")).into());
    }
    Ok(keys)
}

/// What a key's object would run as, or why it cannot.
async fn examine(app: &App, key: &str, force: bool) -> anyhow::Result<Result<Target, String>> {
    let Some(head) = app.store.head(&app.settings.input_bucket, key).await? else {
        return Ok(Err("it is not stored any more; store it again to load it".to_owned()));
    };
    let (ready, captures) = match app.pipelines.matching(key).await {
        Ok(Matched::One(ready, captures)) => (ready, captures),
        Ok(Matched::None) => return Ok(Err("no pipeline matches its key".to_owned())),
        Ok(Matched::Skipped { what, .. }) => {
            return Ok(Err(format!("it is skipped by its name: {what}")));
        }
        Err(StepError::Pipeline(text)) => return Ok(Err(text)),
        Err(error) => return Err(error.into()),
    };
    let id = slot_id(&ready.pipeline, &head.object, &captures);
    let slot = app.ledger.slot(&id).await?;
    if ready.pipeline.source.replaces == Replaces::Nothing && slot.is_some() {
        return Ok(Err(format!(
            "pipeline {} has replaces = \"nothing\", so its rows would be there twice; store the \
             file under a new key instead",
            ready.pipeline.name
        )));
    }
    if let Some(slot) = &slot
        && ledger::restart(&id, Some(slot), &head.object, force, app.clock.now(), 0)
            == Observed::Older
    {
        let later = &slot.head_uri;
        return Ok(Err(format!("a later file, {later}, holds its place; --force takes it back")));
    }
    let before = previous(app, slot.as_ref()).await?;
    let changed = is_changed(before.as_ref(), &ready);
    let pipeline = ready.pipeline.clone();
    Ok(Ok(Target { key: key.to_owned(), pipeline, captures, slot: id, before, changed }))
}

async fn previous(app: &App, slot: Option<&Slot>) -> anyhow::Result<Option<Job>> {
    match slot {
        Some(slot) => Ok(app.ledger.job(&slot.head_job).await?),
        None => Ok(None),
    }
}

fn is_changed(before: Option<&Job>, ready: &Ready) -> bool {
    before.is_some_and(|job| job.facts.pipeline_sha != ready.sha256)
}

/// Which pipeline file is used: one that was only edited on this machine is not it.
fn name_pipelines(targets: &[Target]) {
    let pipelines: BTreeMap<&str, &Arc<Pipeline>> =
        targets.iter().map(|target| (target.pipeline.name.as_str(), &target.pipeline)).collect();
    for (name, pipeline) in pipelines {
        let sha256 = pipeline.sha256();
        let short = sha256.get(..12).unwrap_or(&sha256);
        let mut own = targets.iter().filter(|target| target.pipeline.name == name);
        let known = match own.any(|target| target.changed) {
            true => "not the one of the last run",
            false => "the one of the last run",
        };
        eprintln!(
            "{name}: by the pipeline file that is stored, {short}, {known}; an edited one is stored by \
             `rowproof run FILE.toml INPUT`, which loads INPUT under it"
        );
    }
}

/// Two files forced into one place would race for it.
fn refuse_rivals(targets: &[Target]) -> anyhow::Result<()> {
    let mut places = BTreeMap::new();
    for target in targets {
        if let Some(other) = places.insert(&target.slot, &target.key) {
            let text = format!(
                "{other} and {} replace each other, so --force cannot take both; name the job of one",
                target.key
            );
            return Err(Usage(text).into());
        }
    }
    Ok(())
}

/// What would run. The keys are a contract: more may come, none is renamed.
fn list(args: &Args, targets: &[Target], refused: &[Refused]) -> anyhow::Result<u8> {
    for target in targets {
        let job = target.before.as_ref();
        if args.json {
            report::line(&serde_json::to_string(&json!({
                "key": target.key,
                "pipeline": target.pipeline.name,
                "job": job.map(|job| &job.facts.job),
                "state": job.map(|job| job.state),
                "pipeline_changed": target.changed,
                "would_run": true,
                "error": null,
            }))?);
            continue;
        }
        let before = job.map_or("no job yet".to_owned(), |job| {
            format!("job {} is {}", job.facts.job, job.state.as_str())
        });
        let file = if target.changed { "another" } else { "the same" };
        report::line(&format!(
            "{}: would run through {} ({file} pipeline file; {before})",
            target.key, target.pipeline.name
        ));
    }
    if args.json {
        for Refused { key, why } in refused {
            let object = json!({ "key": key, "would_run": false, "error": why });
            report::line(&serde_json::to_string(&object)?);
        }
    }
    Ok(OK)
}

async fn load(world: &World, args: &Args, targets: &[Target]) -> anyhow::Result<u8> {
    let app = &world.app;
    let restart = if args.force { Restart::Force } else { Restart::Always };
    let started = Instant::now();
    let mut pace = Pace::new(args.rate);
    let mut awaited = vec![];
    for target in targets {
        pace.wait().await;
        observe(app, &target.key, restart).await?;
        awaited.push(Awaited::Object {
            pipeline: target.pipeline.clone(),
            captures: target.captures.clone(),
            key: target.key.clone(),
            before: target.before.as_ref().map(|job| job.facts.job.clone()),
            restart,
        });
    }
    let mut progress = Progress::new(std::io::stderr().is_terminal());
    let jobs = settle(world, &awaited, &mut progress).await;
    progress.finish();
    let mut outcomes = vec![];
    for (target, job) in targets.iter().zip(jobs?) {
        let name = format!("s3://{}/{}", app.settings.input_bucket, target.key);
        let mut outcome = match job {
            Some(job) => Outcome::of(app, &name, &job).await?,
            None => Outcome::without_job(&name, "no new job began; run again with --verbose"),
        };
        outcome.seconds = started.elapsed().as_secs_f64();
        if args.json {
            report::line(&serde_json::to_string(&outcome)?);
        } else {
            let file = Path::new("the pipeline file");
            report::outcome(&args.out.dir, file, &target.pipeline, &outcome);
        }
        outcomes.push(outcome);
    }
    Ok(worst(&outcomes))
}

#[cfg(test)]
mod tests {
    use super::parse_since;

    #[test]
    fn since_takes_a_date_or_a_time_and_says_so() {
        assert_eq!(parse_since("1970-01-02").unwrap().0, 86_400);
        let error = parse_since("monday").unwrap_err().to_string();
        assert!(error.contains("give a date"), "{error}");
    }
}
