//! What can happen next: workers that start, step and die, requests that land, objects that change.

use stateright::{Model, Property};

use crate::bounds::{Bounds, may};
use crate::parsed::Parsed;
use crate::properties::PROPERTIES;
use crate::state::{How, NOBODY, Op, Pc, Request, State, Worker};
use crate::world::{Id, World};

/// What an idle worker may begin. Messages are hints: any worker may begin anything at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Task {
    Observe {
        key: u8,
        how: How,
    },
    /// Read a job in PLANNING, and end its planning in one of several ways.
    Plan {
        job: u8,
        way: u8,
    },
    Chunk {
        job: u8,
        chunk: u8,
    },
    Commit {
        job: u8,
    },
    /// The end of a chain was found, and the finder died before saying so.
    Count {
        job: u8,
        count: u8,
    },
    /// An operator decides, or T16.
    Decide(Deed, u8),
    /// An operator goes back to the rows of an earlier job.
    Revert(u8),
    /// T13, which somebody asked for.
    Redrive(u8),
    /// A replay of this request is planned.
    Replay(u8),
    /// A replay that somebody left behind is taken on.
    Resume(u8),
    /// A worker tries the sink.
    Sink,
    /// T11f, for a slot that nobody publishes to.
    Reconcile,
}

/// A write that somebody sends without waiting for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Deed {
    Supersede,
    Block,
    /// The slot leaves the index, for its head's job is there.
    RestSlot,
    /// A BLOCKED job without a FAILED chunk goes on.
    Revive,
    /// A BLOCKED job leaves the index.
    RestJob,
    Approve,
    Discard,
    Fail,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Start(u8, Task),
    Step(u8, u8),
    /// The request is applied, and its sender hears of it.
    Land(Request),
    /// It is applied, the answer is lost, and the SDK sends it again.
    LoseAnswer(Request),
    /// It is applied and answered, and a copy of it is still on its way.
    Duplicate(Request),
    Crash(u8),
    /// The next version of an object is stored.
    Store(u8),
    /// A newer job of the slot is ready to commit.
    Arrive,
    /// A lease ends.
    Expire(u8),
    /// An operator asks to have a job brought back.
    Ask(u8),
    /// The sink goes away, or comes back.
    Toggle,
    Do(Deed, u8),
}

/// A model: the protocol within bounds.
pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) bounds: Bounds,
}

impl Machine {
    pub(crate) fn new(bounds: Bounds, mutant: Option<crate::mutants::Mutant>) -> Machine {
        Machine { world: World::new(mutant), bounds }
    }

    pub(crate) fn parsed(&self, item: Id) -> Option<std::sync::Arc<Parsed>> {
        (item != 0).then(|| self.world.parsed(item))
    }

    fn worker_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let mut asked_idle = false;
        for (worker, is) in (0..).zip(&state.workers) {
            let waits = state.is_waiting(worker);
            if state.crashes > 0 && (waits || matches!(is.pc, Pc::Working { .. })) {
                actions.push(Action::Crash(worker));
            }
            if is.pc == Pc::Idle && !asked_idle {
                // Idle workers are alike, so the first one begins.
                asked_idle = true;
                self.tasks(state, |task| actions.push(Action::Start(worker, task)));
            }
            if is.pc != Pc::Idle && !waits {
                let ways = self.ways(state, is.pc);
                actions.extend((0..ways).map(|way| Action::Step(worker, way)));
            }
        }
    }

    fn crash(&self, state: &mut State, worker: u8) {
        state.crashes -= 1;
        let old = std::mem::take(&mut state.network);
        for request in old {
            let from = if request.from == worker { NOBODY } else { request.from };
            state.send(request.op, from);
        }
        let worker = state.worker(worker);
        *worker = Worker { pc: Pc::Idle, is_mine: false, life: worker.life + 1 };
    }

    fn receive(&self, state: &mut State, request: Request, copies: Copies) {
        let at = state.network.binary_search(&request).expect("the request is under way");
        state.network.remove(at);
        let answer = self.land(state, request);
        match copies {
            Copies::None => {}
            Copies::Again => return state.send(request.op, request.from),
            Copies::Late => state.send(request.op, NOBODY),
        }
        if request.from != NOBODY {
            self.answered(state, request.from, answer);
        }
    }
}

/// What is still under way of a request after it landed.
enum Copies {
    None,
    /// The same request, for which its sender still waits.
    Again,
    /// A copy that nobody waits for.
    Late,
}

impl Model for Machine {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.broken != 0 {
            return;
        }
        self.worker_actions(state, actions);
        for request in &state.network {
            actions.push(Action::Land(*request));
            if state.faults > 0 {
                actions.push(Action::Duplicate(*request));
                if request.from != NOBODY {
                    actions.push(Action::LoseAnswer(*request));
                }
            }
        }
        for (key, versions) in (0..).zip(self.bounds.versions) {
            if usize::from(state.source[usize::from(key)]) < versions.len()
                && !self.bounds.allows(may::ARRIVE)
            {
                actions.push(Action::Store(key));
            }
        }
        self.deeds(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        match action {
            Action::Start(worker, task) => self.start(&mut next, worker, task),
            Action::Step(worker, way) => self.step(&mut next, worker, way),
            Action::Land(request) => self.receive(&mut next, request, Copies::None),
            Action::LoseAnswer(request) => {
                next.faults -= 1;
                self.receive(&mut next, request, Copies::Again);
            }
            Action::Duplicate(request) => {
                next.faults -= 1;
                self.receive(&mut next, request, Copies::Late);
            }
            Action::Crash(worker) => self.crash(&mut next, worker),
            Action::Store(key) => next.source[usize::from(key)] += 1,
            Action::Arrive => self.arrive(&mut next),
            Action::Expire(key) => self.expire(&mut next, key),
            Action::Ask(job) => {
                next.deeds -= 1;
                next.asked |= 1 << job;
            }
            Action::Toggle => {
                let sink = &mut next.source[crate::outage::SINK];
                next.deeds -= u8::from(sink.is_multiple_of(2));
                *sink += 1;
            }
            Action::Do(deed, job) => self.perform(&mut next, deed, job),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Machine>> {
        PROPERTIES.iter().map(|(name, holds)| Property::always(name, *holds)).collect()
    }
}

impl Machine {
    /// Applies a request to what is stored; whether its sender hears "yes".
    fn land(&self, state: &mut State, request: Request) -> bool {
        match request.op {
            Op::Write(write) => self.land_write(state, write, request.from),
            Op::Copy(file) => {
                state.files |= 1 << file;
                true
            }
            Op::Put { name, document } => {
                let found = state.document(name);
                if found == 0 {
                    state.set_document(name, document);
                }
                found == 0 || found == document
            }
            Op::Swap { over, new } => self.land_swap(state, over, new),
            Op::Delete(files) => {
                state.files &= !files;
                true
            }
        }
    }
}
