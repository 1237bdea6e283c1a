//! Faults on purpose, for the user's own pipeline and data.

use super::support::orders::Orders;
use super::support::world::World;

#[test]
fn a_run_full_of_faults_loads_the_same_rows() {
    let world = World::with_orders();
    let (file, _) = Orders::flawed(300).csv();
    world.write("a.csv", &file);
    let ended = world.run(&["a.csv"]).chunk_bytes(4_000).with("--faults").with("7").end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    world.agrees(&ended.lines[0], &file);
    assert!(ended.err.contains("applied, answer lost"), "{}", ended.err);
}

#[test]
fn torture_compares_faulted_runs_with_a_clean_one() {
    let world = World::with_orders();
    world.write("a.csv", Orders::flawed(120).csv().0);
    world.write("b.csv", Orders { first_id: 1_000, ..Orders::flawed(60) }.csv().0);
    let arguments = ["torture", "orders.toml", "a.csv", "b.csv", "--runs", "2", "--seed", "11"];
    let arguments = arguments.map(str::to_owned).to_vec();
    let ended = world.command(arguments).chunk_bytes(3_000).end();
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told = &ended.out;
    for text in
        ["without faults: COMMITTED COMMITTED, 160 rows loaded", "seed 12", "2 runs: no row lost"]
    {
        assert!(told.contains(text), "{told}");
    }
}
