//! A file through the engine without writing anything: what `run` would do with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rowproof_core::archive::{self, ArchivedRow, Wanted};
use rowproof_core::check::Contract;
use rowproof_core::decode::{self, Budget};
use rowproof_core::engine::{ChunkEngine, ChunkProduct, ChunkSetup};
use rowproof_core::ids::{ObjectVersion, job_id, slot_id};
use rowproof_core::ledger::JobFacts;
use rowproof_core::pipeline::Pipeline;
use rowproof_core::receipt::{AsRead, Counts, over_limit, over_nothing};
use rowproof_core::sink::EngineError;
use rowproof_io::clock::Clock;
use rowproof_io::settings::{limits, read_env};
use serde::Serialize;

use crate::input::inputs::Input;
use crate::input::text_file::{TextError, TextFile};

/// Rejected rows shown for each reason.
const EXAMPLES_MAX: usize = 3;

/// A file of which no row would be loaded.
const NO_ROWS: &str =
    "it has no good row: where rows of an earlier version are visible, it would be HELD";

/// What would become of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Commit,
    /// With the reason.
    Hold(String),
    /// With the code and what to do.
    Fail(String, String),
}

/// Rejected rows of one code and column.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Rejection {
    pub(crate) code: String,
    pub(crate) column: Option<String>,
    pub(crate) rows: u64,
    /// The first ones.
    pub(crate) examples: Vec<Example>,
}

/// A rejected row; its text as far as the pipeline's archive policies show it.
#[derive(Debug, Serialize)]
pub(crate) struct Example {
    pub(crate) row_number: i64,
    pub(crate) byte_start: i64,
    pub(crate) byte_end: i64,
    pub(crate) error: String,
    pub(crate) value: Option<String>,
    pub(crate) raw_data: Option<String>,
}

/// What came out.
#[derive(Debug)]
pub(crate) struct DryRun {
    pub(crate) verdict: Verdict,
    /// What may come of it where rows are visible already.
    pub(crate) note: Option<String>,
    pub(crate) counts: Counts,
    pub(crate) new_columns: Vec<String>,
    pub(crate) missing_columns: Vec<String>,
    /// Most rows first.
    pub(crate) rejections: Vec<Rejection>,
}

/// Why a file cannot be gone through to its end.
enum Stop {
    Text(TextError),
    Engine(EngineError),
    Other(anyhow::Error),
}

