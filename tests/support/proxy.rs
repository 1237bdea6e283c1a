//! A way to Postgres that breaks off when a transaction is about to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What a client sends to commit, with the zero byte that ends it.
const COMMIT: &[u8] = b"COMMIT\0";

/// How often, in percent, and how many so far.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub(crate) percent: AtomicU64,
    /// So many commits pass before the first that may be cut.
    pub(crate) skip: AtomicU64,
    /// Only the next commit, in this way (1: before, 2: unanswered, 3: after); 0 for any of them.
    pub(crate) once: AtomicU64,
    /// The commit never reached the server.
    pub(crate) before: AtomicU64,
    /// It did, and the answer did not reach the client.
    pub(crate) unanswered: AtomicU64,
    /// The answer reached the client just before the connection went.
    pub(crate) after: AtomicU64,
}

impl Cuts {
    /// Whether this commit is one of those that pass.
    fn skips(&self) -> bool {
        let fewer = |left: u64| left.checked_sub(1);
        self.skip.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer).is_ok()
    }

    pub(crate) fn total(&self) -> u64 {
        [&self.before, &self.unanswered, &self.after]
            .map(|count| count.load(Ordering::SeqCst))
            .iter()
            .sum()
    }
}

/// Listens on a port of its own, which it gives back.
pub(crate) async fn start(target: u16, cuts: Arc<Cuts>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let cuts = cuts.clone();
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                let (client_read, mut client_write) = client.into_split();
                let (mut server_read, server_write) = server.into_split();
                tokio::select! {
                    () = forward(client_read, server_write, &cuts) => {}
                    _ = copy(&mut server_read, &mut client_write) => {}
                }
            });
        }
    });
    port
}

/// Hands on what the client says; returns when the connection is to break.
async fn forward(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, cuts: &Cuts) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = client.read(&mut buffer).await {
        let bytes = &buffer[..length];
        let commits = bytes.ends_with(COMMIT) && !cuts.skips();
        if !commits || fastrand::u64(..100) >= cuts.percent.load(Ordering::SeqCst) {
            if server.write_all(bytes).await.is_err() {
                return;
            }
            continue;
        }
        let once = cuts.once.swap(0, Ordering::SeqCst);
        if once > 0 {
            cuts.percent.store(0, Ordering::SeqCst);
        }
        match once.checked_sub(1).unwrap_or_else(|| fastrand::u64(..3)) {
            0 => drop(cuts.before.fetch_add(1, Ordering::SeqCst)),
            1 => {
                // The server gets it, and nobody is there when it answers.
                cuts.unanswered.fetch_add(1, Ordering::SeqCst);
                server.write_all(bytes).await.ok();
                server.shutdown().await.ok();
            }
            _ => {
                cuts.after.fetch_add(1, Ordering::SeqCst);
                server.write_all(bytes).await.ok();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        return;
    }
}
