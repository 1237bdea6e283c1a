//! One run: environments that call the functions' handlers, a network between them and the services,
//! and a loop that decides what happens next. Nothing happens by itself: the loop waits until every
//! task waits, then takes the one thing that is due first. So a seed is a run.

mod deliver;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rowproof_io::app::App;
use rowproof_io::clock::{Clock, Timeline};
use rowproof_local::faults::{Class, Faults};
use rowproof_local::{EventShape, LocalAws, Notification, Options, QueueOptions, Taken};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::names::hash;
use crate::net::{Net, Port};
use crate::plan::{Action, Plan};
use crate::watch::Watch;
use crate::{operator, setup};

/// Seconds an invocation may take; then its environment is killed.
const TIMEOUT_SECONDS: u64 = 60;
/// How long a message stays hidden when nobody says what became of it.
const VISIBILITY: Duration = Duration::from_secs(90);
/// The time of day at which every run begins, in milliseconds since 1970.
pub(crate) const EPOCH_MS: u64 = 1_767_225_600_000;
/// No run takes more steps than this.
const STEPS_MAX: u64 = 60_000;
/// Queues that a function takes messages from.
const QUEUES: [&str; 3] = ["uploads", "work", "redrive"];
/// Who sends what is no environment's.
const OPERATOR: usize = 0;

/// What a run was like.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What the oracle and the watch object to.
    pub(crate) violations: Vec<String>,
    /// Hash of all that happened, in order.
    pub(crate) log: u64,
    pub(crate) requests: u64,
    /// Places where a crash was possible.
    pub(crate) boundaries: u64,
    pub(crate) crashes: u64,
    pub(crate) timeouts: u64,
    pub(crate) restarts: u64,
    /// Faults by class, in the order of [`Class::ALL`].
    pub(crate) faults: Vec<u64>,
    /// Jobs by state at the end.
    pub(crate) states: Vec<String>,
    /// Seconds of the simulation's time.
    pub(crate) seconds: u64,
    /// Rows that were archived because their workers died.
    pub(crate) poison: u64,
    /// Messages that told of a sink that does not answer.
    pub(crate) outages_told: u64,
    /// The most attempts that any chunk was charged.
    pub(crate) attempts: i64,
    /// All was over before the last look at it began.
    pub(crate) ended_by_itself: bool,
}

/// An execution environment of Lambda, for whichever function is called.
struct Environment {
    /// Unique for every environment there ever was.
    id: usize,
    skew_ms: i64,
    app: Arc<App>,
    busy: Option<Invocation>,
}

struct Invocation {
    task: JoinHandle<Option<Value>>,
    taken: Taken,
    until: u64,
}

pub(crate) struct Sim<'a> {
    plan: &'a Plan,
    dir: TempDir,
    timeline: &'static Timeline,
    local: LocalAws,
    net: Net,
    faults: Faults,
    environments: Vec<Environment>,
    operator: Arc<App>,
    errand: Option<JoinHandle<()>>,
    script: Vec<(u64, Action)>,
    next_id: usize,
    invocations: u64,
    polls: Arc<AtomicU64>,
    watch: Watch,
    report: Report,
    /// No more crashes, faults and accidents.
    calm: bool,
}

/// Runs a plan from its first upload until everything has settled, and checks what is left.
pub(crate) fn run(plan: &Plan) -> Report {
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        // One thread, so that blocking work is done in the order in which it was handed out.
        .max_blocking_threads(1)
        // A task that yields goes on when no other can: that is how the loop knows that all wait.
        .event_interval(u32::MAX)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut sim = Sim::new(plan).await;
        sim.go_on().await;
        sim.heal().await;
        sim.finish().await
    })
}

