//! `rowproof why`: the story of one job.

mod story;

use clap::Args as ClapArgs;
use rowproof_core::block::Layout;
use rowproof_core::decode;
use rowproof_core::ledger::{ChunkState, Job, JobState};
use rowproof_core::pipeline::WriteMode;
use rowproof_io::app::App;
use rowproof_io::documents::job::layout_of;
use rowproof_io::error::StepError;
use serde_json::json;

use crate::exit::OK;
use crate::local::world::World;
use crate::options::Out;
use crate::show::jobs;
use crate::show::jobs::Tally;
use crate::show::outcome::load_manifest;
use crate::show::report::line;

use story::{GivenUp, Story, Table, Today};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Id of the job, or the beginning of it
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Print it as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let world = World::open(&args.out.dir).await?;
    let story = gather(&world, &args).await;
    world.shutdown().await;
    let story = story?;
    let (told, next) = (story.tell(), story.next());
    if args.json {
        line(&to_json(&story, &told, &next).to_string());
        return Ok(OK);
    }
    for sentence in &told {
        line(sentence);
    }
    for (n, command) in next.iter().enumerate() {
        line(&format!("{} {command}", if n == 0 { "next:" } else { "  or:" }));
    }
    Ok(OK)
}

async fn gather(world: &World, args: &Args) -> anyhow::Result<Story> {
    let app = &world.app;
    let job = jobs::find(app, &args.job).await?;
    let slot = app.ledger.slot(&job.facts.slot).await?;
    let mut visible = None;
    if let Some(id) = slot.as_ref().and_then(|slot| slot.committed_job.clone()) {
        visible = app.ledger.job(&id).await?;
    }
    let mut visible_manifest = None;
    if let Some(visible) = &visible {
        visible_manifest = load_manifest(app, visible).await?;
    }
    let chunks = jobs::chunks(app, &job).await?;
    let given_up = chunks.iter().filter_map(|(id, chunk)| {
        let failure = chunk.failure.clone().filter(|_| chunk.state == ChunkState::Failed)?;
        Some(GivenUp { chunk: id.to_string(), failure })
    });
    let mut others = app.ledger.all_jobs().await?;
    others.retain(|other| other.facts.slot == job.facts.slot && other.facts.job != job.facts.job);
    others.sort_by_key(|other| (other.facts.generation, other.facts.created_at));
    let columns = columns(app, &job, &others).await?;
    let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await.ok();
    let sink = ready.as_ref().and_then(|ready| ready.pipeline.sink.postgres());
    let table = sink.map(|sink| Table {
        name: format!("{}.{}", sink.schema, sink.table),
        goes_back: sink.mode == WriteMode::DeleteInsert,
    });
    let object = &job.facts.object;
    let is_stored = app.store.head(&object.bucket, &object.key).await?.is_some();
    let reverted = slot.as_ref().filter(|slot| slot.was_reverted(&job.facts.object));
    Ok(Story {
        tally: Tally::count(job.chunk_count, chunks.iter().map(|(_, chunk)| chunk)),
        given_up: given_up.collect(),
        others,
        went_back_to: reverted.map(|slot| slot.head_job.clone()),
        manifest: load_manifest(app, &job).await?,
        head: slot.map(|slot| slot.head_job),
        visible,
        visible_manifest,
        today: today(app, &job).await?,
        columns,
        table,
        is_stored,
        runs: !world.is_own(),
        dir: args.out.dir.display().to_string(),
        job,
    })
}

/// How the columns of a job's file differ from the contract, and from the file that was loaded before it.
async fn columns(app: &App, job: &Job, others: &[Job]) -> anyhow::Result<Option<String>> {
    let Some(now) = layout(app, job).await? else { return Ok(None) };
    let is_before = |other: &&Job| {
        other.facts.generation < job.facts.generation
            && other.state == JobState::Committed
            && other.facts.replay.is_none()
    };
    let before = match others.iter().rev().find(is_before) {
        Some(before) => layout(app, before).await?,
        None => None,
    };
    let ready = app.pipelines.frozen(&job.facts.pipeline_sha).await?;
    let change = before.and_then(|before| decode::change(&before, &now));
    let texts: Vec<_> =
        decode::difference(&ready.pipeline, &now).into_iter().chain(change).collect();
    Ok((!texts.is_empty()).then(|| texts.join("; ")))
}

/// How the fields of a job's file met the contract, if that was found out and is still stored.
async fn layout(app: &App, job: &Job) -> anyhow::Result<Option<Layout>> {
    if job.plan.is_none() || job.facts.replay.is_some() {
        return Ok(None);
    }
    match layout_of(app, job).await {
        Ok(layout) => Ok(Some(layout)),
        Err(StepError::BadDocument { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How the pipeline file that is stored now compares to the job's.
async fn today(app: &App, job: &Job) -> anyhow::Result<Today> {
    let stored = app.pipelines.stored().await?;
    let now = stored.iter().find(|ready| ready.pipeline.name == job.facts.pipeline);
    Ok(match now {
        None => Today::Gone,
        Some(ready) if ready.sha256 == job.facts.pipeline_sha => Today::Same,
        Some(ready) => Today::Differs(ready.sha256.clone()),
    })
}

/// The keys are a contract: more may come, none is renamed.
fn to_json(story: &Story, told: &[String], next: &[String]) -> serde_json::Value {
    let (job, facts) = (&story.job, &story.job.facts);
    let pipeline_now = match &story.today {
        Today::Same => Some(&facts.pipeline_sha),
        Today::Differs(sha256) => Some(sha256),
        Today::Gone => None,
    };
    let hold = job.hold.as_ref();
    json!({
        "job": facts.job,
        "state": job.state,
        "pipeline": facts.pipeline,
        "pipeline_sha256": facts.pipeline_sha,
        "pipeline_now_sha256": pipeline_now,
        "object": facts.object,
        "generation": facts.generation,
        "created_at": facts.created_at.rfc3339(),
        "updated_at": job.updated_at.rfc3339(),
        "chunks": story.tally,
        "given_up": story.given_up,
        "replays": facts.replay.as_ref().map(|replay| &replay.parent),
        "goes_back_to": facts.reverts,
        "rows": story.manifest.as_ref().map(|manifest| manifest.totals.counts),
        "reasons": story.manifest.as_ref().map(|manifest| &manifest.totals.reasons),
        "hold": hold.map(|hold| json!({ "reason": hold.reason, "message": hold.message })),
        "approval": job.approval,
        "failure": job.failure,
        "object_is_stored": story.is_stored,
        "visible_job": story.visible.as_ref().map(|visible| &visible.facts.job),
        "story": told,
        "next": next,
    })
}
