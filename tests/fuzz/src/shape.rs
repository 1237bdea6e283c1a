//! The first bytes of a fuzz input say how the rest is read.

use rowproof_core::block::Limits;
use rowproof_core::pipeline::{CsvDialect, Ragged};

use super::reading::{Chunks, Cuts};

/// Takes numbers off the front of an input; an input that is used up gives zeros.
#[derive(Debug)]
pub struct Shape<'a>(pub &'a [u8]);

impl Shape<'_> {
    /// A number below `below`.
    pub fn number(&mut self, below: u64) -> u64 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        u64::from(*first) % below.max(1)
    }

    /// A number from 1 on, as an index or size.
    pub fn size(&mut self, max: u64) -> usize {
        self.number(max) as usize + 1
    }

    /// One of several.
    pub fn choice<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.number(of.len() as u64) as usize]
    }

    /// A dialect whose bytes differ from each other, as in every parsed pipeline file.
    pub fn dialect(&mut self) -> CsvDialect {
        let quote = self.choice(&[Some(b'"'), Some(b'"'), Some(b'"'), Some(b'\''), None]);
        let escape = self.choice(&[None, None, Some(b'\\')]).filter(|_| quote.is_some());
        CsvDialect {
            delimiter: self.choice(b",,,,;\t| \x01"),
            quote,
            escape,
            header: self.number(2) == 1,
            skip_lines: self.choice(&[0, 0, 0, 1, 2]),
            null: vec![String::new(), "NULL".to_owned()],
            ragged: self.choice(&[Ragged::Reject, Ragged::Pad, Ragged::Lenient]),
            ..CsvDialect::default()
        }
    }

    /// Limits that small inputs reach.
    pub fn limits(&mut self) -> Limits {
        let record_bytes_max = self.choice(&[1 << 24, 1 << 24, 200, 40, 7]);
        let field_bytes_max = self.choice(&[1 << 23, 1 << 23, 100, 9]);
        Limits { record_bytes_max, field_bytes_max, ..Limits::default() }
    }

    /// Three ways to cut one input up.
    pub fn cuts(&mut self) -> [Cuts; 3] {
        let (block, piece) = (self.size(64), self.size(64));
        let (bytes, rows) = (self.number(90) + 1, self.number(7) + 1);
        [
            Cuts { block, chunks: Chunks::One },
            Cuts { block, chunks: Chunks::Ranges { piece, bytes, rows } },
            Cuts { block, chunks: Chunks::Chain { bytes, records: rows } },
        ]
    }
}
