//! Records that kill their workers, sinks that do, and what is cut in halves for it.

use std::collections::BTreeMap;

use super::fixtures::*;
use crate::ledger::*;
use crate::plan::PlannedChunk;
use crate::time::EpochSeconds;

/// What workers make of a chunk with one record that kills whoever takes it apart.
#[derive(Default)]
struct Bisection {
    store: Store,
    ranges: BTreeMap<ChunkId, PlannedChunk>,
    poison: Vec<ChunkId>,
    deaths: i64,
}

fn bisect(whole: PlannedChunk, poison_row: u64) -> Bisection {
    let mut told = Bisection::default();
    let mut now = NOW;
    let mut waiting = vec![chunk_id(0)];
    told.ranges.insert(chunk_id(0), whole);
    while let Some(id) = waiting.pop() {
        let range = told.ranges[&id];
        let kills = (range.first_row..range.first_row + range.rows).contains(&poison_row);
        let lease = hold_lease(&mut told.store, &id, &worker("any"), now);
        match (kills, lease.isolate, cut(&range)) {
            (true, false, _) => {
                told.deaths += 1;
                now = now.plus(LEASE_SECONDS + 1);
                waiting.push(id);
            }
            (_, true, Some(cut)) => {
                told.store.must(&split(&lease, &cut));
                for (half, range) in id.halves().into_iter().zip(cut.halves) {
                    told.ranges.insert(half.clone(), range);
                    waiting.push(half);
                }
            }
            // Too few deaths to blame the record alone.
            (true, true, None) if !lease.condemns() => {
                told.deaths += 1;
                now = now.plus(LEASE_SECONDS + 1);
                waiting.push(id);
            }
            (true, true, None) => {
                told.store.must(&complete(&lease, &outcome("poison")));
                told.poison.push(id);
            }
            (false, _, _) => told.store.must(&complete(&lease, &outcome("rows"))),
        }
    }
    told
}

#[test]
fn one_record_is_left_of_a_chunk_that_kills_its_workers_and_every_other_row_is_loaded() {
    let rows = (1..=17).chain([64]).flat_map(|rows| (0..rows).map(move |row| (rows, row)));
    for (rows, row) in rows {
        let told = bisect(range(100, rows), 100 + row);
        let [left] = told.poison.as_slice() else { panic!("{rows} {row}: {:?}", told.poison) };
        assert_eq!(told.ranges[left], range(100 + row, 1));
        let levels = i64::try_from(left.part.len()).unwrap();
        // The last part is one record: it is tried more often before it is blamed.
        let last = if levels > 0 { LONE_DEATHS_MIN - PART_ATTEMPTS_MAX } else { 0 };
        let expected = ATTEMPTS_MAX + levels * PART_ATTEMPTS_MAX + last;
        assert_eq!(told.deaths, expected, "{rows} {row}");
        assert!(levels <= i64::from(rows.next_power_of_two().ilog2()), "{rows} {row}");

        let group = told.store.group(&facts(1).job);
        let (mut byte, mut first_row) = (1000, 100);
        for (id, chunk) in leaves(&group) {
            assert_eq!(chunk.state, ChunkState::Done);
            let range = told.ranges[id];
            assert_eq!((range.start, range.first_row), (byte, first_row), "{rows} {row} {id}");
            (byte, first_row) = (range.end, range.first_row + range.rows);
        }
        assert_eq!((byte, first_row), ((100 + rows) * 10, 100 + rows), "the leaves tile it");
        assert!(close_group(&facts(1).job, 0, 1, &group).is_some());
    }
}

/// As many workers die on the chunk at this stage; the time behind the last lease.
fn deaths(
    store: &mut Store,
    id: &ChunkId,
    stage: Stage,
    count: i64,
    from: EpochSeconds,
) -> EpochSeconds {
    let mut now = from;
    for _ in 0..count {
        let lease = hold_lease(store, id, &worker("dead"), now);
        store.must(&renew(&lease, stage, now));
        now = now.plus(LEASE_SECONDS + 1);
    }
    now
}

#[test]
fn a_worker_that_dies_while_it_writes_is_not_charged_to_the_rows() {
    let mut store = Store::default();
    let now = deaths(&mut store, &chunk_id(0), Stage::Sinking, SINK_DEATHS_MAX - 1, NOW);
    let (_, lease) = try_acquire(&store, &chunk_id(0), &worker("next"), now);
    assert_eq!((lease.attempts, lease.isolate), (1, false));
    // Deaths over the rows count beside them, and the others are not forgotten for it.
    let now = deaths(&mut store, &chunk_id(0), Stage::Decoding, ATTEMPTS_MAX, now);
    let lease = hold_lease(&mut store, &chunk_id(0), &worker("next"), now);
    assert_eq!((lease.attempts, lease.isolate), (ATTEMPTS_MAX + 1, true));
    let chunk = store.chunk(&chunk_id(0)).unwrap();
    assert_eq!(chunk.sink_deaths, SINK_DEATHS_MAX - 1);
}

