//! Runs a function as Lambda does: a process an environment, under the Lambda Runtime API.

mod api;
mod environment;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Semaphore;

use self::environment::{Census, Environment};
use crate::mapping::{Invoke, InvokeError};

/// Where the output of a function's processes goes.
#[derive(Debug, Clone, Default)]
pub enum Output {
    /// To this process's own stdout and stderr.
    #[default]
    Inherit,
    /// Appended to a file.
    File(PathBuf),
}

/// A function, as Lambda would be configured.
#[derive(Debug, Clone)]
pub struct Function {
    /// Function name.
    pub name: String,
    /// The program.
    pub command: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment besides what Lambda sets. `PATH` is handed down, nothing else.
    pub env: Vec<(String, String)>,
    /// How long one invocation may take; then its process is killed.
    pub timeout: Duration,
    /// Resident memory of a process, in MiB. One that holds more is killed.
    pub memory_mb: u32,
    /// Most processes at once.
    pub environments_max: usize,
    /// Where stdout and stderr go.
    pub output: Output,
}

/// Hosts one function. Its processes are killed when the last clone, or [`Invoke`], goes away.
#[derive(Debug, Clone)]
pub struct RuntimeHost(Arc<Host>);

#[derive(Debug)]
struct Host {
    function: Function,
    slots: Semaphore,
    /// Warm environments, the last used on top.
    idle: Mutex<Vec<Environment>>,
    census: Census,
    started: AtomicU64,
}

impl RuntimeHost {
    /// Hosts a function. Processes are started when they are needed.
    #[must_use]
    pub fn start(function: Function) -> Self {
        let slots = Semaphore::new(function.environments_max.max(1));
        let idle = Mutex::default();
        let census = Census::default();
        Self(Arc::new(Host { function, slots, idle, census, started: AtomicU64::new(0) }))
    }

    /// The function to call, for [`crate::LocalAws::map`].
    #[must_use]
    pub fn invoke(&self) -> Invoke {
        let host = Arc::clone(&self.0);
        Arc::new(move |event| -> BoxFuture<'static, Result<Value, InvokeError>> {
            let host = Arc::clone(&host);
            Box::pin(async move { host.invoke(event).await })
        })
    }

    /// Process ids of the environments that are warm and idle.
    #[must_use]
    pub fn idle_pids(&self) -> Vec<u32> {
        self.0.idle().iter().map(Environment::pid).collect()
    }

    /// Process ids of all environments, idle or not.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        self.0.census.pids().iter().copied().collect()
    }

    /// The greatest resident memory any process of this function had, in KiB, seen at the end of
    /// its invocations.
    #[must_use]
    pub fn peak_rss_kb(&self) -> u64 {
        self.0.census.peak_rss_kb.load(Ordering::Acquire)
    }

    /// How many processes were started so far.
    #[must_use]
    pub fn processes_started(&self) -> u64 {
        self.0.started.load(Ordering::Acquire)
    }
}

impl Host {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Environment>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn invoke(&self, event: Value) -> Result<Value, InvokeError> {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await.ok();
        let mut environment = loop {
            let warm = self.idle().pop();
            let Some(mut warm) = warm else {
                self.started.fetch_add(1, Ordering::AcqRel);
                break Environment::start(&self.function, self.census.clone()).await?;
            };
            if warm.is_alive() {
                break warm;
            }
        };
        let result = environment.invoke(event, self.function.timeout).await;
        if environment.is_alive() {
            self.idle().push(environment);
        }
        result
    }
}
