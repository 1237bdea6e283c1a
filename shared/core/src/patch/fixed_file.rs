//! The file with corrected records: CSV or Parquet.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::{Fixed, csv};
use crate::archive::{COLUMNS, FIELD_PREFIX, unguarded};
use crate::block::Limits;
use crate::decode::line_end;
use crate::pipeline::{CsvDialect, Format};
use crate::split::{Field, Index, Splitter, Step};
use crate::toml_file::{Problem, Problems, nearest, quoted};

const NEEDED: [&str; 3] = ["job", "row_number", "raw_data"];
/// Problems that are told; more of them say the same.
const PROBLEMS_MAX: usize = 20;

/// Marks a canonical text that comes from a file without a spreadsheet's guards.
const EXACT: &str = "exact";

/// Reads the texts by row number.
pub(super) fn read(name: &str, bytes: &Bytes, job: &str) -> Result<Fixed, Problems> {
    let mut reader = Reader {
        name,
        job,
        fixed: Fixed::new(job),
        lines: BTreeMap::new(),
        problems: vec![],
        more: 0,
    };
    if bytes.starts_with(b"PAR1") {
        reader.fixed.exact = true;
        reader.parquet(bytes);
    } else {
        reader.csv(bytes);
    }
    reader.finish()
}

/// The canonical CSV.
pub(super) fn write(fixed: &Fixed) -> String {
    let has_values = !fixed.values.is_empty();
    let value = if has_values { ",value" } else { "" };
    let exact = if fixed.exact { ",exact" } else { "" };
    let mut text = format!("job,row_number,raw_data{value}{exact}\n");
    for (row, raw) in &fixed.texts {
        let raw = crate::archive::export_field(raw);
        text.push_str(&format!("{},{row},{raw}", fixed.job));
        if has_values {
            let value = fixed.values.get(row).map_or("", String::as_str);
            text.push_str(&format!(",{}", crate::archive::export_field(value)));
        }
        text.push_str(if fixed.exact { ",\n" } else { "\n" });
    }
    text
}

struct Reader<'a> {
    name: &'a str,
    job: &'a str,
    fixed: Fixed,
    /// Where each row stands.
    lines: BTreeMap<i64, usize>,
    problems: Vec<Problem>,
    more: usize,
}

