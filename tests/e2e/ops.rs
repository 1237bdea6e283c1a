//! What brings work back: the sweeper, the reconciler and redrive, with every message in the test's hand.

use rowproof_core::ledger::{self, Chunk, ChunkId, ChunkState, Failure, Job, JobState};
use rowproof_core::message::Task;
use serde_json::json;
use tempfile::TempDir;

use crate::support::cloud::Cloud;
use crate::support::oracle;
use crate::support::orders::Orders;

const KEY: &str = "incoming/a.csv";

async fn cloud(chunk_rows: u32) -> (TempDir, Cloud) {
    let folder = TempDir::with_prefix("rowproof-ops-").unwrap();
    let cloud = Cloud::start(folder.path(), chunk_rows).await;
    (folder, cloud)
}

fn orders(rows: usize) -> Vec<u8> {
    Orders::flawed(rows).csv().0
}

/// The file is loaded, whole and once.
async fn is_loaded(cloud: &Cloud, file: &[u8]) {
    let jobs = cloud.app.ledger.all_jobs().await.unwrap();
    let states: Vec<_> = jobs.iter().map(|job| job.state).collect();
    assert!(states.iter().all(|state| *state == JobState::Committed), "{states:?}");
    let (loaded, good) = (cloud.loaded(), oracle::good(file));
    assert!(loaded == good, "{} rows are there, {} were expected", loaded.len(), good.len());
}

#[tokio::test]
async fn a_job_whose_messages_are_all_lost_goes_on_after_a_sweep() {
    let (_folder, cloud) = cloud(10).await;
    let file = orders(120);
    cloud.put(KEY, &file).await;
    cloud.tell(KEY).await;
    cloud.deliver("uploads").await;
    for _ in 0..4 {
        cloud.deliver_up_to("work", 1).await;
    }
    cloud.purge().await;
    assert_eq!(cloud.job().await.state, JobState::Running);

    let early = cloud.duty(&cloud.app, json!({ "duty": "sweep" })).await;
    assert_eq!((&early["due"], cloud.depth("work")), (&json!(0), 0), "nobody is late yet");
    let swept = cloud.sweep_later().await;
    assert_eq!((&swept["jobs"], &swept["more"]), (&json!(1), &json!(false)), "{swept}");
    // Lost again, at every step there is.
    cloud.purge().await;
    cloud.duty(&cloud.app, json!({ "detail-type": "Scheduled Event", "detail": {} })).await;
    let all = json!({ "detail": { "duty": "sweep", "all": true } });
    assert_eq!(cloud.duty(&cloud.app, all).await["jobs"], 1);
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
    assert_eq!(cloud.sweep_later().await["due"], 0, "what is over is not listed any more");
}

#[tokio::test]
async fn a_job_that_waits_for_its_sink_is_taken_on_when_that_may_be_tried() {
    let (_folder, cloud) = cloud(10).await;
    let file = orders(40);
    cloud.put(KEY, &file).await;
    cloud.tell(KEY).await;
    cloud.deliver("uploads").await;
    cloud.purge().await;
    let down = ledger::mark_unavailable("orders", "m", cloud.later.clock.now().plus(600));
    assert!(cloud.app.ledger.perform(&down).await.unwrap().stands());
    let swept = cloud.sweep_later().await;
    assert_eq!((&swept["jobs"], cloud.depth("work")), (&json!(0), 0), "{swept}");
    let outage = cloud.app.ledger.outage("orders").await.unwrap().unwrap();
    assert!(
        cloud.app.ledger.perform(&ledger::end_outage("orders", &outage)).await.unwrap().stands()
    );
    assert_eq!(cloud.duty(&cloud.app, json!({ "duty": "sweep", "all": true })).await["jobs"], 1);
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
}

#[tokio::test]
async fn two_sweepers_at_once_do_no_harm() {
    let (_folder, cloud) = cloud(10).await;
    let file = orders(90);
    cloud.put(KEY, &file).await;
    cloud.tell(KEY).await;
    cloud.deliver("uploads").await;
    cloud.purge().await;
    let (one, two) = tokio::join!(cloud.sweep_later(), cloud.sweep_later());
    assert!(one["jobs"].as_u64().unwrap() + two["jobs"].as_u64().unwrap() >= 1, "{one} {two}");
    let (_, _, one) = tokio::join!(cloud.settle(), cloud.settle(), cloud.sweep_later());
    assert_eq!(one["failed"], 0);
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
}

