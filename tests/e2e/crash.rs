//! Runs that are killed, stopped, doubled and read while they work.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::oracle::{self, Row};
use crate::support::orders::{COLUMNS, Orders};
use crate::support::table;
use crate::support::world::{Running, World};

/// Kills in each mode; more with this variable.
#[allow(clippy::disallowed_methods, reason = "how long to look for trouble is the caller's choice")]
fn kills() -> u64 {
    std::env::var("ROWPROOF_TEST_KILLS").map_or(8, |text| text.parse().unwrap())
}

fn signal(running: &Running, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits for something that must come.
fn until(what: &str, mut there: impl FnMut() -> bool) {
    let started = Instant::now();
    while !there() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        sleep(Duration::from_millis(2));
    }
}

/// A world that holds an older version of the file.
fn with_old_rows(old: &[u8]) -> World {
    let world = World::with_orders();
    world.write("a.csv", old);
    world.agrees(&world.run(&["a.csv"]).line(), old);
    world
}

fn kill_at_random(processes: bool) {
    let (old, _) = Orders { first_id: 30, ..Orders::clean(60) }.csv();
    let (new, _) = Orders::flawed(120).csv();
    let prepared = with_old_rows(&old);
    let mut rng = Rng::with_seed(if processes { 11 } else { 5 });
    let mut span = 1_500;
    for round in 0..kills() {
        // A folder that holds old rows, or nothing yet; a file in ranges, or a chain.
        let world = if round % 3 == 0 { World::with_orders() } else { prepared.copy() };
        let packed = zstd::encode_all(&new[..], 1).unwrap();
        world.write("a.csv", if round % 2 == 0 { &new } else { &packed });
        let run = || world.run(&["a.csv"]).processes(processes).chunk_bytes(2_500);
        let began = Instant::now();
        let mut running = run().start();
        let wait = Duration::from_millis(rng.u64(10..span));
        while began.elapsed() < wait && !running.is_over() {
            sleep(Duration::from_millis(1));
        }
        // A moment after its end is no moment to kill it: the next ones come sooner.
        if running.is_over() {
            span = (span / 2).max(100);
        }
        running.kill();
        let ended = run().end();
        assert_eq!(ended.code, Some(0), "round {round}, killed after {wait:?}: {ended:#?}");
        assert_eq!(ended.lines[0]["chunks"], 6);
        world.agrees(&ended.lines[0], &new);
    }
}

#[test]
fn killed_at_any_moment_the_same_command_goes_on_and_doubles_no_row() {
    kill_at_random(false);
}

#[test]
fn killed_with_its_functions_the_same_command_goes_on_and_doubles_no_row() {
    kill_at_random(true);
}

#[test]
fn killed_at_each_step_of_a_swap_the_same_command_finishes_it() {
    let (old, _) = Orders { first_id: 30, ..Orders::clean(60) }.csv();
    let (new, _) = Orders::flawed(120).csv();
    let prepared = with_old_rows(&old);
    let steps =
        ["_plans/", "_staging/", ".json", "-intent.json", "curated/", "-0.json", "current/"];
    for (step, processes) in steps.into_iter().zip([false, true].into_iter().cycle()) {
        let world = prepared.copy();
        world.write("a.csv", &new);
        let run = || world.run(&["a.csv"]).processes(processes).chunk_bytes(2_500);
        // A step has begun when a file has come, gone or changed whose name holds its text.
        let look = || -> Vec<_> {
            let files = table::files(&world.path("out/output")).into_iter();
            let files = files.filter(|path| path.to_str().unwrap().contains(step));
            files
                .map(|path| (fs::metadata(&path).and_then(|data| data.modified()).ok(), path))
                .collect()
        };
        let before = look();
        let mut running = run().start();
        until(&format!("{step} changes"), || look() != before || running.is_over());
        running.kill();
        let ended = run().end();
        assert_eq!(ended.code, Some(0), "killed at {step}: {ended:#?}");
        world.agrees(&ended.lines[0], &new);
    }
}

