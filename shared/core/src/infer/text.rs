//! Lines of TOML.

use crate::toml_file::toml_string;

/// A value: `${` would be an environment variable.
pub(super) fn value(text: &str) -> String {
    toml_string(&text.replace("${", "$${"))
}

pub(super) fn comment(out: &mut String, text: &str) {
    let safe: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    push(out, &format!("# {safe}"));
}

pub(super) fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}
