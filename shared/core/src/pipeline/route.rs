//! Which pipeline takes an object.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::key_pattern::{KeyPattern, Step};
use super::marker::skipped_by_name;
use super::types::Pipeline;

/// Which pipeline takes an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// Exactly one.
    One {
        /// The pipeline.
        pipeline: Arc<Pipeline>,
        /// The values of its captures.
        captures: BTreeMap<String, String>,
    },
    /// None: the object is counted and left alone.
    NoMatch,
    /// At least one, but the object's name says that it is no data: it is counted and left alone.
    Skipped {
        /// Name of the first pipeline.
        pipeline: String,
        /// What it is.
        what: &'static str,
    },
    /// Several, by name: none of them may take it.
    Ambiguous(Vec<String>),
}

/// The pipelines of a stack with their patterns compiled: made once, asked for every object.
#[derive(Debug, Clone, Default)]
pub struct Router(Vec<(Arc<Pipeline>, KeyPattern)>);

impl Router {
    /// Compiles the patterns.
    pub fn new(pipelines: &[Arc<Pipeline>]) -> Router {
        // Parsing has compiled each pattern before, so none is lost here.
        let compiled = pipelines.iter().filter_map(|pipeline| {
            let pattern = KeyPattern::compile(&pipeline.source.pattern).ok()?;
            Some((Arc::clone(pipeline), pattern))
        });
        Router(compiled.collect())
    }

    /// Which pipeline takes the object with this (decoded) key.
    pub fn route(&self, key: &str) -> Route {
        let mut skipped = None;
        let mut found = self.0.iter().filter_map(|(pipeline, pattern)| {
            let captures = pattern.captures(key)?;
            let Some(what) = skipped_by_name(&pipeline.source.pattern, key) else {
                return Some((pipeline, captures));
            };
            skipped.get_or_insert(Route::Skipped { pipeline: pipeline.name.clone(), what });
            None
        });
        let Some((pipeline, captures)) = found.next() else {
            drop(found);
            return skipped.unwrap_or(Route::NoMatch);
        };
        let others: Vec<String> = found.map(|(other, _)| other.name.clone()).collect();
        if others.is_empty() {
            return Route::One { pipeline: Arc::clone(pipeline), captures };
        }
        Route::Ambiguous(std::iter::once(pipeline.name.clone()).chain(others).collect())
    }
}

/// Which of the pipelines takes the object with this (decoded) key. For many keys, keep a [`Router`].
pub fn route(pipelines: &[Arc<Pipeline>], key: &str) -> Route {
    Router::new(pipelines).route(key)
}

/// Two pipelines that can match one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlap {
    /// Name of the one.
    pub first: String,
    /// Name of the other.
    pub second: String,
    /// A key that both match; where dates are involved, one that is close to it.
    pub example: String,
}

/// Every two pipelines that can match one key. Digits of dates are judged one by one, so two patterns
/// that differ only in which dates exist are reported as well.
pub fn overlaps(pipelines: &[Arc<Pipeline>]) -> Vec<Overlap> {
    let router = Router::new(pipelines);
    let automata: Vec<_> =
        router.0.iter().map(|known| (known, Automaton::of(&known.1.steps))).collect();
    let mut found = Vec::new();
    for (i, (first, a)) in automata.iter().enumerate() {
        for (second, b) in automata.iter().skip(i + 1) {
            let key = common_key(a, b);
            if let Some(example) = key.and_then(|key| data_key(key, [first, second])) {
                let [first, second] = [first, second].map(|(pipeline, _)| pipeline.name.clone());
                found.push(Overlap { first, second, example });
            }
        }
    }
    found
}

/// A key that both match, or one like it whose name does not say that its object is no data.
fn data_key(key: String, both: [&(Arc<Pipeline>, KeyPattern); 2]) -> Option<String> {
    let is_data = |key: &str| {
        let taken = |known: &&(Arc<Pipeline>, KeyPattern)| {
            skipped_by_name(&known.0.source.pattern, key).is_none()
        };
        both.iter().all(taken)
    };
    if is_data(&key) {
        return Some(key);
    }
    let visible = key.split('/').map(|part| match part.starts_with('.') {
        true => format!("x{part}"),
        false => part.to_owned(),
    });
    let visible = visible.collect::<Vec<_>>().join("/");
    let matched = both.iter().all(|(_, pattern)| pattern.matches(&visible));
    (matched && is_data(&visible)).then_some(visible)
}

