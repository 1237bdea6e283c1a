//! What people read: the equation, the top reasons, and the next command.

use std::io::Write as _;
use std::path::Path;

use rowproof_core::pipeline::Pipeline;
use rowproof_core::receipt::Counts;

use crate::outcome::Outcome;

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
    if outcome.chunks > 0 || outcome.state == "COMMITTED" {
        line(&format!("  {}", equation(outcome)));
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
            line(&format!("  next: rowproof approve {job} --out {dir} --reason \"...\""));
            line(&format!("    or: rowproof discard {job} --out {dir} --reason \"...\""));
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
    use super::{grouped, printable};

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
