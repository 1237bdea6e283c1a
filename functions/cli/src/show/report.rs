//! What people read: the equation, the top reasons, and the next command.

use std::io::Write as _;
use std::path::Path;

use rowproof_core::decode::REJECTS_ALL;
use rowproof_core::pipeline::Pipeline;
use rowproof_core::receipt::Counts;

use crate::show::outcome::Outcome;

/// Characters of a list of names.
const NAMES_CHARS_MAX: usize = 200;

/// Prints a line to standard output; a reader that went away is no error.
pub(crate) fn line(text: &str) {
    drop(writeln!(std::io::stdout().lock(), "{text}"));
}

/// A number with thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `2,000 rows`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// Text of a file for a terminal: control characters escaped, cut after `chars_max`.
pub(crate) fn printable(text: &str, chars_max: usize) -> String {
    let mut shown = String::new();
    for (index, c) in text.chars().enumerate() {
        if index == chars_max {
            shown.push_str(" ...");
            break;
        }
        match c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// One input of a run.
pub(crate) fn outcome(dir: &Path, pipeline_file: &Path, pipeline: &Pipeline, outcome: &Outcome) {
    line(&format!("{}: {} in {:.1} s", outcome.input, outcome.state, outcome.seconds));
    if let Some(job) = &outcome.job {
        line(&format!("  job {job}"));
    }
    if let Some(error) = &outcome.error {
        line(&format!("  {error}"));
    }
    if outcome.already_loaded {
        line("  already loaded, nothing written");
    }
    if outcome.state == "HELD" {
        held(outcome);
    } else if outcome.chunks > 0 || outcome.state == "COMMITTED" {
        line(&format!("  {}", equation(outcome)));
    }
    if !outcome.columns_not_read.is_empty() {
        let names = printable(&outcome.columns_not_read.join(", "), NAMES_CHARS_MAX);
        line(&format!("  columns of the file that are not read: {names}"));
    }
    for (kind, records) in outcome.repairs.kinds() {
        line(&format!("  {:>9} repaired: {kind}", grouped(records)));
    }
    for reason in outcome.reasons.iter().take(5) {
        let column = reason.column.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
        line(&format!("  {:>9} rejected: {}{column}", grouped(reason.rows), reason.code));
    }
    let dir = dir.display();
    match outcome.state.as_str() {
        "COMMITTED" if outcome.data.is_empty() => {}
        "COMMITTED" => {
            if let Some(path) = pipeline.sink.parquet().map(|sink| &sink.path) {
                line(&format!(
                    "  look: duckdb -c \"select * from '{dir}/output/{path}/**/*.parquet' limit 10\""
                ));
            }
        }
        "HELD" => {
            let job = outcome.job.as_deref().unwrap_or_default();
            let decide = |verb: &str| format!("rowproof {verb} {job} --out {dir} --reason \"...\"");
            let (approve, discard) = (decide("approve"), decide("discard"));
            // What would load nothing is not what to do first.
            let (first, other) =
                if loads_nothing(outcome) { (discard, approve) } else { (approve, discard) };
            line(&format!("  next: {first}"));
            line(&format!("    or: {other}"));
        }
        _ => {
            if let Some(job) = &outcome.job {
                line(&format!("  next: rowproof why {job} --out {dir}"));
            }
        }
    }
    if outcome.rows_rejected > 0 {
        line(&format!(
            "  next: rowproof failures top --out {dir}, then correct {} or the file",
            pipeline_file.display()
        ));
    }
}

/// Whether approving a held job would show no row.
fn loads_nothing(outcome: &Outcome) -> bool {
    let told = outcome.error.as_deref().is_some_and(|error| error.contains(REJECTS_ALL));
    told || (outcome.rows_read > 0 && outcome.rows_loaded == 0)
}

/// What a held job has read, and what its approval would do.
fn held(outcome: &Outcome) {
    if outcome.chunks == 0 {
        line("  no row was read yet, and nothing of it is visible");
        return;
    }
    let [read, good, rejected] =
        [outcome.rows_read, outcome.rows_loaded, outcome.rows_rejected].map(grouped);
    line(&format!(
        "  {read} rows read = {good} good + {rejected} rejected; none of them is visible"
    ));
    line(&format!(
        "  {}",
        approval_of(outcome.rows_read, outcome.rows_loaded, outcome.rows_rejected)
    ));
}

/// `approved, 990 rows would be loaded; 10 (1 %) would stay in the failure archive`.
pub(crate) fn approval_of(read: u64, good: u64, rejected: u64) -> String {
    if good == 0 {
        return "approved, no row would be loaded".to_owned();
    }
    let loaded = counted(good, "row");
    // In hundredths of a percent, so that few of many do not look like none.
    let share = u128::from(rejected) * 10_000 / u128::from(read.max(1));
    let share = format!("{}.{:02} %", share / 100, share % 100);
    let rest = match rejected {
        0 => String::new(),
        _ => format!("; {} ({share}) would stay in the failure archive", grouped(rejected)),
    };
    format!("approved, {loaded} would be loaded{rest}")
}

/// `1,000 read = 990 loaded + 10 rejected`, with the classes that have rows.
pub(crate) fn equation(outcome: &Outcome) -> String {
    let counts = Counts {
        read: outcome.rows_read,
        loaded: outcome.rows_loaded,
        unchanged: outcome.rows_unchanged,
        filtered: outcome.rows_filtered,
        superseded: outcome.rows_superseded,
        rejected: outcome.rows_rejected,
    };
    equation_of(&counts, outcome.balanced)
}

/// As [`equation`], of bare counts.
pub(crate) fn equation_of(counts: &Counts, balanced: bool) -> String {
    let classes = [
        ("loaded", counts.loaded, true),
        ("unchanged", counts.unchanged, false),
        ("filtered", counts.filtered, false),
        ("superseded", counts.superseded, false),
        ("rejected", counts.rejected, true),
    ];
    let parts: Vec<_> = classes
        .iter()
        .filter(|(_, rows, always)| *always || *rows > 0)
        .map(|(name, rows, _)| format!("{} {name}", grouped(*rows)))
        .collect();
    let verdict = if balanced { "balanced" } else { "NOT BALANCED" };
    format!("{} rows read = {} ({verdict})", grouped(counts.read), parts.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::{approval_of, grouped, printable};

    #[test]
    fn an_approval_is_told_by_its_figures() {
        let told =
            "approved, 1 row would be loaded; 1,999 (99.95 %) would stay in the failure archive";
        assert_eq!(approval_of(2_000, 1, 1_999), told);
        assert_eq!(approval_of(9, 9, 0), "approved, 9 rows would be loaded");
        assert_eq!(approval_of(9, 0, 9), "approved, no row would be loaded");
    }

    #[test]
    fn a_terminal_gets_no_control_characters_of_a_file() {
        assert_eq!(printable("a\u{1b}[31m\r\nß\u{202e}", 99), "a\\u{1b}[31m\\r\\nß\\u{202e}");
        assert_eq!(printable("abcdef", 3), "abc ...");
    }

    #[test]
    fn thousands_stand_apart() {
        let texts: Vec<_> = [0, 999, 1_000, 1_234_567].map(grouped).to_vec();
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }
}
