//! Settings from the environment, read once at start.

use std::env;

use rowproof_core::block::Limits;
use rowproof_core::ledger::LEASE_SECONDS;
use thiserror::Error;

/// Everything a function needs to know about its surroundings. No secret is among it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// DynamoDB table of the ledger.
    pub table: String,
    /// Bucket that files land in; objects of any other bucket are refused.
    pub input_bucket: String,
    /// Bucket of data, manifests, plans and staging.
    pub output_bucket: String,
    /// Bucket of the failure archive.
    pub failures_bucket: String,
    /// Queue of chunks to process.
    pub work_queue_url: String,
    /// Queue that names chunks and jobs that failed for good.
    pub failed_queue_url: String,
    /// Queue that uploads are announced on; operators' requests go there too.
    pub uploads_queue_url: Option<String>,
    /// Queue of operators' requests to bring back what failed.
    pub redrive_queue_url: Option<String>,
    /// Key prefix of the pipeline files in the output bucket.
    pub pipelines: String,
    /// Chunks of one object that run on in the invocation which planned it.
    pub inline_chunks: u32,
    /// Stop starting work when less than this is left of the invocation, in milliseconds.
    pub deadline_margin_ms: u64,
    /// How long a worker's hold on a chunk lasts from each renewal, in seconds.
    pub lease_seconds: i64,
    /// Seconds for which files that nobody needs any more are left alone: a worker that is late may
    /// still be reading or writing them.
    pub grace_seconds: i64,
    /// Sizes of chunks and blocks, and every other bound.
    pub limits: Limits,
    /// Match every key under the literal directory of `source.match`, as a local `run` does.
    pub match_directory: bool,
    /// The local `run` this process belongs to; absent on Lambda.
    pub run: Option<String>,
    /// Endpoint of every AWS service, for the local AWS; the SDK's own variables win.
    pub endpoint: Option<String>,
}

/// A setting that is missing or not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("environment variable {name} {problem}")]
pub struct SettingsError {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Settings {
    /// Reads the `ROWPROOF_*` variables.
    pub fn from_env() -> Result<Settings, SettingsError> {
        Settings::read(&|name| read_env(name))
    }

    /// Reads the variables through `get`.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Settings, SettingsError> {
        let need = |name: &'static str| needed(name, get(name));
        let number = |name: &'static str, default: u64| number(get, name, default);
        Ok(Settings {
            limits: limits(get)?,
            table: need("ROWPROOF_TABLE")?,
            input_bucket: need("ROWPROOF_INPUT_BUCKET")?,
            output_bucket: need("ROWPROOF_OUTPUT_BUCKET")?,
            failures_bucket: need("ROWPROOF_FAILURES_BUCKET")?,
            work_queue_url: need("ROWPROOF_WORK_QUEUE_URL")?,
            failed_queue_url: need("ROWPROOF_FAILED_QUEUE_URL")?,
            uploads_queue_url: get("ROWPROOF_UPLOADS_QUEUE_URL"),
            redrive_queue_url: get("ROWPROOF_REDRIVE_QUEUE_URL"),
            pipelines: get("ROWPROOF_PIPELINES")
                .unwrap_or_else(|| rowproof_core::names::PIPELINES.to_owned()),
            inline_chunks: u32::try_from(number("ROWPROOF_INLINE_CHUNKS", 1)?).unwrap_or(u32::MAX),
            deadline_margin_ms: number("ROWPROOF_DEADLINE_MARGIN_MS", 10_000)?,
            grace_seconds: i64::try_from(number("ROWPROOF_GRACE_SECONDS", 86_400)?)
                .unwrap_or(i64::MAX),
            lease_seconds: i64::try_from(number(
                "ROWPROOF_LEASE_SECONDS",
                LEASE_SECONDS.unsigned_abs(),
            )?)
            .unwrap_or(LEASE_SECONDS)
            .clamp(1, 900),
            match_directory: get("ROWPROOF_MATCH_DIRECTORY").is_some(),
            run: get("ROWPROOF_RUN"),
            endpoint: get("ROWPROOF_ENDPOINT"),
        })
    }

