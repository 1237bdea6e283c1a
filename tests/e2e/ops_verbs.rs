//! What operators type to bring work back.

use rowproof_core::ledger::{self, ChunkId, Failure};
use rowproof_core::message::Task;

use crate::support::cloud::Cloud;
use crate::support::oracle;
use crate::support::orders::Orders;
use crate::support::world::{Ended, World};

fn verb(world: &World, arguments: &[&str]) -> Ended {
    let mut all: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    all.extend(["--out", "out"].map(str::to_owned));
    world.command(all).end()
}

/// Does something to the folder's local AWS while no program uses it.
fn prepare<R>(world: &World, work: impl AsyncFnOnce(&Cloud) -> R) -> R {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let cloud = Cloud::start(&world.path("out"), 10).await;
        let result = work(&cloud).await;
        cloud.shutdown().await;
        result
    })
}

fn orders(first_id: usize, rows: usize) -> Vec<u8> {
    Orders { first_id, seed: first_id as u64, ..Orders::clean(rows) }.csv().0
}

#[test]
fn an_object_that_was_there_before_is_loaded_by_rerun_or_reconcile() {
    let world = World::with_orders();
    let (a, b) = (orders(1, 30), orders(500, 20));
    prepare(&world, async |cloud| {
        cloud.put("incoming/a.csv", &a).await;
        cloud.put("incoming/b.csv", &b).await;
    });
    let dry =
        verb(&world, &["rerun", "--prefix", "incoming/", "--dry-run", "--rate", "1/h", "--json"]);
    assert_eq!((dry.code, dry.lines.len()), (Some(0), 2), "{dry:#?}");
    assert_eq!(dry.lines[0]["job"], serde_json::Value::Null);
    assert_eq!(world.loaded().len(), 0);

    let rerun = verb(&world, &["rerun", "--prefix", "incoming/a", "--rate", "5/s", "--json"]);
    assert_eq!(rerun.is("COMMITTED", 0)["rows_loaded"], 30);
    let reconciled = verb(&world, &["reconcile", "--json"]);
    assert_eq!(
        (reconciled.code, &reconciled.lines[0]["unobserved"]),
        (Some(0), &1.into()),
        "{reconciled:#?}"
    );
    let mut both = [oracle::good(&a), oracle::good(&b)].concat();
    both.sort();
    assert!(world.loaded() == both);
    let again = verb(&world, &["reconcile", "--since", "2020-01-01"]);
    assert!(again.out.contains("2 uploads of pipelines: 0 unknown"), "{again:#?}");
    verb(&world, &["reconcile", "--since", "monday"]).refused("give a date");
    let slow = verb(&world, &["rerun", "--prefix", "incoming/", "--rate", "fast"]);
    assert!(slow.code == Some(2) && slow.err.contains("5/s"), "{slow:#?}");
}

#[test]
fn a_rate_spreads_what_is_run_again() {
    let world = World::with_orders();
    for (name, first) in [("a.csv", 1), ("b.csv", 100), ("c.csv", 200)] {
        world.write(name, orders(first, 5));
    }
    world.run(&["a.csv", "b.csv", "c.csv"]).end();
    let began = std::time::Instant::now();
    let rerun = verb(&world, &["rerun", "--prefix", "incoming/", "--rate", "1/s", "--json"]);
    assert_eq!((rerun.code, rerun.lines.len()), (Some(0), 3), "{rerun:#?}");
    assert!(began.elapsed().as_secs() >= 2);
    assert_eq!(world.loaded().len(), 15);
}

/// The folder of a job of which chunk 2 was given up, and its id.
fn blocked(world: &World, file: &[u8]) -> String {
    prepare(world, async |cloud| {
        cloud.put("incoming/a.csv", file).await;
        cloud.tell("incoming/a.csv").await;
        cloud.deliver("uploads").await;
        let job = cloud.job().await;
        let id = ChunkId::whole(&job.facts.job, 2);
        let worker = ledger::Worker { owner: "w".into(), run: None, lease_seconds: 60 };
        let acquired = ledger::acquire(&id, None, &worker, cloud.app.clock.now());
        let ledger::Acquire::Try(write, lease) = acquired else { panic!("{acquired:?}") };
        cloud.app.ledger.perform(&write).await.unwrap();
        let failure = Failure { code: "poison".into(), message: "its workers died".into() };
        let now = cloud.app.clock.now();
        cloud.app.ledger.perform(&ledger::give_up(&lease, &failure, now)).await.unwrap();
        cloud.send("work", Task::Job { job: job.facts.job.clone() }).await;
        cloud.settle().await;
        assert_eq!(cloud.depth("work-dlq"), 1, "it rings once");
        job.facts.job.0
    })
}

