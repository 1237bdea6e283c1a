//! Applications that go on while a migration runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::fixture::World;

/// Sessions that insert, update and delete single rows.
pub(crate) struct Writers {
    stop: Arc<AtomicBool>,
    pub(crate) made: Arc<AtomicU64>,
    /// What each write waited, in milliseconds.
    tasks: Vec<JoinHandle<Vec<f64>>>,
}

impl Writers {
    /// `rows` are there with ids that are multiples of ten. Every write is at another id, and `pause` lies
    /// between two of a session.
    pub(crate) async fn start(world: &World, sessions: u64, rows: u64, pause: Duration) -> Writers {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut tasks = vec![];
        for _ in 0..sessions {
            let client = world.postgres.look().await;
            let (stop, made) = (stop.clone(), made.clone());
            tasks.push(tokio::spawn(async move {
                let mut waits = vec![];
                while !stop.load(Ordering::SeqCst) {
                    let id = fastrand::u64(1..=rows) * 10;
                    let sql = match fastrand::u8(..10) {
                        0 => format!("DELETE FROM customers WHERE id = {id} AND seen < 3"),
                        1 | 2 => format!(
                            "INSERT INTO customers (id, email, spend, born) VALUES ({}, 'new', {}, 'during') \
                             ON CONFLICT DO NOTHING",
                            id + fastrand::u64(1..10) + if fastrand::bool() { 0 } else { rows * 10 },
                            id % 700
                        ),
                        _ => format!(
                            "UPDATE customers SET seen = seen + 1, email = 'seen ' || seen WHERE id = {id}"
                        ),
                    };
                    let began = Instant::now();
                    client.batch_execute(&sql).await.unwrap();
                    waits.push(began.elapsed().as_secs_f64() * 1000.0);
                    made.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(pause).await;
                }
                waits
            }));
        }
        Writers { stop, made, tasks }
    }

    /// Stops them: the waits, sorted, in milliseconds.
    pub(crate) async fn stop(self) -> Vec<f64> {
        self.stop.store(true, Ordering::SeqCst);
        let mut waits = vec![];
        for task in self.tasks {
            waits.extend(task.await.unwrap());
        }
        waits.sort_by(f64::total_cmp);
        waits
    }
}