/// A set of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// From, to, and the one that an example shows.
    Range(char, char, char),
    NotSlash,
    Any,
}

impl Class {
    /// A character of both sets.
    fn common(self, other: Class) -> Option<char> {
        match (self, other) {
            (Class::Range(from, to, shown), Class::Range(from2, to2, shown2)) => {
                let (low, high) = (from.max(from2), to.min(to2));
                let inside = |c: &char| low <= *c && *c <= high;
                [shown, shown2, low].into_iter().find(inside)
            }
            (Class::Range(from, _, shown), Class::NotSlash)
            | (Class::NotSlash, Class::Range(from, _, shown)) => (from != '/').then_some(shown),
            (Class::Range(_, _, shown), Class::Any) | (Class::Any, Class::Range(_, _, shown)) => {
                Some(shown)
            }
            (Class::NotSlash | Class::Any, Class::NotSlash | Class::Any) => Some('x'),
        }
    }
}

/// A pattern as states with their edges; the end is the state after the last.
#[derive(Debug, Default)]
struct Automaton(Vec<Vec<Edge>>);

/// Takes a character of the class, or none, and goes to the state.
type Edge = (Option<Class>, usize);

impl Automaton {
    fn of(steps: &[Step]) -> Automaton {
        let mut automaton = Automaton::default();
        for step in steps {
            match step {
                Step::Literal(c) => automaton.one(Class::Range(*c, *c, *c)),
                Step::One => automaton.one(Class::NotSlash),
                Step::Many => automaton.many(Class::NotSlash),
                Step::Deep => automaton.many(Class::Any),
                Step::Folders => {
                    let here = automaton.0.len();
                    automaton.0.push(vec![(None, here + 1), (None, here + 3)]);
                    automaton.many(Class::Any);
                    automaton.one(Class::Range('/', '/', '/'));
                }
                Step::Capture(_, None) => {
                    automaton.one(Class::NotSlash);
                    automaton.many(Class::NotSlash);
                }
                Step::Capture(_, Some(format)) => {
                    for (low, high, shown) in format.places() {
                        automaton.one(Class::Range(low, high, shown));
                    }
                }
            }
        }
        automaton
    }

    fn one(&mut self, class: Class) {
        self.0.push(vec![(Some(class), self.0.len() + 1)]);
    }

    fn many(&mut self, class: Class) {
        let here = self.0.len();
        self.0.push(vec![(None, here + 1), (Some(class), here)]);
    }

    fn edges(&self, state: usize) -> &[Edge] {
        self.0.get(state).map_or(&[], Vec::as_slice)
    }
}

/// A state of each automaton.
type Pair = (usize, usize);

/// A shortest key that both take: a search over pairs of states.
fn common_key(a: &Automaton, b: &Automaton) -> Option<String> {
    let end = (a.0.len(), b.0.len());
    let mut came_from: HashMap<Pair, (Pair, Option<char>)> = HashMap::new();
    let mut queue = VecDeque::from([((0, 0), (0, 0), None)]);
    while let Some((pair, from, taken)) = queue.pop_front() {
        if came_from.contains_key(&pair) {
            continue;
        }
        came_from.insert(pair, (from, taken));
        if pair == end {
            return Some(spell(&came_from, end));
        }
        for (class_a, to_a) in a.edges(pair.0) {
            let Some(class_a) = class_a else {
                queue.push_front(((*to_a, pair.1), pair, None));
                continue;
            };
            for (class_b, to_b) in b.edges(pair.1) {
                if let Some(c) = class_b.and_then(|class_b| class_a.common(class_b)) {
                    queue.push_back(((*to_a, *to_b), pair, Some(c)));
                }
            }
        }
        for (class_b, to_b) in b.edges(pair.1) {
            if class_b.is_none() {
                queue.push_front(((pair.0, *to_b), pair, None));
            }
        }
    }
    None
}

fn spell(came_from: &HashMap<Pair, (Pair, Option<char>)>, end: Pair) -> String {
    let mut key = Vec::new();
    let mut pair = end;
    while let Some((from, taken)) = came_from.get(&pair) {
        key.extend(*taken);
        if pair == (0, 0) {
            break;
        }
        pair = *from;
    }
    key.iter().rev().collect()
}

#[cfg(test)]
mod tests;