impl From<TextError> for Stop {
    fn from(error: TextError) -> Stop {
        Stop::Text(error)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Stop {
        Stop::Engine(error)
    }
}

/// Goes through a file.
pub(crate) fn dry_run(
    pipeline: &Pipeline,
    contract: &Arc<Contract>,
    input: &Input,
) -> anyhow::Result<DryRun> {
    let mut run = DryRun {
        verdict: Verdict::Commit,
        note: None,
        counts: Counts::default(),
        new_columns: vec![],
        missing_columns: vec![],
        rejections: vec![],
    };
    let mut found = BTreeMap::new();
    let verdict = match go_through(pipeline, contract, input, &mut run, &mut found) {
        Ok(verdict) => verdict,
        Err(Stop::Text(error)) => match error.code() {
            Some(code) => Verdict::Fail(code.to_owned(), error.to_string()),
            None => return Err(error.into()),
        },
        // The codes that a job would fail with.
        Err(Stop::Engine(error @ EngineError::Table(_))) => {
            Verdict::Fail("sink".into(), error.to_string())
        }
        Err(Stop::Engine(error @ (EngineError::Arrow(_) | EngineError::Archive(_)))) => {
            Verdict::Fail("block".into(), error.to_string())
        }
        Err(Stop::Other(error)) => return Err(error),
    };
    run.verdict = verdict;
    run.rejections = found.into_values().collect();
    run.rejections.sort_by_key(|rejection| std::cmp::Reverse(rejection.rows));
    Ok(run)
}

type Found = BTreeMap<(String, Option<String>), Rejection>;

fn go_through(
    pipeline: &Pipeline,
    contract: &Arc<Contract>,
    input: &Input,
    run: &mut DryRun,
    found: &mut Found,
) -> Result<Verdict, Stop> {
    let limits = limits(&read_env).map_err(|error| Stop::Other(error.into()))?;
    let mut text = TextFile::open(&input.path, &pipeline.source.encoding, &limits)?;
    let mut block = vec![];
    let header = text.header(&pipeline.source, &mut block, &limits)?;
    let data_start = header.data_start;
    let headless = pipeline.source.is_headless(header.names.as_deref());
    let layout = Arc::new(decode::layout(pipeline, &header));
    block.drain(..data_start.min(block.len()));
    run.new_columns.clone_from(&layout.new_columns);
    run.missing_columns.clone_from(&layout.missing_columns);
    if let Some(message) = decode::drift(pipeline, &layout) {
        return Ok(Verdict::Hold(message));
    }
    let mut start = u64::try_from(data_start).unwrap_or(u64::MAX);
    for chunk in 0.. {
        let setup = ChunkSetup {
            facts: facts(pipeline, input),
            chunk: chunk.to_string(),
            fix: 0,
            start,
            first_row: run.counts.read,
            layout: layout.clone(),
            limits: limits.clone(),
        };
        let budget = Budget { bytes: limits.chunk_bytes, records: limits.chunk_rows };
        let engine = ChunkEngine::new(pipeline, contract, setup, budget)?;
        let (product, ended) = one_chunk(engine, &mut text, &mut block, limits.block_bytes)?;
        start = product.range.end;
        run.counts.read += product.counts.read;
        run.counts.loaded += product.counts.loaded;
        run.counts.rejected += product.counts.rejected;
        collect(product, found).map_err(Stop::Other)?;
        if ended {
            break;
        }
    }
    Ok(judged(pipeline, headless, text.bytes(), run))
}

/// What would be decided about the rows, in a place where nothing is visible.
fn judged(pipeline: &Pipeline, headless: bool, bytes: u64, run: &mut DryRun) -> Verdict {
    let file = AsRead { pipeline, headless, bytes, counts: run.counts };
    let nothing = over_nothing(&file, 0).map(|(_, text)| text);
    let over = over_limit(pipeline.errors.hold_if.as_ref(), &run.counts);
    let texts: Vec<_> = nothing.into_iter().chain(over).collect();
    if !texts.is_empty() {
        return Verdict::Hold(texts.join("; "));
    }
    run.note = over_nothing(&file, 1).map(|_| NO_ROWS.to_owned());
    Verdict::Commit
}

/// What the chunk came to, and whether the text ends with it.
fn one_chunk(
    mut engine: ChunkEngine,
    text: &mut TextFile,
    block: &mut Vec<u8>,
    block_bytes: usize,
) -> Result<(ChunkProduct, bool), Stop> {
    let mut want = block_bytes;
    loop {
        let ended = text.fill(block, want)?;
        let rest = engine.block(std::mem::take(block), ended)?;
        *block = rest.block;
        // A record longer than a block needs more bytes at once.
        want = if rest.progress { block_bytes } else { want.saturating_mul(2) };
        want = want.max(block.len().saturating_add(1));
        let is_over = ended && block.is_empty();
        if is_over || rest.full {
            return Ok((engine.finish()?, is_over));
        }
    }
}

/// Counts the rejected rows of a chunk and keeps the first of each reason.
fn collect(product: ChunkProduct, found: &mut Found) -> anyhow::Result<()> {
    for reason in product.reasons {
        let key = (reason.code.clone(), reason.column.clone());
        let rejection = found.entry(key).or_default();
        rejection.rows += reason.rows;
        (rejection.code, rejection.column) = (reason.code, reason.column);
    }
    let Some(failures) = product.failures else { return Ok(()) };
    let mut missing: u64 = found.values().map(wanting).sum();
    for batch in archive::read(Bytes::from(failures.bytes), &Wanted::default())? {
        for row in archive::rows(&batch?)? {
            if missing == 0 {
                return Ok(());
            }
            let key = (row.error_code.clone(), row.column.clone());
            let Some(rejection) = found.get_mut(&key) else { continue };
            if rejection.examples.len() < EXAMPLES_MAX {
                rejection.examples.push(example(row));
                missing -= 1;
            }
        }
    }
    Ok(())
}

/// Examples that a reason still wants and has rows for.
fn wanting(rejection: &Rejection) -> u64 {
    let have = u64::try_from(rejection.examples.len()).unwrap_or(u64::MAX);
    let most = u64::try_from(EXAMPLES_MAX).unwrap_or(u64::MAX);
    rejection.rows.min(most).saturating_sub(have)
}

fn example(row: ArchivedRow) -> Example {
    Example {
        row_number: row.row_number,
        byte_start: row.byte_start,
        byte_end: row.byte_end,
        error: row.error,
        value: row.value,
        raw_data: row.raw_data,
    }
}

/// A job that will never be.
fn facts(pipeline: &Pipeline, input: &Input) -> JobFacts {
    let now = Clock::system().now();
    let object = ObjectVersion {
        bucket: "input".into(),
        key: input.key.clone(),
        etag: String::new(),
        size: 0,
        version_id: None,
        last_modified: now,
    };
    let slot = slot_id(pipeline, &object, &input.captures);
    JobFacts {
        job: job_id(&slot, &object, 1),
        slot,
        generation: 1,
        pipeline: pipeline.name.clone(),
        pipeline_sha: pipeline.sha256(),
        object,
        captures: input.captures.clone(),
        created_at: now,
        replay: None,
        reverts: None,
    }
}
