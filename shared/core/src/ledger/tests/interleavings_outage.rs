//! Workers that find a sink dead or well, in any order, with lost answers and late writes.

use super::fixtures::*;
use super::random::{Chance, Network};
use crate::ledger::*;
use crate::time::EpochSeconds;

const WORKERS: usize = 5;

fn read(store: &Store) -> Option<Outage> {
    let item = store.items.get(&Outage::key("orders"))?;
    Outage::from_item(item).unwrap()
}

/// What may happen to a stored outage, whatever lands; whether one began.
fn check_step(before: Option<&Outage>, after: Option<&Outage>) -> bool {
    let (Some(before), Some(after)) = (before, after) else {
        let began = before.is_none() && after.is_some();
        assert!(!began || after.is_some_and(|outage| outage.looks == 1));
        return began;
    };
    assert_eq!(before.since, after.since, "one outage became another");
    assert!(after.looks == before.looks || after.looks == before.looks + 1);
    assert!(after.looks > before.looks || after == before);
    false
}

#[test]
fn no_outage_is_told_of_twice_in_any_order_of_workers_and_writes() {
    let (mut told, mut begun, mut late) = (0, 0, 0);
    for seed in 0..200 {
        let (mut store, mut network) = (Store::default(), Network::default());
        let mut chance = Chance::new(seed);
        // What each worker read before it tried the sink.
        let mut views: [Option<Option<Outage>>; WORKERS] = Default::default();
        let (mut began, mut tellers) = (0, 0);
        for turn in 0..120 {
            let now = EpochSeconds(NOW.0 + turn);
            let before = read(&store);
            let view = &mut views[chance.below(WORKERS)];
            match view.take() {
                None => *view = Some(before.clone()),
                Some(None) => {
                    let write = mark_unavailable("orders", &format!("turn {turn}"), now);
                    let answer = network.send(&mut store, &write, &mut chance);
                    tellers += usize::from(answer.is_some_and(|answer| answer.stands()));
                }
                Some(Some(seen)) => {
                    let write = match chance.once_in(3) {
                        true => end_outage("orders", &seen),
                        false => extend_outage("orders", &seen, now),
                    };
                    network.send(&mut store, &write, &mut chance);
                }
            }
            let middle = read(&store);
            network.land(&mut store, &mut chance);
            began += usize::from(check_step(before.as_ref(), middle.as_ref()));
            began += usize::from(check_step(middle.as_ref(), read(&store).as_ref()));
            assert!(tellers <= began, "seed {seed}: {tellers} told of {began} outages");
        }
        (told, begun, late) = (told + tellers, begun + began, late + network.landed_late);
    }
    assert!(told > 300 && begun > told && late > 300, "{told} {begun} {late}");
}
