//! How long generated folders keep others from a table.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rowproof_migrate::drive::Drive;
use rowproof_migrate::state::State;
use tokio_postgres::Client;

use super::fixture::{finish, size};
use super::generate::{SETUP, approved, changes};
use crate::postgres::Postgres;

const TABLE: &str = "\"Shop\".\"Customer s\"";

/// Strong locks on the target, as another session sees them every few milliseconds: the longest wait for one,
/// and the longest time that one was held.
struct LockWatch {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<[Duration; 2]>,
}

impl LockWatch {
    async fn start(client: Client, table: &'static str) -> LockWatch {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let task = tokio::spawn(async move {
            let sql = format!(
                "SELECT pid, virtualtransaction, granted FROM pg_locks WHERE mode = 'AccessExclusiveLock' \
                 AND locktype = 'relation' AND relation = to_regclass('{table}')"
            );
            let mut since: HashMap<(i32, String, bool), Instant> = HashMap::new();
            let mut longest = [Duration::ZERO; 2];
            while !told.load(Ordering::SeqCst) {
                let rows = client.query(&sql, &[]).await.unwrap();
                let now = Instant::now();
                let seen: Vec<(i32, String, bool)> =
                    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
                since.retain(|lock, _| seen.contains(lock));
                for lock in seen {
                    let place = usize::from(lock.2);
                    let first = *since.entry(lock).or_insert(now);
                    longest[place] = longest[place].max(now - first);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            longest
        });
        LockWatch { stop, task }
    }

    async fn stop(self) -> [Duration; 2] {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_folder_holds_a_strong_lock_for_long() {
    let postgres = Postgres::start().await;
    let client = postgres.look().await;
    let rows = size("ROWPROOF_MIGRATE_WATCH_ROWS", 1_000);
    let setup = SETUP.replace("generate_series(1, 1000)", &format!("generate_series(1, {rows})"));
    for (id, change) in changes() {
        client.batch_execute(&setup).await.unwrap();
        let (_dir, engine) = approved(&postgres, id, &change).await;
        let watch = LockWatch::start(postgres.look().await, TABLE).await;
        // Somebody reads all the time, a little longer each time than a lock waits.
        let (reader, stop) = (postgres.look().await, Arc::new(AtomicBool::new(false)));
        let told = stop.clone();
        let reader = tokio::spawn(async move {
            while !told.load(Ordering::SeqCst) {
                let read =
                    format!("BEGIN; SELECT FROM {TABLE} LIMIT 1; SELECT pg_sleep(0.15); COMMIT");
                reader.batch_execute(&read).await.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert_eq!(finish(&engine).await, Drive::Done { state: State::Done }, "{id}");
        stop.store(true, Ordering::SeqCst);
        reader.await.unwrap();
        let [waited, held] = watch.stop().await;
        println!("{id}: an exclusive lock waited {waited:?} at most and was held {held:?}");
        assert!(waited <= Duration::from_millis(600), "{id}: waited {waited:?}");
        assert!(held <= Duration::from_millis(250), "{id}: held {held:?}");
    }
    // The watch sees what it is to see.
    let watch = LockWatch::start(postgres.look().await, TABLE).await;
    let planted = format!("BEGIN; LOCK TABLE {TABLE}; SELECT pg_sleep(0.4); COMMIT");
    client.batch_execute(&planted).await.unwrap();
    let [_, held] = watch.stop().await;
    assert!(held >= Duration::from_millis(300), "{held:?}");
}
