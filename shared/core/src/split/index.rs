//! A bitmap of the bytes that can end a field or a record: one bit a byte, one word for 64 bytes.

use wide::u8x16;

/// The marks of one buffer, refilled for each.
#[derive(Debug, Default)]
pub(crate) struct Index {
    words: Vec<u64>,
}

impl Index {
    /// Marks every byte of `data` that is one of `marks` (1 to 5 bytes; more are ignored).
    pub(crate) fn fill(&mut self, data: &[u8], marks: &[u8]) {
        match *marks {
            [a] => self.fill_with([a], data),
            [a, b] => self.fill_with([a, b], data),
            [a, b, c] => self.fill_with([a, b, c], data),
            [a, b, c, d] => self.fill_with([a, b, c, d], data),
            [a, b, c, d, e, ..] => self.fill_with([a, b, c, d, e], data),
            _ => self.words.clear(),
        }
    }

    fn fill_with<const N: usize>(&mut self, marks: [u8; N], data: &[u8]) {
        let needles = marks.map(u8x16::splat);
        let (blocks, tail) = data.as_chunks::<64>();
        self.words.clear();
        self.words.extend(blocks.iter().map(|block| block_mask(block, &needles)));
        if !tail.is_empty() {
            let mut last = [0; 64];
            for (to, from) in last.iter_mut().zip(tail) {
                *to = *from;
            }
            // The padding may equal a mark.
            self.words.push(block_mask(&last, &needles) & ((1 << tail.len()) - 1));
        }
    }

    /// A cursor before the first mark at or after `position`.
    pub(crate) fn cursor(&self, position: usize) -> Cursor<'_> {
        let mut cursor = Cursor { words: &self.words, word: 0, bits: 0 };
        cursor.seek(position);
        cursor
    }
}

#[inline]
fn block_mask<const N: usize>(block: &[u8; 64], needles: &[u8x16; N]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    let mut mask = 0;
    for part in parts.iter().rev() {
        let bytes = u8x16::new(*part);
        let mut hits = u8x16::splat(0);
        for needle in needles {
            hits |= bytes.simd_eq(*needle);
        }
        mask = mask << 16 | u64::from(hits.to_bitmask());
    }
    mask
}

/// Walks the marks in order.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    words: &'a [u64],
    word: usize,
    bits: u64,
}

impl Cursor<'_> {
    /// Goes to the first mark at or after `position`.
    #[inline]
    pub(crate) fn seek(&mut self, position: usize) {
        self.word = position / 64;
        self.bits =
            self.words.get(self.word).map_or(0, |bits| bits & (u64::MAX << (position % 64)));
    }

    /// The next mark, which is thereby passed.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.bits = *self.words.get(self.word + 1)?;
            self.word += 1;
        }
        let position = self.word * 64 + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_and_nothing_else_is_found_at_every_alignment() {
        let data: Vec<u8> = (0..300).map(|i| b",\n\"\0x\ryz"[i * i % 8]).collect();
        for marks in [&b"\n"[..], b"\n\r", b"\n\r,", b"\n\r,\"", b"\n\r\0,\""] {
            for from in 0..data.len() {
                let mut index = Index::default();
                let part = &data[from..];
                index.fill(part, marks);
                let mut cursor = index.cursor(0);
                let found: Vec<usize> = std::iter::from_fn(|| cursor.next()).collect();
                let expected: Vec<usize> =
                    (0..part.len()).filter(|i| marks.contains(&part[*i])).collect();
                assert_eq!(found, expected);
            }
        }
    }
}