#[test]
fn a_blocked_job_is_explained_and_brought_back() {
    let world = World::with_orders();
    let file = orders(1, 60);
    let job = blocked(&world, &file);
    let why = verb(&world, &["why", &job, "--json"]);
    assert_eq!(why.lines[0]["state"], "BLOCKED", "{why:#?}");
    let next = why.lines[0]["next"][0].as_str().unwrap();
    assert!(next.starts_with(&format!("rowproof redrive --job {job}")), "{next}");
    let told = why.lines[0]["story"].to_string();
    assert!(told.contains("chunk 2 given up: poison: its workers died"), "{told}");

    let other = verb(&world, &["redrive", "--job", &job, "--cause", "memory"]);
    other.refused("it failed with poison");
    let none = verb(&world, &["redrive", "--all", "--cause", "memory"]);
    assert!(none.code == Some(0) && none.out.contains("nothing has failed"), "{none:#?}");
    let back = verb(&world, &["redrive", "--job", &job, "--rate", "1/s", "--json"]);
    world.agrees(back.is("COMMITTED", 0), &file);
    let over = verb(&world, &["redrive", "--job", &job]);
    over.refused("nothing of it has failed");
    let all = verb(&world, &["redrive", "--all"]);
    assert!(all.code == Some(0) && all.out.contains("nothing has failed"), "{all:#?}");
}

#[test]
fn all_that_failed_is_brought_back_at_once() {
    let world = World::with_orders();
    let file = orders(1, 60);
    blocked(&world, &file);
    let back = verb(&world, &["redrive", "--all", "--json"]);
    world.agrees(back.is("COMMITTED", 0), &file);
}

#[test]
fn sweep_goes_on_with_everything_unfinished() {
    let world = World::with_orders();
    let file = orders(1, 60);
    prepare(&world, async |cloud| {
        cloud.put("incoming/a.csv", &file).await;
        cloud.tell("incoming/a.csv").await;
        cloud.deliver("uploads").await;
        cloud.deliver_up_to("work", 2).await;
    });
    let swept = verb(&world, &["sweep"]);
    assert!(swept.code == Some(0) && swept.out.contains("1 job taken on"), "{swept:#?}");
    assert!(world.loaded() == oracle::good(&file));
    let again = verb(&world, &["sweep"]);
    assert!(again.out.contains("nothing is unfinished"), "{again:#?}");
}

#[test]
fn revert_shows_an_earlier_versions_rows_until_a_new_file_comes() {
    let world = World::with_orders();
    let (one, two, three) = (orders(1, 40), orders(20, 50), orders(900, 10));
    world.write("a.csv", &one);
    let first = world.run(&["a.csv"]).chunk_bytes(1_500).line();
    let key = first["data"][0].as_str().unwrap().to_owned();
    let none = verb(&world, &["revert", "incoming/a.csv"]);
    assert!(none.code == Some(1) && none.err.contains("this one is the first"), "{none:#?}");
    world.write("a.csv", &two);
    let second = world.run(&["a.csv"]).chunk_bytes(1_500).line();
    world.agrees(&second, &two);

    let back = verb(&world, &["revert", "incoming/a.csv", "--json"]);
    let back = back.is("COMMITTED", 0).clone();
    assert!(world.loaded() == oracle::good(&one), "the first version's rows are visible again");
    assert!(!world.path("out").join(&key).exists(), "under names of their own");
    let why = |job: &serde_json::Value| {
        let told = verb(&world, &["why", job.as_str().unwrap(), "--json"]);
        told.lines[0]["story"].to_string()
    };
    assert!(why(&back["job"]).contains("an operator went back"), "{}", why(&back["job"]));
    assert!(why(&second["job"]).contains("went back from this version"), "{}", why(&second["job"]));
    // Neither the bucket's listing nor the same file undoes the decision.
    let reconciled = verb(&world, &["reconcile", "--json"]);
    assert_eq!(reconciled.lines[0]["unobserved"], 0, "{reconciled:#?}");
    assert!(world.loaded() == oracle::good(&one));

    world.write("a.csv", &three);
    world.agrees(&world.run(&["a.csv"]).line(), &three);
    verb(&world, &["revert", "incoming/nothing.csv"]).refused("no job has read");
}
