//! `rowproof migrate`: data migrations of Postgres.

mod ask;
mod before;
mod new;
mod rehearse;
mod run;
mod show;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};
use rowproof_core::pipeline::Dsn;
use rowproof_io::aws::clients::Clients;
use rowproof_io::clock::Clock;
use rowproof_io::postgres::{Databases, Server};
use rowproof_migrate::engine::{Engine, Options};
use rowproof_migrate::error::MigrateError;
use rowproof_migrate::folder::Folder;
use rowproof_migrate::values::Span;
use serde_json::json;

use crate::exit::Usage;
use crate::show::report::line;

const EXIT_CODES: &str = "Exit code: 0 done, 2 a file, key or right is wrong, 10 paused or out of time (call again), \
                          20 a gate is not met, 30 a lock could not be had, 40 rows are not as they have \
                          to be, 50 another runner took over, 60 a bug of ours";

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the folder of a migration for a usual change, in its safe form
    New(Box<new::Args>),
    /// Find what a folder's files do wrong, without a database
    Lint(before::Lint),
    /// Run the statements on an empty copy: which locks they take, what they rewrite or read
    Shadow(before::Shadow),
    /// Ask the target how it would run, read only
    Plan(before::Plan),
    /// Run all of it, and take it back, on a copy: it says what to expect, and is evidence for gates
    #[command(after_help = EXIT_CODES)]
    Rehearse(rehearse::Rehearse),
    /// Run a few batches on the target and roll them back
    Canary(rehearse::Canary),
    /// Go on until it is done, or something stops it
    #[command(after_help = EXIT_CODES)]
    Run(run::Args),
    /// Tell how far it is
    Status(show::Status),
    /// Tell what happened, event by event
    History(show::History),
    /// Stop it at its next batch
    Pause(ask::Pause),
    /// Take a pause back
    Resume(ask::Resume),
    /// Change its limits while it runs
    Throttle(ask::Throttle),
    /// Record evidence for a gate, or an approval
    Evidence(ask::Evidence),
    /// Take everything back, batch by batch; possible until something was dropped
    #[command(after_help = EXIT_CODES)]
    Rollback(run::Rollback),
    /// Take over the histories of sqlx, refinery and sqitch, where the database has them
    Adopt(ask::Adopt),
}

/// The database.
#[derive(Debug, Clone, ClapArgs)]
struct At {
    /// Where the database is: env:VARIABLE, secret:NAME or iam:user@host:port/database
    #[arg(long, value_name = "DSN", default_value = "env:DATABASE_URL")]
    dsn: String,
}

/// A migration and the database it is for.
#[derive(Debug, Clone, ClapArgs)]
struct Target {
    /// Folder of the migration
    folder: PathBuf,
    #[command(flatten)]
    at: At,
}

impl At {
    async fn server(&self) -> anyhow::Result<Server> {
        server(&self.dsn, "--dsn").await
    }
}

/// Who asks for something, and why.
#[derive(Debug, Clone, ClapArgs)]
struct By {
    /// Why, for the history
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    who: Who,
}

/// Who asks for something.
#[derive(Debug, Clone, ClapArgs)]
struct Who {
    /// Who, for the history
    #[arg(long, env = "USER", hide_env_values = true, default_value = "unknown")]
    by: String,
}

fn span(text: &str) -> Result<Span, String> {
    Span::parse(text).ok_or_else(|| "write a time such as 500ms, 30s, 10m or 2h".to_owned())
}

impl Target {
    async fn engine(&self) -> anyhow::Result<Engine> {
        let folder = Folder::load(&self.folder)?;
        Ok(Engine::new(folder, self.at.server().await?, Clock::system(), Options::default()))
    }
}

/// A database by its `dsn`, which the option of this name gave.
async fn server(text: &str, option: &str) -> anyhow::Result<Server> {
    let dsn = Dsn::parse(text).ok_or_else(|| {
        Usage(format!(
            "{option} takes env:VARIABLE, secret:NAME or iam:user@host:port/database; a connection \
             string itself would be seen by every process of this machine"
        ))
    })?;
    let databases = Databases::new(&Clients::load(None).await, Clock::system());
    Ok(Server::known(Arc::new(databases), dsn))
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let as_json = args.json;
    match Box::pin(perform(args.verb, as_json)).await {
        Ok(code) => Ok(code),
        Err(error) => match error.downcast_ref::<MigrateError>() {
            Some(failed) => {
                if as_json {
                    line(&json!({"error": failed.to_string(), "code": failed.code()}).to_string());
                } else {
                    eprintln!("error: {}: {failed}", failed.code());
                }
                Ok(failed.class().exit_code())
            }
            None => Err(error),
        },
    }
}

async fn perform(verb: Verb, as_json: bool) -> anyhow::Result<u8> {
    match verb {
        Verb::New(args) => new::run(&args, as_json),
        Verb::Lint(args) => before::lint(&args, as_json),
        Verb::Shadow(args) => before::shadow(&args, as_json).await,
        Verb::Plan(args) => before::plan(&args, as_json).await,
        Verb::Rehearse(args) => rehearse::rehearse(&args, as_json).await,
        Verb::Canary(args) => rehearse::canary(&args, as_json).await,
        Verb::Run(args) => run::run(&args, as_json).await,
        Verb::Status(args) => show::status(&args, as_json).await,
        Verb::History(args) => show::history(&args, as_json).await,
        Verb::Pause(args) => ask::pause(&args, as_json).await,
        Verb::Resume(args) => ask::resume(&args, as_json).await,
        Verb::Throttle(args) => ask::throttle(&args, as_json).await,
        Verb::Evidence(args) => ask::evidence(&args, as_json).await,
        Verb::Rollback(args) => run::rollback(&args, as_json).await,
        Verb::Adopt(args) => ask::adopt(&args, as_json).await,
    }
}