    /// The variables that [`Settings::read`] reads these settings back from.
    pub fn to_env(&self) -> Vec<(String, String)> {
        let mut env = vec![
            ("ROWPROOF_TABLE", self.table.clone()),
            ("ROWPROOF_INPUT_BUCKET", self.input_bucket.clone()),
            ("ROWPROOF_OUTPUT_BUCKET", self.output_bucket.clone()),
            ("ROWPROOF_FAILURES_BUCKET", self.failures_bucket.clone()),
            ("ROWPROOF_WORK_QUEUE_URL", self.work_queue_url.clone()),
            ("ROWPROOF_FAILED_QUEUE_URL", self.failed_queue_url.clone()),
            ("ROWPROOF_PIPELINES", self.pipelines.clone()),
            ("ROWPROOF_INLINE_CHUNKS", self.inline_chunks.to_string()),
            ("ROWPROOF_DEADLINE_MARGIN_MS", self.deadline_margin_ms.to_string()),
            ("ROWPROOF_LEASE_SECONDS", self.lease_seconds.to_string()),
            ("ROWPROOF_GRACE_SECONDS", self.grace_seconds.to_string()),
            ("ROWPROOF_CHUNK_BYTES", self.limits.chunk_bytes.to_string()),
            ("ROWPROOF_CHUNK_ROWS", self.limits.chunk_rows.to_string()),
            ("ROWPROOF_BLOCK_BYTES", self.limits.block_bytes.to_string()),
            ("ROWPROOF_RATIO_MAX", self.limits.ratio_max.to_string()),
        ];
        let optional = [
            ("ROWPROOF_UPLOADS_QUEUE_URL", &self.uploads_queue_url),
            ("ROWPROOF_REDRIVE_QUEUE_URL", &self.redrive_queue_url),
            ("ROWPROOF_RUN", &self.run),
            ("ROWPROOF_ENDPOINT", &self.endpoint),
        ];
        if self.match_directory {
            env.push(("ROWPROOF_MATCH_DIRECTORY", "1".to_owned()));
        }
        env.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Sizes and bounds as the environment sets them: the same for a function that loads a file and for a
/// command that only looks at one.
///
/// # Errors
/// A variable is not a number.
pub fn limits(get: &dyn Fn(&str) -> Option<String>) -> Result<Limits, SettingsError> {
    let defaults = Limits::default();
    let number = |name: &'static str, default: u64| number(get, name, default);
    let block_bytes = number("ROWPROOF_BLOCK_BYTES", defaults.block_bytes as u64)?;
    Ok(Limits {
        chunk_bytes: number("ROWPROOF_CHUNK_BYTES", defaults.chunk_bytes)?.max(1),
        chunk_rows: number("ROWPROOF_CHUNK_ROWS", defaults.chunk_rows)?.max(1),
        block_bytes: usize::try_from(block_bytes).unwrap_or(defaults.block_bytes).max(1),
        ratio_max: number("ROWPROOF_RATIO_MAX", defaults.ratio_max)?.max(1),
        ..defaults
    })
}

fn number(
    get: &dyn Fn(&str) -> Option<String>,
    name: &'static str,
    default: u64,
) -> Result<u64, SettingsError> {
    match get(name) {
        None => Ok(default),
        Some(text) => {
            text.parse().map_err(|_| SettingsError { name, problem: "is not a whole number" })
        }
    }
}

/// Fails with a clear text outside Lambda, where there is no Runtime API to ask for work.
pub fn need_runtime_api() -> Result<(), SettingsError> {
    let problem = "is not set: this is a Lambda function; `rowproof run` and `rowproof dev` start it \
                   locally";
    match read_env("AWS_LAMBDA_RUNTIME_API") {
        Some(_) => Ok(()),
        None => Err(SettingsError { name: "AWS_LAMBDA_RUNTIME_API", problem }),
    }
}

/// Reads one environment variable that has to be there.
///
/// # Errors
/// It is not set, or empty.
pub fn need_env(name: &'static str) -> Result<String, SettingsError> {
    needed(name, read_env(name))
}

fn needed(name: &'static str, value: Option<String>) -> Result<String, SettingsError> {
    let problem = "is not set; the deployment template sets it";
    value.filter(|value| !value.is_empty()).ok_or(SettingsError { name, problem })
}

/// Reads one environment variable.
#[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub fn read_env(name: &str) -> Option<String> {
    env::var(name).ok()
}
