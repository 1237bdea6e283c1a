//! One line of JSON to one row of cells.
//!
//! Values are kept as slices of the line; nothing builds a tree. A string becomes a quoted cell, a number,
//! `true` or `false` its own text, `null` or a missing field NULL. A nested value where the contract wants a
//! column is a `type` defect. A name twice in one object is `bad_json`: which value counts is anyone's guess.

use std::collections::HashMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_text::{item, with_plain_numbers};
use super::output::{Fault, Output, position};
use crate::block::{Cell, Limits, RejectCode};
use crate::pipeline::{Column, ColumnSource, JsonlOptions, UnknownFields};
use crate::split::BOM;

/// Names outside the contract that are remembered from row to row.
const NAMES_KEPT_MAX: usize = 10_000;
/// Bytes of all names that are remembered from row to row.
const NAME_BYTES_KEPT_MAX: usize = 4 << 20;

/// The fields of the object at hand, and how they become cells.
#[derive(Debug)]
pub(super) struct JsonReader {
    /// The contract's names first, then others that were seen.
    names: Vec<Name>,
    known: usize,
    /// Bytes of all names.
    name_bytes: usize,
    ids: HashMap<Box<str>, usize>,
    /// The names of the objects before, in order: most writers keep to one.
    expected: Vec<usize>,
    /// Names of this object so far.
    found: usize,
    /// For each contract column, the names it reads in order of preference.
    columns: Vec<Vec<usize>>,
    /// For each known name, its value's bytes in the line, if the object has it.
    values: Vec<Option<(usize, usize)>>,
    row: u64,
    /// Whether objects are lines of a list.
    list: bool,
    reject_unknown: bool,
    unknown: bool,
    depth_max: usize,
    field_bytes_max: usize,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    /// The last row that had it.
    row: u64,
}

impl JsonReader {
    pub(super) fn new(options: &JsonlOptions, columns: &[Column], limits: &Limits) -> JsonReader {
        let mut reader = JsonReader {
            names: Vec::new(),
            known: 0,
            name_bytes: 0,
            ids: HashMap::new(),
            expected: Vec::new(),
            found: 0,
            columns: Vec::with_capacity(columns.len()),
            values: Vec::new(),
            row: 0,
            list: options.list,
            reject_unknown: options.unknown_fields == UnknownFields::Reject,
            unknown: false,
            depth_max: limits.json_depth_max,
            field_bytes_max: limits.field_bytes_max,
        };
        for column in columns {
            let from = match &column.from {
                ColumnSource::Field(from) => from.as_slice(),
                ColumnSource::Capture(_) | ColumnSource::Position(_) => &[],
            };
            let ids = from.iter().map(|name| reader.id(name)).collect();
            reader.columns.push(ids);
        }
        reader.known = reader.names.len();
        reader.values = vec![None; reader.known];
        reader
    }

    /// Appends the row of one line, which is UTF-8 and a slice of `data`.
    pub(super) fn row(&mut self, data: &[u8], line: &[u8], out: &mut Output) -> Result<(), Fault> {
        let bad_json = Fault::from(RejectCode::BadJson);
        let line = line.strip_prefix(BOM).unwrap_or(line);
        let text = str::from_utf8(line).map_err(|_| Fault::from(RejectCode::Encoding))?;
        let text = if self.list { item(text) } else { text };
        if self.object(text).is_err() {
            let plain = with_plain_numbers(text).ok_or(bad_json)?;
            self.object(&plain).map_err(|_| bad_json)?;
        }
        if self.unknown && self.reject_unknown {
            return Err(RejectCode::UnknownField.into());
        }
        let line_start = offset(data, text.as_bytes());
        let mut fault = None;
        for (column, names) in self.columns.iter().enumerate() {
            let mut values =
                names.iter().filter_map(|name| self.values.get(*name).copied().flatten());
            let cell = match values.next() {
                None => Cell::NULL,
                Some((start, end)) if end - start > self.field_bytes_max => {
                    return Err(RejectCode::TooLarge.into());
                }
                Some((start, end)) => {
                    let value = text.get(start..end).unwrap_or("");
                    match cell(value, line_start + start, out)? {
                        Some(cell) => cell,
                        None => {
                            let column = Some(position(column));
                            fault = fault.or(Some(Fault { column, ..RejectCode::Type.into() }));
                            Cell::NULL
                        }
                    }
                }
            };
            out.decoded.cells.push(cell);
        }
        fault.map_or(Ok(()), Err)
    }

    /// Finds the places of the values in the object that `text` is.
    fn object(&mut self, text: &str) -> serde_json::Result<()> {
        self.begin();
        let mut parser = serde_json::Deserializer::from_str(text);
        parser.deserialize_map(Object { reader: self, line: text })?;
        parser.end()
    }

