//! A patch as the text of a patch file.

use super::operation::{Operation, Replacement};
use super::{Fix, Measured, Patch};
use crate::toml_file::toml_string;

pub(super) fn patch(patch: &Patch) -> String {
    let mut text = format!("version = 1\npipeline = {}\n", toml_string(&patch.pipeline));
    for fix in &patch.fixes {
        text.push('\n');
        text.push_str(&self::fix(fix));
    }
    text
}

pub(super) fn fix(fix: &Fix) -> String {
    let mut text = "[[fix]]\n".to_owned();
    let mut line = |key: &str, value: String| text.push_str(&format!("{key} = {value}\n"));
    if let Some(condition) = &fix.condition {
        line("where", toml_string(&condition.to_string()));
    }
    if let Some(column) = &fix.column {
        line("column", toml_string(column));
    }
    if let Some(matching) = &fix.matching {
        line("matching", regex(matching.as_str()));
    }
    let (key, value) = operation(&fix.operation);
    line(key, value);
    text
}

fn operation(operation: &Operation) -> (&'static str, String) {
    match operation {
        Operation::Replace(with) => ("replace", replacement(with)),
        Operation::Raw(with) => ("raw", replacement(with)),
        Operation::Set(value) => ("set", toml_string(value)),
        Operation::SetNull => ("set_null", "true".to_owned()),
        Operation::Trim(None) => ("trim", "true".to_owned()),
        Operation::Trim(Some(characters)) => ("trim", toml_string(characters)),
        Operation::CastDecimal { decimal, thousands } => {
            let decimal = toml_string(&decimal.to_string());
            let thousands = match thousands.as_str() {
                "" => String::new(),
                thousands => format!(", thousands = {}", toml_string(thousands)),
            };
            ("cast", format!("{{ decimal = {decimal}{thousands} }}"))
        }
        Operation::CastDate(format) => {
            ("cast", format!("{{ date = {} }}", toml_string(format.as_str())))
        }
        Operation::CastTimestamp(format) => {
            ("cast", format!("{{ timestamp = {} }}", toml_string(format.as_str())))
        }
        Operation::Rename { from, to } => {
            ("rename", format!("{{ from = {}, to = {} }}", toml_string(from), toml_string(to)))
        }
    }
}

fn replacement(replacement: &Replacement) -> String {
    let pattern = regex(replacement.pattern().as_str());
    format!("{{ pattern = {pattern}, with = {} }}", toml_string(replacement.with()))
}

/// In single quotes, where backslashes stand for themselves, if the text allows it.
fn regex(text: &str) -> String {
    let plain = |c: char| c != '\'' && !c.is_control();
    let literal = text.contains('\\') && text.chars().all(plain);
    if literal { format!("'{text}'") } else { toml_string(text) }
}

impl Operation {
    /// The operation as a line of a patch file.
    pub fn to_toml(&self) -> String {
        let (key, value) = operation(self);
        format!("{key} = {value}")
    }
}

pub(super) fn proposals(pipeline: &str, measured: &Measured) -> String {
    let Measured { proposals, rows, gained } = measured;
    let mut text = format!(
        "# Proposed from {rows} rejected rows of pipeline {pipeline}; {gained} of them would be good.\n\
         # Read it before you use it, and look at a dry run:\n\
         #   rowproof replay --patch THIS_FILE --dry-run\n\
         version = 1\npipeline = {}\n",
        toml_string(pipeline)
    );
    for (proposal, coverage) in proposals {
        let column = proposal.column.as_ref();
        let column = column.map(|column| format!(" in {column}")).unwrap_or_default();
        text.push_str(&format!(
            "\n# {}: {} of {} rows with {}{column} become good.\n",
            proposal.about, coverage.gained, coverage.rows, proposal.code
        ));
        if let Some(doubt) = proposal.doubt(coverage) {
            text.push_str(&format!("# Look twice: {doubt}.\n"));
        }
        let fixes: Vec<_> = proposal.fixes.iter().map(fix).collect();
        text.push_str(&fixes.join("\n"));
    }
    text
}
