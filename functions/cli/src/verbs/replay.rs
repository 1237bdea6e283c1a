//! `rowproof replay`: failed rows through the pipeline again, after a correction.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;
use clap::Args as ClapArgs;
use rowproof_core::archive::Predicate;
use rowproof_core::ids::sha256_hex;
use rowproof_core::ledger::{Job, JobState, PlanRef};
use rowproof_core::names;
use rowproof_core::patch::{Fixed, Patch};
use rowproof_core::replay::{Correction, Fate, ReplayRequest, ReplayTally};
use rowproof_io::app::App;
use rowproof_io::steps::replay::{
    Begun, Preview, Sample, begin_replay, changes_made, preview_replay,
};
use serde_json::json;

use crate::exit::{FAILED, HELD, INTERRUPTED, OK, Usage};
use crate::local::wait::{Awaited, HolderEnded, is_disconnect, or_interrupted, settle};
use crate::local::world::World;
use crate::options::Out;
use crate::show::jobs;
use crate::show::outcome::load_manifest;
use crate::show::progress::Progress;
use crate::show::report::{counted, equation_of, grouped, line, printable};

/// Processes with the folder's local AWS that may end one after another under this one.
const HOLDERS_MAX: u32 = 5;

/// Times a replay is planned anew because its job changed meanwhile.
const REPLANS_MAX: u32 = 20;

#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("correction").args(["patch", "fixed"]))]
pub(crate) struct Args {
    /// The job whose failed rows are meant: its id, or the beginning of it. May be left out when there is
    /// only one with failed rows
    #[arg(long)]
    job: Option<String>,
    /// Which failed rows: a SQL condition over the columns of the failure archive, such as
    /// "column = 'amount'"; `rowproof failures list --where` takes it too
    #[arg(long = "where", value_name = "CONDITION")]
    condition: Option<String>,
    /// Correct them by a patch file; `rowproof failures top --write-patch FILE` proposes one
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Take them from a corrected export, as `rowproof failures export --to FILE` wrote it
    #[arg(long, value_name = "FILE")]
    fixed: Option<PathBuf>,
    /// Show what would happen, without writing anything
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    out: Out,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    if args.patch.is_none() && args.fixed.is_none() && args.condition.is_none() {
        let text = "say which rows by --where, and how they are corrected by --patch or --fixed";
        return Err(Usage(text.into()).into());
    }
    for _ in 0..HOLDERS_MAX {
        let world = match args.dry_run {
            true => World::open(&args.out.dir).await?,
            false => World::resume(&args.out.dir).await?,
        };
        let code = or_interrupted(Box::pin(replay(&world, &args))).await;
        world.shutdown().await;
        match code {
            // Whoever did it has gone, with the local AWS: look again what is left to do.
            Err(error) if error.is::<HolderEnded>() || is_disconnect(&error) => {}
            code => return Ok(code?.unwrap_or(INTERRUPTED)),
        }
    }
    anyhow::bail!("other processes kept taking {} and leaving it", args.out.dir.display())
}

async fn replay(world: &World, args: &Args) -> anyhow::Result<u8> {
    let job = parent(&world.app, args.job.as_deref()).await?;
    let request = request(&world.app, args, &job).await?;
    if args.dry_run {
        return match preview_replay(&world.app, &request).await? {
            Preview::Would { tally, samples } => {
                print_preview(args, &job, &tally, &samples)?;
                Ok(OK)
            }
            Preview::Refused(why) => Err(Usage(why).into()),
        };
    }
    for _ in 0..REPLANS_MAX {
        let id = match begin_replay(&world.app, &request).await? {
            Begun::Job(id) => id,
            Begun::Nothing => {
                print_nothing(args, &job);
                return Ok(OK);
            }
            Begun::Refused(why) => return Err(Usage(why).into()),
        };
        let mut progress = Progress::new(false);
        let settled = settle(world, &[Awaited::Job(id)], &mut progress).await?.pop().flatten();
        let settled = settled.context("the replay has vanished")?;
        // The job changed under it: what is left of the wish is planned from what stands now.
        if settled.state != JobState::Superseded {
            return report(&world.app, args, &job, &settled).await;
        }
    }
    anyhow::bail!("job {} kept changing while its rows were replayed", job.facts.job)
}

/// The job that is named, or the only one with failed rows.
async fn parent(app: &App, named: Option<&str>) -> anyhow::Result<Job> {
    if let Some(text) = named {
        return jobs::find(app, text).await;
    }
    let mut with_failures = vec![];
    for source in crate::verbs::failures::sources(app, None).await? {
        if source.manifest.totals.counts.rejected > 0 {
            with_failures.push(source.job);
        }
    }
    match with_failures.len() {
        1 => with_failures.pop().context("there is one"),
        0 => Err(Usage("no job has failed rows; `rowproof status` lists all jobs".into()).into()),
        several => {
            let text = format!(
                "{several} jobs have failed rows: name one by --job; `rowproof failures list` shows them"
            );
            Err(Usage(text).into())
        }
    }
}

