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
