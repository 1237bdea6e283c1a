//! Waiting until jobs settle, whoever runs them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rowproof_core::ids::JobId;
use rowproof_core::ledger::Job;
use rowproof_core::message::{Message, Restart, Task};
use rowproof_core::pipeline::Pipeline;
use rowproof_io::app::App;
use rowproof_io::aws::error::AwsError;
use rowproof_io::error::StepError;
use rowproof_io::steps::observe::job_of;
use serde_json::json;

use crate::local::world::World;
use crate::show::jobs::tally;
use crate::show::progress::Progress;

/// What is waited for.
#[derive(Debug, Clone)]
pub(crate) enum Awaited {
    /// The job of the version that is under a key.
    Object {
        /// Pipeline of the key.
        pipeline: Arc<Pipeline>,
        /// Captures of the key.
        captures: BTreeMap<String, String>,
        /// Key in the input bucket.
        key: String,
        /// The job before, which is not meant.
        before: Option<JobId>,
        /// How to ask for it.
        restart: Restart,
    },
    /// This job.
    Job(JobId),
    /// This job, once somebody has decided about it after a revision.
    Later {
        /// The job.
        job: JobId,
        /// The revision.
        after: i64,
    },
}

impl Awaited {
    /// The job as it stands; `None` when it has not begun.
    async fn job(&self, app: &App) -> Result<Option<Job>, StepError> {
        match self {
            Awaited::Object { pipeline, captures, key, before, .. } => {
                let job = job_of(app, pipeline, captures, key).await?;
                Ok(job.filter(|job| before.as_ref() != Some(&job.facts.job)))
            }
            Awaited::Job(job) => app.ledger.job(job).await,
            Awaited::Later { job, after } => {
                let job = app.ledger.job(job).await?;
                Ok(job.filter(|job| job.rev > *after))
            }
        }
    }

    /// Asks again for what has not begun: its message may be lost.
    async fn ask_again(&self, app: &App) -> anyhow::Result<()> {
        match self {
            Awaited::Object { key, restart, .. } => observe(app, key, *restart).await,
            Awaited::Job(job) | Awaited::Later { job, .. } => take_on(app, job).await,
        }
    }
}

/// Asks for an object to be observed.
pub(crate) async fn observe(app: &App, key: &str, restart: Restart) -> anyhow::Result<()> {
    let bucket = app.settings.input_bucket.clone();
    let task = Task::Observe { bucket, key: key.to_owned(), restart };
    let queue = app.settings.uploads_queue_url.as_deref().unwrap_or_default();
    Ok(app.queue.send(queue, &Message::new(task), 0).await?)
}

/// Asks for a job to be taken on from where it stands.
pub(crate) async fn take_on(app: &App, job: &JobId) -> anyhow::Result<()> {
    let task = Task::Job { job: job.clone() };
    Ok(app.queue.send(&app.settings.work_queue_url, &Message::new(task), 0).await?)
}

/// The jobs, when every one has settled, or when nothing moves any more in spite of sweeps.
pub(crate) async fn settle(
    world: &World,
    awaited: &[Awaited],
    progress: &mut Progress,
) -> anyhow::Result<Vec<Option<Job>>> {
    if !world.is_own() {
        return settle_elsewhere(world, awaited, progress).await;
    }
    let mut sweeps = 0;
    let mut before = String::new();
    let mut quiet = 0;
    let mut tick = 0_u32;
    loop {
        tokio::time::sleep(Duration::from_millis(10)).await;
        tick += 1;
        if tick.is_multiple_of(25) {
            progress.update(&world.app, &jobs(&world.app, awaited).await?).await?;
        }
        // Between two messages there is a moment without either: look twice.
        quiet = if world.is_idle() { quiet + 1 } else { 0 };
        if quiet < 2 {
            continue;
        }
        let jobs = jobs(&world.app, awaited).await?;
        let now = standing(&world.app, &jobs).await?;
        sweeps = if now == before { sweeps + 1 } else { 1 };
        let (sweeps_max, pause) = world.patience();
        if jobs.iter().all(is_settled) || sweeps > sweeps_max {
            progress.update(&world.app, &jobs).await?;
            return Ok(jobs);
        }
        before = now;
        quiet = 0;
        tokio::time::sleep(pause).await;
        // All queues are empty and no worker runs, so whatever is unfinished lost its message.
        world.duty(json!({ "duty": "sweep", "all": true })).await?;
        for (awaited, _) in awaited.iter().zip(&jobs).filter(|(_, job)| job.is_none()) {
            awaited.ask_again(&world.app).await?;
        }
    }
}

/// How far the jobs are, to tell whether anything moved.
async fn standing(app: &App, jobs: &[Option<Job>]) -> anyhow::Result<String> {
    let mut text = String::new();
    for job in jobs.iter().flatten() {
        let done = tally(app, job).await?.done;
        text.push_str(&format!("{} {} {} {done};", job.facts.job, job.state.as_str(), job.rev));
    }
    Ok(text)
}

/// The workers are another process's: all there is to do is to look.
async fn settle_elsewhere(
    world: &World,
    awaited: &[Awaited],
    progress: &mut Progress,
) -> anyhow::Result<Vec<Option<Job>>> {
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let looked = async {
            let jobs = jobs(&world.app, awaited).await?;
            progress.update(&world.app, &jobs).await?;
            anyhow::Ok(jobs)
        };
        let jobs = match looked.await {
            Err(error) if is_disconnect(&error) => {
                return Err(HolderEnded(world.dir.display().to_string()).into());
            }
            other => other?,
        };
        if jobs.iter().all(is_settled) {
            return Ok(jobs);
        }
    }
}

/// Another process had the folder's local AWS and has ended.
#[derive(Debug, thiserror::Error)]
#[error(
    "the process that ran {0} has ended before the job: give `rowproof run` again, or `rowproof dev` \
     to go on with all unfinished jobs"
)]
pub(crate) struct HolderEnded(String);

/// Whether nobody answers any more: the process with the servers has ended.
pub(crate) fn is_disconnect(error: &anyhow::Error) -> bool {
    let error = match error.downcast_ref::<StepError>() {
        Some(StepError::Aws(error)) => Some(error),
        _ => error.downcast_ref::<AwsError>(),
    };
    error.is_some_and(|error| error.status == 0)
}

fn is_settled(job: &Option<Job>) -> bool {
    job.as_ref().is_some_and(|job| job.state.is_settled())
}

async fn jobs(app: &App, awaited: &[Awaited]) -> Result<Vec<Option<Job>>, StepError> {
    let mut jobs = vec![];
    for one in awaited {
        jobs.push(one.job(app).await?);
    }
    Ok(jobs)
}

/// Ends with Ctrl-C, or with the signal by which a supervisor ends a process.
async fn told_to_end() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    tokio::signal::ctrl_c().await.ok();
}

/// The result, or `None` when Ctrl-C or SIGTERM came first.
pub(crate) async fn or_interrupted<T>(
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<Option<T>> {
    tokio::select! {
        result = work => result.map(Some),
        () = told_to_end() => {
            eprintln!("\ninterrupted: nothing is lost; the same command goes on where this one stopped");
            Ok(None)
        }
    }
}
