//! One call of a migration: it goes on from wherever the database says, and tells when to call again.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use rowproof_core::pipeline::Dsn;
use rowproof_io::aws::clients::Clients;
use rowproof_io::aws::error::AwsError;
use rowproof_io::aws::store::Store;
use rowproof_io::clock::{Clock, Deadline};
use rowproof_io::postgres::{Databases, Server};
use rowproof_io::settings::{SettingsError, need_env, need_runtime_api, read_env};
use rowproof_io::telemetry;
use rowproof_migrate::drive::Drive;
use rowproof_migrate::engine::{Engine, Options};
use rowproof_migrate::error::{ExitClass, MigrateError};
use rowproof_migrate::folder::Folder;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::{Instrument, info, warn};

/// Where folders of migrations are in the bucket.
pub const PREFIX: &str = "_migrations";
/// Files of one folder, and bytes of one file.
const FILES_MAX: usize = 32;
const FILE_BYTES_MAX: usize = 1 << 20;

/// What the function works with: made once at cold start.
#[derive(Debug)]
pub struct Place {
    store: Store,
    bucket: String,
    server: Server,
    clock: Clock,
}

/// What a caller asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// Name of the migration, and of its folder below `_migrations/`.
    migration: String,
    /// `run` without it.
    #[serde(default)]
    verb: Verb,
    /// Who, for the history of a rollback.
    #[serde(default)]
    by: Option<String>,
    /// Why.
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    #[default]
    Run,
    Rollback,
    Status,
}

/// A call that is to be made again as it is.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    /// S3 does not answer.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The request or the folder cannot be.
    #[error("{0}")]
    Request(String),
    /// The folder cannot be written down.
    #[error("the folder cannot be kept: {0}")]
    Disk(#[from] std::io::Error),
}

impl Place {
    /// From the environment: `ROWPROOF_OUTPUT_BUCKET`, `ROWPROOF_MIGRATE_DSN`.
    ///
    /// # Errors
    /// A variable is missing or says nothing.
    pub async fn from_env() -> Result<Place, SettingsError> {
        let bucket = need_env("ROWPROOF_OUTPUT_BUCKET")?;
        let dsn = Dsn::parse(&need_env("ROWPROOF_MIGRATE_DSN")?).ok_or(SettingsError {
            name: "ROWPROOF_MIGRATE_DSN",
            problem: "is none of secret:NAME, iam:user@host:port/database, env:VARIABLE",
        })?;
        let clients = Clients::load(read_env("ROWPROOF_ENDPOINT").as_deref()).await;
        let databases = Arc::new(Databases::new(&clients, Clock::system()));
        Ok(Place::new(&clients, bucket, Server::known(databases, dsn), Clock::system()))
    }

    /// With these clients, for this database.
    pub fn new(clients: &Clients, bucket: String, server: Server, clock: Clock) -> Place {
        Place { store: Store::new(clients.s3.clone(), clock), bucket, server, clock }
    }

    /// When a call at this time, in milliseconds since 1970, is cut off.
    pub fn deadline_at(&self, epoch_ms: u64) -> Deadline {
        self.clock.deadline_at(epoch_ms)
    }
}

/// Takes calls from the Lambda Runtime API until the environment ends.
///
/// # Errors
/// A variable is missing or says nothing, or the Runtime API does not answer.
pub async fn serve() -> Result<(), Error> {
    need_runtime_api()?;
    telemetry::on_lambda("migrate");
    let place = &Place::from_env().await?;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        let deadline = place.deadline_at(event.context.deadline);
        let span = telemetry::invocation(&event.context.request_id);
        let handled = handle(place, &event.payload, &event.context.request_id, deadline);
        handled.instrument(span).await.map_err(Error::from)
    }))
    .await
}

