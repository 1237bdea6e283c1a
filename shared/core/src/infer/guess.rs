//! From counts to a type, with a comment for each doubt.

use super::column::{ColumnStats, NULL_WORDS, VALUES_MAX};
use super::moment::WAYS;
use crate::pipeline::toml_string;

/// Digits that a decimal gets beyond those that were seen, before the point.
const SPARE_DIGITS: usize = 2;
/// More digits after the point are measurements, not amounts.
const SCALE_MAX: usize = 10;
/// In at least so many values misfits may be defects; in fewer they are the rule.
const VALUES_FOR_MISFITS: u64 = 50;

/// The guess for a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) data_type: String,
    pub(super) format: Option<&'static str>,
    pub(super) nullable: bool,
    /// Timestamps without an offset need a time zone.
    pub(super) needs_zone: bool,
    /// Words that stand for NULL in this column.
    pub(super) null_words: Vec<&'static str>,
    /// Values that do not fit.
    pub(super) misfits: u64,
    /// Each a line above the column.
    pub(super) comments: Vec<String>,
}

pub(super) fn guess(stats: &ColumnStats, rows: u64) -> Guess {
    let mut guess = Guess {
        data_type: "string".to_owned(),
        format: None,
        nullable: false,
        needs_zone: false,
        null_words: Vec::new(),
        misfits: 0,
        comments: Vec::new(),
    };
    let empty = rows.saturating_sub(stats.values);
    if stats.values == 0 {
        guess.nullable = true;
        guess.comments.push("no row has a value: the type is unknown".to_owned());
        return guess;
    }
    let words = stats.null_word_count();
    let fit = typed(stats, stats.values - words, &mut guess);
    if guess.data_type != "string" {
        guess.misfits = (stats.values - words).saturating_sub(fit);
        let found = NULL_WORDS.iter().zip(&stats.null_words).filter(|(_, count)| **count > 0);
        guess.null_words = found.map(|(word, _)| *word).collect();
    }
    if guess.misfits > 0 {
        let line = format!("{} of {} values do not fit", group(guess.misfits), group(stats.values));
        guess.comments.push(format!("{line} and would be rejected"));
    }
    let nulls = empty + if guess.null_words.is_empty() { 0 } else { words };
    guess.nullable = nulls > 0;
    if nulls > 0 && nulls.saturating_mul(200) < rows {
        let line = format!("only {} of {} rows are empty here", group(nulls), group(rows));
        guess.comments.push(format!("{line}: without nullable they would be rejected"));
    }
    if guess.data_type == "string" {
        suggest_values(stats, &mut guess);
    }
    guess
}

/// Sets the type; the number of values that fit it.
fn typed(stats: &ColumnStats, values: u64, guess: &mut Guess) -> u64 {
    let fits = |count: u64| {
        let misfits = values.saturating_sub(count);
        count > 0 && (misfits == 0 || (values >= VALUES_FOR_MISFITS && misfits * 50 <= values))
    };
    let exact = stats.integers + stats.decimals;
    let numbers = exact + stats.floats;
    if fits(stats.bools) {
        guess.data_type = "bool".to_owned();
        return stats.bools;
    }
    if fits(numbers) && stats.padded > 0 {
        let line =
            format!("{} values start with a zero that a number would lose", group(stats.padded));
        guess.comments.push(format!("{line}: text"));
        return values;
    }
    if let Some(range) = stats.int64_range
        && fits(stats.int64s)
    {
        int64(&stats.name, range, guess);
        return stats.int64s;
    }
    if fits(stats.integers) && is_uint64(stats) {
        guess.data_type = "uint64".to_owned();
        guess.comments.push("some values are over the limit of int64".to_owned());
        return stats.integers;
    }
    if fits(exact) && decimal(stats, guess) {
        return exact;
    }
    if fits(numbers) && stats.whole_digits_max <= 300 {
        guess.data_type = "float64".to_owned();
        guess.comments.push(
            "exponents or many digits: float64 keeps the nearest value, not the exact one"
                .to_owned(),
        );
        return numbers;
    }
    moment(stats, fits, guess).unwrap_or(values)
}

