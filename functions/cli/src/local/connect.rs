//! Settings and clients for a local AWS.

use rowproof_core::names;
use rowproof_io::app::App;
use rowproof_io::aws::clients::Clients;
use rowproof_io::settings::{Settings, read_env};
use rowproof_local::faults::FAULTED_ACCESS_KEY;

/// Seconds that a worker's hold on a chunk lasts where much goes wrong: nobody wants to wait longer.
const FAULTED_LEASE_SECONDS: i64 = 2;

/// The app that functions use when faults happen to their requests.
pub(crate) fn faulted(app: &App, endpoint: &str) -> App {
    let mut settings = app.settings.clone();
    settings.lease_seconds = FAULTED_LEASE_SECONDS;
    App::new(settings, &clients(endpoint, FAULTED_ACCESS_KEY))
}

fn clients(endpoint: &str, access_key: &str) -> Clients {
    Clients::local(endpoint, rowproof_local::REGION, access_key, rowproof_local::SECRET_KEY)
}

/// Names a run to the ledger.
pub(crate) fn run_id() -> String {
    format!("{}-{:016x}", std::process::id(), fastrand::u64(..))
}

/// For every pipeline that is stored there.
pub(crate) fn connect(endpoint: &str, run: Option<String>) -> anyhow::Result<App> {
    connect_for(endpoint, run, names::PIPELINES)
}

/// Objects are matched against the pipeline files below `pipelines`.
pub(crate) fn connect_for(
    endpoint: &str,
    run: Option<String>,
    pipelines: &str,
) -> anyhow::Result<App> {
    let queue = |name: &str| format!("{endpoint}/{}/{name}", rowproof_local::ACCOUNT);
    let variables = [
        ("ROWPROOF_TABLE", "rowproof".to_owned()),
        ("ROWPROOF_INPUT_BUCKET", "input".to_owned()),
        ("ROWPROOF_OUTPUT_BUCKET", "output".to_owned()),
        ("ROWPROOF_FAILURES_BUCKET", "failures".to_owned()),
        ("ROWPROOF_UPLOADS_QUEUE_URL", queue("uploads")),
        ("ROWPROOF_WORK_QUEUE_URL", queue("work")),
        ("ROWPROOF_FAILED_QUEUE_URL", queue("work-dlq")),
        ("ROWPROOF_REDRIVE_QUEUE_URL", queue("redrive")),
        ("ROWPROOF_PIPELINES", pipelines.to_owned()),
        ("ROWPROOF_MATCH_DIRECTORY", "1".to_owned()),
        ("ROWPROOF_ENDPOINT", endpoint.to_owned()),
        ("ROWPROOF_RUN", run.unwrap_or_default()),
    ];
    let get = |name: &str| {
        let fixed = variables.iter().find(|(known, _)| *known == name);
        match fixed {
            Some((_, value)) => Some(value.clone()).filter(|value| !value.is_empty()),
            None => read_env(name),
        }
    };
    let settings = Settings::read(&get)?;
    Ok(App::new(settings, &clients(endpoint, rowproof_local::OWN_ACCESS_KEY)))
}
