//! The `migrate` function on AWS Lambda.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use rowproof_io::settings::need_runtime_api;
use rowproof_io::telemetry;
use rowproof_migrate_function::{Place, handle};
use serde_json::Value;
use tracing::Instrument;

#[tokio::main]
async fn main() -> Result<(), Error> {
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
