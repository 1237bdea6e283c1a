//! What people and schedules do to the system: never subject to faults themselves, but
//! at any moment of the workers' troubles.

use std::sync::Arc;

use rowproof_core::archive::Predicate;
use rowproof_core::ledger::{self, JobState};
use rowproof_core::message::{Message, Restart, Task};
use rowproof_core::replay::{Correction, ReplayRequest};
use rowproof_io::app::App;
use rowproof_io::steps::replay::begin_replay;
use serde_json::json;

use crate::plan::{Action, PATCH};
use crate::setup;

pub(crate) async fn act(app: Arc<App>, action: Action) {
    match action {
        Action::Install { hold } => {
            app.ledger.ensure_table().await.unwrap();
            let text = setup::pipeline(hold).into_bytes();
            app.store.put("output", "_pipelines/orders.toml", text.into()).await.unwrap();
        }
        Action::Upload { key, bytes } => app.store.put("input", &key, bytes.into()).await.unwrap(),
        Action::Approve => approve(&app).await,
        Action::Discard => discard(&app).await,
        Action::Rerun { key } => observe(&app, key, Restart::Always).await,
        Action::Replay { key } => replay(&app, &key).await,
        Action::Purge => {}
        Action::Sweep => duty(&app, "sweep").await,
        Action::Reconcile => duty(&app, "reconcile").await,
        Action::Redrive => redrive(&app).await,
    }
}

async fn observe(app: &App, key: String, restart: Restart) {
    let task = Task::Observe { bucket: "input".into(), key, restart };
    let queue = app.settings.uploads_queue_url.as_deref().unwrap();
    app.queue.send(queue, &Message::new(task), 0).await.unwrap();
}

async fn approve(app: &App) {
    for job in app.ledger.all_jobs().await.unwrap() {
        let slot = app.ledger.slot(&job.facts.slot).await.unwrap();
        let head = slot.map_or(job.facts.generation, |slot| slot.generation);
        let Ok(write) = ledger::approve(&job, "sim", "as shown", head, app.clock.now()) else {
            continue;
        };
        if app.ledger.perform(&write).await.unwrap().stands() {
            let task = Task::Job { job: job.facts.job };
            app.queue.send(&app.settings.work_queue_url, &Message::new(task), 0).await.unwrap();
        }
    }
}

async fn discard(app: &App) {
    for job in app.ledger.all_jobs().await.unwrap() {
        if let Ok(write) = ledger::discard(&job, "sim", "not wanted", app.clock.now())
            && job.state == JobState::Held
        {
            app.ledger.perform(&write).await.unwrap();
        }
    }
}

async fn replay(app: &App, key: &str) {
    for job in app.ledger.all_jobs().await.unwrap() {
        if job.facts.object.key == key
            && job.state == JobState::Committed
            && job.facts.replay.is_none()
        {
            let request = ReplayRequest {
                parent: job.facts.job,
                selection: Predicate::all().to_string(),
                correction: Correction::Patch { text: PATCH.into() },
            };
            begin_replay(app, &request).await.unwrap();
        }
    }
}

async fn duty(app: &App, duty: &str) {
    let deadline = app.clock.deadline_in(60);
    rowproof_schedule::handle(app, &json!({ "duty": duty }), deadline).await.unwrap();
}

/// Each request has a name of its own: a chunk comes back once for each.
async fn redrive(app: &App) {
    for job in app.ledger.all_jobs().await.unwrap() {
        if matches!(job.state, JobState::Blocked | JobState::Failed) {
            let request = format!("at {}", app.clock.now_ms());
            let job = job.facts.job;
            let task = Task::Redrive { job, rev: None, cause: None, request };
            let queue = app.settings.redrive_queue_url.as_deref().unwrap();
            app.queue.send(queue, &Message::new(task), 0).await.unwrap();
        }
    }
}
