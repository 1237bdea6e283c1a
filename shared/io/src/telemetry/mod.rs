//! Logs and metrics: JSON on Lambda, plain text on a terminal. Never a row's value.

mod json;

use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;

use rowproof_core::receipt::Totals;
use serde_json::{Map, Value, json};
use tracing::{Span, info_span};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::json::JsonLines;
use crate::clock::Clock;
use crate::settings::read_env;

/// Where metrics go: decided once, with the logs.
static METRICS: OnceLock<Metrics> = OnceLock::new();

#[derive(Debug)]
struct Metrics {
    service: String,
    namespace: String,
}

/// Sets up JSON logs and metrics for a function.
pub fn on_lambda(function: &str) {
    let service = read_env("POWERTOOLS_SERVICE_NAME").unwrap_or_else(|| "service_undefined".into());
    let namespace = read_env("POWERTOOLS_METRICS_NAMESPACE").unwrap_or_else(|| "Rowproof".into());
    let mut bound = Map::new();
    bound.insert("service".into(), json!(service));
    bound.insert("function_name".into(), json!(function));
    let optional = [
        ("function_version", "AWS_LAMBDA_FUNCTION_VERSION"),
        ("function_memory_size", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
    ];
    for (key, variable) in optional {
        if let Some(value) = read_env(variable) {
            bound.insert(key.into(), json!(value));
        }
    }
    let lines = JsonLines::new(bound);
    let result = tracing_subscriber::registry().with(filter("info")).with(lines).try_init();
    if result.is_ok() {
        tracing::debug!(function, "logs are set up");
    }
    if METRICS.set(Metrics { service, namespace }).is_ok() {
        let metrics = [("ColdStart", "Count", 1)];
        emit(&[("function_name", function)], &metrics);
    }
}

/// Sets up plain logs on standard error for a terminal.
pub fn on_terminal(default_level: &str) {
    let plain = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let result = tracing_subscriber::registry().with(filter(default_level)).with(plain).try_init();
    drop(result);
}

/// The span of one invocation: its request id is on every line under both of its usual names.
pub fn invocation(request_id: &str) -> Span {
    info_span!("invocation", requestId = request_id, function_request_id = request_id)
}

fn filter(default_level: &str) -> EnvFilter {
    let level = ["RUST_LOG", "POWERTOOLS_LOG_LEVEL", "AWS_LAMBDA_LOG_LEVEL"]
        .into_iter()
        .find_map(|name| read_env(name).filter(|value| !value.is_empty()))
        .unwrap_or_else(|| default_level.to_owned());
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new(default_level));
    // The local S3 and DynamoDB call every refused condition an error or a warning; here they are
    // answers. And of each object that was uploaded in parts the S3 client warns that its checksum is
    // over theirs, which there is nothing to do about.
    let answers = ["s3s=off", "dynoxide=error", "aws_sdk_s3::http_response_checksum=error"];
    answers.into_iter().filter_map(|text| text.parse().ok()).fold(filter, EnvFilter::add_directive)
}

/// One job's rows, when it commits.
pub(crate) fn job_committed(pipeline: &str, totals: &Totals) {
    let counts = totals.counts;
    emit(
        &[("pipeline", pipeline)],
        &[
            ("RowsRead", "Count", counts.read),
            ("RowsLoaded", "Count", counts.loaded),
            ("RowsUnchanged", "Count", counts.unchanged),
            ("RowsFiltered", "Count", counts.filtered),
            ("RowsSuperseded", "Count", counts.superseded),
            ("RowsRejected", "Count", counts.rejected),
            ("BytesRead", "Bytes", totals.bytes_read),
        ],
    );
}

/// One chunk, when its outcome stands.
pub(crate) fn chunk_committed(pipeline: &str, duration_ms: u64) {
    let metrics =
        [("ChunksCommitted", "Count", 1), ("ChunkDurationMs", "Milliseconds", duration_ms)];
    emit(&[("pipeline", pipeline)], &metrics);
}

/// What a duty of the schedule found and did.
pub(crate) fn duty(name: &str, metrics: &[(&str, &str, u64)]) {
    emit(&[("duty", name)], metrics);
}

/// One counter.
pub(crate) fn count(pipeline: &str, name: &str, value: u64) {
    emit(&[("pipeline", pipeline)], &[(name, "Count", value)]);
}

/// Writes one line in CloudWatch's embedded metric format.
fn emit(dimensions: &[(&str, &str)], metrics: &[(&str, &str, u64)]) {
    let Some(sink) = METRICS.get() else { return };
    let line =
        emf_line(&sink.service, &sink.namespace, Clock::system().now_ms(), dimensions, metrics);
    // A metric that cannot be written is no reason to fail a row.
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

fn emf_line(
    service: &str,
    namespace: &str,
    timestamp_ms: u64,
    dimensions: &[(&str, &str)],
    metrics: &[(&str, &str, u64)],
) -> Value {
    let mut names = vec!["service"];
    names.extend(dimensions.iter().map(|(name, _)| *name));
    let definitions: Vec<_> =
        metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line = Map::new();
    let directive =
        json!({ "Namespace": namespace, "Dimensions": [names], "Metrics": definitions });
    line.insert(
        "_aws".into(),
        json!({ "Timestamp": timestamp_ms, "CloudWatchMetrics": [directive] }),
    );
    line.insert("service".into(), json!(service));
    for (name, value) in dimensions {
        line.insert((*name).to_owned(), json!(value));
    }
    for (name, _, value) in metrics {
        line.insert((*name).to_owned(), json!(value));
    }
    Value::Object(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_line_names_its_dimensions_and_carries_its_values() {
        let line = emf_line("s", "n", 7, &[("pipeline", "orders")], &[("RowsRead", "Count", 3)]);
        assert_eq!(line["_aws"]["Timestamp"], 7);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Dimensions"], json!([["service", "pipeline"]]));
        assert_eq!(directive["Metrics"], json!([{ "Name": "RowsRead", "Unit": "Count" }]));
        assert_eq!((&line["pipeline"], &line["RowsRead"]), (&json!("orders"), &json!(3)));
    }
}