impl<'a> Sim<'a> {
    async fn new(plan: &'a Plan) -> Sim<'a> {
        let dir = TempDir::with_prefix("rowproof-sim-").unwrap();
        let timeline = Timeline::new(EPOCH_MS);
        let faults = Faults::new(plan.seed, plan.rates.clone());
        let options = Options {
            dir: Some(dir.path().to_owned()),
            buckets: ["input", "output", "failures"].map(|name| (name.to_owned(), false)).to_vec(),
            clock: rowproof_local::Clock::told_by(|| timeline.now_ms()),
            faults: Some(faults.clone()),
            ..Options::default()
        };
        let local = LocalAws::in_process(options).unwrap();
        for name in QUEUES {
            let dead = format!("{name}-dlq");
            local.create_queue(&dead, &QueueOptions::default());
            let redrive = Some((dead, 6));
            local.create_queue(name, &QueueOptions { redrive, ..QueueOptions::default() });
        }
        local.notify(Notification {
            bucket: "input".into(),
            prefix: String::new(),
            queue: "uploads".into(),
            shape: EventShape::EventBridge,
        });
        let net = Net::default();
        let port =
            Port { net: net.clone(), from: OPERATOR, timeline, faults: None, seed: plan.seed };
        let clock = Clock::simulated(timeline);
        let operator =
            Arc::new(App::with_clock(setup::settings(plan), &port.clients(clock), clock));
        let mut sim = Sim {
            plan,
            watch: Watch::new(dir.path(), local.handler()),
            dir,
            timeline,
            local,
            net,
            faults,
            environments: vec![],
            operator,
            errand: None,
            script: vec![],
            next_id: OPERATOR + 1,
            invocations: 0,
            polls: Arc::default(),
            report: Report::default(),
            calm: true,
        };
        sim.send(Action::Install { hold: plan.hold }).await;
        sim.go_on().await;
        sim.calm = false;
        sim.script.clone_from(&plan.script);
        sim.script.sort_by_key(|(at, _)| *at);
        for skew_ms in &plan.skews_ms {
            let environment = sim.environment(*skew_ms);
            sim.environments.push(environment);
        }
        sim
    }

    /// A cold start.
    fn environment(&mut self, skew_ms: i64) -> Environment {
        let id = self.next_id;
        self.next_id += 1;
        let port = Port {
            net: self.net.clone(),
            from: id,
            timeline: self.timeline,
            faults: Some(self.faults.clone()),
            seed: self.plan.seed,
        };
        let clock = Clock::simulated(self.timeline).skewed(skew_ms);
        let app = App::with_clock(setup::settings(self.plan), &port.clients(clock), clock);
        Environment { id, skew_ms, app: Arc::new(app), busy: None }
    }

    fn restart(&mut self, at: usize) {
        self.environments[at] = self.environment(self.environments[at].skew_ms);
        self.report.restarts += 1;
    }

    /// Whether an accident happens that is one in `parts` of 10,000.
    fn chance(&self, parts: u64, what: &str, count: u64) -> bool {
        !self.calm && hash(self.plan.seed, &format!("{what} {count}")) % 10_000 < parts
    }

    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(Counted { future: Box::pin(future), polls: self.polls.clone() })
    }

