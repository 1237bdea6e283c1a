//! A sink that goes away and comes back, and the workers that find out.

use rowproof_core::ledger::{self, Fields, Outage};

use crate::fixed::NOW;
use crate::machine::Machine;
use crate::state::{Op, Pc, State};
use crate::world::Id;

/// Where the state says whether the sink is away.
pub(crate) const SINK: usize = 2;

impl Machine {
    pub(crate) fn outage_key(&self) -> u8 {
        self.world.place(("outage", 0, 0, 0), || Outage::key("orders"))
    }

    /// Whether the ledger says that the sink is away.
    pub(crate) fn is_marked(&self, item: Id) -> bool {
        item != 0 && Fields(&self.world.item(item)).number("since").is_some()
    }

    pub(crate) fn is_away(state: &State) -> bool {
        state.source[SINK] % 2 == 1
    }

    /// Whether a worker that tries the sink has anything to say.
    pub(crate) fn has_sink_news(&self, state: &State) -> bool {
        let stored = state.item(self.outage_key());
        let marked = self.is_marked(stored);
        // Two looks in vain stand for any number of them.
        let looks = || Fields(&self.world.item(stored)).number("looks").unwrap_or(0);
        match Machine::is_away(state) {
            true => !marked || looks() < 3,
            false => marked,
        }
    }

    /// A worker tries the sink and says what it found.
    pub(crate) fn try_sink(&self, state: &mut State, worker: u8) {
        let stored = state.item(self.outage_key());
        let read = || {
            let item = self.world.item(stored);
            Outage::from_item(&item).expect("readable").expect("marked")
        };
        let life = state.workers[usize::from(worker)].life;
        let who = u32::from(life) << 8 | u32::from(worker);
        let memo = |name| (name, u32::from(stored), u32::from(state.marked), who);
        let (write, pc) = match (Machine::is_away(state), self.is_marked(stored)) {
            (true, false) => {
                // Two marks are never made within one second.
                let now = NOW.plus(i64::from(state.marked) << 16 | i64::from(who));
                let mark = || ledger::mark_unavailable("orders", now);
                (self.world.write_of(memo("mark"), mark), Pc::Marking)
            }
            (true, true) => {
                let extend = || ledger::extend_outage("orders", &read(), NOW);
                (self.world.write_of(memo("extend"), extend), Pc::Last)
            }
            (false, true) => {
                let end = || ledger::end_outage("orders", &read());
                (self.world.write_of(memo("end outage"), end), Pc::Last)
            }
            (false, false) => return state.rest(worker),
        };
        state.ask(worker, Op::Write(write), pc);
    }
}
