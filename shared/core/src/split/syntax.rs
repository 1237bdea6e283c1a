//! What each byte can do to a record, in one format.

use crate::pipeline::{CsvDialect, Format};

/// What a byte can do to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Other,
    Delimiter,
    Line,
    Quote,
    Escape,
}

/// The class of every byte, and the bytes that an index marks.
#[derive(Debug, Clone)]
pub(super) struct Syntax {
    classes: [Class; 256],
    marks: Vec<u8>,
    delimiter: Option<u8>,
}

impl Syntax {
    /// With `fields` the delimiters are marked too.
    pub(super) fn new(format: &Format, fields: bool) -> Syntax {
        let mut syntax =
            Syntax { classes: [Class::Other; 256], marks: Vec::new(), delimiter: None };
        if let Format::Csv(CsvDialect { delimiter, quote, escape, .. }) = format {
            syntax.delimiter = Some(*delimiter);
            syntax.set(Class::Delimiter, Some(*delimiter), fields);
            syntax.set(Class::Escape, escape.filter(|_| quote.is_some()), true);
            syntax.set(Class::Quote, *quote, true);
        }
        syntax.set(Class::Line, Some(b'\n'), true);
        syntax.set(Class::Line, Some(b'\r'), true);
        syntax
    }

    fn set(&mut self, class: Class, byte: Option<u8>, marked: bool) {
        let Some(byte) = byte else { return };
        if let Some(entry) = self.classes.get_mut(usize::from(byte)) {
            *entry = class;
        }
        if marked && !self.marks.contains(&byte) {
            self.marks.push(byte);
        }
    }

    /// The bytes that an index marks.
    pub(super) fn marks(&self) -> &[u8] {
        &self.marks
    }

    /// The byte between fields, if the format has one.
    pub(super) fn delimiter(&self) -> Option<u8> {
        self.delimiter
    }

    /// The class of the byte at `at`; behind the end it is [`Class::Other`].
    #[inline]
    #[allow(clippy::indexing_slicing, reason = "256 entries, indexed by a byte")]
    pub(super) fn class(&self, data: &[u8], at: usize) -> Class {
        data.get(at).map_or(Class::Other, |byte| self.classes[usize::from(*byte)])
    }
}
