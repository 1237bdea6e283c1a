//! Takes guards apart, one clause at a time, and asks for the harm each clause prevents.

use crate::ledger::*;

/// What one clause is there for.
pub(super) enum Because {
    /// The whole guard refuses this; without the clause it is accepted: the text says what goes wrong.
    Wrong(Option<Item>, &'static str),
    /// The whole guard accepts this good state; without the alternative it is refused.
    Needed(Option<Item>, &'static str),
    /// No state tells them apart that matters, for this reason.
    Equivalent(&'static str),
}

/// A clause by its text, and what it is there for.
pub(super) type Clause = (&'static str, Because);

/// Checks every clause of a write's guard; a clause that is not listed, or listed and gone, fails.
pub(super) fn check_clauses(write: &Write, clauses: &[Clause]) {
    let reduced = reductions(&write.guard);
    let found: Vec<&str> = reduced.iter().map(|(text, _)| text.as_str()).collect();
    let listed: Vec<&str> = clauses.iter().map(|(text, _)| *text).collect();
    assert_eq!(found, listed, "clauses of {}", write.name);
    for ((text, guard), (_, because)) in reduced.iter().zip(clauses) {
        let name = write.name;
        match because {
            Because::Wrong(stored, harm) => {
                let stored = stored.as_ref();
                let all = write.guard.holds(stored);
                assert!(!all, "{name} must refuse: {harm}");
                assert!(guard.holds(stored), "{name} is saved by more than `{text}`");
            }
            Because::Needed(stored, good) => {
                let stored = stored.as_ref();
                assert!(write.guard.holds(stored), "{name} must accept: {good}");
                assert!(!guard.holds(stored), "{name} needs no `{text}`");
            }
            Because::Equivalent(reason) => assert!(!reason.is_empty()),
        }
    }
}

/// Every guard that lacks one clause of this one, with the text of what it lacks.
fn reductions(guard: &Guard) -> Vec<(String, Guard)> {
    match guard {
        Guard::All(parts) => inside(parts, "", Guard::All),
        Guard::Any(parts) => inside(parts, "or ", Guard::Any),
        leaf @ (Guard::Absent
        | Guard::Exists
        | Guard::Missing(_)
        | Guard::Eq(..)
        | Guard::Ne(..)
        | Guard::Lt(..)
        | Guard::In(..)
        | Guard::Never) => vec![(text(leaf), Guard::All(vec![]))],
    }
}

fn inside(parts: &[Guard], prefix: &str, rebuild: fn(Vec<Guard>) -> Guard) -> Vec<(String, Guard)> {
    let mut found = vec![];
    for (at, part) in parts.iter().enumerate() {
        let conjunction_in_conjunction = prefix.is_empty() && matches!(part, Guard::All(_));
        if !conjunction_in_conjunction {
            let mut rest = parts.to_vec();
            rest.remove(at);
            found.push((format!("{prefix}{}", text(part)), rebuild(rest)));
        }
        if matches!(part, Guard::All(_) | Guard::Any(_)) {
            for (text, reduced) in reductions(part) {
                let mut changed = parts.to_vec();
                changed[at] = reduced;
                found.push((text, rebuild(changed)));
            }
        }
    }
    found
}

fn text(guard: &Guard) -> String {
    let value = |value: &Value| match value {
        Value::S(text) => text.clone(),
        Value::N(number) => number.to_string(),
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
        Guard::Eq(name, found) => format!("{name} = {}", value(found)),
        Guard::Ne(name, found) => format!("{name} <> {}", value(found)),
        Guard::Lt(name, number) => format!("{name} < {number}"),
        Guard::In(name, texts) => format!("{name} in {}", texts.join(" ")),
        Guard::All(parts) => join(parts, " and "),
        Guard::Any(parts) => join(parts, " or "),
    }
}

#[test]
fn a_guard_is_taken_apart_clause_by_clause() {
    let eq = |name, number| Guard::Eq(name, Value::N(number));
    let guard = Guard::All(vec![
        eq("a", 1),
        Guard::All(vec![eq("b", 2)]),
        Guard::Any(vec![eq("c", 3), Guard::All(vec![eq("d", 4), eq("e", 5)])]),
    ]);
    let texts: Vec<String> = reductions(&guard).into_iter().map(|(text, _)| text).collect();
    let expected = [
        "a = 1",
        "b = 2",
        "(c = 3 or (d = 4 and e = 5))",
        "or c = 3",
        "or (d = 4 and e = 5)",
        "d = 4",
        "e = 5",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn a_comparison_with_a_missing_attribute_is_false() {
    let empty = Item::new();
    let guards = [
        Guard::Eq("a", Value::N(1)),
        Guard::Ne("a", Value::N(1)),
        Guard::Lt("a", 1),
        Guard::In("a", vec!["x"]),
        Guard::Never,
        Guard::Any(vec![]),
    ];
    for guard in guards {
        assert!(!guard.holds(None) && !guard.holds(Some(&empty)), "{guard:?}");
    }
    assert!(Guard::Absent.holds(None) && !Guard::Absent.holds(Some(&empty)));
    assert!(!Guard::Exists.holds(None) && Guard::Exists.holds(Some(&empty)));
    assert!(Guard::Missing("a").holds(None) && Guard::Missing("a").holds(Some(&empty)));
}

#[test]
fn a_comparison_across_kinds_is_false() {
    let item = Item::from([("a".into(), Value::from("1")), ("n".into(), Value::N(1))]);
    assert!(!Guard::Eq("a", Value::N(1)).holds(Some(&item)));
    assert!(!Guard::Lt("a", 5).holds(Some(&item)));
    assert!(!Guard::In("n", vec!["1"]).holds(Some(&item)));
    assert!(Guard::Lt("n", 2).holds(Some(&item)) && !Guard::Lt("n", 1).holds(Some(&item)));
    assert!(Guard::Ne("n", Value::N(2)).holds(Some(&item)));
}