#[tokio::test]
async fn a_head_without_a_job_is_found_by_the_sweeper() {
    let (_folder, cloud) = cloud(100).await;
    let file = orders(20);
    cloud.put(KEY, &file).await;
    // As of a worker that died between taking the slot and creating the job.
    let object = cloud.app.store.head("input", KEY).await.unwrap().unwrap().object;
    let pipelines = cloud.app.pipelines.stored().await.unwrap();
    let pipeline = &pipelines[0].pipeline;
    let id = rowproof_core::ids::slot_id(pipeline, &object, &Default::default());
    let seen = ledger::observe(&id, None, &object, cloud.app.clock.now(), 0);
    let ledger::Observed::NewHead { write, .. } = seen else { panic!("{seen:?}") };
    assert!(cloud.app.ledger.perform(&write).await.unwrap().stands());

    assert_eq!(cloud.sweep_later().await["objects"], 1);
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
    assert_eq!(cloud.sweep_later().await["due"], 0);

    // One whose object is gone has nothing to load.
    let gone = rowproof_core::ids::ObjectVersion { key: "incoming/gone.csv".into(), ..object };
    let id = rowproof_core::ids::slot_id(pipeline, &gone, &Default::default());
    let seen = ledger::observe(&id, None, &gone, cloud.app.clock.now(), 0);
    let ledger::Observed::NewHead { write, .. } = seen else { panic!("{seen:?}") };
    assert!(cloud.app.ledger.perform(&write).await.unwrap().stands());
    assert_eq!(cloud.sweep_later().await["rested"], 1);
    assert_eq!(cloud.sweep_later().await["due"], 0);
}

#[tokio::test]
async fn an_upload_whose_event_never_came_is_found_by_the_reconciler() {
    let (_folder, cloud) = cloud(100).await;
    let (old, new) = (orders(30), Orders { first_id: 7, ..Orders::flawed(40) }.csv().0);
    cloud.put(KEY, &old).await;
    cloud.put("elsewhere/b.csv", b"x").await;
    let future = json!({ "duty": "reconcile", "since": "2999-01-01" });
    assert_eq!(cloud.duty(&cloud.app, future).await["objects"], 0);
    let found = cloud.duty(&cloud.app, json!({ "duty": "reconcile", "since_hours": 1 })).await;
    assert_eq!((&found["objects"], &found["unobserved"]), (&json!(1), &json!(1)), "{found}");
    assert_eq!((&found["unmatched"], &found["complete"]), (&json!(1), &json!(true)), "{found}");
    cloud.settle().await;
    is_loaded(&cloud, &old).await;

    // A new version, of which nobody tells either.
    cloud.put(KEY, &new).await;
    let (one, two) = tokio::join!(
        cloud.duty(&cloud.app, json!({ "duty": "reconcile" })),
        cloud.duty(&cloud.app, json!({ "duty": "reconcile" })),
    );
    assert_eq!((&one["unobserved"], &two["unobserved"]), (&json!(1), &json!(1)));
    cloud.settle().await;
    is_loaded(&cloud, &new).await;
    let again = cloud.duty(&cloud.app, json!({ "duty": "reconcile" })).await;
    assert_eq!((&again["unobserved"], &again["doubtful"]), (&json!(0), &json!(0)), "{again}");
    assert_eq!(cloud.depth("work"), 0);
}

async fn load(cloud: &Cloud, file: &[u8]) -> Job {
    cloud.put(KEY, file).await;
    cloud.tell(KEY).await;
    cloud.settle().await;
    assert!(cloud.loaded() == oracle::good(file));
    let mut jobs = cloud.app.ledger.all_jobs().await.unwrap();
    jobs.sort_by_key(|job| job.facts.generation);
    jobs.pop().unwrap()
}

fn version(first_id: usize) -> Vec<u8> {
    Orders { first_id, ..Orders::clean(30) }.csv().0
}

