//! Names and texts as SQL writes them.

/// A text as a literal of SQL, whatever it holds: no backslash means anything but itself.
pub fn quote_text(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A name as SQL has it, whatever it holds.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
