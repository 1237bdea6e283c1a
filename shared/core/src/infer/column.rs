//! What has been seen of one column.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::loose::LooseStats;
use super::moment::MomentStats;
use super::number::{NumberKind, classify};

/// Most different values that are kept, to suggest `one_of`.
pub(super) const VALUES_MAX: usize = 12;
/// Longest value that is kept, in bytes.
const VALUE_BYTES_MAX: usize = 40;
/// Repeated values after which a column is no key, unless they are few.
const REPEATS_MAX: u64 = 1000;

/// Texts that often stand for NULL.
pub(super) const NULL_WORDS: [&str; 13] =
    ["NULL", "null", "Null", "N/A", "n/a", "NA", "None", "nil", "-", "--", "<NA>", "#N/A", "\\N"];

/// Longest of these, and of the words for truths, in bytes.
const WORD_BYTES_MAX: usize = 5;

/// Ways to count time since 1970, and their units in a second.
pub(super) const EPOCH_UNITS: [(&str, i64); 4] =
    [("epoch_s", 1), ("epoch_ms", 1000), ("epoch_us", 1_000_000), ("epoch_ns", 1_000_000_000)];

/// Counts over the values of one column.
#[derive(Debug, Clone)]
pub(super) struct ColumnStats {
    pub(super) name: String,
    /// No type reads it.
    pub(super) left_out: bool,
    /// Values that are not NULL.
    pub(super) values: u64,
    null_words: [u64; NULL_WORDS.len()],
    pub(super) not_utf8: u64,
    /// Quoted texts without a character.
    pub(super) quoted_empty: u64,
    /// Values in quotes.
    pub(super) quoted: u64,
    /// Of the NULL words those in quotes.
    quoted_words: [u64; NULL_WORDS.len()],
    /// Truth words, and which of them were seen: a true one, a false one.
    pub(super) bools: u64,
    pub(super) bool_words: [bool; 2],
    pub(super) integers: u64,
    /// Integers with a point and zeros behind it.
    pub(super) whole_decimals: u64,
    pub(super) decimals: u64,
    /// Numbers with an exponent.
    pub(super) floats: u64,
    /// Not a number, and infinity.
    pub(super) specials: u64,
    /// Numbers with leading zeros.
    pub(super) padded: u64,
    pub(super) whole_digits_max: usize,
    pub(super) scale_max: usize,
    /// Integers that int64 holds.
    pub(super) int64s: u64,
    /// Smallest and largest of them.
    pub(super) int64_range: Option<(i64, i64)>,
    /// Whether one of them is no midnight, for the units of [`EPOCH_UNITS`].
    pub(super) has_time_of_day: [bool; EPOCH_UNITS.len()],
    /// Smallest and largest integer of at most 38 digits.
    pub(super) range: Option<(i128, i128)>,
    pub(super) moments: MomentStats,
    pub(super) loose: LooseStats,
    /// Longest text, in bytes.
    pub(super) bytes_max: usize,
    /// The different values while they are few and short.
    pub(super) distinct: Option<Vec<String>>,
    pub(super) unique: Unique,
}

/// Whether values repeat.
#[derive(Debug, Clone, Default)]
pub(super) struct Unique {
    hashes: HashSet<u64>,
    /// Values looked at before memory ran out or the repeats were too many.
    pub(super) seen: u64,
    pub(super) repeats: u64,
    pub(super) given_up: bool,
}

impl ColumnStats {
    pub(super) fn new(name: &str) -> ColumnStats {
        ColumnStats {
            name: name.to_owned(),
            left_out: false,
            values: 0,
            null_words: [0; NULL_WORDS.len()],
            not_utf8: 0,
            quoted_empty: 0,
            quoted: 0,
            quoted_words: [0; NULL_WORDS.len()],
            bools: 0,
            bool_words: [false; 2],
            integers: 0,
            whole_decimals: 0,
            decimals: 0,
            floats: 0,
            specials: 0,
            padded: 0,
            whole_digits_max: 0,
            scale_max: 0,
            int64s: 0,
            int64_range: None,
            has_time_of_day: [false; EPOCH_UNITS.len()],
            range: None,
            moments: MomentStats::default(),
            loose: LooseStats::default(),
            bytes_max: 0,
            distinct: Some(Vec::new()),
            unique: Unique::default(),
        }
    }

