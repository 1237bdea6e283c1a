//! What has been seen of one column.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::moment::MomentStats;
use super::number::{NumberKind, classify};

/// Most different values that are kept, to suggest `one_of`.
pub(super) const VALUES_MAX: usize = 12;
/// Longest value that is kept, in bytes.
const VALUE_BYTES_MAX: usize = 40;
/// Repeated values after which a column is no key, unless they are few.
const REPEATS_MAX: u64 = 1000;

/// Texts that often stand for NULL.
pub(super) const NULL_WORDS: [&str; 8] = ["NULL", "null", "N/A", "n/a", "NA", "None", "-", "\\N"];

/// Counts over the values of one column.
#[derive(Debug)]
pub(super) struct ColumnStats {
    pub(super) name: String,
    /// Values that are not NULL.
    pub(super) values: u64,
    pub(super) null_words: [u64; NULL_WORDS.len()],
    pub(super) not_utf8: u64,
    pub(super) bools: u64,
    pub(super) integers: u64,
    pub(super) decimals: u64,
    pub(super) floats: u64,
    /// Numbers with leading zeros.
    pub(super) padded: u64,
    pub(super) whole_digits_max: usize,
    pub(super) scale_max: usize,
    /// Integers that int64 holds.
    pub(super) int64s: u64,
    /// Smallest and largest of them.
    pub(super) int64_range: Option<(i64, i64)>,
    /// Smallest and largest integer of at most 38 digits.
    pub(super) range: Option<(i128, i128)>,
    pub(super) moments: MomentStats,
    /// Longest text, in bytes.
    pub(super) bytes_max: usize,
    /// The different values while they are few and short.
    pub(super) distinct: Option<Vec<String>>,
    pub(super) unique: Unique,
}

/// Whether values repeat.
#[derive(Debug, Default)]
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
            values: 0,
            null_words: [0; NULL_WORDS.len()],
            not_utf8: 0,
            bools: 0,
            integers: 0,
            decimals: 0,
            floats: 0,
            padded: 0,
            whole_digits_max: 0,
            scale_max: 0,
            int64s: 0,
            int64_range: None,
            range: None,
            moments: MomentStats::default(),
            bytes_max: 0,
            distinct: Some(Vec::new()),
            unique: Unique::default(),
        }
    }

    pub(super) fn observe(&mut self, bytes: &[u8], quoted: bool, hashes_left: &mut usize) {
        self.values += 1;
        self.bytes_max = self.bytes_max.max(bytes.len());
        self.unique.observe(bytes, hashes_left);
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.not_utf8 += 1;
            return;
        };
        self.keep(text);
        if !quoted
            && let Some((_, count)) =
                NULL_WORDS.iter().zip(&mut self.null_words).find(|(word, _)| **word == text)
        {
            *count += 1;
        }
        self.bools += u64::from(text == "true" || text == "false");
        match classify(bytes) {
            Some(number) => {
                match number.kind {
                    NumberKind::Integer => self.integer(text),
                    NumberKind::Decimal => self.decimals += 1,
                    NumberKind::Float => self.floats += 1,
                }
                self.padded += u64::from(number.padded);
                self.whole_digits_max = self.whole_digits_max.max(number.whole_digits);
                self.scale_max = self.scale_max.max(number.scale);
            }
            None => self.moments.observe(text),
        }
    }

    fn integer(&mut self, text: &str) {
        self.integers += 1;
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

    /// Values that look like NULL.
    pub(super) fn null_word_count(&self) -> u64 {
        self.null_words.iter().sum()
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
