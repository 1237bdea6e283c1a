//! A local AWS whose messages the test delivers itself: each to the function that its queue is mapped
//! to, or to nobody.

use std::path::{Path, PathBuf};

use rowproof_core::ids::JobId;
use rowproof_core::ledger::Job;
use rowproof_core::message::{Message, Task};
use rowproof_core::names;
use rowproof_io::app::App;
use rowproof_io::aws::clients::Clients;
use rowproof_io::clock::Clock;
use rowproof_io::settings::Settings;
use rowproof_local::{ACCESS_KEY, LocalAws, Options, QueueOptions, REGION, SECRET_KEY};
use serde_json::{Value, json};

use super::oracle::Row;
use super::orders::COLUMNS;
use super::table;
use super::world::ORDERS;

/// Queues and their functions, and the one that gets what failed.
const QUEUES: [&str; 4] = ["uploads", "work", "redrive", "work-dlq"];

/// What a sweeper sees as due sees a clock that is so much later, in milliseconds.
const LATER_MS: i64 = 600_000;

pub(crate) struct Cloud {
    pub(crate) app: App,
    /// The same, by a clock that is some minutes ahead.
    pub(crate) later: App,
    sqs: Clients,
    aws: LocalAws,
    out: PathBuf,
}

impl Cloud {
    /// In a folder as `rowproof run` makes it, with the pipeline `orders` and these chunks.
    pub(crate) async fn start(out: &Path, chunk_rows: u32) -> Cloud {
        let buckets = ["input", "output", "failures"].map(|name| (name.to_owned(), false));
        let options =
            Options { dir: Some(out.to_owned()), buckets: buckets.to_vec(), ..Options::default() };
        let aws = LocalAws::start(options).await.unwrap();
        for queue in QUEUES {
            aws.create_queue(queue, &QueueOptions::default());
        }
        let url = aws.endpoints().url.clone();
        let settings = |name: &str| {
            let value = match name {
                "ROWPROOF_TABLE" => "rowproof".to_owned(),
                "ROWPROOF_INPUT_BUCKET" => "input".to_owned(),
                "ROWPROOF_OUTPUT_BUCKET" => "output".to_owned(),
                "ROWPROOF_FAILURES_BUCKET" => "failures".to_owned(),
                "ROWPROOF_UPLOADS_QUEUE_URL" => aws.queue_url("uploads"),
                "ROWPROOF_WORK_QUEUE_URL" => aws.queue_url("work"),
                "ROWPROOF_REDRIVE_QUEUE_URL" => aws.queue_url("redrive"),
                "ROWPROOF_FAILED_QUEUE_URL" => aws.queue_url("work-dlq"),
                "ROWPROOF_CHUNK_ROWS" => chunk_rows.to_string(),
                "ROWPROOF_INLINE_CHUNKS" => "0".to_owned(),
                "ROWPROOF_GRACE_SECONDS" => "60".to_owned(),
                "ROWPROOF_ENDPOINT" => url.clone(),
                _ => return None,
            };
            Some(value)
        };
        let settings = Settings::read(&settings).unwrap();
        let clients = Clients::local(&url, REGION, ACCESS_KEY, SECRET_KEY);
        let app = App::new(settings.clone(), &clients);
        let ahead = Clock::system().skewed(LATER_MS);
        let later = App::with_clock(settings, &clients, ahead);
        app.ledger.ensure_table().await.unwrap();
        let parsed = rowproof_core::pipeline_file::parse(
            "orders.toml",
            ORDERS,
            &|_| Err(String::new()),
            &|_| None,
        );
        let pipeline = parsed.unwrap().pipeline.to_json();
        let key = format!("{}orders.json", names::PIPELINES);
        app.store.put("output", &key, pipeline.into()).await.unwrap();
        Cloud { app, later, sqs: clients, aws, out: out.to_owned() }
    }

    /// Stores a file in the input bucket; nobody is told.
    pub(crate) async fn put(&self, key: &str, bytes: &[u8]) {
        self.app.store.put("input", key, bytes.to_vec().into()).await.unwrap();
    }

