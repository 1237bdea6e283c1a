//! The sweeper: takes on again what nobody works on any more, because its message was lost or its
//! worker died. It changes no state but the time of the next look, so any number may run at once.

use futures_util::{StreamExt, stream};
use rowproof_core::ledger::{self, Chunk, ChunkState, DUE_SHARDS, Job, JobState, Slot};
use rowproof_core::message::{Message, Restart, Task};
use rowproof_core::time::EpochSeconds;
use serde::Serialize;
use tracing::{error, info};

use crate::app::App;
use crate::clock::Deadline;
use crate::duties::redrive::failed_chunks;
use crate::error::StepError;
use crate::ledger::Due;
use crate::steps::observe::Observation;
use crate::steps::observe::reverted_job;

/// Things of one shard that one call looks at. The next call takes what is left.
const PER_SHARD: i32 = 200;
/// No next look is ever further away than this, in seconds.
const FAR_SECONDS: i64 = 3600;
/// Things looked at at a time.
const IN_FLIGHT: usize = 8;

/// What to take on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What has not moved for as long as it should.
    Due,
    /// Everything unfinished: nobody else can be working on it.
    All,
}

/// What a call found and did. The keys are a contract: more may come, none is renamed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Things that were due.
    pub due: u64,
    /// For how long a job among them has not changed its state, in seconds; the longest.
    pub oldest_seconds: u64,
    /// Jobs that a message was sent for.
    pub jobs: u64,
    /// Objects to be observed again: their job was never created.
    pub objects: u64,
    /// Things that need no further look.
    pub rested: u64,
    /// Things that could not be looked at; the log says why.
    pub failed: u64,
    /// More is due than one call looks at.
    pub more: bool,
}

/// What was done about one thing.
enum Done {
    /// A message was sent for a job that has not changed its state for so many seconds.
    Job(u64),
    Object,
    Rested,
    Nothing,
}

/// Looks at what is due, up to a bound, and sends a message for what has to go on.
///
/// # Errors
/// The index or a queue does not answer. What was done until then stands; the next call goes on.
pub async fn sweep(app: &App, which: Which, deadline: Deadline) -> Result<Swept, StepError> {
    let (begin, end) = (EpochSeconds(0), EpochSeconds(i64::MAX));
    let now = app.clock.now();
    let spans = match which {
        // What is due so late was written by a clock that is wrong.
        Which::Due => vec![(begin, now), (now.plus(FAR_SECONDS), end)],
        Which::All => vec![(begin, end)],
    };
    let mut swept = Swept::default();
    for shard in 0..DUE_SHARDS {
        if deadline.is_near(app.settings.deadline_margin_ms) {
            swept.more = true;
            break;
        }
        let mut found = vec![];
        for span in &spans {
            found.extend(app.ledger.due(shard, *span, PER_SHARD).await?);
        }
        swept.more |= found.len() >= usize::try_from(PER_SHARD).unwrap_or(usize::MAX);
        let looks: Vec<_> = found.iter().map(|due| look(app, due, which)).collect();
        let mut looked = stream::iter(looks).buffer_unordered(IN_FLIGHT);
        while let Some(done) = looked.next().await {
            swept.due += 1;
            match done {
                Ok(Done::Job(seconds)) => {
                    swept.jobs += 1;
                    swept.oldest_seconds = swept.oldest_seconds.max(seconds);
                }
                Ok(Done::Object) => swept.objects += 1,
                Ok(Done::Rested) => swept.rested += 1,
                Ok(Done::Nothing) => {}
                // One that cannot be read must not keep the others waiting.
                Err(error) => {
                    error!(%error, "not swept");
                    swept.failed += 1;
                }
            }
        }
    }
    report(&swept);
    Ok(swept)
}

async fn look(app: &App, due: &Due, which: Which) -> Result<Done, StepError> {
    match due {
        Due::Job(id) => match app.ledger.job(id).await? {
            Some(job) => look_at_job(app, job, which).await,
            None => Ok(Done::Nothing),
        },
        Due::Slot(id) => match app.ledger.slot(id).await? {
            Some(slot) => look_at_slot(app, &slot).await,
            None => Ok(Done::Nothing),
        },
    }
}