#[tokio::test]
async fn working_files_go_after_the_grace_but_those_that_may_be_gone_back_to() {
    let (_folder, cloud) = cloud(10).await;
    let mut jobs = vec![load(&cloud, &version(1)).await, load(&cloud, &version(2)).await];
    // One is overtaken with a chunk of it done.
    cloud.put(KEY, &version(3)).await;
    cloud.tell(KEY).await;
    cloud.deliver("uploads").await;
    cloud.deliver_up_to("work", 1).await;
    jobs.push(load(&cloud, &version(4)).await);
    let all = cloud.app.ledger.all_jobs().await.unwrap();
    let overtaken = all.iter().find(|job| job.state == JobState::Superseded).unwrap();
    let reconcile = json!({ "duty": "reconcile" });
    let early = cloud.duty(&cloud.app, reconcile.clone()).await;
    assert_eq!(early["working_removed"], 0, "{early}");

    let late = cloud.duty(&cloud.later, reconcile.clone()).await;
    assert!(late["working_removed"].as_u64() > Some(0) && late["doubtful"] == 0, "{late}");
    for folder in ["_staging", "_plans"] {
        let mut there = vec![];
        for job in [&jobs[0], overtaken, &jobs[1], &jobs[2]] {
            there.push(cloud.has(&format!("{folder}/{}/", job.facts.job)).await);
        }
        assert_eq!(there, [false, false, true, true], "{folder}");
    }
    assert!(cloud.has("_plans/pipelines/").await);
    assert_eq!(cloud.duty(&cloud.later, reconcile).await["working_removed"], 0);
    assert!(cloud.loaded() == oracle::good(&version(4)));
    let back = rowproof_io::steps::revert::revert(&cloud.app, &jobs[2].facts.slot).await.unwrap();
    assert!(matches!(back, rowproof_io::steps::revert::Revert::Begun { .. }), "{back:?}");
    cloud.settle().await;
    assert!(cloud.loaded() == oracle::good(&version(2)));
}

#[tokio::test]
async fn what_a_late_worker_published_is_removed_and_what_others_stored_is_not() {
    let (folder, cloud) = cloud(10).await;
    let old = load(&cloud, &version(1)).await;
    let new = load(&cloud, &version(2)).await;
    let store = &cloud.app.store;
    let manifest = store.get("output", old.manifest.as_ref().unwrap()).await.unwrap().unwrap();
    let manifest: rowproof_core::receipt::Manifest = serde_json::from_slice(&manifest).unwrap();
    for file in &manifest.files {
        store.copy_new("output", &file.staged, &file.key).await.unwrap();
    }
    assert!(cloud.loaded() != oracle::good(&version(2)), "both versions are there for a moment");
    let strays = [
        format!("curated/orders/000002-{}-000009-0123456789abcdef.parquet", new.facts.job),
        "curated/orders/part-0.parquet".to_owned(),
    ];
    for key in &strays {
        store.put("output", key, "not read".into()).await.unwrap();
    }
    let reconcile = json!({ "duty": "reconcile" });
    let removed = cloud.duty(&cloud.app, reconcile.clone()).await;
    assert_eq!(removed["published_removed"], manifest.files.len(), "{removed}");
    assert!(cloud.has(&strays[0]).await, "a worker may be about to name it");
    let late = cloud.duty(&cloud.later, reconcile).await;
    assert_eq!(late["published_removed"], 1, "{late}");
    assert!(!cloud.has(&strays[0]).await && cloud.has(&strays[1]).await);
    std::fs::remove_file(folder.path().join("output").join(&strays[1])).unwrap();
    assert!(cloud.loaded() == oracle::good(&version(2)));
}

#[tokio::test]
async fn a_reconcile_that_runs_out_of_time_goes_on_where_it_stopped() {
    let (_folder, cloud) = cloud(100).await;
    cloud.put(KEY, &orders(10)).await;
    let over = cloud.app.clock.deadline_in(0);
    let event = json!({ "duty": "reconcile" });
    let early = rowproof_schedule::handle(&cloud.app, &event, over).await.unwrap();
    assert_eq!((&early["complete"], &early["objects"]), (&json!(false), &json!(0)));
    assert!(cloud.has("_reconcile/all.json").await);
    let rest = cloud.duty(&cloud.app, event.clone()).await;
    assert_eq!((&rest["complete"], &rest["unobserved"]), (&json!(true), &json!(1)));
    // Where it stopped may be nonsense: it only says where to begin.
    cloud.app.store.put("output", "_reconcile/all.json", "{]".into()).await.unwrap();
    assert_eq!(cloud.duty(&cloud.app, event).await["complete"], true);
    cloud.settle().await;
    is_loaded(&cloud, &orders(10)).await;
}

#[tokio::test]
async fn a_schedule_that_names_an_unknown_duty_fails() {
    let (_folder, cloud) = cloud(100).await;
    let deadline = cloud.app.clock.deadline_in(60);
    for event in [json!({ "duty": "dust" }), json!({ "duty": "reconcile", "since": "monday" })] {
        let answer = rowproof_schedule::handle(&cloud.app, &event, deadline).await;
        assert!(answer.unwrap_err().to_string().contains("not known"), "{event}");
    }
}

