//! Reads a file as the program does, in memory and cut up at will: header, records, cells, types and rules.

use std::ops::Range;
use std::sync::Arc;

use rowproof_core::block::{Digest, Layout, Limits, LineEnd, RejectCode};
use rowproof_core::check::{Contract, RowContext, check};
use rowproof_core::decode::{self, Budget, Decoder, HeaderError, HeaderRead};
use rowproof_core::engine::{ChunkEngine, ChunkProduct, ChunkSetup};
use rowproof_core::ids::{JobId, ObjectVersion, SlotId};
use rowproof_core::ledger::JobFacts;
use rowproof_core::pipeline::Pipeline;
use rowproof_core::pipeline_file;
use rowproof_core::plan::PlannedChunk;
use rowproof_core::sink::EngineError;
use rowproof_core::split::ChunkScanner;
use rowproof_core::time::EpochSeconds;
use rowproof_core::toml_file::Problems;

use super::text;

/// A pipeline ready to read files.
#[derive(Debug, Clone)]
pub struct Feed {
    pub pipeline: Pipeline,
    pub contract: Arc<Contract>,
    pub limits: Limits,
}

/// How a file is cut up on its way. Nothing of it may show in the result.
#[derive(Debug, Clone, Copy)]
pub struct Cuts {
    /// Bytes handed to the decoder at once.
    pub block: usize,
    pub chunks: Chunks,
}

/// How chunks are found.
#[derive(Debug, Clone, Copy)]
pub enum Chunks {
    /// The whole file is one.
    One,
    /// Planned from pieces of so many bytes; each has a decoder of its own.
    Ranges { piece: usize, bytes: u64, rows: u64 },
    /// Each starts where the one before it ended.
    Chain { bytes: u64, records: u64 },
}

/// One record: where it is, and its typed values or why it is rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// From 1.
    pub number: u64,
    /// Bytes of the plain text, line end excluded.
    pub bytes: Range<u64>,
    /// The columns' texts, or the code and the column to blame.
    pub verdict: Result<Vec<Option<String>>, (RejectCode, Option<String>)>,
}

/// All that came out of a file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Reading {
    pub layout: Option<Layout>,
    pub data_start: u64,
    pub rows: Vec<Row>,
    pub blank_lines: u64,
    /// Bytes behind the header that were read.
    pub bytes: u64,
    pub source_digest: Digest,
    pub loaded_digest: Digest,
}

impl Feed {
    /// From the text of a pipeline file.
    pub fn parse(text: &str) -> Result<Feed, Problems> {
        let no_base = |name: &str| Err(format!("{name} is not there"));
        let parsed = pipeline_file::parse("feed.toml", text, &no_base, &|_| None)?;
        Ok(Feed::new(parsed.pipeline))
    }

    /// For a pipeline whose contract compiles, as that of every parsed one does.
    pub fn new(pipeline: Pipeline) -> Feed {
        let contract = Contract::compile(&pipeline);
        let contract = contract.unwrap_or_else(|problems| panic!("{problems:?}"));
        Feed { pipeline, contract: Arc::new(contract), limits: Limits::default() }
    }

    /// The file's fields and where its records begin, from prefixes that double from `block` bytes on.
    pub fn start(&self, file: &[u8], block: usize) -> Result<(Layout, usize), HeaderError> {
        let mut want = block.max(1);
        loop {
            let prefix = file.get(..want).unwrap_or(file);
            let last = prefix.len() == file.len();
            match decode::header(&self.pipeline.source, prefix, last, &self.limits)? {
                HeaderRead::Read(header) => {
                    let layout = decode::layout(&self.pipeline, &header);
                    return Ok((layout, header.data_start));
                }
                HeaderRead::NeedMore => want *= 2,
            }
        }
    }

