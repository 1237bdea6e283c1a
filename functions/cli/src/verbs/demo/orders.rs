//! Orders for the demo: always the same ones, some of them bad in ways that are known beforehand.

use std::collections::BTreeMap;
use std::io::{self, Write};

use rowproof_core::time::EpochSeconds;

const HEADER: &str =
    "id,customer_id,name,amount,currency,status,created_at,updated_at,email,note\n";
const FIRST: [&str; 6] = ["Uma", "Tariq", "Ana", "Liu", "Noor", "Per"];
const LAST: [&str; 6] = ["Okafor", "Schmidt", "Souza", "Wei", "Haddad", "Lind"];
const CURRENCIES: [&str; 4] = ["EUR", "USD", "GBP", "PLN"];
const STATUSES: [&str; 4] = ["pending", "paid", "shipped", "delivered"];
const NOTES: [&str; 4] = ["", "", "leave at the door", "gift, no invoice"];

/// The first order is from 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;

/// One row of these many is bad; in the corrected file one of ten times as many.
const BAD_EVERY: u64 = 100;

/// Ways to be bad, by the code that a row is rejected with.
const DEFECTS: [&str; 8] =
    ["field_count", "type", "type", "not_null", "one_of", "bad_quote", "encoding", "pattern"];

/// What is in a file, known from writing it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) rows: u64,
    /// Bad rows by code.
    pub(crate) bad: BTreeMap<String, u64>,
    /// Bad rows that [`PATCH`] makes good.
    pub(crate) fixable: u64,
}

/// What makes two of the eight kinds of bad rows good.
pub(crate) const PATCH: &str = r#"version = 1
pipeline = "orders"

[[fix]]
where = "error_code = 'type' and column = 'amount'"
column = "amount"
cast = { decimal = ",", thousands = "." }

[[fix]]
where = "error_code = 'one_of' and column = 'currency'"
column = "currency"
replace = { pattern = "^EURO$", with = "EUR" }
"#;

impl Truth {
    pub(crate) fn rejected(&self) -> u64 {
        self.bad.values().sum()
    }

    pub(crate) fn loaded(&self) -> u64 {
        self.rows - self.rejected()
    }
}

/// Writes so many orders as CSV. Corrected, nine of ten bad rows are good; all others are the same.
pub(crate) fn write(rows: u64, corrected: bool, out: &mut impl Write) -> io::Result<Truth> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut truth = Truth { rows, ..Truth::default() };
    out.write_all(HEADER.as_bytes())?;
    for row in 0..rows {
        let mut fields = order(row, &mut random);
        let hundred = row / BAD_EVERY;
        let stays = !corrected || hundred % 10 == 3;
        let defect = (row % BAD_EVERY == 37 && stays)
            .then(|| usize::try_from(hundred).unwrap_or(0) % DEFECTS.len());
        if let Some(defect) = defect {
            spoil(&mut fields, defect);
            let code = DEFECTS.get(defect).copied().unwrap_or_default();
            *truth.bad.entry(code.to_owned()).or_default() += 1;
            truth.fixable += u64::from(defect == 1 || defect == 4);
        }
        let mut line = fields.join(",").into_bytes();
        if defect == Some(6) {
            // A letter in Latin-1, before the name.
            let at = fields.iter().take(2).map(|field| field.len() + 1).sum();
            line.insert(at, 0xe9);
        }
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(truth)
}

fn order(row: u64, random: &mut fastrand::Rng) -> Vec<String> {
    let pick = |list: &[&'static str], random: &mut fastrand::Rng| {
        list.get(random.usize(..list.len())).copied().unwrap_or_default()
    };
    let (first, last) = (pick(&FIRST, random), pick(&LAST, random));
    let customer = random.u32(1..100_000);
    let cents = random.u32(..500_000);
    let created = BEGIN + i64::try_from(row).unwrap_or(0) * 61;
    let updated = created + random.i64(0..864_000);
    let name = match row % 11 {
        0 => format!("\"{last}, {first}\""),
        _ => format!("{first} {last}"),
    };
    let note = pick(&NOTES, random);
    vec![
        (row + 1).to_string(),
        customer.to_string(),
        name,
        format!("{}.{:02}", cents / 100, cents % 100),
        pick(&CURRENCIES, random).to_owned(),
        pick(&STATUSES, random).to_owned(),
        EpochSeconds(created).rfc3339(),
        EpochSeconds(updated).rfc3339(),
        format!("{}.{}{customer}@example.com", first.to_lowercase(), last.to_lowercase()),
        if note.contains(',') { format!("\"{note}\"") } else { note.to_owned() },
    ]
}

/// Makes a row bad in one of the ways of [`DEFECTS`]; the bad letter is the caller's to put in.
fn spoil(fields: &mut Vec<String>, defect: usize) {
    let (column, text) = match defect {
        0 => {
            fields.pop();
            return;
        }
        1 => (3, "\"1.234,50\""),
        2 => (6, "31.02.2026"),
        3 => (1, ""),
        4 => (4, "EURO"),
        5 => (2, "\"Uma \"the boss\" Okafor\""),
        7 => (8, "uma.okafor"),
        _ => return,
    };
    if let Some(field) = fields.get_mut(column) {
        text.clone_into(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(rows: u64, corrected: bool) -> (Vec<u8>, Truth) {
        let mut bytes = vec![];
        let truth = write(rows, corrected, &mut bytes).unwrap();
        (bytes, truth)
    }

    #[test]
    fn the_same_file_is_written_every_time_with_every_defect() {
        let (bytes, truth) = written(8_000, false);
        assert_eq!((bytes, truth.clone()), written(8_000, false));
        assert_eq!(truth.rejected(), 80);
        let codes: Vec<_> = truth.bad.keys().map(String::as_str).collect();
        let expected =
            ["bad_quote", "encoding", "field_count", "not_null", "one_of", "pattern", "type"];
        assert_eq!(codes, expected);
    }

    #[test]
    fn the_corrected_file_differs_only_in_rows_that_were_bad() {
        let ((before, truth), (after, corrected)) = (written(8_000, false), written(8_000, true));
        assert_eq!(corrected.rejected(), 8);
        let lines = |bytes: &[u8]| bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        let (before, after): (Vec<_>, Vec<_>) = (lines(&before), lines(&after));
        let differing = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert_eq!(u64::try_from(differing).unwrap(), truth.rejected() - corrected.rejected());
    }
}