/// Makes one call: `{"migration": "20240115_add_customer_tier"}`, with `"verb": "rollback"`, `"by"` and
/// `"reason"` to take it back, or `"verb": "status"`.
///
/// The answer has `outcome`: `done`; `yield` with `after_s`, the seconds to wait before the same call; or
/// `failed` with a `code`, a `message` and whether `operator` has to act.
///
/// # Errors
/// S3 does not answer, or the request names no folder.
pub async fn handle(
    place: &Place,
    event: &Value,
    owner: &str,
    deadline: Deadline,
) -> Result<Value, CallFailed> {
    let request = Request::deserialize(event)
        .map_err(|error| CallFailed::Request(format!("the request cannot be read: {error}")))?;
    let parent = tempfile::tempdir()?;
    fetch(place, &request.migration, parent.path()).await?;
    let folder = match Folder::load(&parent.path().join(&request.migration)) {
        Ok(folder) => folder,
        Err(error) => return Ok(failed(&request.migration, &error)),
    };
    let options = Options { owner: owner.to_owned(), ..Options::default() };
    let engine = Engine::new(folder, place.server.clone(), place.clock, options);
    let driven = match request.verb {
        Verb::Status => {
            return Ok(match engine.status().await {
                Ok(status) => json!({ "outcome": "status", "status": status }),
                Err(error) => failed(&request.migration, &error),
            });
        }
        Verb::Run => Box::pin(engine.drive(deadline)).await,
        Verb::Rollback => {
            let by = request.by.as_deref().unwrap_or("unknown");
            let reason = request.reason.as_deref().unwrap_or("asked for");
            Box::pin(engine.rollback(by, reason, deadline)).await
        }
    };
    Ok(match driven {
        Ok(Drive::Done { state }) => {
            info!(migration = request.migration, state = state.name(), "migration over");
            json!({ "outcome": "done", "migration": request.migration, "state": state })
        }
        Ok(Drive::Yield { after, reason }) => json!({
            "outcome": "yield",
            "migration": request.migration,
            "after_s": after.as_millis().div_ceil(1000).max(1),
            "reason": reason,
        }),
        Err(error) => failed(&request.migration, &error),
    })
}

fn failed(migration: &str, error: &MigrateError) -> Value {
    // What passes by itself is only another reason to wait.
    if matches!(error.class(), ExitClass::Yielded | ExitClass::Fenced) {
        return json!({ "outcome": "yield", "migration": migration, "after_s": 30,
                       "reason": { "why": error.code(), "what": error.to_string() } });
    }
    warn!(migration, code = error.code(), %error, "migration stopped");
    json!({
        "outcome": "failed",
        "migration": migration,
        "code": error.code(),
        "message": error.to_string(),
        "class": error.class(),
    })
}

/// Brings the folder from the bucket.
async fn fetch(place: &Place, id: &str, parent: &Path) -> Result<(), CallFailed> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() || id.len() > 100 || !id.chars().all(fits) {
        let what = "a migration is named by letters, digits, _ and -";
        return Err(CallFailed::Request(what.into()));
    }
    let prefix = format!("{PREFIX}/{id}/");
    let keys = place.store.list(&place.bucket, &prefix).await?;
    if keys.is_empty() {
        let bucket = &place.bucket;
        let what = format!("there is no file below s3://{bucket}/{prefix}: copy its folder there");
        return Err(CallFailed::Request(what));
    }
    if keys.len() > FILES_MAX {
        return Err(CallFailed::Request(format!("more than {FILES_MAX} files are in {prefix}")));
    }
    let folder = parent.join(id);
    fs::create_dir(&folder)?;
    for key in keys {
        let Some(name) = key.strip_prefix(&prefix).filter(|name| !name.contains('/')) else {
            continue;
        };
        let bytes = place.store.get(&place.bucket, &key).await?.unwrap_or_default();
        if bytes.len() > FILE_BYTES_MAX {
            let what = format!("{key} has more than {} KiB", FILE_BYTES_MAX >> 10);
            return Err(CallFailed::Request(what));
        }
        fs::write(folder.join(name), &bytes)?;
    }
    Ok(())
}