    /// Until every task waits for the network, for time, or for an invocation.
    async fn quiesce(&self) {
        loop {
            let before = self.polls.load(Ordering::Relaxed);
            tokio::task::yield_now().await;
            // The only blocking thread has done all that was handed to it before.
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            tokio::task::yield_now().await;
            if self.polls.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    /// Goes on until nothing is left to happen.
    async fn go_on(&mut self) {
        for _ in 0..STEPS_MAX {
            self.quiesce().await;
            self.reap().await;
            if self.dispatch() {
                continue;
            }
            if !self.next().await {
                return;
            }
        }
        self.report.violations.push("the run never came to rest".into());
    }

    /// Invocations that have ended.
    async fn reap(&mut self) {
        for at in 0..self.environments.len() {
            let ended = |busy: &mut Invocation| busy.task.is_finished();
            let Some(invocation) = self.environments[at].busy.take_if(ended) else { continue };
            self.invocations += 1;
            let answer = invocation.task.await;
            if let Err(panic) = &answer {
                self.report.violations.push(format!("a handler panicked: {panic}"));
            }
            // Done, but SQS never hears of it: the message comes again.
            if !self.chance(200, "deaf", self.invocations) {
                invocation.taken.settle(answer.ok().flatten().as_ref());
            }
            if self.chance(500, "restart", self.invocations) {
                self.restart(at);
            }
        }
        if self.errand.as_ref().is_some_and(JoinHandle::is_finished) {
            self.errand.take().unwrap().await.unwrap();
        }
    }

    /// Hands a message that can be received to an environment that is free.
    fn dispatch(&mut self) -> bool {
        let free: Vec<_> = (0..self.environments.len())
            .filter(|at| self.environments[*at].busy.is_none())
            .collect();
        if free.is_empty() {
            return false;
        }
        for queue in QUEUES {
            if self.local.next_message_ms(queue) != Some(0) {
                continue;
            }
            let Some(taken) = self.local.take(queue, 1, VISIBILITY) else { return true };
            self.invocations += 1;
            let lot = hash(self.plan.seed, &format!("who {}", self.invocations));
            let at = free[lot as usize % free.len()];
            let app = self.environments[at].app.clone();
            let event = taken.event();
            let task = self.spawn(async move {
                let deadline = app.clock.deadline_in(TIMEOUT_SECONDS);
                let answer = match queue {
                    "uploads" => rowproof_ingest::handle(&app, &event, deadline).await,
                    "work" => rowproof_chunk::handle(&app, &event, deadline).await,
                    _ => rowproof_redrive::handle(&app, &event, deadline).await,
                };
                answer.ok()
            });
            let until = self.timeline.now_ms() + TIMEOUT_SECONDS * 1000;
            self.environments[at].busy = Some(Invocation { task, taken, until });
            return true;
        }
        false
    }

    /// Lets the one thing happen that is due first; `false` when there is none.
    async fn next(&mut self) -> bool {
        let has_free = self.environments.iter().any(|environment| environment.busy.is_none());
        let now = self.timeline.now_ms();
        let queues = QUEUES.map(|queue| self.local.next_message_ms(queue));
        let message = queues.into_iter().flatten().min().filter(|_| has_free).map(|ms| now + ms);
        let killed = self.environments.iter().filter_map(|e| Some(e.busy.as_ref()?.until)).min();
        let (timer, request) = (self.timeline.next_ms(), self.net.next_ms());
        let scripted = self.script.first().map(|(at, _)| EPOCH_MS + at);
        let scripted = scripted.filter(|_| self.errand.is_none());
        let all = [timer, request, scripted, message, killed];
        let Some(due) = all.into_iter().flatten().min() else { return false };
        let due = due.max(now);
        self.timeline.set(due);
        if timer.is_some_and(|at| at <= due) {
            self.timeline.wake();
        } else if request.is_some_and(|at| at <= due) {
            let pending = self.net.pop().unwrap();
            self.deliver(pending).await;
        } else if scripted.is_some_and(|at| at <= due) {
            let (_, action) = self.script.remove(0);
            self.send(action).await;
        } else if message.is_none_or(|at| at > due) {
            self.report.timeouts += 1;
            let over = |e: &Environment| e.busy.as_ref().is_some_and(|busy| busy.until <= due);
            let at = self.environments.iter().position(over).unwrap();
            self.kill(self.environments[at].id);
        }
        true
    }

    async fn send(&mut self, action: Action) {
        if let Action::Purge = action {
            for queue in QUEUES {
                self.local.purge(queue);
            }
            return;
        }
        let task = operator::act(self.operator.clone(), action);
        self.errand = Some(self.spawn(task));
    }

    /// From here on nothing goes wrong: does everything settle? Time passes in steps longer than a
    /// lease, and at last longer than any clock is wrong by.
    async fn heal(&mut self) {
        self.calm = true;
        self.faults.stop();
        let open = setup::unsettled(&self.local.handler()).await;
        self.report.ended_by_itself = open.is_empty();
        for round in 0..24 {
            let passes = if round % 6 == 5 { 26 * 3600 } else { 130 };
            self.timeline.set(self.timeline.now_ms() + passes * 1000);
            self.go_on().await;
            for action in [Action::Sweep, Action::Reconcile, Action::Redrive] {
                self.send(action).await;
                self.go_on().await;
            }
            let open = setup::unsettled(&self.local.handler()).await;
            if open.is_empty() && round > 0 {
                return;
            }
        }
        let open = setup::unsettled(&self.local.handler()).await;
        self.report.violations.push(format!("some jobs never settle: {open:?}"));
    }

    async fn finish(mut self) -> Report {
        self.report.violations.append(&mut self.watch.violations);
        let jobs = setup::jobs(&self.local.handler()).await;
        self.report.states = jobs.iter().map(|job| job.state.clone()).collect();
        let found = crate::check::check(self.dir.path(), self.plan, &jobs);
        self.report.violations.extend(found.wrong);
        self.report.poison = found.poison;
        self.report.attempts = self.watch.attempts;
        while let Some(taken) = self.local.take("work-dlq", 10, VISIBILITY) {
            let told = taken.event().to_string().matches("sink_unavailable").count();
            self.report.outages_told += told as u64;
        }
        self.report.faults = Class::ALL.map(|class| self.faults.tally().of(class)).to_vec();
        self.report.seconds = (self.timeline.now_ms() - EPOCH_MS) / 1000;
        self.report
    }
}

/// Counts how often a task goes on.
struct Counted<F> {
    future: Pin<Box<F>>,
    polls: Arc<AtomicU64>,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.future.as_mut().poll(context)
    }
}
