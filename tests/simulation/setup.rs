//! Settings of the functions, and the ledger as it is stored, read without any of the project's code.

use bytes::Bytes;
use hyper::Request;
use rowproof_io::settings::Settings;
use rowproof_local::{ACCOUNT, Handler};
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::support::world::ORDERS;

pub(crate) fn settings(plan: &Plan) -> Settings {
    let queue = |name: &str| format!("http://rowproof.local/{ACCOUNT}/{name}");
    let get = |name: &str| {
        let value = match name {
            "ROWPROOF_TABLE" => "rowproof".to_owned(),
            "ROWPROOF_INPUT_BUCKET" => "input".to_owned(),
            "ROWPROOF_OUTPUT_BUCKET" => "output".to_owned(),
            "ROWPROOF_FAILURES_BUCKET" => "failures".to_owned(),
            "ROWPROOF_UPLOADS_QUEUE_URL" => queue("uploads"),
            "ROWPROOF_WORK_QUEUE_URL" => queue("work"),
            "ROWPROOF_REDRIVE_QUEUE_URL" => queue("redrive"),
            "ROWPROOF_FAILED_QUEUE_URL" => queue("work-dlq"),
            "ROWPROOF_CHUNK_ROWS" => plan.chunk_rows.to_string(),
            "ROWPROOF_BLOCK_BYTES" => "4096".to_owned(),
            "ROWPROOF_INLINE_CHUNKS" => plan.inline_chunks.to_string(),
            "ROWPROOF_DEADLINE_MARGIN_MS" => "5000".to_owned(),
            _ => return None,
        };
        Some(value)
    };
    Settings::read(&get).unwrap()
}

/// The pipeline file.
pub(crate) fn pipeline(hold: bool) -> String {
    let hold =
        if hold { "\n[errors]\nhold_if = { rejected = \"5%\", min_rows = 5 }\n" } else { "" };
    format!("{ORDERS}{hold}")
}

/// A job as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) generation: i64,
    pub(crate) why: String,
    /// It only corrects rows of another one.
    pub(crate) is_replay: bool,
}

/// Asks DynamoDB directly.
pub(crate) async fn ask(handler: &Handler, operation: &str, input: &Value) -> Value {
    let request = Request::post("http://rowproof.local/")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("authorization", "Credential=watch")
        .body(Bytes::from(input.to_string()))
        .unwrap();
    serde_json::from_slice(handler.call(request).await.body()).unwrap()
}

/// Every job.
pub(crate) async fn jobs(handler: &Handler) -> Vec<Job> {
    let found = ask(handler, "Scan", &json!({ "TableName": "rowproof" })).await;
    let items = found["Items"].as_array().cloned().unwrap_or_default();
    let mut jobs: Vec<_> = items.iter().filter(|item| item["sk"]["S"] == "J").map(job).collect();
    jobs.sort_by_key(|job| (job.key.clone(), job.generation));
    jobs
}

fn job(item: &Value) -> Job {
    let text = |name: &str| item[name]["S"].as_str().unwrap_or_default().to_owned();
    let facts: Value = serde_json::from_str(&text("facts")).unwrap();
    let of_object =
        |name: &str| facts["object"][name].as_str().unwrap().trim_matches('"').to_owned();
    Job {
        id: facts["job"].as_str().unwrap().to_owned(),
        state: text("state"),
        key: of_object("key"),
        etag: of_object("etag"),
        generation: facts["generation"].as_i64().unwrap(),
        is_replay: !facts["replay"].is_null(),
        why: format!("{}{}", text("failure"), text("hold")),
    }
}

/// Jobs that have not come to an end.
pub(crate) async fn unsettled(handler: &Handler) -> Vec<String> {
    let open = |job: &Job| ["PLANNING", "RUNNING", "COMMITTING"].contains(&job.state.as_str());
    let all = jobs(handler).await;
    all.iter().filter(|job| open(job)).map(|job| format!("{} {}", job.id, job.state)).collect()
}