impl Reader<'_> {
    fn finish(mut self) -> Result<Fixed, Problems> {
        if self.problems.is_empty() {
            return Ok(self.fixed);
        }
        if self.more > 0 {
            let line = self.problems.last().map_or(1, |problem| problem.line);
            let what = format!("{} more problems below", self.more);
            let name = String::new();
            let write = String::new();
            self.problems.push(Problem { file: self.name.to_owned(), line, name, what, write });
        }
        Err(Problems(self.problems))
    }

    fn problem(&mut self, line: usize, column: &str, what: impl Into<String>, write: &str) {
        if self.problems.len() == PROBLEMS_MAX {
            self.more += 1;
            return;
        }
        let file = self.name.to_owned();
        let (name, what, write) = (column.to_owned(), what.into(), write.to_owned());
        self.problems.push(Problem { file, line, name, what, write });
    }

    /// Whether the columns are those of an export.
    fn columns(&mut self, line: usize, names: &[String]) -> bool {
        let before = self.problems.len();
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|other| other == name) {
                self.problem(line, name, "stands twice", "each column once");
            } else if !COLUMNS.contains(&name.as_str())
                && !name.starts_with(FIELD_PREFIX)
                && name != EXACT
            {
                let what = format!("{} is no column of the failure archive", quoted(name));
                let near = nearest(name, COLUMNS).unwrap_or("no such column");
                self.problem(line, "", what, near);
            }
        }
        for needed in NEEDED {
            if !names.iter().any(|name| name == needed) {
                let what = "is missing";
                self.problem(line, needed, what, "the file as `rowproof failures export` made it");
            }
        }
        self.problems.len() == before
    }

    fn row(
        &mut self,
        line: usize,
        job: &str,
        number: Option<i64>,
        (raw, value): (&str, Option<&str>),
    ) {
        if job != self.job {
            let what = format!("the row is of job {}, not of {}", quoted(job), self.job);
            self.problem(line, "job", what, "a file for each job");
            return;
        }
        let Some(number) = number.filter(|number| *number > 0) else {
            self.problem(line, "row_number", "is no row number", "the number that was exported");
            return;
        };
        if let Some(first) = self.lines.get(&number).copied() {
            let what = format!("row {number} stands on line {first} already");
            self.problem(line, "row_number", what, "each row once");
            return;
        }
        self.lines.insert(number, line);
        self.fixed.texts.insert(number, raw.to_owned());
        if let Some(value) = value {
            self.fixed.values.insert(number, value.to_owned());
        }
    }

    fn parquet(&mut self, bytes: &Bytes) {
        // Types as Parquet has them, whatever the program that wrote the file calls them.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(bytes.clone(), options);
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => {
                return self.problem(1, "", format!("is no Parquet file: {error}"), "");
            }
        };
        let names: Vec<String> =
            reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        if !self.columns(1, &names) {
            return;
        }
        let batches = match reader.build() {
            Ok(batches) => batches,
            Err(error) => return self.problem(1, "", format!("cannot be read: {error}"), ""),
        };
        let mut line = 1;
        for batch in batches {
            match batch {
                Ok(batch) => self.batch(&batch, &mut line),
                Err(error) => {
                    return self.problem(line, "", format!("cannot be read: {error}"), "");
                }
            }
        }
    }

    fn batch(&mut self, batch: &RecordBatch, line: &mut usize) {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let numbers = batch.column_by_name("row_number");
        let numbers = numbers.and_then(|array| array.as_primitive_opt::<Int64Type>());
        let (Some(jobs), Some(numbers), Some(raws)) = (text("job"), numbers, text("raw_data"))
        else {
            let what = "job and raw_data must be text, row_number a 64-bit integer";
            return self.problem(*line, "", what, "the types as exported");
        };
        let values = text("value");
        for row in 0..batch.num_rows() {
            let value =
                values.map(|values| if values.is_valid(row) { values.value(row) } else { "" });
            let job = if jobs.is_valid(row) { jobs.value(row) } else { "" };
            let raw = if raws.is_valid(row) { raws.value(row) } else { "" };
            let number = numbers.is_valid(row).then(|| numbers.value(row));
            self.row(*line, job, number, (raw, value));
            *line += 1;
        }
    }

    fn csv(&mut self, bytes: &[u8]) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let line = 1 + memchr::memchr_iter(b'\n', before).count();
                let write = "the file as CSV in UTF-8";
                return self.problem(line, "", "is not UTF-8 here", write);
            }
        };
        let dialect = dialect(delimiter(text));
        let format = Format::Csv(dialect.clone());
        let splitter =
            Splitter::new(&format, line_end(&format, text.as_bytes()), &Limits::default());
        let mut index = Index::default();
        let data = text.as_bytes();
        splitter.fill(&mut index, data);
        let mut cursor = index.cursor(0);
        let mut header: Option<Vec<String>> = None;
        let (mut at, mut line) = (0, 1);
        while at < data.len() {
            let mut fields = Vec::new();
            let step = splitter.step(data, true, &mut cursor, at, |field| fields.push(field));
            let next = match step {
                Step::Blank { next } => next,
                Step::Record { next, bad: None, .. } => {
                    let texts = texts(&dialect, data, &fields);
                    match &header {
                        Some(names) => self.record(line, names, &texts),
                        None if self.columns(line, &texts) => {
                            self.fixed.exact = texts.iter().any(|name| name == EXACT);
                            header = Some(texts);
                        }
                        None => return,
                    }
                    next
                }
                Step::Record { next, bad: Some(_), .. } => {
                    let what = "a quote stands where none may";
                    let write = "quotes around the field, and quotes inside it twice";
                    self.problem(line, "", what, write);
                    next
                }
                Step::TooLong | Step::More => {
                    return self.problem(line, "", "the record is over the size limit", "");
                }
            };
            line += memchr::memchr_iter(b'\n', data.get(at..next).unwrap_or_default()).count();
            at = next;
        }
        if header.is_none() {
            self.columns(1, &[]);
        }
    }

    fn record(&mut self, line: usize, names: &[String], texts: &[String]) {
        if names.len() != texts.len() {
            let what = format!("{} fields, the header has {}", texts.len(), names.len());
            return self.problem(line, "", what, "quotes around fields that hold the separator");
        }
        let named = |name: &str| {
            let mut both = names.iter().zip(texts);
            both.find(|(known, _)| *known == name).map(|(_, text)| unguarded(text))
        };
        let field = |name: &str| named(name).unwrap_or_default();
        let number = field("row_number").trim().parse().ok();
        self.row(line, field("job"), number, (field("raw_data"), named("value")));
    }
}

/// What separates the names of the first line; a spreadsheet may have changed it.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.is_empty()).unwrap_or_default();
    let most = [b',', b';', b'\t'].into_iter().rev();
    most.max_by_key(|byte| memchr::memchr_iter(*byte, header.as_bytes()).count()).unwrap_or(b',')
}

fn dialect(delimiter: u8) -> CsvDialect {
    CsvDialect { delimiter, null: vec![], ..CsvDialect::default() }
}

fn texts(dialect: &CsvDialect, data: &[u8], fields: &[Field]) -> Vec<String> {
    let text = |field: &Field| String::from_utf8_lossy(&csv::text_of(dialect, data, *field)).into();
    fields.iter().map(text).collect()
}