/// Gives a chunk up as the last worker that it killed would have been followed by.
async fn give_up(cloud: &Cloud, job: &Job, chunk: u32, code: &str) {
    let id = ChunkId::whole(&job.facts.job, chunk);
    let worker = ledger::Worker { owner: "w".into(), run: None, lease_seconds: 60 };
    let stored = cloud.app.ledger.chunk(&id).await.unwrap();
    let acquired = ledger::acquire(&id, stored.as_ref(), &worker, cloud.app.clock.now());
    let ledger::Acquire::Try(write, lease) = acquired else { panic!("{acquired:?}") };
    assert!(cloud.app.ledger.perform(&write).await.unwrap().stands());
    let failure = Failure { code: code.into(), message: "its workers died".into() };
    let now = cloud.app.clock.now();
    for write in [ledger::give_up(&lease, &failure, now), ledger::block(job, &failure, now)] {
        cloud.app.ledger.perform(&write).await.unwrap();
    }
}

async fn chunk(cloud: &Cloud, job: &Job, chunk: u32) -> Chunk {
    let id = ChunkId::whole(&job.facts.job, chunk);
    cloud.app.ledger.chunk(&id).await.unwrap().unwrap()
}

/// A job that is BLOCKED because of chunks 2 and 5, and everything else of it done.
async fn blocked(cloud: &Cloud, file: &[u8]) -> Job {
    cloud.put(KEY, file).await;
    cloud.tell(KEY).await;
    cloud.deliver("uploads").await;
    let job = cloud.job().await;
    give_up(cloud, &job, 2, "poison").await;
    give_up(cloud, &job, 5, "memory").await;
    cloud.settle().await;
    let job = cloud.reread(&job.facts.job).await;
    assert_eq!(job.state, JobState::Blocked);
    assert_eq!(cloud.loaded().len(), 0);
    job
}

fn redrive(job: &Job, rev: i64, cause: Option<&str>) -> Task {
    let (job, cause) = (job.facts.job.clone(), cause.map(str::to_owned));
    Task::Redrive { job, rev: Some(rev), cause, request: format!("rev-{rev}") }
}

#[tokio::test]
async fn a_blocked_job_comes_back_though_all_dead_letters_were_purged() {
    let (_folder, cloud) = cloud(10).await;
    let file = orders(80);
    let job = blocked(&cloud, &file).await;
    cloud.purge().await;
    let swept = cloud.sweep_later().await;
    cloud.settle().await;
    assert_eq!(cloud.reread(&job.facts.job).await.state, JobState::Blocked, "{swept}");
    cloud.send("redrive", redrive(&job, job.rev, None)).await;
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
}

#[tokio::test]
async fn a_job_redriven_twice_at_once_and_late_comes_back_once() {
    let (_folder, cloud) = cloud(10).await;
    let file = orders(80);
    let job = blocked(&cloud, &file).await;
    let epoch = chunk(&cloud, &job, 2).await.epoch;
    for _ in 0..4 {
        cloud.send("redrive", redrive(&job, job.rev, None)).await;
    }
    let (a, b) = tokio::join!(cloud.deliver_up_to("redrive", 2), cloud.deliver_up_to("redrive", 2));
    assert_eq!(a + b, 4);
    assert_eq!(chunk(&cloud, &job, 2).await.epoch, epoch + 1, "brought back once");
    // It fails again before anybody takes it; the first request comes once more.
    let running = cloud.reread(&job.facts.job).await;
    assert_eq!(running.state, JobState::Running);
    give_up(&cloud, &running, 2, "poison").await;
    cloud.send("redrive", redrive(&job, job.rev, None)).await;
    cloud.settle().await;
    assert_eq!(chunk(&cloud, &job, 2).await.state, ChunkState::Failed, "an old request is over");
    let again = cloud.reread(&job.facts.job).await;
    assert_eq!(again.state, JobState::Blocked);
    cloud.send("redrive", redrive(&job, again.rev, None)).await;
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
}

#[tokio::test]
async fn a_request_from_an_older_view_brings_nothing_back() {
    let (_folder, cloud) = cloud(10).await;
    let job = blocked(&cloud, &orders(80)).await;
    cloud.send("redrive", redrive(&job, job.rev - 1, None)).await;
    cloud.settle().await;
    let after = cloud.reread(&job.facts.job).await;
    assert_eq!((after.state, after.rev), (JobState::Blocked, job.rev));
}