    /// Tells `ingest` of an upload.
    pub(crate) async fn tell(&self, key: &str) {
        let (bucket, key) = ("input".to_owned(), key.to_owned());
        let restart = rowproof_core::message::Restart::No;
        self.send("uploads", Task::Observe { bucket, key, restart }).await;
    }

    pub(crate) async fn send(&self, queue: &str, task: Task) {
        self.aws.send(queue, Message::new(task).to_json()).unwrap();
    }

    pub(crate) fn depth(&self, queue: &str) -> usize {
        self.aws.depth(queue).unwrap().total()
    }

    /// Loses every message.
    pub(crate) async fn purge(&self) {
        for queue in QUEUES {
            let url = self.aws.queue_url(queue);
            self.sqs.sqs.purge_queue().queue_url(url).send().await.unwrap();
        }
    }

    /// Delivers up to ten messages of a queue; how many.
    pub(crate) async fn deliver(&self, queue: &str) -> usize {
        self.deliver_up_to(queue, 10).await
    }

    pub(crate) async fn deliver_up_to(&self, queue: &str, max: i32) -> usize {
        let url = self.aws.queue_url(queue);
        let receive = self.sqs.sqs.receive_message().queue_url(&url).max_number_of_messages(max);
        let received = receive.send().await.unwrap();
        let record = |message: &aws_sdk_sqs::types::Message| {
            json!({
                "messageId": message.message_id(),
                "body": message.body(),
                "eventSource": "aws:sqs",
            })
        };
        let records: Vec<_> = received.messages().iter().map(record).collect();
        if records.is_empty() {
            return 0;
        }
        let (app, event) = (&self.app, json!({ "Records": records }));
        let deadline = app.clock.deadline_in(900);
        let answer = match queue {
            "uploads" => rowproof_ingest::handle(app, &event, deadline).await,
            "work" => rowproof_chunk::handle(app, &event, deadline).await,
            _ => rowproof_redrive::handle(app, &event, deadline).await,
        };
        assert_eq!(answer.unwrap(), json!({ "batchItemFailures": [] }), "{event}");
        for message in received.messages() {
            let receipt = message.receipt_handle().unwrap();
            let delete = self.sqs.sqs.delete_message().queue_url(&url).receipt_handle(receipt);
            delete.send().await.unwrap();
        }
        records.len()
    }

    /// Delivers messages until there is none but in the dead-letter queue.
    pub(crate) async fn settle(&self) {
        let mut idle = false;
        while !idle {
            idle = true;
            for queue in ["uploads", "work", "redrive"] {
                idle &= self.deliver(queue).await == 0;
            }
        }
    }

    /// What the schedule's function answers, now or some minutes later.
    pub(crate) async fn duty(&self, app: &App, event: Value) -> Value {
        let deadline = app.clock.deadline_in(900);
        rowproof_schedule::handle(app, &event, deadline).await.unwrap()
    }

    /// A sweep when everything that lost its message is due.
    pub(crate) async fn sweep_later(&self) -> Value {
        self.duty(&self.later, json!({ "duty": "sweep" })).await
    }

    /// The only job.
    pub(crate) async fn job(&self) -> Job {
        let mut jobs = self.app.ledger.all_jobs().await.unwrap();
        assert_eq!(jobs.len(), 1);
        jobs.remove(0)
    }

    pub(crate) async fn reread(&self, job: &JobId) -> Job {
        self.app.ledger.job(job).await.unwrap().unwrap()
    }

    /// Whether the output bucket holds anything under the prefix.
    pub(crate) async fn has(&self, prefix: &str) -> bool {
        !self.app.store.list("output", prefix).await.unwrap().is_empty()
    }

    /// Rows of the sink by a plain listing, sorted.
    pub(crate) fn loaded(&self) -> Vec<Row> {
        table::rows(&self.out.join("output/curated/orders"), &COLUMNS)
    }

    pub(crate) async fn shutdown(self) {
        drop(self.app);
        drop(self.later);
        self.aws.shutdown().await;
    }
}
