//! Commands that are killed while they start: the next one always works.

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::kills::count;
use crate::support::orders::Orders;
use crate::support::world::World;

/// Kills of a plain `cargo test`.
const SMOKE: u64 = 10;
/// The first moments: what a folder is made of is made in them.
const FIRST: Duration = Duration::from_millis(200);

/// What may come after a kill: the same command, or one that looks. What a run has not begun yet
/// cannot be looked at.
fn look(world: &World, verb: &str, when: &str) {
    let ended = world.command([verb, "--out", "out"].map(str::to_owned).to_vec()).end();
    let nothing = ended.code == Some(2) && ended.err.contains("holds no rowproof run");
    assert!(nothing || ended.code == Some(0), "{verb} after {when}: {ended:#?}");
}

#[test]
fn killed_in_its_first_moments_a_run_leaves_a_folder_that_can_be_used() {
    let kills = count("ROWPROOF_TEST_KILLS", SMOKE);
    let (file, _) = Orders::clean(30).csv();
    let whole = {
        let world = World::with_orders();
        world.write("a.csv", &file);
        let began = Instant::now();
        world.agrees(&world.run(&["a.csv"]).line(), &file);
        began.elapsed().max(FIRST)
    };
    let mut rng = Rng::with_seed(23);
    for round in 0..kills {
        let world = World::with_orders();
        world.write("a.csv", &file);
        // Every other one over the whole of its life, which is longer in a build without optimisation.
        let span = if round % 2 == 0 { FIRST } else { whole };
        let wait = span.mul_f64(rng.f64());
        let running = world.run(&["a.csv"]).start();
        std::thread::sleep(wait);
        running.kill();
        let when = format!("a kill after {wait:?}");
        if round % 4 < 2 {
            look(&world, "status", &when);
        }
        let ended = world.run(&["a.csv"]).end();
        assert_eq!(ended.code, Some(0), "after {when}: {ended:#?}");
        world.agrees(&ended.lines[0], &file);
    }
    println!("{kills} kills within {FIRST:?} and {whole:?}: the next command worked each time");
}
