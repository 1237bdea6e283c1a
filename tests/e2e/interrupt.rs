//! Ctrl-C at many moments: nothing that looks like a crash, and the next run ends the work.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::support::orders::Orders;
use super::support::world::{Ended, World};

/// Rows of a file that a worker reads for a good while.
const ROWS: usize = 100_000;
/// Interrupts of a plain `cargo test`, spread over the time that a whole run takes.
const INTERRUPTS: u32 = 12;

fn interrupted(world: &World, after: Duration) -> Ended {
    let running = world.run(&["a.csv"]).start();
    sleep(after);
    let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
    // It may have ended by itself.
    kill_process(pid, Signal::INT).ok();
    running.end()
}

#[test]
fn an_interrupt_at_any_moment_prints_no_panic_and_the_next_run_completes() {
    let (file, _) = Orders::clean(ROWS).csv();
    let whole = World::with_orders();
    whole.write("a.csv", &file);
    let began = Instant::now();
    whole.run(&["a.csv"]).line();
    let whole = began.elapsed();

    let mut in_time = 0;
    let mut world = World::with_orders();
    world.write("a.csv", &file);
    for moment in 0..INTERRUPTS {
        let ended = interrupted(&world, whole * moment / INTERRUPTS);
        assert!(!ended.err.contains("panicked"), "{moment}: {ended:#?}");
        assert!(!ended.err.contains("ERROR"), "{moment}: {ended:#?}");
        if ended.code == Some(0) {
            // It came too late: another folder, so that there is something to interrupt again.
            world = World::with_orders();
            world.write("a.csv", &file);
            continue;
        }
        in_time += u32::from(ended.code == Some(130));
        // Before it has said that it listens, the signal ends it.
        let by_signal = ended.code.is_none();
        let said = ended.err.contains("interrupted: nothing is lost");
        assert!(by_signal || (ended.code == Some(130) && said), "{moment}: {ended:#?}");
    }
    assert!(in_time >= INTERRUPTS / 3, "only {in_time} of {INTERRUPTS} came while it worked");
    let line = world.run(&["a.csv"]).line();
    assert_eq!(
        (&line["state"], &line["rows_loaded"]),
        (&"COMMITTED".into(), &ROWS.into()),
        "{line}"
    );
    assert_eq!(world.loaded().len(), ROWS);
}
