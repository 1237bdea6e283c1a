//! A patch file to a [`Patch`], or everything that is wrong in it.

use super::moment::{DateText, StampText};
use super::operation::{Operation, Pattern, Replacement};
use super::{Fix, Patch};
use crate::archive::Predicate;
use crate::toml_file::Problems;
use crate::toml_file::problem::{At, Report};
use crate::toml_file::section::{Key, Section, key, shown};
use crate::toml_file::tree::{self, Node, Value};

const KEYS: [Key; 3] = [key("version"), key("pipeline"), key("fix")];
const OPERATIONS: [&str; 7] = ["replace", "set", "set_null", "trim", "cast", "rename", "raw"];
const FIX_KEYS: [Key; 10] = [
    key("where"),
    key("column"),
    key("matching"),
    key("replace"),
    key("set"),
    key("set_null"),
    key("trim"),
    key("cast"),
    key("rename"),
    key("raw"),
];
const CASTS: &str = "{ decimal = \",\", thousands = \".\" }, { date = \"%d.%m.%Y\" } or \
                     { timestamp = \"%d.%m.%Y %H:%M\" }";

/// Largest patch file, in bytes.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Most separators that a cast may name.
const SEPARATORS_MAX: usize = 8;

pub(super) fn read(name: &str, text: &str) -> Result<Patch, Problems> {
    let mut report = Report::default();
    report.files.push(name.to_owned());
    let patch = read_root(name, text, &mut report);
    match (report.into_problems(), patch) {
        (None, Some(patch)) => Ok(patch),
        (problems, _) => Err(problems.unwrap_or(Problems(vec![]))),
    }
}

fn read_root(name: &str, text: &str, report: &mut Report) -> Option<Patch> {
    let top = At { file: 0, line: 1 };
    if text.len() > FILE_BYTES_MAX {
        report.problem(top, "", format!("the file is over {FILE_BYTES_MAX} bytes"), "");
        return None;
    }
    let root = tree::read(0, text.strip_prefix('\u{feff}').unwrap_or(text), None, report)?;
    let root = Section::open("", top, &root, &KEYS, report);
    match root.get("version") {
        None => root.missing("version", "version = 1", report),
        Some(node) if matches!(&node.value, Value::Integer(digits) if digits == "1") => {}
        Some(node) => {
            let what = format!("{} is not a version that this rowproof reads", shown(&node.value));
            root.wrong("version", what, "version = 1", report);
        }
    }
    if root.get("pipeline").is_none() {
        root.missing("pipeline", "the name of the pipeline, e.g. \"orders\"", report);
    }
    let pipeline = root.text("pipeline", "\"orders\"", report);
    let fixes = read_fixes(&root, report);
    Some(Patch { file: name.to_owned(), pipeline: pipeline?.to_owned(), fixes: fixes? })
}

fn read_fixes(root: &Section<'_>, report: &mut Report) -> Option<Vec<Fix>> {
    const EXAMPLE: &str = "[[fix]] and its keys below";
    let items: &[Node] = match root.get("fix").map(|node| &node.value) {
        Some(Value::List(items)) if !items.is_empty() => items,
        Some(other) => {
            root.wrong("fix", format!("must be tables, not {}", other.kind()), EXAMPLE, report);
            return None;
        }
        None => {
            root.missing("fix", EXAMPLE, report);
            return None;
        }
    };
    let fixes = (1..).zip(items).map(|(number, item)| {
        let name = format!("fix[{number}]");
        let Value::Table(table) = &item.value else {
            report.problem(item.at, &name, "must be a table", EXAMPLE);
            return None;
        };
        let section = Section::open(&name, item.at, table, &FIX_KEYS, report);
        read_fix(&section, report)
    });
    fixes.collect::<Vec<_>>().into_iter().collect()
}

fn read_fix(section: &Section<'_>, report: &mut Report) -> Option<Fix> {
    let condition = section.text("where", "\"error_code = 'type'\"", report).map(Predicate::parse);
    let condition = match condition.transpose() {
        Ok(condition) => condition,
        Err(error) => {
            section.wrong("where", error.to_string(), "", report);
            None
        }
    };
    let column = section.text("column", "\"amount\"", report).map(str::to_owned);
    let matching = pattern(section, "matching", report);
    let operation = read_operation(section, report)?;
    match (operation.is_of_record(), &column) {
        (true, Some(_)) => {
            section.wrong("column", "the operation is on the whole record", "no column", report);
        }
        (false, None) if section.get("column").is_none() => {
            section.missing("column", "column = \"amount\", the column to correct", report);
        }
        _ => {}
    }
    if operation.is_of_record() && section.get("matching").is_some() {
        let write = "the pattern into the operation";
        section.wrong("matching", "is for the text of a column", write, report);
    }
    Some(Fix { condition, column, matching, operation, line: section.at.line })
}

fn read_operation(section: &Section<'_>, report: &mut Report) -> Option<Operation> {
    let given: Vec<&str> =
        OPERATIONS.into_iter().filter(|name| section.get(name).is_some()).collect();
    match given.as_slice() {
        [] => section.missing("replace", &format!("one of {}", OPERATIONS.join(", ")), report),
        [_] => {}
        [_, second, ..] => {
            let what = format!("the fix has {}: it may have one operation", given.join(" and "));
            section.wrong(second, what, "a [[fix]] for each; they are applied in order", report);
        }
    }
    // All are read, so that everything wrong is told.
    let read: Vec<_> = given.iter().map(|name| one_operation(section, name, report)).collect();
    if given.len() == 1 { read.into_iter().next().flatten() } else { None }
}

