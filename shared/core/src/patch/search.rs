//! The search for fixes that gain rows of one code and column.
//!
//! A row often has more than one thing wrong with it, and the archive names the first. So a step counts
//! when it makes rows good, and also when it makes them fail somewhere else only, where the next step
//! takes them on.

use std::collections::{BTreeMap, BTreeSet};

use arrow_schema::ArrowError;

use super::candidates::{self, Candidate, Reading};
use super::proposal::{Feed, Group, Proposal, Sample};
use super::{Fix, Refusal};
use crate::archive::Predicate;

/// Steps of one proposal.
const STEPS_MAX: usize = 8;
/// Different failures that are looked at for one step.
const TARGETS_MAX: usize = 4;

/// What is wrong with a sample: its code and column; `None` when it is good.
type State = Option<(String, Option<String>)>;

/// For each sample its record as corrected so far; `None` where the archive does not show it.
type Records = Vec<Option<Vec<u8>>>;

/// Where the search stands.
struct Search<'a> {
    group: &'a Group,
    feeds: &'a [Feed],
    /// For each sample the rows that it stands for, in thousandths.
    weights: Vec<u64>,
    records: Records,
    states: Vec<State>,
}

/// A candidate tried on all samples.
struct Trial {
    candidate: Candidate,
    records: Records,
    states: Vec<State>,
    worth: u64,
}

/// The fixes that gain rows of this code and column, if there are any.
pub(super) fn proposal(
    code: &str,
    column: Option<&str>,
    group: &Group,
    feeds: &[Feed],
) -> Result<Option<Proposal>, ArrowError> {
    let Some(selection) = candidates::selection(code, column) else { return Ok(None) };
    let mut search = Search::new(code, column, group, feeds);
    let mut steps: Vec<Candidate> = Vec::new();
    while steps.len() < STEPS_MAX {
        let Some(trial) = search.best(&selection, &steps)? else { break };
        search.records = trial.records;
        search.states = trial.states;
        steps.push(trial.candidate);
    }
    let steps = search.needed(steps)?;
    if steps.is_empty() {
        return Ok(None);
    }
    let other = search.other(&selection, &steps)?;
    let mut about: Vec<&str> = Vec::new();
    for step in &steps {
        if !about.contains(&step.about.as_str()) {
            about.push(&step.about);
        }
    }
    Ok(Some(Proposal {
        code: code.to_owned(),
        column: column.map(str::to_owned),
        about: about.join(", then "),
        fixes: fixes_of(&steps),
        other,
    }))
}

fn fixes_of(steps: &[Candidate]) -> Vec<Fix> {
    steps.iter().flat_map(|step| step.fixes.clone()).collect()
}