    /// Reads all of a file's rows.
    pub fn read(&self, file: &[u8], cuts: Cuts) -> Result<Reading, HeaderError> {
        let (layout, data_start) = self.start(file, cuts.block)?;
        let mut reading = Reading {
            layout: Some(layout.clone()),
            data_start: data_start as u64,
            ..Reading::default()
        };
        let layout = Arc::new(layout);
        let decoder = || Decoder::new(&self.pipeline, layout.clone(), &self.limits);
        let (mut at, end) = (data_start, file.len());
        match cuts.chunks {
            Chunks::One => {
                self.chunk(
                    &mut decoder(),
                    file,
                    at..end,
                    cuts.block,
                    Budget::UNLIMITED,
                    &mut reading,
                );
            }
            Chunks::Ranges { piece, bytes, rows } => {
                let limits = Limits { chunk_bytes: bytes, chunk_rows: rows, ..self.limits.clone() };
                for plan in self.plan(file, layout.line_end, at, piece, &limits) {
                    assert_eq!(
                        (plan.start, plan.first_row),
                        (at as u64, reading.rows.len() as u64)
                    );
                    let range = at..plan.end as usize;
                    let budget = Budget::UNLIMITED;
                    at = self.chunk(&mut decoder(), file, range, cuts.block, budget, &mut reading);
                    assert_eq!(at as u64, plan.end, "a worker reads its range to the end");
                    let read = reading.rows.len() as u64;
                    assert_eq!(plan.first_row + plan.rows, read, "planner and decoder count alike");
                }
                assert_eq!(at, end, "the chunks tile the file");
            }
            Chunks::Chain { bytes, records } => {
                let budget = Budget { bytes, records };
                while at < end {
                    at =
                        self.chunk(&mut decoder(), file, at..end, cuts.block, budget, &mut reading);
                }
            }
        }
        assert_eq!(reading.data_start + reading.bytes, file.len() as u64, "every byte is read");
        Ok(reading)
    }

    /// The chunk ranges of the records from `start` on.
    pub fn plan(
        &self,
        file: &[u8],
        line_end: LineEnd,
        start: usize,
        piece: usize,
        limits: &Limits,
    ) -> Vec<PlannedChunk> {
        let format = &self.pipeline.source.format;
        let mut scanner = ChunkScanner::new(format, line_end, limits, start as u64);
        let mut plan = Vec::new();
        for piece in file[start..].chunks(piece.max(1)) {
            scanner.push(piece);
            plan.append(&mut scanner.take());
        }
        scanner.finish();
        plan.append(&mut scanner.take());
        plan
    }

    /// One chunk, block by block; the byte it ended at.
    fn chunk(
        &self,
        decoder: &mut Decoder,
        file: &[u8],
        range: Range<usize>,
        block: usize,
        mut budget: Budget,
        reading: &mut Reading,
    ) -> usize {
        let (mut at, mut have) = (range.start, block);
        while at < range.end {
            let to = range.end.min(at + have);
            let last = to == range.end;
            let decoded = decoder.decode(file[at..to].to_vec(), last, budget);
            let first_row = reading.rows.len() as u64 + 1;
            let context = RowContext::default();
            let checked = check(&self.contract, &context, &decoded, first_row).expect("it fits");
            let mut rows = Vec::new();
            let mut failed = vec![false; decoded.records.len()];
            for reject in &checked.rejects {
                reject.row.into_iter().for_each(|row| failed[row] = true);
                let column = reject.column.and_then(|index| self.contract.column(index));
                let start = at as u64 + u64::from(reject.record.start) - reject.earlier;
                rows.push(Row {
                    number: first_row + u64::from(reject.record.ordinal),
                    bytes: start..at as u64 + u64::from(reject.record.end),
                    verdict: Err((reject.code, column.map(|column| column.name.clone()))),
                });
            }
            let good = decoded.records.iter().zip(failed).filter(|(_, failed)| !failed);
            for (index, (record, _)) in good.enumerate() {
                rows.push(Row {
                    number: first_row + u64::from(record.ordinal),
                    bytes: at as u64 + u64::from(record.start)..at as u64 + u64::from(record.end),
                    verdict: Ok(text::row(&checked.batch, index)),
                });
            }
            rows.sort_by_key(|row| row.number);
            assert_eq!(rows.len() as u64, decoded.counts.records, "every record is somewhere");
            reading.rows.extend(rows);
            reading.blank_lines += decoded.counts.blank_lines;
            reading.bytes += decoded.counts.bytes;
            reading.source_digest += decoded.source_digest;
            reading.loaded_digest += checked.loaded_digest;
            budget.bytes = budget.bytes.saturating_sub(decoded.counts.bytes);
            budget.records = budget.records.saturating_sub(decoded.counts.records);
            at += decoded.counts.bytes as usize;
            if decoded.full {
                return at;
            }
            assert!(!last || at == range.end, "the last block is used up");
            have = if decoded.counts.bytes == 0 { have * 2 } else { block };
        }
        at
    }

