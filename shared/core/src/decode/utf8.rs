//! Which records hold bytes that are not UTF-8.

use memchr::memchr2;

/// At most one position a line of bytes that are not UTF-8, in order.
#[derive(Debug, Default)]
pub(super) struct Invalid {
    positions: Vec<usize>,
    next: usize,
}

impl Invalid {
    /// Looks through `data` from `start`. Lines are independent: a line end is never part of a character.
    pub(super) fn find(&mut self, data: &[u8], start: usize) {
        self.positions.clear();
        self.next = 0;
        let mut at = start;
        while let Some(rest) = data.get(at..) {
            let Err(error) = simdutf8::compat::from_utf8(rest) else {
                break;
            };
            let position = at + error.valid_up_to();
            self.positions.push(position);
            let Some(line) = data.get(position..).and_then(|rest| memchr2(b'\n', b'\r', rest))
            else {
                break;
            };
            at = position + line;
        }
    }

    /// Whether bytes `[start, end)` hold one. Starts must not go back.
    #[inline]
    pub(super) fn within(&mut self, start: usize, end: usize) -> bool {
        while self.positions.get(self.next).is_some_and(|position| *position < start) {
            self.next += 1;
        }
        self.positions.get(self.next).is_some_and(|position| *position < end)
    }
}
