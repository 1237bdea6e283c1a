//! From counts to a type, with a comment for each doubt.

use super::column::{ColumnStats, VALUES_MAX};
use super::loose::STYLES;
use super::moment::WAYS;
use crate::toml_file::toml_string;

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
    /// Further settings of the column, as they are written.
    pub(super) options: Vec<String>,
    /// Timestamps without an offset need a time zone.
    pub(super) needs_zone: bool,
    /// Words that stand for NULL in this column.
    pub(super) null_words: Vec<&'static str>,
    /// Values that do not fit.
    pub(super) misfits: u64,
    /// Each a line above the column.
    pub(super) comments: Vec<String>,
}

impl Guess {
    /// Whether an empty text is no value of the type.
    pub(super) fn is_typed(&self) -> bool {
        self.data_type != "string"
    }
}

pub(super) fn guess(stats: &ColumnStats) -> Guess {
    let mut guess = Guess {
        data_type: "string".to_owned(),
        format: None,
        options: Vec::new(),
        needs_zone: false,
        null_words: Vec::new(),
        misfits: 0,
        comments: Vec::new(),
    };
    if stats.values == 0 {
        if stats.quoted_empty == 0 {
            guess.comments.push("no row has a value: the type is unknown".to_owned());
        }
        return guess;
    }
    let words = stats.null_word_count();
    let fit = typed(stats, stats.values - words, &mut guess);
    // In a column of quoted texts a word without quotes is none of them.
    let bare =
        stats.quoted > 0 && stats.quoted == stats.values - words && stats.quoted_word_count() == 0;
    if guess.is_typed() {
        guess.misfits = (stats.values - words).saturating_sub(fit);
    }
    if guess.is_typed() || bare {
        guess.null_words = stats.words().map(|(word, ..)| word).collect();
    }
    if guess.misfits > 0 {
        let line = format!("{} of {} values do not fit", group(guess.misfits), group(stats.values));
        guess.comments.push(format!("{line} and would be rejected"));
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
    let numbers = stats.integers + stats.decimals + stats.floats + stats.specials;
    if fits(stats.bools) && are_truths(stats) {
        guess.data_type = "bool".to_owned();
        return stats.bools;
    }
    if fits(stats.bools) {
        guess.comments.push("only one truth word was seen: bool reads it as well".to_owned());
    }
    if fits(numbers) && stats.padded > 0 {
        let line = counted(stats.padded, "value starts", "values start");
        guess.comments.push(format!("{line} with a zero that a number would lose: text"));
        return values;
    }
    if fits(numbers) && numbers > stats.specials {
        return number(stats, numbers, guess);
    }
    if let Some(count) = loose(stats, fits, guess) {
        return count;
    }
    moment(stats, fits, guess).unwrap_or(values)
}

/// Whether truth words are meant as such: `no` alone may be a country.
fn are_truths(stats: &ColumnStats) -> bool {
    let is_plain =
        |value: &String| ["true", "false"].iter().any(|word| word.eq_ignore_ascii_case(value));
    stats.bool_words == [true, true]
        || stats.distinct.as_ref().is_some_and(|values| values.iter().any(is_plain))
}

/// The narrowest type that takes every number of the column.
fn number(stats: &ColumnStats, numbers: u64, guess: &mut Guess) -> u64 {
    let wholes = stats.integers + stats.whole_decimals;
    if wholes == numbers && stats.int64s == wholes {
        if let Some(range) = stats.int64_range {
            int64(stats, range, guess);
        }
        if stats.whole_decimals > 0 {
            let line = "every value is whole, though some are written with a point";
            guess.comments.push(format!("{line}: float64 takes other values, too"));
        }
        return numbers;
    }
    if stats.integers == numbers && is_uint64(stats) {
        guess.data_type = "uint64".to_owned();
        guess.comments.push("some values are over the limit of int64".to_owned());
        return numbers;
    }
    let digits = stats.whole_digits_max + stats.scale_max;
    // Up to 15 digits a float keeps each value as it is written.
    let exact = stats.floats == 0 || stats.scale_max == 0 || digits > 15;
    if stats.specials == 0 && exact && decimal(stats.whole_digits_max, stats.scale_max, guess) {
        return numbers;
    }
    if stats.whole_digits_max <= 309 {
        float64(stats.whole_digits_max, guess);
    }
    numbers
}

fn float64(whole_digits: usize, guess: &mut Guess) {
    guess.data_type = "float64".to_owned();
    let line = "exponents, many digits or values that are no numbers";
    guess.comments.push(format!("{line}: float64 keeps the nearest value, not the exact one"));
    if whole_digits > 15 {
        let line = "some integers have more than 15 digits and may be changed";
        guess.comments.push(format!("{line}: write string to keep them as they are"));
    }
}

/// Numbers that are written with decimal commas, thousands, units or other signs.
fn loose(stats: &ColumnStats, fits: impl Fn(u64) -> bool, guess: &mut Guess) -> Option<u64> {
    let loose = &stats.loose;
    let best = loose.fits.iter().copied().max().filter(|count| fits(*count))?;
    let fitting: Vec<usize> = (0..STYLES.len())
        .filter(|at| loose.fits.get(*at).is_some_and(|count| *count == best))
        .collect();
    let (at, style) = fitting.first().and_then(|at| Some((*at, *STYLES.get(*at)?)))?;
    let plain = style.decimal == '.' && style.thousands.is_none();
    if plain && !loose.is_marked() {
        return None;
    }
    let other = |at: &&usize| STYLES.get(**at).is_some_and(|other| other.decimal != style.decimal);
    let has_separator = loose.scale_max.get(at).is_some_and(|scale| *scale > 0);
    if has_separator && !plain && fitting.iter().any(|at| other(&at)) {
        let line = "every value reads with a decimal comma and with thousands, 0 values settle it";
        let scale = fitting.iter().filter_map(|at| loose.scale_max.get(*at)).max().unwrap_or(&0);
        guess.comments.push(format!(
            "{line}: text until you write {{ type = \"decimal(12,{scale})\", decimal_separator = \",\" }} or \
             {{ type = \"int64\", thousands = \",\" }}"
        ));
        return None;
    }
    let scale = loose.scale_max.get(at).copied().unwrap_or(0);
    if loose.exponents > 0 || !decimal(loose.whole_digits_max, scale, guess) {
        if loose.whole_digits_max > 309 {
            return None;
        }
        float64(loose.whole_digits_max, guess);
    }
    let mut text = |key: &str, value: &str| {
        guess.options.push(format!("{key} = {}", toml_string(value)));
    };
    if style.decimal != '.' {
        text("decimal_separator", &style.decimal.to_string());
    }
    if let Some(thousands) = style.thousands {
        text("thousands", &thousands.to_string());
    }
    let signs = [
        ("trailing", loose.trailing),
        ("parentheses", loose.parentheses),
        ("unicode", loose.unicode),
    ];
    let signs = signs.iter().filter(|(_, count)| *count > 0).map(|(sign, _)| toml_string(sign));
    let signs: Vec<String> = signs.collect();
    if !signs.is_empty() {
        guess.options.push(format!("negative = [{}]", signs.join(", ")));
    }
    if !loose.affixes.is_empty() {
        let affixes: Vec<String> = loose.affixes.iter().map(|affix| toml_string(affix)).collect();
        guess.options.push(format!("affix = [{}]", affixes.join(", ")));
        guess.comments.push("units beside the numbers are dropped".to_owned());
    }
    Some(best)
}

fn int64(stats: &ColumnStats, (low, high): (i64, i64), guess: &mut Guess) {
    guess.data_type = "int64".to_owned();
    if low < i64::MIN / 10 || high > i64::MAX / 10 {
        let line = "values come near the limit of int64, over which they are rejected";
        guess.comments.push(format!("{line}: decimal(38,0) takes more"));
    }
    if low == 0 && high == 1 {
        guess.comments.push("only 0 and 1: bool reads them as well".to_owned());
    }
    epoch(stats, low, high, guess);
}

fn is_uint64(stats: &ColumnStats) -> bool {
    let fits = |(low, high): (i128, i128)| low >= 0 && high <= i128::from(u64::MAX);
    stats.whole_digits_max <= 38 && stats.range.is_some_and(fits)
}

/// Parts of names that speak of points in time.
const TIME_NAMES: [&str; 17] = [
    "date", "day", "time", "at", "ts", "epoch", "seen", "created", "updated", "modified", "when",
    "stamp", "since", "until", "dt", "lt", "datetime",
];

/// 0001-01-01 in seconds and in milliseconds.
const FIRST_SECOND: i64 = -62_135_596_800;
const FIRST_MILLI: i64 = FIRST_SECOND * 1000;

/// Integers that are points in time: by their size, and by the name of their column.
fn epoch(stats: &ColumnStats, low: i64, high: i64, guess: &mut Guess) {
    let name = stats.name.to_lowercase();
    let mut parts = name.split(|c: char| !c.is_alphanumeric());
    let named = parts.any(|part| TIME_NAMES.contains(&part))
        || ["date", "time", "stamp", "epoch"].iter().any(|word| name.contains(word));
    // Seconds of 1973 to 2033 and their multiples; days are written with eight digits.
    let (data_type, format) = match (low, high) {
        (19_000_101.., ..=21_001_231) => ("date", "%Y%m%d"),
        (FIRST_SECOND.., 100_000_000..=4_000_000_000) => ("timestamp", "epoch_s"),
        (FIRST_MILLI.., 100_000_000_000..=40_000_000_000_000)
        | (FIRST_MILLI..0, 250_000_000_000_000..=253_402_300_799_999) => ("timestamp", "epoch_ms"),
        (100_000_000_000_000.., ..=4_000_000_000_000_000) => ("timestamp", "epoch_us"),
        (100_000_000_000_000_000.., ..=4_000_000_000_000_000_000) => ("timestamp", "epoch_ns"),
        _ => return,
    };
    if !named {
        if low >= 1_000_000_000 {
            let other = format!("{{ type = \"{data_type}\", format = \"{format}\" }}");
            guess.comments.push(format!("by their size these may be points in time: {other}"));
        }
        return;
    }
    let is_day = data_type == "timestamp" && stats.is_all_midnights(format);
    data_type.clone_into(&mut guess.data_type);
    guess.format = Some(format);
    if is_day {
        "date".clone_into(&mut guess.data_type);
    }
    guess.comments.push("read as points in time: int64 keeps the numbers".to_owned());
}

/// Whether the numbers fit a decimal.
fn decimal(whole_digits: usize, scale: usize, guess: &mut Guess) -> bool {
    let digits = whole_digits + scale;
    if scale > SCALE_MAX || digits > 38 {
        return false;
    }
    let precision = (digits + SPARE_DIGITS).clamp(12, 38);
    guess.data_type = format!("decimal({precision},{scale})");
    let seen = format!("at most {whole_digits} digits before the point were seen");
    let room = precision - scale;
    guess.comments.push(format!("{seen}, there is room for {room}"));
    true
}

fn moment(stats: &ColumnStats, fits: impl Fn(u64) -> bool, guess: &mut Guess) -> Option<u64> {
    let fitting = stats.moments.fits.iter().zip(&WAYS).filter(|(count, _)| fits(**count));
    // The first of the ways that fit most.
    let (count, way) = fitting.rev().max_by_key(|(count, _)| **count)?;
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
        let noun = counted(settling, "value settles", "values settle");
        guess.comments.push(format!("{noun} that it is {format} and not {other}"));
    }
    guess.data_type = way.data_type.to_owned();
    guess.format = way.format;
    if way.format.is_some_and(|format| format.ends_with("%y")) {
        guess.comments.push("years of two digits are read as 1969 to 2068".to_owned());
    }
    if way.data_type == "timestamp" {
        guess.needs_zone = match way.format {
            None => stats.moments.no_offset > 0,
            Some(format) => !format.contains("%z") && !format.ends_with("UTC"),
        };
        guess.comments.extend(way.format.filter(|format| format.ends_with("UTC")).map(|_| {
            "the word UTC is part of the format: timezone = \"UTC\" says what it means".to_owned()
        }));
        if way.format.is_none() && stats.moments.midnights == *count {
            let line = "each is a midnight: date reads them with time_of_day = \"drop\"";
            guess.comments.push(line.to_owned());
        }
        guess.needs_zone |= way.format.is_some_and(|format| format.ends_with("UTC"));
        if way.format.is_none() && stats.moments.too_fine > 0 {
            let line = counted(stats.moments.too_fine, "value is", "values are");
            let line = format!("{line} finer than a microsecond, the rest of which is dropped");
            guess.comments.push(line);
            guess.options.push("subsecond = \"truncate\"".to_owned());
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
    let is_null = |value: &&String| *value == "\\N" || guess.null_words.contains(&value.as_str());
    let values = distinct.iter().filter(|value| !is_null(value));
    let values: Vec<String> =
        values.map(|value| toml_string(&value.replace("${", "$${"))).collect();
    let noun = counted(values.len() as u64, "value", "values");
    let list = values.join(", ");
    guess.comments.push(format!("{noun} only: add one_of = [{list}] to reject others"));
}

/// `1 value is`, `1,234 values are`.
pub(super) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", group(number), if number == 1 { one } else { many })
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
