//! A record that its worker's memory does not hold, in real processes under a memory limit.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::processes::{Given, Processes, WORK};
use super::support::oracle::{self, Row};
use super::support::orders::{COLUMNS, Orders};
use super::support::table;

const ROWS: usize = 6;
const KEY: &str = "incoming/orders.csv";

/// The third record has a note of so many bytes.
fn orders(note: usize) -> Vec<u8> {
    let text = String::from_utf8(Orders { rows: ROWS, ..Orders::clean(0) }.csv().0).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (before, _) = lines[3].rsplit_once(',').unwrap();
    lines[3] = format!("{before},{}", "n".repeat(note));
    lines.join("\n").into_bytes()
}

/// Loads the file with functions of so much memory; the cloud when its job is committed.
async fn loaded(note: usize, memory_mb: u32) -> Processes {
    let mut cloud = Processes::start().await;
    let given = cloud.usual();
    cloud.wire(WORK[0], &given);
    cloud.wire(WORK[1], &Given { memory_mb, ..given });
    cloud.put(KEY, orders(note)).await;
    let began = Instant::now();
    while cloud.states().await != BTreeMap::from([("COMMITTED", 1)]) {
        assert!(began.elapsed() < Duration::from_secs(400), "{:?}", cloud.states().await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        cloud.take_on().await;
    }
    cloud
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_too_big_for_memory_is_archived_alone() {
    let cloud = loaded(10, 512).await;
    let usual_mb = u32::try_from(cloud.hosts[1].peak_rss_kb() >> 10).unwrap();
    cloud.shutdown().await;

    // The record takes 40 MiB to load, 15 to find its end.
    let cloud = loaded(14 << 20, usual_mb + 24).await;
    let deaths = cloud.hosts[1].processes_started();
    let mut archived = vec![];
    for path in table::files(&cloud.out().join("failures")) {
        for row in table::read(&path) {
            archived.push((row["row_number"].clone().unwrap(), row["error_code"].clone().unwrap()));
        }
    }
    println!("{} rows in {deaths} processes, archived: {archived:?}", ROWS);
    assert_eq!(archived, [("3".to_owned(), "poison".to_owned())]);
    let ids = |rows: Vec<Row>| rows.into_iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    let good = oracle::judge(&orders(10)).into_iter().filter(|row| row.number != 3);
    let mut good: Vec<_> = good.filter_map(|row| row.verdict.ok()).collect();
    good.sort();
    assert_eq!(ids(table::rows(&cloud.table(), &COLUMNS)), ids(good));
    cloud.shutdown().await;
}