impl<'a> Search<'a> {
    fn new(code: &str, column: Option<&str>, group: &'a Group, feeds: &'a [Feed]) -> Search<'a> {
        let samples = &group.samples;
        let mut sampled: BTreeMap<&Option<String>, u64> = BTreeMap::new();
        for sample in samples {
            *sampled.entry(&sample.shape).or_default() += 1;
        }
        let weight = |sample: &Sample| {
            let rows = group.shapes.get(&sample.shape).map_or(0, |shape| shape.rows);
            rows.saturating_mul(1000) / sampled.get(&sample.shape).copied().unwrap_or(1).max(1)
        };
        let state = Some((code.to_owned(), column.map(str::to_owned)));
        Search {
            group,
            feeds,
            weights: samples.iter().map(weight).collect(),
            records: samples.iter().map(|sample| Feed::start(&sample.row)).collect(),
            states: vec![state; samples.len()],
        }
    }

    /// The candidate that takes most rows on, the simplest of several.
    fn best(
        &self,
        selection: &Predicate,
        taken: &[Candidate],
    ) -> Result<Option<Trial>, ArrowError> {
        let mut best: Option<Trial> = None;
        for (code, column) in self.targets() {
            for candidate in self.candidates(selection, &code, column.as_deref()) {
                if contradicts(&candidate, taken) {
                    continue;
                }
                let trial = self.trial(candidate)?;
                if trial.worth > best.as_ref().map_or(0, |best| best.worth) {
                    best = Some(trial);
                }
            }
        }
        Ok(best)
    }

    /// What is wrong with most rows.
    fn targets(&self) -> Vec<(String, Option<String>)> {
        let mut targets: BTreeMap<&(String, Option<String>), u64> = BTreeMap::new();
        for (state, weight) in self.states.iter().zip(&self.weights) {
            if let Some(state) = state {
                *targets.entry(state).or_default() += weight;
            }
        }
        let mut targets: Vec<_> = targets.into_iter().collect();
        targets.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        targets.into_iter().take(TARGETS_MAX).map(|(target, _)| target.clone()).collect()
    }

    fn candidates(&self, of: &Predicate, code: &str, column: Option<&str>) -> Vec<Candidate> {
        let feed = self.group.samples.first().and_then(|sample| self.feeds.get(sample.feed));
        feed.map(|feed| candidates::of(of, &feed.pipeline, code, column)).unwrap_or_default()
    }

    fn trial(&self, candidate: Candidate) -> Result<Trial, ArrowError> {
        let (records, states) = self.after(&candidate.fixes, &self.records, &self.states)?;
        let weighed = self.states.iter().zip(&states).zip(&self.weights);
        // Rows that become good count more than those that fail elsewhere.
        let worth = weighed.map(|((before, after), weight)| progress(before, after) * weight).sum();
        Ok(Trial { candidate, records, states, worth })
    }

    /// Records and states after some more fixes.
    fn after(
        &self,
        fixes: &[Fix],
        records: &[Option<Vec<u8>>],
        states: &[State],
    ) -> Result<(Records, Vec<State>), ArrowError> {
        let (mut records, mut states) = (records.to_vec(), states.to_vec());
        for (number, feed) in self.feeds.iter().enumerate() {
            let mut places = Vec::new();
            let mut changed = Vec::new();
            for (place, sample) in self.group.samples.iter().enumerate() {
                let record = records.get(place).and_then(Option::as_deref);
                let record = record.filter(|_| sample.feed == number);
                let new = record.and_then(|record| feed.corrected(fixes, &sample.row, record));
                if let Some(new) = new {
                    places.push(place);
                    changed.push(new);
                }
            }
            let texts: Vec<&[u8]> = changed.iter().map(Vec::as_slice).collect();
            let verdicts = feed.judge.judge(&texts)?;
            for ((place, record), verdict) in places.into_iter().zip(changed).zip(verdicts) {
                if let (Some(old), Some(state)) = (records.get_mut(place), states.get_mut(place)) {
                    *old = Some(record);
                    *state = verdict.map(|Refusal { code, column, .. }| (code.to_string(), column));
                }
            }
        }
        Ok((records, states))
    }

    /// Rows that steps make good, in thousandths.
    fn good(&self, steps: &[Candidate]) -> Result<u64, ArrowError> {
        let start: Vec<_> =
            self.group.samples.iter().map(|sample| Feed::start(&sample.row)).collect();
        let bad: Vec<State> = vec![Some((String::new(), None)); start.len()];
        let (_, states) = self.after(&fixes_of(steps), &start, &bad)?;
        let good = states.iter().zip(&self.weights).filter(|(state, _)| state.is_none());
        Ok(good.map(|(_, weight)| weight).sum())
    }

    /// Without the steps that no row is good for.
    fn needed(&self, mut steps: Vec<Candidate>) -> Result<Vec<Candidate>, ArrowError> {
        let good = self.good(&steps)?;
        if good == 0 {
            return Ok(vec![]);
        }
        for place in (0..steps.len()).rev() {
            let mut fewer = steps.clone();
            fewer.remove(place);
            if self.good(&fewer)? == good {
                steps = fewer;
            }
        }
        Ok(steps)
    }

    /// The steps with the first doubtful one read the other way, if that too makes rows good.
    fn other(
        &self,
        selection: &Predicate,
        steps: &[Candidate],
    ) -> Result<Option<(&'static str, Vec<Fix>)>, ArrowError> {
        let doubtful = steps.iter().enumerate().find_map(|(place, step)| {
            step.reading.map(|reading| (place, step.clone(), reading.other()))
        });
        let Some((place, step, reading)) = doubtful else { return Ok(None) };
        let mut best: Option<(u64, Vec<Fix>)> = None;
        for twin in self.candidates(selection, &step.code, step.target.as_deref()) {
            if twin.reading != Some(reading) {
                continue;
            }
            let mut others = steps.to_vec();
            if let Some(step) = others.get_mut(place) {
                *step = twin;
            }
            let good = self.good(&others)?;
            if good > best.as_ref().map_or(0, |(most, _)| *most) {
                best = Some((good, fixes_of(&others)));
            }
        }
        Ok(best.map(|(_, fixes)| (reading.about(), fixes)))
    }
}

/// Whether steps already taken read the same texts the other way.
fn contradicts(candidate: &Candidate, taken: &[Candidate]) -> bool {
    let readings: BTreeSet<Reading> = taken
        .iter()
        .filter(|step| step.target == candidate.target)
        .filter_map(|step| step.reading.map(Reading::other))
        .collect();
    candidate.reading.is_some_and(|reading| readings.contains(&reading))
}

/// 3 for a row that becomes good, 1 for one that fails in another column now.
fn progress(before: &State, after: &State) -> u64 {
    match (before, after) {
        (Some(_), None) => 3,
        (Some((_, before)), Some((_, Some(after)))) if before.as_ref() != Some(after) => 1,
        (_, _) => 0,
    }
}
