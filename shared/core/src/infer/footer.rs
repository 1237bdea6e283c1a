//! The last rows of a file, when they are no rows: totals, counts, a closing word.

use super::Inference;
use super::column::ColumnStats;
use super::guess::guess;
use super::number::classify;

/// Rows before it that show what the columns hold.
const ROWS_MIN: u64 = 5;

/// One of the last rows of a file.
#[derive(Debug, Clone)]
pub struct LastRow {
    cells: Vec<(usize, Vec<u8>, bool)>,
}

impl<'a> FromIterator<(usize, &'a [u8], bool)> for LastRow {
    /// From the fields that are not NULL, as [`Inference::observe`] takes them.
    fn from_iter<T: IntoIterator<Item = (usize, &'a [u8], bool)>>(fields: T) -> LastRow {
        let fields = fields.into_iter();
        LastRow { cells: fields.map(|(at, text, quoted)| (at, text.to_vec(), quoted)).collect() }
    }
}

/// Observes the last rows up to the first that is no row, and says what the others look like.
pub(super) fn settle(inference: &mut Inference) {
    let last = std::mem::take(&mut inference.last);
    let rows = match last.iter().position(|row| is_footer(inference, row)) {
        Some(footer) => {
            let count = last.len() - footer;
            let noun = if count == 1 { "row looks" } else { "rows look" };
            inference.remarks.push(format!(
                "the last {count} {noun} like totals below the data: left out of the guess, and rejected where \
                 a column cannot read them"
            ));
            last.get(..footer).unwrap_or(&last)
        }
        None => &last,
    };
    for row in rows {
        for (column, text, quoted) in &row.cells {
            inference.observe(*column, text, *quoted);
        }
        inference.end_row();
    }
}

/// Whether a row does not fit: of the columns that all rows before it fill, it has in one a value that is
/// none of its type, and in half of them such a one or none.
fn is_footer(inference: &Inference, row: &LastRow) -> bool {
    if inference.rows < ROWS_MIN {
        return false;
    }
    let (mut filled, mut lacking, mut misfits) = (0, 0, 0);
    let mut cells = vec![None; inference.columns.len()];
    for (column, text, quoted) in row.cells.iter().filter(|(_, text, _)| !text.is_empty()) {
        if let Some(cell) = cells.get_mut(*column) {
            *cell = Some((text, *quoted));
        }
    }
    for (stats, cell) in inference.columns.iter().zip(cells) {
        if stats.values != inference.rows {
            continue;
        }
        filled += 1;
        match cell {
            None => lacking += 1,
            Some((text, quoted)) => misfits += usize::from(!fits(stats, text, quoted)),
        }
    }
    misfits > 0 && (misfits + lacking) * 2 >= filled
}

/// Whether a column reads one value more as it reads the others. A number that it does not read is a defect.
fn fits(stats: &ColumnStats, text: &[u8], quoted: bool) -> bool {
    if classify(text).is_some() {
        return true;
    }
    let before = guess(stats);
    if !before.is_typed() {
        return true;
    }
    let after = guess(&stats.with(text, quoted));
    after.is_typed() && after.misfits == before.misfits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{CsvDialect, Format};

    /// Whether the last of these rows, `id,name,amount`, is left out of the guess.
    fn is_left_out(rows: u32, last: &[&str]) -> bool {
        let names = ["id", "name", "amount"].map(str::to_owned);
        let format = Format::Csv(CsvDialect::default());
        let mut inference = Inference::new("a.csv", format, &names);
        for id in 0..rows {
            for (at, text) in
                [id.to_string(), format!("n{id}"), format!("{id}.5")].iter().enumerate()
            {
                inference.observe(at, text.as_bytes(), false);
            }
            inference.end_row();
        }
        let fields = last.iter().enumerate().filter(|(_, text)| !text.is_empty());
        inference.last_row(fields.map(|(at, text)| (at, text.as_bytes(), false)).collect());
        inference.finish().expect("columns").contains("like totals")
    }

    #[test]
    fn a_row_is_a_total_when_half_of_it_does_not_fit_and_not_for_want_of_values_alone() {
        assert!(is_left_out(8, &["Total", "", "32.0"]));
        assert!(is_left_out(5, &["Total", "", "32.0"]));
        assert!(!is_left_out(4, &["Total", "", "32.0"]), "too few rows to tell");
        assert!(!is_left_out(8, &["8", "", ""]), "it lacks values, and has none that does not fit");
        assert!(!is_left_out(8, &["x", "n8", "8.5"]), "one defect");
        assert!(!is_left_out(8, &["8", "", "1e400"]), "a number that is not read is a defect");
    }
}