async fn look_at_job(app: &App, mut job: Job, which: Which) -> Result<Done, StepError> {
    // The index lags: it is over.
    if job.state.is_settled() && job.state != JobState::Blocked {
        return Ok(Done::Nothing);
    }
    let now = app.clock.now();
    let id = job.facts.job.clone();
    // Whoever saw a chunk fail may have been late to say so: it had come back by then.
    if job.state == JobState::Blocked
        && failed_chunks(app, &job).await?.is_empty()
        && let Some(unblock) = ledger::redrive_job(&job, now)
    {
        app.ledger.perform(&unblock).await?;
        let Some(unblocked) = app.ledger.job(&id).await? else { return Ok(Done::Nothing) };
        job = unblocked;
    }
    if !app.ledger.perform(&ledger::postpone_job(&job, now)).await?.stands() {
        return Ok(Done::Nothing);
    }
    // Messages for every chunk again, each time that a long job is looked at, would be many.
    if which == Which::Due && (is_worked_on(app, &job).await? || waits_for_sink(app, &job).await?) {
        return Ok(Done::Nothing);
    }
    send(app, Task::Job { job: id }).await?;
    let seconds = now.0.saturating_sub(job.updated_at.0);
    Ok(Done::Job(u64::try_from(seconds).unwrap_or(0)))
}

/// Whether the job's sink is down and not to be tried yet. The time of the next try does not move while
/// nobody tries, so a job whose messages are lost is taken on then.
async fn waits_for_sink(app: &App, job: &Job) -> Result<bool, StepError> {
    let outage = app.ledger.outage(&job.facts.pipeline).await?;
    Ok(crate::steps::outage::wait_seconds(app, outage.as_ref()).is_some())
}

/// Whether a worker holds a chunk of the job.
async fn is_worked_on(app: &App, job: &Job) -> Result<bool, StepError> {
    let now = app.clock.now();
    let groups = job.chunk_count.map_or(u32::MAX, ledger::group_count);
    for group in 0..groups {
        let chunks = app.ledger.chunks_of_group(&job.facts.job, group).await?;
        let live = |chunk: &Chunk| chunk.state == ChunkState::Leased && chunk.lease_until >= now;
        if chunks.iter().any(|(_, chunk)| live(chunk)) {
            return Ok(true);
        }
        // Neither a chain nor a plan that is not made has a count; chunks leave no gap.
        if chunks.is_empty() && job.chunk_count.is_none() {
            break;
        }
    }
    Ok(false)
}

/// A head whose job is there is that job's business from now on. One without a job was left by a
/// worker that died between the two, and is observed again while its object is stored.
async fn look_at_slot(app: &App, slot: &Slot) -> Result<Done, StepError> {
    let is_over = slot.committed_job.as_ref() == Some(&slot.head_job);
    let is_missing = !is_over && app.ledger.job(&slot.head_job).await?.is_none();
    if is_missing && slot.reverted.is_some() {
        if let Observation::Job(job) = reverted_job(app, slot).await? {
            send(app, Task::Job { job: job.facts.job }).await?;
            return Ok(Done::Object);
        }
    } else if is_missing && let Some((bucket, key)) = stored(app, &slot.head_uri).await? {
        send(app, Task::Observe { bucket, key, restart: Restart::No }).await?;
        return Ok(Done::Object);
    }
    app.ledger.perform(&ledger::rest_slot(slot)).await?;
    Ok(Done::Rested)
}

/// Bucket and key of an object that is stored now. Listing shows it: no right to read it is needed.
async fn stored(app: &App, uri: &str) -> Result<Option<(String, String)>, StepError> {
    let named = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    let Some((bucket, key)) = named else { return Ok(None) };
    // The key itself comes before all keys that begin with it.
    let page = app.store.page(bucket, key, "").await?;
    let is_there = page.objects.first().is_some_and(|object| object.key == key);
    Ok(is_there.then(|| (bucket.to_owned(), key.to_owned())))
}

async fn send(app: &App, task: Task) -> Result<(), StepError> {
    Ok(app.queue.send(&app.settings.work_queue_url, &Message::new(task), 0).await?)
}

fn report(swept: &Swept) {
    if swept.due > 0 {
        let Swept { due, jobs, objects, rested, failed, .. } = swept;
        info!(due, jobs, objects, rested, failed, more = swept.more, "swept");
    }
    crate::telemetry::duty(
        "sweep",
        &[
            ("DueBacklog", "Count", swept.due),
            ("UnfinishedOldest", "Seconds", swept.oldest_seconds),
            ("DueFailed", "Count", swept.failed),
        ],
    );
}
