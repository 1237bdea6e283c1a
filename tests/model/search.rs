//! A breadth-first search of its own, for mutants and for liveness.
//!
//! Stateright's `eventually` takes a cycle for an end. So liveness is asked backwards here: from every
//! reachable state with slack in its bounds, a settled state can be reached.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::Model;

use crate::hash::Fast;
use crate::machine::{Action, Machine};
use crate::properties::PROPERTIES;
use crate::state::State;

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    /// The first property that a state broke, and the way there.
    pub(crate) broken: Option<(&'static str, Vec<String>)>,
    /// States with slack from which no settled state can be reached.
    pub(crate) stuck: usize,
    /// The way to one of them.
    pub(crate) way_to_stuck: Vec<String>,
}

impl Found {
    /// Whether the model told this protocol from a right one.
    pub(crate) fn is_wrong(&self) -> bool {
        self.broken.is_some() || self.stuck > 0
    }
}

struct Seen {
    parent: u32,
    action: u16,
    depth: u16,
    is_settled: bool,
    has_slack: bool,
}

/// Every reachable state, unless a property breaks first.
pub(crate) fn search(machine: &Machine, limit: usize) -> Found {
    let mut numbers: HashMap<u64, u32, Fast> = HashMap::default();
    let mut seen: Vec<Seen> = vec![];
    let mut edges: Vec<(u32, u32)> = vec![];
    let mut queue = VecDeque::new();
    let first = machine.first();
    numbers.insert(fingerprint(&first), 0);
    seen.push(Seen { parent: 0, action: 0, depth: 0, is_settled: false, has_slack: true });
    queue.push_back((0, first));
    let mut found = Found { states: 0, depth: 0, broken: None, stuck: 0, way_to_stuck: vec![] };
    let mut actions = vec![];
    while let Some((number, state)) = queue.pop_front() {
        assert!(seen.len() < limit, "more than {limit} states: the bounds are too wide");
        if let Some((name, _)) = PROPERTIES.iter().find(|(_, holds)| !holds(machine, &state)) {
            found.broken = Some((*name, way(machine, &seen, number)));
            break;
        }
        let depth = {
            let this = &mut seen[number as usize];
            this.is_settled = machine.is_settled(&state);
            this.has_slack = machine.has_slack(&state);
            this.depth
        };
        actions.clear();
        machine.actions(&state, &mut actions);
        for (action, at) in actions.iter().zip(0..) {
            let Some(next) = machine.next_state(&state, *action) else { continue };
            let fresh = u32::try_from(seen.len()).expect("fewer states than that");
            let next_number = *numbers.entry(fingerprint(&next)).or_insert(fresh);
            if next_number == fresh {
                let parent = number;
                let depth = depth + 1;
                seen.push(Seen { parent, action: at, depth, is_settled: false, has_slack: true });
                queue.push_back((fresh, next));
            }
            edges.push((next_number, number));
        }
    }
    found.states = seen.len();
    found.depth = seen.iter().map(|seen| usize::from(seen.depth)).max().unwrap_or(0);
    if found.broken.is_none() {
        let stuck = stuck(&seen, &edges);
        found.stuck = stuck.len();
        found.way_to_stuck = stuck.first().map_or(vec![], |first| way(machine, &seen, *first));
    }
    found
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// States from which no settled one can be reached, although their bounds would let them.
fn stuck(seen: &[Seen], edges: &[(u32, u32)]) -> Vec<u32> {
    let mut from: Vec<u32> = vec![0; seen.len() + 1];
    for (to, _) in edges {
        from[*to as usize + 1] += 1;
    }
    for at in 0..seen.len() {
        from[at + 1] += from[at];
    }
    let mut fill = from.clone();
    let mut before = vec![0; edges.len()];
    for (to, parent) in edges {
        let at = &mut fill[*to as usize];
        before[*at as usize] = *parent;
        *at += 1;
    }
    let mut reaches: Vec<bool> = seen.iter().map(|seen| seen.is_settled).collect();
    let mut open: Vec<u32> = (0..).zip(&reaches).filter(|(_, is)| **is).map(|(at, _)| at).collect();
    while let Some(at) = open.pop() {
        let range = from[at as usize] as usize..from[at as usize + 1] as usize;
        for parent in &before[range] {
            if !reaches[*parent as usize] {
                reaches[*parent as usize] = true;
                open.push(*parent);
            }
        }
    }
    let stuck = (0..).zip(seen).zip(&reaches);
    stuck
        .filter(|((_, seen), reaches)| seen.has_slack && !**reaches)
        .map(|((at, _), _)| at)
        .collect()
}

/// The actions that lead to a state, in words.
fn way(machine: &Machine, seen: &[Seen], to: u32) -> Vec<String> {
    let mut choices = vec![];
    let mut at = to;
    while at != 0 {
        choices.push(seen[at as usize].action);
        at = seen[at as usize].parent;
    }
    choices.reverse();
    let mut state = machine.first();
    let mut told = vec![];
    for choice in choices {
        let mut actions: Vec<Action> = vec![];
        machine.actions(&state, &mut actions);
        let action = actions[usize::from(choice)];
        told.push(machine.tell(action));
        state = machine.next_state(&state, action).expect("the action was taken before");
    }
    told.push(format!("{state:?}"));
    told
}

impl Machine {
    /// Whether the bounds still let everything come to an end.
    fn has_slack(&self, state: &State) -> bool {
        use crate::bounds::may;
        use rowproof_core::ledger::ChunkState::{Done, Failed, Leased, Ready, Split};
        let revives = self.bounds.allows(may::REDRIVE);
        let ended = |job: &u8| revives && !self.has_room(state, *job);
        if self.jobs(state).iter().any(|(job, _)| ended(job)) {
            return false;
        }
        state.items.iter().all(|(_, item)| match self.world.parsed(*item).chunk() {
            Some(chunk) => {
                let epochs = i64::from(self.bounds.epochs);
                match chunk.state {
                    Done | Split => true,
                    // Brought back, it takes an epoch, and another one to be done.
                    Failed => chunk.epoch + 1 < epochs || !self.bounds.allows(may::REDRIVE),
                    Ready | Leased => chunk.epoch < epochs,
                }
            }
            None => true,
        })
    }

    fn tell(&self, action: Action) -> String {
        use crate::state::Op::Write;
        let request = match action {
            Action::Land(request) | Action::LoseAnswer(request) | Action::Duplicate(request) => {
                request
            }
            other => return format!("{other:?}"),
        };
        match request.op {
            Write(write) => {
                let text = self.world.write(write);
                let on = format!("{} {}", text.key.pk, text.key.sk);
                format!("{action:?}: {} on {on}", text.name)
            }
            _ => format!("{action:?}"),
        }
    }
}