#[test]
fn a_chunk_is_given_up_when_twenty_workers_died_while_they_wrote_it() {
    for id in [chunk_id(0), part_id("1")] {
        let mut store = Store::default();
        let now = deaths(&mut store, &id, Stage::Sinking, SINK_DEATHS_MAX, NOW);
        let decision = acquire(&id, store.chunk(&id).as_ref(), &worker("next"), now);
        let Acquire::GiveUp(lease) = decision else { panic!("{decision:?}") };
        store.must(&give_up(&lease, &failure("poison"), now));
        assert_eq!(store.chunk(&id).unwrap().state, ChunkState::Failed);
    }
}

#[test]
fn the_last_worker_to_write_may_still_be_alive() {
    for gives_back in [true, false] {
        let mut store = Store::default();
        let id = chunk_id(0);
        let now = deaths(&mut store, &id, Stage::Sinking, SINK_DEATHS_MAX - 1, NOW);
        let slow = hold_lease(&mut store, &id, &worker("slow"), now);
        store.must(&renew(&slow, Stage::Sinking, now));
        let later = now.plus(LEASE_SECONDS + 1);
        let decision = acquire(&id, store.chunk(&id).as_ref(), &worker("next"), later);
        let Acquire::GiveUp(lease) = decision else { panic!("{decision:?}") };
        let alive = match gives_back {
            true => give_back(&slow),
            false => renew(&slow, Stage::Sinking, later),
        };
        store.must(&alive);
        store.must_refuse(&give_up(&lease, &failure("poison"), later));
    }
}

#[test]
fn what_is_known_of_a_chunk_stays_known_when_its_isolation_is_given_back() {
    for (id, known) in [(chunk_id(0), ATTEMPTS_MAX), (part_id("0"), PART_ATTEMPTS_MAX)] {
        let mut store = Store::default();
        let now = deaths(&mut store, &id, Stage::Decoding, known, NOW);
        for _ in 0..2 * ISOLATIONS_MAX {
            let lease = hold_lease(&mut store, &id, &worker("slow"), now);
            assert_eq!((lease.attempts, lease.isolate), (known + 1, true));
            store.must(&give_back(&lease));
        }
        // Deaths while it is cut count, and those before it are not forgotten by giving it back.
        let now = deaths(&mut store, &id, Stage::Reading, 1, now);
        let lease = hold_lease(&mut store, &id, &worker("slow"), now);
        assert_eq!(lease.attempts, known + 2);
        store.must(&give_back(&lease));
        let now = deaths(&mut store, &id, Stage::Reading, ISOLATIONS_MAX - 1, now);
        let decision = acquire(&id, store.chunk(&id).as_ref(), &worker("next"), now);
        assert!(matches!(decision, Acquire::GiveUp(_)), "{decision:?}");
    }
}

#[test]
fn a_split_chunk_stays_split_whatever_earlier_workers_send() {
    let mut store = Store::default();
    let id = chunk_id(0);
    let mut late: Vec<Write> = vec![];
    let mut now = NOW;
    for death in 1..=ATTEMPTS_MAX + 1 {
        let (write, _) = try_acquire(&store, &id, &worker(&format!("late {death}")), now);
        late.push(write);
        let lease = hold_lease(&mut store, &id, &worker(&format!("dead {death}")), now);
        late.extend([
            renew(&lease, Stage::Sinking, now),
            give_back(&lease),
            complete(&lease, &outcome("late")),
            give_up(&lease, &failure("poison"), now),
            split(&lease, &cut(&range(0, 6)).unwrap()),
        ]);
        now = now.plus(LEASE_SECONDS + 1);
    }
    let unowned = Lease {
        epoch: 7,
        attempts: ATTEMPTS_MAX + 2,
        owner: "eve".into(),
        ..try_acquire(&store, &id, &worker("eve"), now).1
    };
    late.push(give_up(&unowned, &failure("poison"), now.plus(1000)));

    let lease = hold_lease(&mut store, &id, &worker("ann"), now);
    let halves = cut(&range(0, 8)).unwrap();
    store.must(&split(&lease, &halves));
    for write in &late {
        store.must_refuse(write);
    }
    let mine =
        [give_back(&lease), complete(&lease, &outcome("o")), renew(&lease, Stage::Sinking, now)];
    for write in mine.into_iter().chain([give_up(&lease, &failure("poison"), now.plus(1000))]) {
        store.must_refuse(&write);
    }
    let chunk = store.chunk(&id).unwrap();
    let forever = now.plus(1_000_000);
    let decision = acquire(&id, Some(&chunk), &worker("eve"), forever);
    assert_eq!(decision, Acquire::Split(halves));
    assert_eq!(redrive_chunk(&id, &chunk, "q"), None);
}

