//! Seeded chance, and writes on their way to the store.

use super::fixtures::Store;
use crate::ledger::*;

/// xorshift64*: the same seed gives the same run.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap() % end
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// The network: a write may land and its answer be lost, or land long after its sender gave up.
#[derive(Default)]
pub(super) struct Network {
    writes: u64,
    late: Vec<(Write, String)>,
    pub(super) lost: usize,
    pub(super) landed_late: usize,
}

impl Network {
    /// Sends a write; `None` when its sender died or gave up waiting for an answer.
    pub(super) fn send(
        &mut self,
        store: &mut Store,
        write: &Write,
        chance: &mut Chance,
    ) -> Option<Performed> {
        self.writes += 1;
        let id = format!("w{}", self.writes);
        match chance.below(8) {
            0 => {
                self.late.push((write.clone(), id));
                self.lost += 1;
                None
            }
            1 => {
                store.send(write, &id);
                self.lost += 1;
                None
            }
            2 => {
                // The answer is lost, and the SDK sends the write again: at once or after others.
                store.send(write, &id);
                self.late.push((write.clone(), id.clone()));
                Some(store.send(write, &id))
            }
            3 => {
                // The first send is delayed, the second answered.
                self.late.push((write.clone(), id.clone()));
                Some(store.send(write, &id))
            }
            _ => Some(store.send(write, &id)),
        }
    }

    /// Lets one late write land, if chance wants it.
    pub(super) fn land(&mut self, store: &mut Store, chance: &mut Chance) {
        if !self.late.is_empty() && chance.once_in(3) {
            let (write, id) = self.late.swap_remove(chance.below(self.late.len()));
            store.send(&write, &id);
            self.landed_late += 1;
        }
    }
}
