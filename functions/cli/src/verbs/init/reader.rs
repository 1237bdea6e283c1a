//! Reads the records of a file and feeds the guess.

use std::collections::{BTreeMap, BTreeSet};

use rowproof_core::block::{Decoded, RejectCode};
use rowproof_core::decode::{Budget, Decoder, json_fields};
use rowproof_core::infer::Inference;

use crate::input::text_file::{TextError, TextFile};
use crate::show::report::grouped;

/// Rows at the end that may be totals.
const LAST_ROWS: usize = 3;
/// Names that a message repeats.
const NAMES_MAX: usize = 8;

/// Feeds the guess.
pub(super) struct Reader {
    inference: Inference,
    decoder: Decoder,
    /// Records that could not be cut into fields.
    defects: BTreeMap<RejectCode, u64>,
    /// Lines of JSON with an escape that is escaped itself.
    doubled: u64,
    /// Fields that held a list or an object.
    nested: BTreeSet<String>,
    rows_left: u64,
}

impl Reader {
    /// Reads at most `rows` rows.
    pub(super) fn new(inference: Inference, decoder: Decoder, rows: Option<u64>) -> Reader {
        Reader {
            inference,
            decoder,
            defects: BTreeMap::new(),
            doubled: 0,
            nested: BTreeSet::new(),
            rows_left: rows.unwrap_or(u64::MAX),
        }
    }

    pub(super) fn read(
        &mut self,
        file: &mut TextFile,
        mut block: Vec<u8>,
        block_bytes: usize,
    ) -> Result<(), TextError> {
        let mut want = block_bytes;
        while self.rows_left > 0 {
            let ended = file.fill(&mut block, want)?;
            let budget = Budget { bytes: u64::MAX, records: self.rows_left };
            let decoded = self.decoder.decode(std::mem::take(&mut block), ended, budget);
            let used = usize::try_from(decoded.counts.bytes).unwrap_or(usize::MAX);
            self.observe(&decoded, ended && used >= decoded.block_len);
            block = decoded.buffer;
            block.truncate(decoded.block_len);
            block.drain(..used.min(decoded.block_len));
            // A record longer than a block needs more bytes at once.
            want = if used > 0 { block_bytes } else { want.saturating_mul(2) };
            want = want.max(block.len().saturating_add(1));
            if ended && block.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn observe(&mut self, decoded: &Decoded, is_last: bool) {
        self.rows_left = self.rows_left.saturating_sub(decoded.counts.records);
        for defect in &decoded.defects {
            let (start, end) =
                (usize::try_from(defect.record.start), usize::try_from(defect.record.end));
            let line =
                start.ok().zip(end.ok()).and_then(|(start, end)| decoded.buffer.get(start..end));
            let escaped = line.is_some_and(|line| line.windows(3).any(|part| part == b"\\\\\""));
            self.doubled += u64::from(escaped);
            *self.defects.entry(defect.code).or_default() += 1;
        }
        match decoded.cells.len().checked_div(decoded.width) {
            Some(rows) => {
                self.rows(decoded, rows.saturating_sub(if is_last { LAST_ROWS } else { 0 }))
            }
            None => self.objects(decoded),
        }
    }

    /// Rows from the one with the number `last` on may be totals.
    fn rows(&mut self, decoded: &Decoded, last: usize) {
        for (number, row) in decoded.cells.chunks(decoded.width).enumerate() {
            let cells = row.iter().enumerate().filter(|(_, cell)| !cell.is_null());
            let cells = cells.map(|(at, cell)| (at, cell.text(&decoded.buffer), cell.is_quoted()));
            if number < last {
                cells.for_each(|(at, text, quoted)| self.inference.observe(at, text, quoted));
                self.inference.end_row();
            } else {
                self.inference.last_row(cells.collect());
            }
        }
    }

    fn objects(&mut self, decoded: &Decoded) {
        for record in &decoded.records {
            let (start, end) = (usize::try_from(record.start), usize::try_from(record.end));
            let (Ok(start), Ok(end)) = (start, end) else { continue };
            let line = decoded.buffer.get(start..end).unwrap_or(&[]);
            let line = std::str::from_utf8(line);
            // The decoder has read the line as an object already.
            let Ok(line) = line else { continue };
            let Some(fields) = json_fields(line) else { continue };
            for (name, place) in fields {
                self.field(name, line.get(place).unwrap_or(""));
            }
            self.inference.end_row();
        }
    }

    /// Observes a field of a JSON object.
    fn field(&mut self, name: String, value: &str) {
        match value.as_bytes().first() {
            Some(b'{' | b'[') => {
                self.inference.leave_out(&name);
                self.nested.insert(name);
            }
            Some(b'"') => {
                let column = self.inference.column(&name);
                let text: String = serde_json::from_str(value).unwrap_or_default();
                self.inference.observe(column, text.as_bytes(), true);
            }
            _ => {
                let column = self.inference.column(&name);
                if value != "null" {
                    self.inference.observe(column, value.as_bytes(), false);
                }
            }
        }
    }

    /// The pipeline file, or why there is nothing to guess from.
    pub(super) fn finish(mut self) -> Result<String, String> {
        let rows = self.inference.rows();
        let left_out: u64 = self.defects.values().sum();
        if left_out > 0 {
            let counts =
                self.defects.iter().map(|(code, rows)| format!("{} {code}", grouped(*rows)));
            let counts: Vec<_> = counts.collect();
            let (all, counts) = (grouped(rows + left_out), counts.join(", "));
            if rows == 0 && self.defects.keys().eq([&RejectCode::BadJson]) {
                return Err(format!(
                    "none of the {all} lines is one JSON object: objects need a line each, as jq -c . writes them, \
                     or jq -c '.[]' from a list"
                ));
            }
            if rows == 0 {
                return Err(format!("none of the {all} rows fits the header: {counts}"));
            }
            self.inference.remark(format!(
                "{} of {all} rows cannot be cut into fields and would be rejected: {counts}",
                grouped(left_out)
            ));
        }
        if self.doubled > 0 && self.defects.contains_key(&RejectCode::BadJson) {
            let line = "backslashes are doubled, as COPY doubles them: this is no JSON, and its texts are not \
                        what they were; export it by psql -At -c 'select row_to_json(t) from t'";
            self.inference.remark(line.to_owned());
        }
        let nested = std::mem::take(&mut self.nested);
        if !nested.is_empty() && self.inference.is_all_left_out() {
            let names: Vec<_> =
                nested.iter().take(NAMES_MAX).map(|name| format!("{name:?}")).collect();
            return Err(format!(
                "each field holds a list or an object, which no column type reads: {}; write what is inside one \
                 object a line, as jq -c does",
                names.join(", ")
            ));
        }
        for name in nested {
            self.inference.column_remark(format!(
                "field {name:?} holds a list or an object, which no column type reads: it is left out"
            ));
        }
        self.inference.finish().map_err(|error| error.to_string())
    }
}
