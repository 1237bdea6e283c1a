//! The program that the end-to-end tests run: `rowproof` as it is, but built with the tests.
//!
//! `cargo test` builds no other package's binaries. Under `--processes` this program starts itself again
//! as each function; as `migrate` it is that function.

use std::process::ExitCode;

fn main() -> ExitCode {
    if rowproof_io::settings::read_env("ROWPROOF_FUNCTION").as_deref() == Some("migrate") {
        return migrate();
    }
    rowproof::main()
}

#[tokio::main]
async fn migrate() -> ExitCode {
    match rowproof_migrate_function::serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
