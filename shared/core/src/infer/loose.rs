//! Numbers that are written for people: decimal commas, thousands, signs behind, currencies.

/// A way to separate decimals and thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) decimal: char,
    pub(super) thousands: Option<char>,
}

const fn style(decimal: char, thousands: Option<char>) -> Style {
    Style { decimal, thousands }
}

/// The styles, the plainest first.
pub(super) const STYLES: [Style; 10] = [
    style('.', None),
    style(',', None),
    style('.', Some(',')),
    style(',', Some('.')),
    style(',', Some(' ')),
    style(',', Some('\u{a0}')),
    style(',', Some('\u{202f}')),
    style('.', Some('\'')),
    style('.', Some('\u{2019}')),
    style('.', Some(' ')),
];

/// Texts beside a number that are known to be units.
const AFFIXES: [&str; 16] = [
    "$", "€", "£", "¥", "%", "US$", "USD", "EUR", "GBP", "CHF", "JPY", "kr", "zł", "₹", "R$", "Kč",
];

/// Longest text that is looked at, in bytes.
const LEN_MAX: usize = 48;

/// What has been seen of numbers in one column, plain ones included.
#[derive(Debug, Clone, Default)]
pub(super) struct LooseStats {
    pub(super) fits: [u64; STYLES.len()],
    pub(super) affixes: Vec<&'static str>,
    pub(super) trailing: u64,
    pub(super) parentheses: u64,
    pub(super) unicode: u64,
    pub(super) whole_digits_max: usize,
    pub(super) scale_max: [usize; STYLES.len()],
    /// Values with an exponent.
    pub(super) exponents: u64,
    /// Values that are no number in any style.
    pub(super) misfits: u64,
}

impl LooseStats {
    pub(super) fn observe(&mut self, text: &str) {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if digits == 0 || text.len() > LEN_MAX || self.misfits > 200 && self.misfits > self.fits[0]
        {
            self.misfits += 1;
            return;
        }
        if digits == text.len() {
            self.fits.iter_mut().for_each(|fits| *fits += 1);
            self.whole_digits_max = self.whole_digits_max.max(digits);
            return;
        }
        let (mantissa, exponent) = parts(self.body(text));
        let mut any = false;
        for ((style, fits), scale) in STYLES.iter().zip(&mut self.fits).zip(&mut self.scale_max) {
            if let Some((whole, fraction)) = digits_of(mantissa, *style) {
                *fits += 1;
                any = true;
                self.whole_digits_max = self.whole_digits_max.max(whole);
                *scale = (*scale).max(fraction);
            }
        }
        self.misfits += u64::from(!any);
        self.exponents += u64::from(any && exponent);
    }

    /// The digits and separators, without sign and unit.
    fn body<'a>(&mut self, text: &'a str) -> &'a str {
        let blank = |c: char| matches!(c, ' ' | '\u{a0}' | '\u{202f}');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        // Nothing stands around most numbers.
        if let [b'0'..=b'9'] | [b'0'..=b'9', .., b'0'..=b'9'] = unsigned.as_bytes() {
            return unsigned;
        }
        let mut body = text;
        if let Some(inner) = body.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            self.parentheses += 1;
            body = inner;
        }
        for _ in 0..2 {
            if let Some(rest) = body.strip_prefix('\u{2212}') {
                self.unicode += 1;
                body = rest;
            } else if let Some(rest) = body.strip_prefix(['-', '+']) {
                body = rest;
            } else if let Some(rest) = body.strip_suffix('-') {
                self.trailing += 1;
                body = rest;
            }
            for affix in AFFIXES {
                let rest = body.strip_prefix(affix).or_else(|| body.strip_suffix(affix));
                if let Some(rest) = rest {
                    if !self.affixes.contains(&affix) {
                        self.affixes.push(affix);
                    }
                    body = rest.trim_matches(blank);
                }
            }
        }
        body
    }

    /// Whether signs or units are written in a way that has to be declared.
    pub(super) fn is_marked(&self) -> bool {
        !self.affixes.is_empty() || self.trailing + self.parentheses + self.unicode > 0
    }
}

/// A number without its exponent, and whether it has one.
fn parts(body: &str) -> (&str, bool) {
    let Some((mantissa, exponent)) = body.split_once(['e', 'E']) else { return (body, false) };
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_exponent = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if is_exponent { (mantissa, true) } else { (body, false) }
}

/// Digits before the point and behind it, when the whole text is a number of that style.
fn digits_of(body: &str, style: Style) -> Option<(usize, usize)> {
    let (whole, fraction) = match body.split_once(style.decimal) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (body, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if fraction.is_some_and(|fraction| !is_digits(fraction)) {
        return None;
    }
    let scale = fraction.map_or(0, str::len);
    let Some(thousands) = style.thousands.filter(|separator| whole.contains(*separator)) else {
        return is_digits(whole).then_some((whole.len(), scale));
    };
    let mut groups = whole.split(thousands);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let grouped = (1..=3).contains(&first.len())
        && is_digits(first)
        && !first.starts_with('0')
        && rest.iter().all(|group| group.len() == 3 && is_digits(group));
    grouped.then(|| (first.len() + 3 * rest.len(), scale))
}
