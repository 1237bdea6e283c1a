//! Keys that sinks share.

use crate::pipeline::AddedColumn;
use crate::toml_file::problem::Report;
use crate::toml_file::problem::nearest;
use crate::toml_file::problem::quoted;
use crate::toml_file::section::Section;

pub(super) fn read_added(parquet: &Section<'_>, report: &mut Report) -> Vec<AddedColumn> {
    const EXAMPLE: &str = "[\"_source_file\", \"_source_row\", \"_loaded_at\"]";
    let known = [AddedColumn::SourceFile, AddedColumn::SourceRow, AddedColumn::LoadedAt];
    let mut added = Vec::new();
    for (at, text) in parquet.texts("add", EXAMPLE, report).unwrap_or_default() {
        let name = parquet.full("add");
        let Some(column) = known.iter().find(|column| column.name() == text) else {
            let write = nearest(text, known.map(AddedColumn::name))
                .map_or_else(|| format!("any of {EXAMPLE}"), quoted);
            report.problem(at, &name, format!("{} cannot be added", quoted(text)), write);
            continue;
        };
        if added.contains(column) {
            report.problem(at, &name, format!("{} stands twice", quoted(text)), "it once");
        }
        added.push(*column);
    }
    added
}

/// `0.5%` is 5,000. `None` for what is no percentage from 0 to 100 with at most four decimals.
pub(super) fn parts_per_million(text: &str) -> Option<u32> {
    let number = text.strip_suffix('%')?.trim_end();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str, max: usize| {
        (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(whole, 3) || !digits(decimals, 4) {
        return None;
    }
    let parts: u32 = format!("{whole}{decimals:0<4}").parse().ok()?;
    (parts <= 1_000_000).then_some(parts)
}