    /// Takes a whole file to data files and failure archive, in blocks of so many bytes.
    pub fn load(&self, file: &[u8], block: usize) -> Result<ChunkProduct, EngineError> {
        let (layout, start) = self.start(file, block).expect("a header that was read before");
        let setup = ChunkSetup {
            facts: facts(file.len()),
            chunk: "0".to_owned(),
            fix: 0,
            start: start as u64,
            first_row: 0,
            layout: Arc::new(layout),
            limits: self.limits.clone(),
        };
        let budget = Budget::UNLIMITED;
        let mut engine = ChunkEngine::new(&self.pipeline, &self.contract, setup, budget)?;
        let (mut at, mut pending, mut want) = (start, Vec::new(), block);
        loop {
            let more = want.saturating_sub(pending.len());
            let to = file.len().min(at + more);
            pending.extend_from_slice(&file[at..to]);
            at = to;
            let last = at == file.len();
            let rest = engine.block(pending, last)?;
            pending = rest.block;
            want = if rest.progress { block } else { want.saturating_mul(2) };
            want = want.max(pending.len() + 1);
            if last && pending.is_empty() {
                return engine.finish();
            }
        }
    }

    /// Loads the file and compares the product with what reading it gave.
    pub fn books_agree(&self, file: &[u8], block: usize, reading: &Reading) {
        let product = match self.load(file, block) {
            Ok(product) => product,
            Err(EngineError::Table(_)) => return,
            Err(error) => panic!("{error}"),
        };
        let (read, loaded) = (reading.rows.len() as u64, reading.loaded().count() as u64);
        let counts = product.counts;
        assert_eq!((counts.read, counts.loaded, counts.rejected), (read, loaded, read - loaded));
        assert_eq!(product.range.start, reading.data_start);
        assert_eq!((product.range.end, product.range.rows), (file.len() as u64, read));
        assert_eq!(product.source_digest, reading.source_digest);
        assert_eq!(product.blank_lines, reading.blank_lines);
        assert_eq!(product.files.iter().map(|file| file.rows).sum::<u64>(), loaded);
        assert_eq!(product.reasons.iter().map(|reason| reason.rows).sum::<u64>(), read - loaded);
        assert_eq!(product.failures.map_or(0, |file| file.rows), read - loaded);
        assert_eq!(product.loaded_digest, reading.loaded_digest);
    }
}

impl Reading {
    /// The rows that are not rejected.
    pub fn loaded(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.verdict.is_ok())
    }
}

/// A job that reads an object of so many bytes.
fn facts(size: usize) -> JobFacts {
    JobFacts {
        job: JobId("job".to_owned()),
        slot: SlotId("slot".to_owned()),
        generation: 1,
        pipeline: "feed".to_owned(),
        pipeline_sha: "0".repeat(64),
        object: ObjectVersion {
            bucket: "input".to_owned(),
            key: "in/file".to_owned(),
            etag: "1".to_owned(),
            size: size as u64,
            version_id: None,
            last_modified: EpochSeconds(0),
        },
        captures: Default::default(),
        created_at: EpochSeconds(0),
        replay: None,
        reverts: None,
    }
}