fn one_operation(section: &Section<'_>, name: &str, report: &mut Report) -> Option<Operation> {
    match name {
        "replace" => replacement(section, "replace", report).map(Operation::Replace),
        "raw" => replacement(section, "raw", report).map(Operation::Raw),
        "set" => section.scalar("set", report).map(Operation::Set),
        "set_null" => match section.flag("set_null", report)? {
            true => Some(Operation::SetNull),
            false => {
                section.wrong("set_null", "false does nothing", "set_null = true", report);
                None
            }
        },
        "trim" => read_trim(section, report),
        "cast" => read_cast(section, report),
        _ => read_rename(section, report),
    }
}

fn pattern(section: &Section<'_>, key: &str, report: &mut Report) -> Option<Pattern> {
    let text = section.text(key, "a regular expression, e.g. '^EUR '", report)?;
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(what) => {
            let what = format!("is no regular expression: {what}");
            section.wrong(key, what, "one as the Rust crate regex reads them", report);
            None
        }
    }
}

fn replacement(section: &Section<'_>, key_name: &str, report: &mut Report) -> Option<Replacement> {
    let keys = [key("pattern"), key("with")];
    let table = section.section(key_name, &keys, report)?;
    for (key, write) in [("pattern", "pattern = \"...\""), ("with", "with = \"\" or a text")] {
        if table.get(key).is_none() {
            table.missing(key, write, report);
        }
    }
    let with = table.text("with", "with = \"\"", report);
    let pattern = pattern(&table, "pattern", report)?;
    match Replacement::new(pattern, with?) {
        Ok(replacement) => Some(replacement),
        Err(what) => {
            table.wrong("with", what, "${1} for the first group, $$ for a $", report);
            None
        }
    }
}

fn read_trim(section: &Section<'_>, report: &mut Report) -> Option<Operation> {
    match section.get("trim").map(|node| &node.value) {
        Some(Value::Bool(true)) => return Some(Operation::Trim(None)),
        Some(Value::Text(text)) if !text.is_empty() => {
            return Some(Operation::Trim(Some(text.clone())));
        }
        _ => {}
    }
    let what = "must be true, or the characters to drop at both ends";
    section.wrong("trim", what, "trim = true or trim = \" \\u00a0\"", report);
    None
}

fn read_rename(section: &Section<'_>, report: &mut Report) -> Option<Operation> {
    let table = section.section("rename", &[key("from"), key("to")], report)?;
    for key in ["from", "to"] {
        if table.get(key).is_none() {
            table.missing(key, "{ from = \"Betrag\", to = \"amount\" }", report);
        }
    }
    let from = table.text("from", "\"Betrag\"", report);
    let to = table.text("to", "\"amount\"", report);
    Some(Operation::Rename { from: from?.to_owned(), to: to?.to_owned() })
}

fn read_cast(section: &Section<'_>, report: &mut Report) -> Option<Operation> {
    let keys = [key("decimal"), key("thousands"), key("date"), key("timestamp")];
    let table = section.section("cast", &keys, report)?;
    let has = |key: &str| table.get(key).is_some();
    if has("thousands") && !has("decimal") {
        table.missing("decimal", "the decimal sign too: decimal = \".\"", report);
        return None;
    }
    match (has("decimal"), has("date"), has("timestamp")) {
        (true, false, false) => read_decimal(&table, report),
        (false, true, false) => {
            let text = table.text("date", "\"%d.%m.%Y\"", report)?;
            format(&table, "date", DateText::new(text), report).map(Operation::CastDate)
        }
        (false, false, true) => {
            let text = table.text("timestamp", "\"%d.%m.%Y %H:%M\"", report)?;
            format(&table, "timestamp", StampText::new(text), report).map(Operation::CastTimestamp)
        }
        _ => {
            section.wrong(
                "cast",
                "must say one way in which the values are written",
                CASTS,
                report,
            );
            None
        }
    }
}

fn format<T>(
    table: &Section<'_>,
    key: &str,
    format: Result<T, String>,
    report: &mut Report,
) -> Option<T> {
    format.map_err(|what| table.wrong(key, what, "a strftime format", report)).ok()
}

fn read_decimal(table: &Section<'_>, report: &mut Report) -> Option<Operation> {
    let sign = table.text("decimal", "\",\"", report)?;
    let thousands = match table.get("thousands") {
        Some(_) => table.text("thousands", "\".\"", report)?,
        None => "",
    };
    let mut chars = sign.chars();
    let (Some(decimal), None) = (chars.next(), chars.next()) else {
        table.wrong("decimal", "must be one character", "\",\" or \".\"", report);
        return None;
    };
    let part_of_number = |c: char| c.is_alphanumeric() || matches!(c, '+' | '-');
    if part_of_number(decimal) {
        table.wrong("decimal", "is part of a number itself", "\",\" or \".\"", report);
        return None;
    }
    let wrong = thousands.chars().count() > SEPARATORS_MAX
        || thousands.chars().any(|c| c == decimal || part_of_number(c));
    if wrong || (thousands.is_empty() && table.get("thousands").is_some()) {
        let what = "must be the characters that may stand between groups of three digits";
        table.wrong("thousands", what, "\".\" or \" \\u00a0\", or leave it out", report);
        return None;
    }
    Some(Operation::CastDecimal { decimal, thousands: thousands.to_owned() })
}
