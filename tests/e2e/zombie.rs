//! A process that is frozen and killed at the worst moment, while others go on; and what would come of
//! it without the guard that is there for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rowproof_core::ledger::JobState;
use rowproof_local::Handler;
use rowproof_local::faults::{self, Call};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::processes::{Given, Processes, QUEUES, WORK};
use super::support::orders::{COLUMNS, Orders};
use super::support::sabotage::Sabotage;
use super::support::{oracle, table};

const KEY: &str = "incoming/orders.csv";

/// Stands between the functions and their AWS: lets one file of the table be published and holds the
/// others on their way, until it is opened.
struct Gate {
    aws: Handler,
    sabotage: Option<Sabotage>,
    published: AtomicBool,
    arrived: Semaphore,
    open: watch::Sender<bool>,
}

impl Gate {
    /// The gate and its URL.
    async fn start(aws: Handler, sabotage: Option<Sabotage>) -> (Arc<Gate>, String) {
        let (open, arrived) = (watch::Sender::new(false), Semaphore::new(0));
        let gate = Gate { aws, sabotage, published: AtomicBool::new(false), arrived, open };
        let gate = Arc::new(gate);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(gate.clone().serve(listener));
        (gate, url)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let gate = self.clone();
            let service = service_fn(move |request| gate.clone().answer(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            tokio::spawn(connection);
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, body.collect().await?.to_bytes());
        let call = Call::of(&request);
        let publishes = call.is_write && call.key.starts_with("/output/curated/");
        if publishes && self.published.swap(true, Ordering::SeqCst) && !*self.open.borrow() {
            self.arrived.add_permits(1);
            self.open.subscribe().wait_for(|open| *open).await.unwrap();
            return Ok(faults::unavailable(&call).map(Full::new));
        }
        let request = match self.sabotage {
            Some(sabotage) => sabotage.spoil(request),
            None => request,
        };
        Ok(self.aws.call(request).await.map(Full::new))
    }
}

fn orders() -> Vec<u8> {
    Orders { rows: 900, ..Orders::clean(0) }.csv().0
}

fn signal(pids: &[u32], signal: Signal) {
    for pid in pids {
        kill_process(Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap(), signal).unwrap();
    }
}

async fn until(what: &str, cloud: &Processes, holds: impl Fn(&[JobState]) -> bool) {
    let began = Instant::now();
    loop {
        let jobs = cloud.app.ledger.all_jobs().await.unwrap();
        let states: Vec<_> = jobs.iter().map(|job| job.state).collect();
        if holds(&states) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{what}: {states:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A `chunk` process has published one file of three when it is frozen. Meanwhile the object is
/// overwritten by something that cannot be read; then the process dies. How many rows of the only
/// version that can be read are there in the end, of how many.
async fn rows_in_the_end(sabotage: Option<Sabotage>) -> (usize, usize) {
    let mut cloud = Processes::start().await;
    let (gate, endpoint) = Gate::start(cloud.local.handler(), sabotage).await;
    let given = Given { endpoint, environments_max: 1, ..cloud.usual() };
    for work in WORK {
        cloud.wire(work, &given);
    }
    cloud.put(KEY, orders()).await;
    let held = tokio::time::timeout(Duration::from_secs(60), gate.arrived.acquire());
    held.await.expect("files are published within a minute").unwrap().forget();
    let frozen = cloud.hosts[1].pids();
    signal(&frozen, Signal::STOP);
    cloud.put(KEY, b"\x1f\x8b\x08\0 no gzip behind its first bytes".to_vec()).await;
    until("the overwriting", &cloud, |states| states.contains(&JobState::Failed)).await;
    cloud.local.purge("work");
    signal(&frozen, Signal::KILL);
    gate.open.send_replace(true);

    cloud.take_on().await;
    cloud.local.idle(&QUEUES).await;
    until("the end", &cloud, |states| states.iter().all(|state| state.is_settled())).await;
    let expected = oracle::judge(&orders()).into_iter().filter_map(|row| row.verdict.ok());
    let mut expected: Vec<_> = expected.collect();
    expected.sort();
    let rows = table::rows(&cloud.table(), &COLUMNS);
    assert!(rows.iter().all(|row| expected.contains(row)));
    cloud.shutdown().await;
    (rows.len(), expected.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_has_half_published_when_it_dies_is_finished() {
    let (rows, of) = rows_in_the_end(None).await;
    assert_eq!(rows, of);
}

/// The layer's control: without the guard that keeps a publishing job from being called overtaken,
/// its table stays torn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_guard_it_stays_half_published() {
    let (rows, of) = rows_in_the_end(Some(Sabotage::SupersedeAnyState)).await;
    assert!(rows > 0 && rows < of, "{rows} of {of} rows");
}