    fn begin(&mut self) {
        self.row += 1;
        self.found = 0;
        self.unknown = false;
        self.values.iter_mut().for_each(|value| *value = None);
        if self.names.len() > self.known + NAMES_KEPT_MAX || self.name_bytes > NAME_BYTES_KEPT_MAX {
            self.names.truncate(self.known);
            self.name_bytes = self.names.iter().map(|name| name.text.len()).sum();
            self.ids.retain(|_, id| *id < self.known);
            self.expected.clear();
        }
    }

    /// Takes note of a name: its number if the contract has it, or `Err` if this row had it before.
    fn name(&mut self, name: &str) -> Result<Option<usize>, ()> {
        let expected = self.expected.get(self.found).copied();
        let is_name = |id: &usize| self.names.get(*id).is_some_and(|known| *known.text == *name);
        let id = expected.filter(is_name).unwrap_or_else(|| self.unexpected(name));
        self.found += 1;
        if let Some(name) = self.names.get_mut(id) {
            if name.row == self.row {
                return Err(());
            }
            name.row = self.row;
        }
        self.unknown |= id >= self.known;
        Ok((id < self.known).then_some(id))
    }

    fn unexpected(&mut self, name: &str) -> usize {
        let id = self.id(name);
        match self.expected.get_mut(self.found) {
            Some(expected) => *expected = id,
            None => self.expected.push(id),
        }
        id
    }

    fn id(&mut self, name: &str) -> usize {
        if let Some(id) = self.ids.get(name) {
            return *id;
        }
        let id = self.names.len();
        self.name_bytes += name.len();
        self.names.push(Name { text: name.into(), row: 0 });
        self.ids.insert(name.into(), id);
        id
    }
}

/// The cell of one value at `start` of the block; `None` for an object or array.
fn cell(value: &str, start: usize, out: &mut Output) -> Result<Option<Cell>, Fault> {
    let plain = |start, len, quoted| Ok(Some(Cell::new(position(start), position(len), quoted)));
    match value.as_bytes() {
        [b'"', inner @ .., b'"'] if memchr::memchr(b'\\', inner).is_none() => {
            plain(start + 1, inner.len(), true)
        }
        [b'"', ..] => {
            let copy_start = out.copies.len();
            let copy =
                serde_json::Deserializer::from_str(value).deserialize_str(Append(&mut out.copies));
            copy.map_err(|_| Fault::from(RejectCode::BadJson))?;
            out.copied_cell(copy_start).map(Some)
        }
        [b'{' | b'[', ..] => Ok(None),
        b"null" | [] => Ok(Some(Cell::NULL)),
        literal => plain(start, literal.len(), false),
    }
}

/// Where a slice of `whole` starts in it.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}

/// Whether objects and arrays are nested deeper than `max` in a valid JSON text.
fn is_deeper(value: &[u8], max: usize) -> bool {
    let mut depth: usize = 0;
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

struct Object<'r, 'de> {
    reader: &'r mut JsonReader,
    line: &'de str,
}

impl<'de> Visitor<'de> for Object<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(known) = map.next_key_seed(NameSeed(self.reader))? {
            let value = map.next_value::<&'de RawValue>()?.get();
            let nested = value.starts_with(['{', '[']);
            if nested && is_deeper(value.as_bytes(), self.reader.depth_max.saturating_sub(1)) {
                return Err(A::Error::custom("nested too deep"));
            }
            if let Some(slot) = known.and_then(|known| self.reader.values.get_mut(known)) {
                let start = offset(self.line.as_bytes(), value.as_bytes());
                *slot = Some((start, start + value.len()));
            }
        }
        Ok(())
    }
}

struct NameSeed<'r>(&'r mut JsonReader);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        self.0.name(name).map_err(|()| E::custom("a name stands twice"))
    }
}

struct Append<'a>(&'a mut Vec<u8>);

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::column;
    use crate::pipeline::ColumnType;

    #[test]
    fn long_names_that_differ_in_every_row_are_not_kept() {
        let options = JsonlOptions::default();
        let columns = [column("a", ColumnType::String)];
        let mut reader = JsonReader::new(&options, &columns, &Limits::default());
        let long = "x".repeat(1 << 20);
        let mut most = 0;
        for row in 0..50 {
            let line = format!("{{\"{row}{long}\":1,\"a\":{row}}}");
            let mut out = Output::new(line.len(), 1, &mut super::super::output::Spare::default());
            assert!(reader.row(line.as_bytes(), line.as_bytes(), &mut out).is_ok());
            most = most.max(reader.names.iter().map(|name| name.text.len()).sum());
        }
        assert!(most <= NAME_BYTES_KEPT_MAX + 2 * long.len(), "{most} bytes were kept");
        assert_eq!(reader.names.len(), reader.ids.len());
    }
}