#[test]
fn of_two_that_cut_a_chunk_one_stands_and_an_equal_cut_is_the_same() {
    let mut store = Store::default();
    let slow = hold_lease(&mut store, &chunk_id(0), &worker("slow"), NOW);
    let lease = hold_lease(&mut store, &chunk_id(0), &worker("ann"), NOW.plus(61));
    let halves = cut(&range(0, 8)).unwrap();
    store.must_refuse(&split(&slow, &halves));
    store.must(&split(&lease, &halves));
    store.must(&split(&slow, &halves));
    store.must_refuse(&split(&slow, &cut(&range(0, 7)).unwrap()));
    assert_eq!(store.chunk(&chunk_id(0)).unwrap().split, Some(halves));
}

#[test]
fn a_chain_goes_on_behind_a_chunk_that_was_split() {
    let mut store = Store::default();
    let next = Some(ChainStart { byte: 80, row: 8 });
    for (chunk, next, end_of_object) in [(0, next, false), (1, None, true)] {
        let id = chunk_id(chunk);
        let lease = hold_lease(&mut store, &id, &worker("ann"), NOW);
        let before = store.chunk(&id).unwrap();
        assert_eq!((before.next(), before.ends_object()), (None, false));
        let cut = cut(&range(0, 8)).unwrap();
        store.must(&split(&lease, &Split { next, end_of_object, ..cut }));
        let chunk = store.chunk(&id).unwrap();
        assert_eq!((chunk.next(), chunk.ends_object()), (next, end_of_object));
    }
}

#[test]
fn parts_are_named_by_their_halves_and_sort_behind_what_they_are_parts_of() {
    let [first, second] = chunk_id(3).halves();
    let [third, fourth] = second.halves();
    let ids = [chunk_id(3), first.clone(), second.clone(), third, fourth.clone(), chunk_id(4)];
    let names: Vec<_> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["3", "3.0", "3.1", "3.10", "3.11", "4"]);
    assert!(ids.windows(2).all(|pair| pair[0].key().sk < pair[1].key().sk));
    assert!(ids.windows(2).all(|pair| pair[0].key().pk == pair[1].key().pk));
    assert_eq!(fourth.parent(), Some((second.clone(), true)));
    assert_eq!(first.parent(), Some((chunk_id(3), false)));
    assert_eq!(second.parent(), Some((chunk_id(3), true)));
    assert_eq!(chunk_id(3).parent(), None);
}

/// Chunk 0 as a tree of parts in these states.
fn tree(parts: &[(&str, ChunkState)]) -> Vec<(ChunkId, Chunk)> {
    let read = |state| Chunk::from_item(&chunk_item(state, 1, "ann", 0)).unwrap();
    parts.iter().map(|(part, state)| (part_id(part), read(*state))).collect()
}

#[test]
fn a_group_closes_when_every_leaf_of_its_chunks_is_done() {
    use ChunkState::{Done, Failed, Leased, Ready, Split};
    let closes =
        |parts: &[(&str, ChunkState)]| close_group(&facts(1).job, 0, 1, &tree(parts)).is_some();
    assert!(closes(&[("", Split), ("0", Done), ("1", Done)]));
    assert!(closes(&[("", Split), ("0", Split), ("00", Done), ("01", Done), ("1", Done)]));
    assert!(!closes(&[("", Split)]), "no half was begun");
    assert!(!closes(&[("", Split), ("0", Done)]), "the second half was never begun");
    assert!(!closes(&[("", Split), ("1", Done)]), "the first half was never begun");
    for open in [Ready, Leased, Failed, Split] {
        assert!(!closes(&[("", Split), ("0", Done), ("1", open)]));
        let nested = [("", Split), ("0", Split), ("00", Done), ("01", open), ("1", Done)];
        assert!(!closes(&nested), "{open:?}");
    }
    let foreign = [("", Split), ("0", Split), ("00", Done), ("10", Done), ("1", Done)];
    assert!(!closes(&foreign), "a quarter of the other half does not help");
    // Parts are no chunks: they do not stand in for a whole one that was never begun.
    let stored = tree(&[("", Split), ("0", Done), ("1", Done)]);
    assert_eq!(close_group(&facts(1).job, 0, 2, &stored), None);
    assert_eq!(leaves(&stored).count(), 2);
}
