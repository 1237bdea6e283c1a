//! One process of a function, and the end of it.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout_at};

use super::api::{Api, Invocation};
use super::{Function, Output};
use crate::mapping::InvokeError;
use crate::{ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY, clock};

/// Lambda gives a function this long to ask for its first invocation.
const INIT: Duration = Duration::from_secs(10);
/// How often a process's memory is looked at.
const MEMORY_LOOK: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Environment {
    child: Child,
    pid: u32,
    api: Api,
    alive: bool,
    arn: String,
    memory_mb: u32,
    census: Census,
}

/// What the host knows of its processes.
#[derive(Debug, Clone, Default)]
pub(super) struct Census {
    /// The greatest resident size so far, in KiB.
    pub(super) peak_rss_kb: Arc<AtomicU64>,
    /// Processes that run.
    pub(super) pids: Arc<Mutex<BTreeSet<u32>>>,
}

impl Census {
    pub(super) fn pids(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn error(kind: &str, message: impl Into<String>) -> InvokeError {
    InvokeError { kind: kind.to_owned(), message: message.into() }
}

impl Environment {
    /// Starts a process and waits until it asks for its first invocation.
    pub(super) async fn start(function: &Function, census: Census) -> Result<Self, InvokeError> {
        let broken = |what: &str, cause: std::io::Error| {
            error("Runtime.InvalidEntrypoint", format!("{what} of {}: {cause}", function.name))
        };
        let api = Api::start().await.map_err(|cause| broken("the runtime API", cause))?;
        let mut command = command(function, &api.address());
        redirect(&mut command, &function.output).map_err(|cause| broken("the log file", cause))?;
        let child = command.spawn().map_err(|cause| {
            broken(&format!("the program {}", function.command.display()), cause)
        })?;
        let pid = child.id().unwrap_or_default();
        let arn = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{}", function.name);
        let memory_mb = function.memory_mb;
        census.pids().insert(pid);
        let mut environment = Self { child, pid, api, alive: true, arn, memory_mb, census };
        environment.initialise().await?;
        Ok(environment)
    }

    async fn initialise(&mut self) -> Result<(), InvokeError> {
        let result = tokio::select! {
            ready = self.api.ready() => ready,
            status = self.child.wait() => Err(exit_error(status)),
            () = tokio::time::sleep(INIT) => {
                Err(error("Sandbox.Timedout", format!("init took longer than {} s", INIT.as_secs())))
            }
        };
        if result.is_err() {
            self.kill().await;
        }
        result
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process can take another invocation.
    pub(super) fn is_alive(&mut self) -> bool {
        self.alive = self.alive && matches!(self.child.try_wait(), Ok(None));
        self.alive
    }

    pub(super) async fn invoke(
        &mut self,
        event: Value,
        timeout: Duration,
    ) -> Result<Value, InvokeError> {
        let id = uuid::Uuid::new_v4().to_string();
        let deadline = Instant::now() + timeout;
        let deadline_ms =
            clock::system_ms() + u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let invocation = Invocation {
            id: id.clone(),
            deadline_ms,
            arn: self.arn.clone(),
            event: event.to_string(),
        };
        let reply = self.api.give(invocation);
        let (pid, limit_kb) = (self.pid, u64::from(self.memory_mb) << 10);
        let outcome = tokio::select! {
            // An answer that came with the end of the process counts.
            biased;
            reply = timeout_at(deadline, reply) => match reply {
                Ok(Ok(reply)) => Some(reply),
                Ok(Err(_)) => Some(Err(error("Runtime.Unknown", "the runtime API stopped"))),
                Err(_) => None,
            },
            status = self.child.wait() => {
                self.alive = false;
                Some(Err(exit_error(status)))
            }
            () = outgrown(pid, limit_kb) => {
                self.kill().await;
                Some(Err(error(
                    "Runtime.OutOfMemory",
                    format!("RequestId: {id} Error: Runtime exited with error: signal: killed"),
                )))
            }
        };
        self.note_memory();
        if let Some(reply) = outcome {
            return reply;
        }
        self.kill().await;
        let seconds = timeout.as_secs_f64();
        Err(error(
            "Sandbox.Timedout",
            format!("RequestId: {id} Error: Task timed out after {seconds:.2} seconds"),
        ))
    }

    /// Remembers the greatest resident size so far. The kernel forgets it with the process.
    fn note_memory(&self) {
        let peak = memory_kb(self.pid, "VmHWM:").unwrap_or(0);
        self.census.peak_rss_kb.fetch_max(peak, Ordering::AcqRel);
    }

    async fn kill(&mut self) {
        self.note_memory();
        self.alive = false;
        self.kill_group();
        self.census.pids().remove(&self.pid);
        if let Err(error) = self.child.wait().await {
            tracing::warn!(pid = self.pid, %error, "a killed process could not be waited for");
        }
    }

    /// Kills the process and all it has started, unless it has been waited for.
    fn kill_group(&self) {
        let running = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(group) = running
            && let Err(error) = kill_process_group(group, Signal::KILL)
        {
            tracing::debug!(%error, "the process group is gone already");
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.note_memory();
        self.kill_group();
        self.census.pids().remove(&self.pid);
    }
}

/// A line of a process's memory figures, in KiB; `None` when the process is gone.
fn memory_kb(pid: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns when a process has held more memory than it may. The kernel keeps the greatest size, so that a short
/// one between two looks counts too.
async fn outgrown(pid: u32, limit_kb: u64) {
    while memory_kb(pid, "VmHWM:").is_none_or(|held| held <= limit_kb) {
        tokio::time::sleep(MEMORY_LOOK).await;
    }
}

fn exit_error(status: std::io::Result<std::process::ExitStatus>) -> InvokeError {
    let how = status.map_or_else(|cause| cause.to_string(), |status| status.to_string());
    error("Runtime.ExitError", format!("Runtime exited without providing a reason: {how}"))
}

fn command(function: &Function, api: &str) -> Command {
    let mut command = Command::new(&function.command);
    command
        .args(&function.args)
        .env_clear()
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .envs(std::env::vars_os().filter(|(name, _)| name == "PATH"))
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .env("AWS_LAMBDA_FUNCTION_NAME", &function.name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string())
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
        .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
        .env("_HANDLER", "bootstrap")
        .env("LAMBDA_TASK_ROOT", ".")
        .env("TZ", ":UTC")
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .envs(function.env.iter().map(|(name, value)| (name, value)));
    command
}

fn redirect(command: &mut Command, output: &Output) -> std::io::Result<()> {
    if let Output::File(path) = output {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        command.stdout(file.try_clone()?).stderr(file);
    }
    Ok(())
}
