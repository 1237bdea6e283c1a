//! `rowproof`, the operator's and the developer's tool.
//!
//! Its verbs work on a folder that holds a local AWS (`--out DIR`); the functions it runs there are the
//! very ones that run on Lambda.

mod args;
mod exit;
mod input;
mod local;
mod migrate;
mod options;
mod show;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use exit::{FAILED, USAGE, Usage};
use local::functions;
use verbs::{
    amend, approve, check, demo, dev, discard, failures, files, init, reconcile, redrive, replay,
    rerun, revert, run, status, sweep, torture, verify, why,
};

/// Runs the command line; also how the tests start functions as processes.
pub fn main() -> ExitCode {
    if let Some(function) = functions::function_to_be() {
        return functions::run_function(&function);
    }
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(dispatch(args));
            // After Ctrl-C a worker's thread may wait for bytes, and a runtime that ends under it makes it
            // panic. Nothing needs to be torn down that a kill would not: the process ends with both.
            std::mem::forget(runtime);
            result
        }
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            let code = if error.is::<Usage>() { USAGE } else { FAILED };
            ExitCode::from(code)
        }
    }
}

async fn dispatch(args: Args) -> anyhow::Result<u8> {
    // A database that lets nobody in is waited for, and whoever can mend it has to know. Where uploads come from
    // elsewhere, one that starts nothing must not pass in silence.
    let quiet = match matches!(args.command, Command::Dev(_)) {
        true => "error,rowproof_io::steps::outage=warn,rowproof_io::duties::arrive=warn",
        false => "error,rowproof_io::steps::outage=warn",
    };
    rowproof_io::telemetry::on_terminal(if args.verbose { "info" } else { quiet });
    match args.command {
        Command::Run(run) => run::run(run).await,
        Command::Status(args) => status::run(args).await,
        Command::Why(args) => Box::pin(why::run(args)).await,
        Command::Files(args) => files::run(args).await,
        Command::Failures(args) => failures::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Approve(args) => approve::run(args).await,
        Command::Discard(args) => discard::run(args).await,
        Command::Replay(args) => replay::run(args).await,
        Command::Amend(args) => amend::run(args).await,
        Command::Rerun(args) => rerun::run(args).await,
        Command::Redrive(args) => redrive::run(args).await,
        Command::Revert(args) => revert::run(args).await,
        Command::Sweep(args) => sweep::run(args).await,
        Command::Reconcile(args) => reconcile::run(args).await,
        Command::Dev(args) => Box::pin(dev::run(args)).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Torture(args) => torture::run(args).await,
        Command::Init(args) => init::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Migrate(args) => migrate::run(args).await,
    }
}
