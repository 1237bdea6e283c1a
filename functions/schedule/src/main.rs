//! The `schedule` function on AWS Lambda.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use rowproof_io::app::App;
use rowproof_io::settings::{Settings, need_runtime_api};
use rowproof_io::telemetry;
use serde_json::Value;
use tracing::Instrument;

#[tokio::main]
async fn main() -> Result<(), Error> {
    need_runtime_api()?;
    telemetry::on_lambda("schedule");
    let app = &App::load(Settings::from_env()?).await;
    run(service_fn(move |event: LambdaEvent<Value>| async move {
        let deadline = app.clock.deadline_at(event.context.deadline);
        let span = telemetry::invocation(&event.context.request_id);
        let handled = rowproof_schedule::handle(app, &event.payload, deadline);
        handled.instrument(span).await.map_err(Error::from)
    }))
    .await
}