/// Whether the ledger's files hold this text.
fn ledger_holds(world: &World, text: &str) -> bool {
    let files = fs::read_dir(world.path("out/.rowproof")).into_iter().flatten().flatten();
    let ledgers = files.filter(|entry| entry.file_name().to_string_lossy().starts_with("ledger"));
    ledgers.filter_map(|entry| fs::read(entry.path()).ok()).any(|bytes| holds(&bytes, text))
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn a_chunk_is_not_given_up_for_runs_that_were_killed_over_it() {
    for processes in [false, true] {
        let world = World::with_orders();
        let (file, _) = Orders::clean(8_000).csv();
        world.write("a.csv", &file);
        for _ in 0..7 {
            let mut running = world.run(&["a.csv"]).processes(processes).start();
            // A lease names the run that it belongs to.
            let run = format!("\"{}-", running.pid());
            until("it leases the chunk", || ledger_holds(&world, &run) || running.is_over());
            running.kill();
        }
        let ended = world.run(&["a.csv"]).processes(processes).end();
        ended.is("COMMITTED", 0);
        assert_eq!(world.loaded().len(), 8_000);
    }
}

/// Processes that were started with this text in their environment.
fn processes_with(text: &str) -> usize {
    let environ = |entry: fs::DirEntry| fs::read(entry.path().join("environ")).ok();
    let held = |bytes: &Vec<u8>| holds(bytes, text);
    fs::read_dir("/proc").unwrap().flatten().filter_map(environ).filter(held).count()
}

#[test]
#[cfg(target_os = "linux")]
fn functions_do_not_outlive_a_killed_run() {
    let world = World::with_orders();
    world.write("a.csv", Orders::clean(300).csv().0);
    let running = world.run(&["a.csv"]).processes(true).chunk_bytes(1_500).start();
    let lock = world.path("out/.rowproof/lock");
    let endpoint = || -> Option<String> {
        let holder: Value = serde_json::from_slice(&fs::read(&lock).ok()?).ok()?;
        holder["endpoint"].as_str().filter(|url| !url.is_empty()).map(str::to_owned)
    };
    until("it says where it listens", || endpoint().is_some());
    let variable = format!("ROWPROOF_ENDPOINT={}", endpoint().unwrap());
    until("its functions run", || processes_with(&variable) >= 2);
    running.kill();
    until("its functions are gone", || processes_with(&variable) == 0);
}

#[test]
fn a_second_run_on_a_folder_is_refused_and_names_the_first() {
    let world = World::with_orders();
    let (file, _) = Orders::clean(100).csv();
    world.write("a.csv", &file);
    let first = world.run(&["a.csv"]).chunk_bytes(2_500).start();
    let lock = world.path("out/.rowproof/lock");
    until("the first holds the lock", || fs::read(&lock).is_ok_and(|text| !text.is_empty()));
    signal(&first, Signal::STOP);
    let second = world.run(&["a.csv"]).end();
    second.refused(&format!("in use by process {}", first.pid()));
    assert_eq!(second.out, "");
    signal(&first, Signal::CONT);
    let ended = first.end();
    world.agrees(ended.is("COMMITTED", 0), &file);
}

#[test]
fn of_two_runs_that_start_at_once_one_works_and_the_other_names_it() {
    let world = World::with_orders();
    let (file, _) = Orders::clean(30).csv();
    world.write("a.csv", &file);
    for _ in 0..4 {
        let runs = [(); 2].map(|()| world.run(&["a.csv"]).start());
        let pids = runs.each_ref().map(Running::pid);
        let mut ended: Vec<_> = runs.into_iter().map(Running::end).zip(pids).collect();
        ended.sort_by_key(|(ended, _)| ended.code);
        world.agrees(ended[0].0.is("COMMITTED", 0), &file);
        // The other one may have come after the end of the first.
        if ended[1].0.code != Some(0) {
            ended[1].0.refused(&format!("in use by process {}:", ended[0].1));
        }
    }
}

#[test]
fn an_interrupted_run_says_so_and_the_same_command_goes_on() {
    let world = World::with_orders();
    let (file, _) = Orders::flawed(200).csv();
    world.write("a.csv", &file);
    for processes in [false, true] {
        let run = || world.run(&["a.csv"]).processes(processes).chunk_bytes(1_000);
        let started = run().start();
        until("a chunk is staged", || world.path("out/output/_staging").exists());
        signal(&started, Signal::INT);
        let ended = started.end();
        assert_eq!(ended.code, Some(130), "{ended:#?}");
        assert!(ended.err.contains("the same command goes on"), "{ended:#?}");
        fs::remove_dir_all(world.path("out/output/curated")).ok();
        world.agrees(&run().line(), &file);
        fs::remove_dir_all(world.path("out")).unwrap();
    }
}

/// The table as an exact reader sees it; `None` when there is none yet or it changed meanwhile.
fn read_exactly(out: &Path) -> Option<Vec<Row>> {
    let pointer = table::files(&out.join("current")).into_iter().next()?;
    let current = fs::read(&pointer).ok()?;
    let told: Value = serde_json::from_slice(&current).unwrap();
    let manifest = fs::read(out.join(told["manifest"].as_str().unwrap())).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut rows = Vec::new();
    for file in manifest["files"].as_array().unwrap() {
        let path = out.join(file["key"].as_str().unwrap());
        let Ok(opened) = fs::File::open(&path) else {
            let now = fs::read(&pointer).unwrap();
            assert_ne!(now, current, "{} is missing, and current still names it", path.display());
            return None;
        };
        for mut row in table::read_file(opened, &path) {
            rows.push(COLUMNS.iter().map(|column| row.remove(*column).unwrap()).collect());
        }
    }
    rows.sort();
    Some(rows)
}

#[test]
fn a_reader_of_the_manifest_never_sees_a_mixture() {
    let versions: Vec<_> = ["v0", "v1", "v2", "v3"]
        .map(|version| Orders { status: Some(version), ..Orders::clean(90) }.csv().0)
        .to_vec();
    let tables: Vec<_> = versions.iter().map(|file| oracle::good(file)).collect();
    let world = with_old_rows(&versions[0]);
    let over = AtomicBool::new(false);
    let mut seen = Vec::new();
    scope(|threads| {
        let reader = threads.spawn(|| {
            let mut seen = Vec::new();
            while !over.load(Ordering::Relaxed) {
                if let Some(rows) = read_exactly(&world.path("out/output")) {
                    let version = tables.iter().position(|table| *table == rows);
                    seen.push(version.expect("the rows are those of one version"));
                }
            }
            seen
        });
        for file in &versions[1..] {
            world.write("a.csv", file);
            world.agrees(&world.run(&["a.csv"]).chunk_bytes(1_500).line(), file);
        }
        sleep(Duration::from_millis(100));
        over.store(true, Ordering::Relaxed);
        seen = reader.join().unwrap();
    });
    assert!(seen.is_sorted(), "no reader goes back: {seen:?}");
    assert!(seen.contains(&0) && seen.contains(&3), "{seen:?}");
}
