//! The functions, in this process or in processes of their own.

use rowproof_core::pipeline::{Dsn, Pipeline};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lambda_runtime::{LambdaEvent, service_fn};
use rowproof_io::app::App;
use rowproof_io::batch::EventFailed;
use rowproof_io::clock::Deadline;
use rowproof_io::settings::{Settings, read_env};
use rowproof_local::{Function, Invoke, InvokeError, Output};
use serde_json::Value;
use tracing::Instrument;

/// How functions are run.
#[derive(Debug, Clone)]
pub(crate) struct Workers {
    /// Invocations of each function at a time.
    pub(crate) count: usize,
    /// As processes under a Runtime API, instead of in this process.
    pub(crate) processes: bool,
    /// Variables of this process that such processes need: where databases are.
    pub(crate) variables: Vec<String>,
}

impl Workers {
    /// As many, for these pipelines.
    pub(crate) fn of(count: u16, processes: bool, pipelines: &[&Pipeline]) -> Workers {
        let named = pipelines.iter().filter_map(|pipeline| match &pipeline.sink.postgres()?.dsn {
            Dsn::Env(name) => Some(name.clone()),
            Dsn::Secret(_) | Dsn::Iam(_) => None,
        });
        Workers { count: usize::from(count), processes, variables: named.collect() }
    }
}

/// Seconds an invocation may take.
pub(crate) const TIMEOUT_SECONDS: u64 = 900;
/// The variable that makes this program a function.
const FUNCTION: &str = "ROWPROOF_FUNCTION";

/// Calls a function as Lambda does.
pub(crate) async fn call(
    app: &App,
    function: &str,
    event: &Value,
    deadline: Deadline,
) -> Result<Value, EventFailed> {
    match function {
        "ingest" => rowproof_ingest::handle(app, event, deadline).await,
        "redrive" => rowproof_redrive::handle(app, event, deadline).await,
        "schedule" => rowproof_schedule::handle(app, event, deadline).await,
        _ => rowproof_chunk::handle(app, event, deadline).await,
    }
}

/// A function in this process.
pub(crate) fn in_process(app: Arc<App>, function: &'static str) -> Invoke {
    Arc::new(move |event| {
        let app = app.clone();
        async move {
            let deadline = app.clock.deadline_in(TIMEOUT_SECONDS);
            call(&app, function, &event, deadline).await.map_err(|error| InvokeError {
                kind: "EventFailed".into(),
                message: error.to_string(),
            })
        }
        .boxed()
    })
}

/// A function in processes of its own.
pub(crate) fn process(
    app: &App,
    dir: &Path,
    function: &str,
    workers: &Workers,
    access_key: &str,
) -> anyhow::Result<Function> {
    let mut env = app.settings.to_env();
    env.push((FUNCTION.into(), function.into()));
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        env.push((name.into(), access_key.into()));
    }
    for name in &workers.variables {
        env.extend(read_env(name).map(|value| (name.clone(), value)));
    }
    env.push(("AWS_REGION".into(), rowproof_local::REGION.into()));
    let log = dir.join(format!(".rowproof/{function}.log"));
    Ok(Function {
        name: function.to_owned(),
        command: std::env::current_exe()?,
        args: vec![],
        env,
        timeout: Duration::from_secs(TIMEOUT_SECONDS),
        memory_mb: 1024,
        environments_max: workers.count,
        output: Output::File(log),
    })
}

/// The function that this process was started to be.
pub(crate) fn function_to_be() -> Option<String> {
    read_env(FUNCTION).filter(|_| read_env("AWS_LAMBDA_RUNTIME_API").is_some())
}

/// Runs as a function under the Runtime API, as the Lambda binaries do.
pub(crate) fn run_function(function: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        runtime.block_on(async {
            rowproof_io::telemetry::on_lambda(function);
            let app = &App::load(Settings::from_env()?).await;
            lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
                let deadline = app.clock.deadline_at(event.context.deadline);
                let span = rowproof_io::telemetry::invocation(&event.context.request_id);
                let answer = call(app, function, &event.payload, deadline).instrument(span).await;
                answer.map_err(lambda_runtime::Error::from)
            }))
            .await
            .map_err(|error| anyhow::anyhow!("{error}"))
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
