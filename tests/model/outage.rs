//! A sink that goes away and comes back, and the workers that find out.

use rowproof_core::ledger::{self, Fields, Outage};

use crate::fixed::NOW;
use crate::machine::Machine;
use crate::rules;
use crate::state::{NOBODY, Op, Pc, State};
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

    fn mark_bit(&self, name: &str) -> u8 {
        let bit = u8::try_from(self.world.name(name)).expect("few marks");
        assert!(bit < 64, "too many marks for one model");
        bit
    }

    /// A mark has landed. While the sink is away one worker marks it, and tells; late copies and the
    /// dead tell nobody.
    pub(crate) fn marked(&self, state: &mut State, from: u8) {
        state.is_ghost = from == NOBODY;
        if !state.is_ghost && Machine::is_away(state) {
            let since = state.source[SINK];
            if state.marked_at == since {
                state.broken |= rules::TOLD_TWICE;
            }
            state.marked_at = since;
        }
    }

    /// Whether this mark is the one that stands.
    pub(crate) fn is_standing(&self, state: &State, mark: u8) -> bool {
        let stored = state.item(self.outage_key());
        stored != 0 && {
            let item = self.world.item(stored);
            Fields(&item).text("mark").is_some_and(|name| self.mark_bit(name) == mark)
        }
    }

    /// Whether operators know of the outage that stands, if one does.
    pub(crate) fn is_told(&self, state: &State) -> bool {
        let stored = state.item(self.outage_key());
        if !self.is_marked(stored) {
            return true;
        }
        let item = self.world.item(stored);
        Fields(&item).text("mark").is_some_and(|mark| state.told & 1 << self.mark_bit(mark) != 0)
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
                // A name of its own for every mark; all are made within one second.
                let name = format!("mark {} {who}", state.marked);
                let mark = || ledger::mark_unavailable("orders", &name, NOW);
                (
                    self.world.write_of(memo("mark"), mark),
                    Pc::Marking { mark: self.mark_bit(&name) },
                )
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