    pub(super) fn observe(&mut self, bytes: &[u8], quoted: bool, hashes_left: &mut usize) {
        if quoted && bytes.is_empty() {
            self.quoted_empty += 1;
            return;
        }
        self.values += 1;
        self.quoted += u64::from(quoted);
        self.bytes_max = self.bytes_max.max(bytes.len());
        self.unique.observe(bytes, hashes_left);
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.not_utf8 += 1;
            return;
        };
        self.keep(text);
        if text.len() <= WORD_BYTES_MAX {
            self.word(text, quoted);
        }
        match classify(bytes) {
            Some(number) => {
                match number.kind {
                    NumberKind::Integer => self.integer(text),
                    NumberKind::Decimal if number.is_whole => {
                        self.whole_decimals += 1;
                        self.decimals += 1;
                        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
                        self.range(whole);
                    }
                    NumberKind::Decimal => self.decimals += 1,
                    NumberKind::Float => self.floats += 1,
                }
                self.loose.observe(text);
                self.padded += u64::from(number.padded);
                self.whole_digits_max = self.whole_digits_max.max(number.whole_digits);
                self.scale_max = self.scale_max.max(number.scale);
            }
            None if is_special(text) => self.specials += 1,
            None => {
                self.moments.observe(text);
                self.loose.observe(text);
            }
        }
    }

    /// The same with one value more, which is not looked at as a key.
    pub(super) fn with(&self, bytes: &[u8], quoted: bool) -> ColumnStats {
        let mut more = ColumnStats { unique: Unique::default(), ..self.clone() };
        more.observe(bytes, quoted, &mut 0);
        more
    }

    /// Counts a word for NULL or for a truth.
    fn word(&mut self, text: &str, quoted: bool) {
        let counts = self.null_words.iter_mut().zip(&mut self.quoted_words);
        let word = NULL_WORDS.iter().zip(counts).find(|(word, _)| **word == text);
        if let Some((_, (count, in_quotes))) = word {
            *count += 1;
            *in_quotes += u64::from(quoted);
        }
        if let Some(truth) = truth(text) {
            self.bools += 1;
            let [no, yes] = &mut self.bool_words;
            *(if truth { yes } else { no }) = true;
        }
    }

    fn integer(&mut self, text: &str) {
        self.integers += 1;
        self.range(text);
    }

    fn range(&mut self, text: &str) {
        let Ok(value) = text.parse::<i128>() else {
            return;
        };
        let (low, high) = self.range.unwrap_or((value, value));
        self.range = Some((low.min(value), high.max(value)));
        let Ok(value) = i64::try_from(value) else {
            return;
        };
        let (low, high) = self.int64_range.unwrap_or((value, value));
        self.int64_range = Some((low.min(value), high.max(value)));
        for (has, (_, units)) in self.has_time_of_day.iter_mut().zip(EPOCH_UNITS) {
            *has |= value.rem_euclid(86_400 * units) != 0;
        }
        self.int64s += 1;
    }

    fn keep(&mut self, text: &str) {
        let Some(distinct) = &mut self.distinct else {
            return;
        };
        if distinct.iter().any(|known| known == text) {
            return;
        }
        if distinct.len() == VALUES_MAX || text.len() > VALUE_BYTES_MAX {
            self.distinct = None;
        } else {
            distinct.push(text.to_owned());
        }
    }

    /// The NULL words that were seen: how often, and how often of these in quotes.
    pub(super) fn words(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let counts = self.null_words.iter().zip(&self.quoted_words);
        let words =
            NULL_WORDS.iter().zip(counts).map(|(word, (all, quoted))| (*word, *all, *quoted));
        words.filter(|(_, all, _)| *all > 0)
    }

    /// Values that look like NULL.
    pub(super) fn null_word_count(&self) -> u64 {
        self.null_words.iter().sum()
    }

    /// Those of them in quotes.
    pub(super) fn quoted_word_count(&self) -> u64 {
        self.quoted_words.iter().sum()
    }

    /// Whether no integer has a time of day, counted in this way.
    pub(super) fn is_all_midnights(&self, format: &str) -> bool {
        let mut ways = EPOCH_UNITS.iter().zip(&self.has_time_of_day);
        ways.any(|((name, _), has)| *name == format && !has)
    }
}

impl Unique {
    fn observe(&mut self, bytes: &[u8], hashes_left: &mut usize) {
        if self.given_up {
            return;
        }
        if *hashes_left == 0 {
            self.given_up = true;
            return;
        }
        self.seen += 1;
        if self.hashes.insert(xxh3_64(bytes)) {
            *hashes_left -= 1;
            return;
        }
        self.repeats += 1;
        if self.repeats > REPEATS_MAX && self.repeats * 50 > self.seen {
            *hashes_left += self.hashes.len();
            self.hashes = HashSet::new();
            self.given_up = true;
        }
    }
}

/// The truth that a word says, as the type bool reads it; `1` and `0` are numbers first.
fn truth(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["true", "t", "yes", "y", "on"]) {
        Some(true)
    } else if is(&["false", "f", "no", "n", "off"]) {
        Some(false)
    } else {
        None
    }
}

/// Not a number, and infinity, as programs write them.
fn is_special(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    text.starts_with(['n', 'N', 'i', 'I'])
        && ["nan", "inf", "infinity"].iter().any(|word| word.eq_ignore_ascii_case(text))
}