fn int64(name: &str, (low, high): (i64, i64), guess: &mut Guess) {
    guess.data_type = "int64".to_owned();
    if low < i64::MIN / 10 || high > i64::MAX / 10 {
        let line = "values come near the limit of int64, over which they are rejected";
        guess.comments.push(format!("{line}: decimal(38,0) takes more"));
    }
    if low == 0 && high == 1 {
        guess.comments.push("only 0 and 1: bool reads them as well".to_owned());
    }
    suggest_moment(name, low, high, guess);
}

fn is_uint64(stats: &ColumnStats) -> bool {
    let fits = |(low, high): (i128, i128)| low >= 0 && high <= i128::from(u64::MAX);
    stats.whole_digits_max <= 38 && stats.range.is_some_and(fits)
}

/// Integers that may be dates.
fn suggest_moment(name: &str, low: i64, high: i64, guess: &mut Guess) {
    let name = name.to_lowercase();
    let named =
        ["date", "day", "time", "_at", "_ts", "epoch"].iter().any(|word| name.contains(word))
            || name == "ts";
    let suggestion = match (low, high) {
        (19_000_101.., ..=21_001_231) => "{ type = \"date\", format = \"%Y%m%d\" }",
        (100_000_000.., ..=9_999_999_999) => "{ type = \"timestamp\", format = \"epoch_s\" }",
        (100_000_000_000.., ..=9_999_999_999_999) => {
            "{ type = \"timestamp\", format = \"epoch_ms\" }"
        }
        _ => return,
    };
    if named {
        guess.comments.push(format!("these may be points in time: {suggestion}"));
    }
}

/// Whether the numbers fit a decimal.
fn decimal(stats: &ColumnStats, guess: &mut Guess) -> bool {
    let digits = stats.whole_digits_max + stats.scale_max;
    if stats.scale_max > SCALE_MAX || digits > 38 {
        return false;
    }
    let precision = (digits + SPARE_DIGITS).clamp(12, 38);
    guess.data_type = format!("decimal({precision},{})", stats.scale_max);
    let seen = format!("at most {} digits before the point were seen", stats.whole_digits_max);
    let room = precision - stats.scale_max;
    guess.comments.push(format!("{seen}, there is room for {room}"));
    true
}

fn moment(stats: &ColumnStats, fits: impl Fn(u64) -> bool, guess: &mut Guess) -> Option<u64> {
    let counted = stats.moments.fits.iter().zip(&WAYS).filter(|(count, _)| fits(**count));
    // The first of the ways that fit most.
    let (count, way) = counted.rev().max_by_key(|(count, _)| **count)?;
    if let Some(twin) = way.twin {
        let format = toml_string(way.format.unwrap_or_default());
        let other = toml_string(twin);
        let settling = count.saturating_sub(stats.moments.fits_format(twin));
        if settling == 0 {
            let line = format!("every value reads as {format} and as {other}, 0 values settle it");
            let data_type = way.data_type;
            guess.comments.push(format!(
                "{line}: text until you write {{ type = \"{data_type}\", format = ... }}"
            ));
            return None;
        }
        let noun = if settling == 1 {
            "1 value settles"
        } else {
            &format!("{} values settle", group(settling))
        };
        guess.comments.push(format!("{noun} that it is {format} and not {other}"));
    }
    guess.data_type = way.data_type.to_owned();
    guess.format = way.format;
    if way.data_type == "timestamp" {
        guess.needs_zone = way.format.is_some() || stats.moments.no_offset > 0;
        if way.format.is_none() && stats.moments.too_fine > 0 {
            let line =
                format!("{} values are finer than a microsecond", group(stats.moments.too_fine));
            guess.comments.push(format!("{line} and would be rejected"));
        }
    }
    Some(*count)
}

fn suggest_values(stats: &ColumnStats, guess: &mut Guess) {
    let Some(distinct) = &stats.distinct else {
        return;
    };
    let few = u64::try_from(distinct.len()).unwrap_or(u64::MAX);
    if distinct.len() > VALUES_MAX || few.saturating_mul(5) > stats.values || stats.not_utf8 > 0 {
        return;
    }
    let values: Vec<String> =
        distinct.iter().map(|value| toml_string(&value.replace("${", "$${"))).collect();
    let noun = if distinct.len() == 1 { "1 value" } else { &format!("{} values", distinct.len()) };
    let list = values.join(", ");
    guess.comments.push(format!("{noun} only: add one_of = [{list}] to reject others"));
}

/// `1,234,567`
pub(super) fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
