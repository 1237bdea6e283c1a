//! Mutants: a write with one clause of its guard, or of its effect, taken out. A guard is data, so a
//! mutant is made just before the write is sent, and the transition functions stay as they are.

use std::fmt;

use rowproof_core::ledger::{Guard, Value, Write};

/// What a mutant takes out of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// A clause of the condition.
    Guard,
    /// A clause of what tells that the effect stands already.
    Effect,
    /// The judgement of a refusal: it is taken at its word.
    Judgement,
}

/// One clause of one write, wherever its shape occurs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Clause {
    pub(crate) write: &'static str,
    pub(crate) part: Part,
    /// The whole condition without its numbers and ids.
    pub(crate) shape: String,
    /// Which of its reductions.
    at: usize,
    /// The clause without its numbers and ids.
    pub(crate) text: String,
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Guard => write!(f, "{} without `{}`", self.write, self.text),
            Part::Effect => write!(f, "{} stands without `{}`", self.write, self.text),
            Part::Judgement => write!(f, "{} takes a refusal at its word", self.write),
        }?;
        match self.part {
            Part::Guard if self.shape != self.text => write!(f, " in `{}`", self.shape),
            _ => Ok(()),
        }
    }
}

/// A clause that is taken out.
pub(crate) type Mutant = Clause;

impl Clause {
    /// Whether a refusal of this write is not judged by what is stored.
    pub(crate) fn is_naive_about(&self, write: &str) -> bool {
        self.part == Part::Judgement && self.write == write
    }
}

/// Everything that can be taken out of this write.
pub(crate) fn clauses_of(write: &Write) -> Vec<Clause> {
    let mut found = vec![];
    for (part, guard) in [(Part::Guard, &write.guard), (Part::Effect, &write.effect)] {
        let shape = text(guard);
        for (at, (text, _)) in reductions(guard).into_iter().enumerate() {
            found.push(Clause { write: write.name, part, shape: shape.clone(), at, text });
        }
    }
    let (part, shape, text) = (Part::Judgement, String::new(), String::new());
    found.push(Clause { write: write.name, part, shape, at: 0, text });
    found
}

/// Takes the mutant's clause out of the write, if the write has it.
pub(crate) fn mutate(write: &mut Write, mutant: &Mutant) {
    if write.name != mutant.write {
        return;
    }
    let reduced = |guard: &Guard| match text(guard) == mutant.shape {
        true => reductions(guard).into_iter().nth(mutant.at).map(|(_, reduced)| reduced),
        false => None,
    };
    match mutant.part {
        Part::Guard => write.guard = reduced(&write.guard).unwrap_or(write.guard.clone()),
        Part::Effect => write.effect = reduced(&write.effect).unwrap_or(write.effect.clone()),
        Part::Judgement => {}
    }
}

/// Every guard that lacks one clause of this one, with the text of what it lacks. A clause of a
/// conjunction counts as true without it, one of a disjunction as false.
fn reductions(guard: &Guard) -> Vec<(String, Guard)> {
    match guard {
        Guard::All(parts) => inside(parts, false, Guard::All),
        Guard::Any(parts) => inside(parts, true, Guard::Any),
        leaf => vec![(text(leaf), Guard::All(vec![]))],
    }
}

fn inside(parts: &[Guard], is_any: bool, rebuild: fn(Vec<Guard>) -> Guard) -> Vec<(String, Guard)> {
    let mut found = vec![];
    for (at, part) in parts.iter().enumerate() {
        let nested = matches!(part, Guard::All(_) | Guard::Any(_));
        if is_any || !matches!(part, Guard::All(_)) {
            let mut rest = parts.to_vec();
            rest.remove(at);
            let prefix = if is_any { "or " } else { "" };
            found.push((format!("{prefix}{}", text(part)), rebuild(rest)));
        }
        if nested {
            for (text, reduced) in reductions(part) {
                let mut changed = parts.to_vec();
                changed[at] = reduced;
                found.push((text, rebuild(changed)));
            }
        }
    }
    found
}

/// The condition in words, without what differs from one write to the next.
fn text(guard: &Guard) -> String {
    let value = |name: &str, value: &Value| match value {
        Value::S(text) if name == "state" => text.clone(),
        Value::S(_) | Value::N(_) => "?".to_owned(),
    };
    let join = |parts: &[Guard], word: &str| {
        let texts: Vec<String> = parts.iter().map(text).collect();
        format!("({})", texts.join(word))
    };
    match guard {
        Guard::Absent => "absent".into(),
        Guard::Exists => "exists".into(),
        Guard::Never => "never".into(),
        Guard::Missing(name) => format!("no {name}"),
        Guard::Eq(name, found) => format!("{name} = {}", value(name, found)),
        Guard::Ne(name, found) => format!("{name} <> {}", value(name, found)),
        Guard::Lt(name, _) => format!("{name} < ?"),
        Guard::In(name, texts) => format!("{name} in {}", texts.join(" ")),
        Guard::All(parts) => join(parts, " and "),
        Guard::Any(parts) => join(parts, " or "),
    }
}

#[test]
fn a_clause_is_taken_out_of_the_write_that_has_it_and_of_no_other() {
    let eq = |name, number| Guard::Eq(name, Value::N(number));
    let either = Guard::Any(vec![Guard::Missing("c"), eq("c", 3)]);
    let write = |name, number| Write {
        name,
        key: rowproof_core::ledger::Key { pk: "p".into(), sk: "s".into() },
        guard: Guard::All(vec![eq("a", 1), eq("b", number), either.clone()]),
        effect: Guard::Never,
        set: std::collections::BTreeMap::new(),
        remove: vec![],
    };
    let clauses = clauses_of(&write("one", 2));
    let texts: Vec<&str> = clauses.iter().map(|clause| clause.text.as_str()).collect();
    let guard = ["a = ?", "b = ?", "(no c or c = ?)", "or no c", "or c = ?"];
    assert_eq!(texts, [&guard[..], &["never", ""]].concat());
    let mut mutated = write("one", 7);
    mutate(&mut mutated, &clauses[1]);
    assert_eq!(mutated.guard, Guard::All(vec![eq("a", 1), either.clone()]));
    let mut other = write("two", 7);
    mutate(&mut other, &clauses[1]);
    assert_eq!(other, write("two", 7));
}
