//! The `migrate` function on AWS Lambda.

use lambda_runtime::Error;

#[tokio::main]
async fn main() -> Result<(), Error> {
    rowproof_migrate_function::serve().await
}