#[tokio::test]
async fn a_discarded_job_does_not_come_back() {
    let (_folder, cloud) = cloud(10).await;
    cloud.put(KEY, &orders(80)).await;
    cloud.tell(KEY).await;
    cloud.deliver("uploads").await;
    let job = cloud.job().await;
    let why = Failure { code: "discarded".into(), message: "by an operator".into() };
    let write = ledger::fail(&job, &why, cloud.app.clock.now());
    assert!(cloud.app.ledger.perform(&write).await.unwrap().stands());
    let job = cloud.reread(&job.facts.job).await;
    cloud.send("redrive", redrive(&job, job.rev, None)).await;
    cloud.settle().await;
    assert_eq!(cloud.reread(&job.facts.job).await.state, JobState::Failed);
    assert_eq!(cloud.loaded().len(), 0);
}

#[tokio::test]
async fn redrive_of_one_cause_leaves_the_others() {
    let (_folder, cloud) = cloud(10).await;
    let file = orders(80);
    let job = blocked(&cloud, &file).await;
    cloud.send("redrive", redrive(&job, job.rev, Some("memory"))).await;
    cloud.settle().await;
    assert_eq!(chunk(&cloud, &job, 5).await.state, ChunkState::Done);
    assert_eq!(chunk(&cloud, &job, 2).await.state, ChunkState::Failed);
    let job = cloud.reread(&job.facts.job).await;
    assert_eq!(job.state, JobState::Blocked, "{job:#?}");
    cloud.send("redrive", redrive(&job, job.rev, Some("poison"))).await;
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
}

#[tokio::test]
async fn a_job_that_came_back_is_not_blocked_by_somebody_who_was_late() {
    let (_folder, cloud) = cloud(10).await;
    let file = orders(80);
    let job = blocked(&cloud, &file).await;
    cloud.send("redrive", redrive(&job, job.rev, None)).await;
    cloud.deliver("redrive").await;
    let failure = Failure { code: "poison".into(), message: "seen before it came back".into() };
    let late = ledger::block(&job, &failure, cloud.app.clock.now());
    assert!(!cloud.app.ledger.perform(&late).await.unwrap().stands());
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
}

#[tokio::test]
async fn dead_letters_mark_what_nobody_took_and_nothing_else() {
    let (_folder, cloud) = cloud(10).await;
    let file = orders(80);
    cloud.put(KEY, &file).await;
    cloud.tell(KEY).await;
    cloud.deliver("uploads").await;
    let job = cloud.job().await;
    // Chunk 0 is done, a worker holds chunk 1, chunk 3 was given back, nobody has seen chunk 4.
    let dead = |chunk| Task::Chunk { job: job.facts.job.clone(), chunk, part: String::new() };
    cloud.purge().await;
    cloud.send("work", dead(0)).await;
    cloud.settle().await;
    let worker = ledger::Worker { owner: "w".into(), run: None, lease_seconds: 60 };
    for number in [1, 3] {
        let id = ChunkId::whole(&job.facts.job, number);
        let acquired = ledger::acquire(&id, None, &worker, cloud.app.clock.now());
        let ledger::Acquire::Try(write, lease) = acquired else { panic!("{acquired:?}") };
        cloud.app.ledger.perform(&write).await.unwrap();
        if number == 3 {
            cloud.app.ledger.perform(&ledger::give_back(&lease)).await.unwrap();
        }
    }
    for number in [0, 1, 3, 4] {
        cloud.send("work-dlq", dead(number)).await;
    }
    cloud.send("work-dlq", Task::Job { job: job.facts.job.clone() }).await;
    cloud.deliver("work-dlq").await;
    let states = [0, 1, 3].map(|number| chunk(&cloud, &job, number));
    let states = futures_util::future::join_all(states).await;
    let states: Vec<_> = states.into_iter().map(|chunk| chunk.state).collect();
    assert_eq!(states, [ChunkState::Done, ChunkState::Leased, ChunkState::Failed]);
    let blocked = cloud.reread(&job.facts.job).await;
    assert_eq!(blocked.failure.as_ref().unwrap().code, "undelivered");
    cloud.send("redrive", redrive(&blocked, blocked.rev, None)).await;
    cloud.settle().await;
    cloud.sweep_later().await;
    cloud.settle().await;
    // The worker that holds chunk 1 never comes back: its lease is over by a later clock.
    let late = &cloud.later;
    let task = Task::Job { job: job.facts.job.clone() };
    rowproof_io::duties::arrive::take_on(late, task, late.clock.deadline_in(900)).await.unwrap();
    let id = ChunkId::whole(&job.facts.job, 1);
    let task = Task::Chunk { job: id.job.clone(), chunk: 1, part: String::new() };
    rowproof_io::duties::arrive::take_on(late, task, late.clock.deadline_in(900)).await.unwrap();
    cloud.settle().await;
    is_loaded(&cloud, &file).await;
}