async fn request(app: &App, args: &Args, job: &Job) -> anyhow::Result<ReplayRequest> {
    let selection = match &args.condition {
        Some(text) => Predicate::parse(text).map_err(|error| Usage(format!("--where: {error}")))?,
        None => Predicate::all(),
    };
    let correction = match (&args.patch, &args.fixed) {
        (Some(file), _) => {
            let name = file.display().to_string();
            let text = String::from_utf8(read(file)?)
                .map_err(|_| Usage(format!("{name} is not UTF-8 text")))?;
            let patch = Patch::parse(&name, &text).map_err(|all| Usage(all.to_string()))?;
            let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await?;
            patch.check(&ready.pipeline).map_err(|all| Usage(all.to_string()))?;
            Correction::Patch { text: patch.to_toml() }
        }
        (None, Some(file)) => {
            let (name, bytes) = (file.display().to_string(), Bytes::from(read(file)?));
            let fixed = Fixed::read(&name, &bytes, &job.facts.job.0);
            let fixed = fixed.map_err(|all| Usage(all.to_string()))?;
            let text = fixed.to_csv();
            let sha256 = sha256_hex(text.as_bytes());
            let key = names::replay_rows(&sha256);
            let bucket = &app.settings.output_bucket;
            if !args.dry_run || app.store.head(bucket, &key).await?.is_none() {
                app.store.put_new(bucket, &key, Bytes::from(text), &job.facts.job.0).await?;
            }
            Correction::Fixed { file: PlanRef { key, sha256 } }
        }
        (None, None) => Correction::Nothing,
    };
    Ok(ReplayRequest {
        parent: job.facts.job.clone(),
        selection: selection.to_string(),
        correction,
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = std::fs::read(file);
    Ok(bytes.map_err(|error| Usage(format!("{}: {error}", file.display())))?)
}

fn print_nothing(args: &Args, job: &Job) {
    let id = &job.facts.job;
    match args.json {
        true => {
            line(&json!({ "job": id, "state": "NOTHING", "selected": 0, "loaded": 0 }).to_string())
        }
        false => line(&format!("no failed row of job {id} is selected: nothing to do")),
    }
}

fn print_preview(
    args: &Args,
    job: &Job,
    tally: &ReplayTally,
    samples: &[Sample],
) -> anyhow::Result<()> {
    if args.json {
        let mut figures = serde_json::to_value(tally)?;
        if let Some(figures) = figures.as_object_mut() {
            figures.insert("parent".into(), json!(job.facts.job));
            figures.insert("dry_run".into(), json!(true));
        }
        line(&figures.to_string());
        return Ok(());
    }
    for sample in samples {
        let fate = match &sample.fate {
            Fate::Lands => "would be loaded".to_owned(),
            Fate::Stays => "would stay".to_owned(),
            Fate::StillBad(code, Some(column)) => format!("would still fail: {code} in {column}"),
            Fate::StillBad(code, None) => format!("would still fail: {code}"),
        };
        line(&format!("row {} {fate}", sample.row_number));
        let text = |text: &Option<String>| match text {
            Some(text) => printable(text, 200),
            None => "(not shown: the pipeline hides values)".to_owned(),
        };
        if sample.before != sample.after {
            line(&format!("  - {}", text(&sample.before)));
            line(&format!("  + {}", text(&sample.after)));
        }
    }
    print_tally(tally, "would be loaded");
    line("nothing was written; the same command without --dry-run does it");
    Ok(())
}

fn print_tally(tally: &ReplayTally, loaded: &str) {
    let rows = counted(tally.selected, "failed row");
    line(&format!("{rows} selected: {} {loaded}", grouped(tally.loaded)));
    for reason in &tally.reasons {
        let column = reason.column.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
        line(&format!("{:>11} still bad: {}{column}", grouped(reason.rows), reason.code));
    }
    let bad: u64 = tally.reasons.iter().map(|reason| reason.rows).sum();
    for (rows, what) in [
        (tally.failed.saturating_sub(bad), "that the correction cannot be applied to"),
        (tally.unchanged, "that no correction changes"),
        (tally.source_gone, "whose source is gone or was overwritten (source_gone)"),
    ] {
        if rows > 0 {
            line(&format!("{:>11} {what}", grouped(rows)));
        }
    }
}

async fn report(app: &App, args: &Args, parent: &Job, replay: &Job) -> anyhow::Result<u8> {
    let id = &parent.facts.job;
    let after = app.ledger.job(id).await?.context("the job has vanished")?;
    let changes = changes_made(app, replay).await?;
    let tally = changes.map(|changes| changes.tally).unwrap_or_default();
    let manifest = load_manifest(app, &after).await?;
    let counts = manifest.as_ref().map(|manifest| manifest.totals.counts).unwrap_or_default();
    let balanced = manifest.as_ref().is_some_and(|manifest| manifest.balanced());
    if args.json {
        let mut figures = serde_json::to_value(&tally)?;
        if let Some(figures) = figures.as_object_mut() {
            for (name, value) in [
                ("job", json!(replay.facts.job)),
                ("state", json!(replay.state.as_str())),
                ("parent", json!(id)),
                ("parent_state", json!(after.state.as_str())),
                ("revision", json!(manifest.as_ref().map(|manifest| manifest.revision))),
                ("rows_read", json!(counts.read)),
                ("rows_loaded", json!(counts.loaded)),
                ("rows_rejected", json!(counts.rejected)),
                ("balanced", json!(balanced)),
                ("error", json!(replay.failure.as_ref().map(|failure| &failure.message))),
            ] {
                figures.insert(name.into(), value);
            }
        }
        line(&figures.to_string());
    } else if let Some(failure) = &replay.failure {
        line(&format!("the replay ended: {}: {}", failure.code, failure.message));
    } else {
        print_tally(&tally, "loaded now");
        line(&format!("job {id}: {}", equation_of(&counts, balanced)));
        line(&format!("next: rowproof verify {id} --out {}", args.out.dir.display()));
        if let Some(patch) = args.patch.as_ref().filter(|_| tally.loaded > 0) {
            let patch = patch.display();
            line(&format!("for files to come: rowproof amend PIPELINE.toml {patch}"));
        }
    }
    Ok(match (replay.state, after.state) {
        (JobState::Committed, JobState::Held) => HELD,
        (JobState::Committed, _) if balanced => OK,
        _ => FAILED,
    })
}
