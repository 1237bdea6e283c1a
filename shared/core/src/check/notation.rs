//! Numbers and truth values as a column declares that they are written.

use std::cell::RefCell;

use super::number;
use crate::pipeline::{Negative, Reading};

/// How numbers are written.
#[derive(Debug, Clone)]
pub(crate) struct Notation {
    decimal: char,
    thousands: Option<char>,
    trailing: bool,
    parentheses: bool,
    unicode: bool,
    /// The longest first, so that `US$` is not taken for `$` with a rest.
    affixes: Vec<String>,
}

/// Which sides of a number may still have an affix.
#[derive(Debug, Clone, Copy)]
struct Sides {
    front: bool,
    back: bool,
}

impl Notation {
    /// What the column declares, if it declares anything.
    pub(crate) fn of(reading: &Reading) -> Option<Notation> {
        let Reading { decimal_separator, thousands, negative, affix, .. } = reading;
        let plain = decimal_separator.is_none_or(|separator| separator == '.');
        if plain && thousands.is_none() && negative.is_empty() && affix.is_empty() {
            return None;
        }
        let mut affixes = affix.clone();
        affixes.sort_by_key(|affix| std::cmp::Reverse(affix.len()));
        Some(Notation {
            decimal: decimal_separator.unwrap_or('.'),
            thousands: *thousands,
            trailing: negative.contains(&Negative::Trailing),
            parentheses: negative.contains(&Negative::Parentheses),
            unicode: negative.contains(&Negative::Unicode),
            affixes,
        })
    }

    /// A reader of the notation in front of `parse`. JSON numbers go past it: JSON says how they are written.
    pub(crate) fn reader<'n, T>(
        &'n self,
        parse: impl Fn(&[u8]) -> Option<T> + 'n,
    ) -> impl Fn(&[u8], bool) -> Option<T> + 'n {
        // One buffer for all values of a lane.
        let buffer = RefCell::new(Vec::new());
        move |text, literal| {
            if literal {
                return parse(text);
            }
            let mut plain = buffer.borrow_mut();
            if self.plain(text, &mut plain) { parse(&plain) } else { None }
        }
    }

    /// Writes the number as types read it: a sign, digits, a point, an exponent. `false` when it is not
    /// written as declared.
    pub(crate) fn plain(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let Ok(text) = std::str::from_utf8(text) else { return false };
        let mut sides = Sides { front: true, back: true };
        let mut rest = self.without_affixes(text, &mut sides);
        let mut minus = None;
        if self.parentheses
            && let Some(inside) = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'))
        {
            minus = Some(true);
            rest = self.without_affixes(inside, &mut sides);
        }
        while let Some((is_minus, unsigned)) = self.sign(rest) {
            if minus.replace(is_minus).is_some() {
                return false;
            }
            rest = self.without_affixes(unsigned, &mut sides);
        }
        if minus == Some(true) {
            out.push(b'-');
        }
        // `NaN` and `inf`, where the type has them.
        if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            out.extend_from_slice(rest.as_bytes());
            return true;
        }
        let mut separator = [0; 4];
        let thousands =
            self.thousands.map_or("", |separators| separators.encode_utf8(&mut separator));
        unsigned(rest, self.decimal, thousands, out)
    }

    /// Whether there is a minus at one end or a plus in front, and the text without it.
    fn sign<'t>(&self, text: &'t str) -> Option<(bool, &'t str)> {
        let is_minus = |c: char| c == '-' || (self.unicode && c == '\u{2212}');
        if let Some(rest) = text.strip_prefix(is_minus) {
            return Some((true, rest));
        }
        if let Some(rest) = text.strip_prefix('+') {
            return Some((false, rest));
        }
        let trailing = if self.trailing { text.strip_suffix(is_minus) } else { None };
        trailing.map(|rest| (true, rest))
    }

    /// Without the affixes at the sides that may have one, and the blanks between.
    fn without_affixes<'t>(&self, text: &'t str, sides: &mut Sides) -> &'t str {
        let is_blank = |c: char| matches!(c, ' ' | '\t' | '\u{a0}' | '\u{202f}' | '\u{2009}');
        let mut rest = text;
        for affix in &self.affixes {
            if sides.front
                && let Some(after) = rest.strip_prefix(affix.as_str())
            {
                rest = after.trim_start_matches(is_blank);
                sides.front = false;
            }
            if sides.back
                && let Some(before) = rest.strip_suffix(affix.as_str())
            {
                rest = before.trim_end_matches(is_blank);
                sides.back = false;
            }
        }
        rest
    }
}

/// Appends a number without a sign as types read it; `false` when it is not written with this decimal
/// separator, or its groups are not of three digits between one and the same of `thousands`, the first without a
/// leading zero.
pub(crate) fn unsigned(text: &str, decimal: char, thousands: &str, out: &mut Vec<u8>) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let (whole, fraction) = match mantissa.split_once(decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let power = exponent.get(1..).unwrap_or("0");
    let power = power.strip_prefix(['+', '-']).unwrap_or(power);
    if power.is_empty() || !is_digits(power) {
        return false;
    }
    if !fraction.is_none_or(is_digits) || (whole.is_empty() && fraction.is_none_or(str::is_empty)) {
        return false;
    }
    match whole.chars().find(|c| thousands.contains(*c)) {
        None if is_digits(whole) => out.extend_from_slice(whole.as_bytes()),
        None => return false,
        Some(separator) => {
            for (index, group) in whole.split(separator).enumerate() {
                // Nobody groups behind a leading zero: `0,143` is a fraction.
                let fits = match index {
                    0 => (1..=3).contains(&group.len()) && !group.starts_with('0'),
                    _ => group.len() == 3,
                };
                if !fits || !is_digits(group) {
                    return false;
                }
                out.extend_from_slice(group.as_bytes());
            }
        }
    }
    if let Some(fraction) = fraction {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
    out.extend_from_slice(exponent.as_bytes());
    true
}

/// The words of a bool column that has its own.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    yes: Vec<String>,
    no: Vec<String>,
}

impl Words {
    /// What the column declares, if it declares anything.
    pub(crate) fn of(reading: &Reading) -> Option<Words> {
        let Reading { true_words, false_words, .. } = reading;
        let none = true_words.is_empty() && false_words.is_empty();
        (!none).then(|| Words { yes: true_words.clone(), no: false_words.clone() })
    }

    /// The truth of a word as it is written; `literal`: JSON's own `true` and `false` are read too.
    #[inline]
    pub(crate) fn parse(&self, text: &[u8], literal: bool) -> Option<bool> {
        let is_one_of = |words: &[String]| words.iter().any(|word| word.as_bytes() == text);
        if is_one_of(&self.yes) {
            return Some(true);
        }
        if is_one_of(&self.no) {
            return Some(false);
        }
        let is_own = literal && matches!(text, b"true" | b"false");
        if is_own { number::boolean(text) } else { None }
    }
}

#[cfg(test)]
mod tests;
