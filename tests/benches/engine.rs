//! What each stage of the row engine costs, one by one, on generated orders or on a file.
//!
//! `cargo bench -p rowproof-tests --bench engine [-- ROWS | FILE.csv]` prints nanoseconds a row and MB/s
//! of input for each stage, the best of several rounds. The file needs the header of
//! `infra/pipelines/orders.toml`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::default_trait_access,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rowproof_core::archive::{ArchiveContext, ArchiveWriter};
use rowproof_core::block::{Layout, Limits};
use rowproof_core::check::{Contract, RowContext, check};
use rowproof_core::decode::{self, Budget, Decoder, HeaderRead};
use rowproof_core::digest;
use rowproof_core::pipeline::Pipeline;
use rowproof_core::pipeline_file;
use rowproof_core::split::ChunkScanner;
use rowproof_core::table::{Origin, TableWriter};

const ORDERS: &str = include_str!("../../infra/pipelines/orders.toml");
const ROUNDS: usize = 7;

struct Bench {
    pipeline: Pipeline,
    contract: Contract,
    layout: Arc<Layout>,
    limits: Limits,
    text: Vec<u8>,
    data_start: usize,
}

fn main() {
    let argument = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let text = match argument.as_deref().map(str::parse::<u64>) {
        None => orders(200_000),
        Some(Ok(rows)) => orders(rows),
        Some(Err(_)) => std::fs::read(argument.unwrap()).unwrap(),
    };
    let bench = prepare(text);
    let (rows, [scan, decode, check, digest, table, archive]) = run(&bench);
    let total = decode + check + table + archive;
    let stages = [
        ("scan (boundaries)", scan),
        ("decode", decode),
        ("check with digest", check),
        ("digest alone", digest),
        ("table (zstd)", table),
        ("archive", archive),
        ("decode to archive", total),
    ];
    println!("{rows} rows, {} bytes, best of {ROUNDS}", bench.text.len());
    for (name, time) in stages {
        let per_row = time.as_secs_f64() * 1e9 / rows as f64;
        let speed = bench.text.len() as f64 / 1e6 / time.as_secs_f64();
        println!("{name:<20} {per_row:>8.1} ns/row {speed:>9.0} MB/s");
    }
}

fn prepare(text: Vec<u8>) -> Bench {
    let none = |_: &str| None;
    let no_base = |name: &str| Err(name.to_owned());
    let pipeline = pipeline_file::parse("orders.toml", ORDERS, &no_base, &none).unwrap().pipeline;
    let contract = Contract::compile(&pipeline).unwrap();
    let limits = Limits::default();
    let read = decode::header(&pipeline.source, &text, true, &limits).unwrap();
    let HeaderRead::Read(header) = read else { panic!("no header") };
    let data_start = header.data_start;
    let layout = Arc::new(decode::layout(&pipeline, &header));
    Bench { pipeline, contract, layout, limits, text, data_start }
}

/// Rows, and the best time of each stage over all blocks.
fn run(bench: &Bench) -> (u64, [Duration; 6]) {
    let mut best = [Duration::MAX; 6];
    let mut rows = 0;
    for _ in 0..ROUNDS {
        let (found, times) = round(bench);
        rows = found;
        for (best, time) in best.iter_mut().zip(times) {
            *best = time.min(*best);
        }
    }
    (rows, best)
}

fn round(bench: &Bench) -> (u64, [Duration; 6]) {
    let mut times = [Duration::ZERO; 6];
    let data = &bench.text[bench.data_start..];
    let start = Instant::now();
    let mut scanner =
        ChunkScanner::new(&bench.pipeline.source.format, bench.layout.line_end, &bench.limits, 0);
    data.chunks(256 << 10).for_each(|piece| scanner.push(piece));
    scanner.finish();
    black_box(scanner.take());
    times[0] = start.elapsed();

    let mut decoder = Decoder::new(&bench.pipeline, bench.layout.clone(), &bench.limits);
    let sink = bench.pipeline.sink.parquet().unwrap();
    let mut table =
        TableWriter::new(&bench.contract, sink, &bench.limits, &Origin::default()).unwrap();
    let mut archive = ArchiveWriter::new(&bench.contract, &bench.layout, archive_context());
    let (mut at, mut rows, mut spare) = (0, 0, Vec::new());
    while at < data.len() {
        let end = data.len().min(at + bench.limits.block_bytes);
        let mut block = std::mem::take(&mut spare);
        block.extend_from_slice(&data[at..end]);
        let start = Instant::now();
        let decoded = decoder.decode(block, end == data.len(), Budget::UNLIMITED);
        times[1] += start.elapsed();
        let start = Instant::now();
        let checked = check(&bench.contract, &RowContext::default(), &decoded, rows + 1).unwrap();
        times[2] += start.elapsed();
        let start = Instant::now();
        black_box(digest::rows(bench.contract.width(), &checked.batch).unwrap());
        times[3] += start.elapsed();
        let start = Instant::now();
        table.append(&checked.batch).unwrap();
        times[4] += start.elapsed();
        let start = Instant::now();
        archive.append(&decoded, &checked.rejects, rows + 1, at as u64).unwrap();
        times[5] += start.elapsed();
        rows += decoded.counts.records;
        at += usize::try_from(decoded.counts.bytes).unwrap();
        spare = decoder.recycle(decoded);
    }
    let start = Instant::now();
    let files = table.finish().unwrap();
    black_box(files.into_iter().map(|file| Bytes::from(file.bytes)).collect::<Vec<_>>());
    times[4] += start.elapsed();
    let start = Instant::now();
    black_box(archive.finish().unwrap());
    times[5] += start.elapsed();
    (rows, times)
}

fn archive_context() -> ArchiveContext {
    ArchiveContext {
        pipeline: "orders".into(),
        pipeline_sha: "0".repeat(64),
        job: "bench".into(),
        chunk: "0".into(),
        fix: 0,
        source_bucket: "input".into(),
        source_key: "orders.csv".into(),
        source_version: "1".into(),
        captures: Default::default(),
        created_at: 0,
    }
}

/// Orders with about one bad row in a hundred and some quoted names.
fn orders(rows: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::from(
        "id,customer_id,name,amount,currency,status,created_at,updated_at,email,note\n",
    );
    for id in 1..=rows {
        let customer = random.u32(1..2_000_000);
        let name = match random.u8(0..20) {
            0 => "\"Bauer, Anna\"",
            1 => "\"Ben \"\"Dub\"\" Dubois\"",
            _ => "Chloé Fischer",
        };
        let amount = random.i32(-500..500_000);
        let currency = random.choice(["EUR", "USD", "GBP", "JPY"]).unwrap();
        let status = random.choice(["paid", "shipped", "delivered", "refunded"]).unwrap();
        let day = random.u8(1..28);
        let (hour, minute) = (random.u8(0..24), random.u8(0..60));
        let bad = if random.u8(0..100) == 0 { "x" } else { "" };
        let note = if random.bool() { "gift wrap, leave at door" } else { "" };
        let quote = if note.is_empty() { "" } else { "\"" };
        writeln!(
            text,
            "{id},{customer}{bad},{name},{}.{:02},{currency},{status},2026-03-{day:02}T{hour:02}:\
             {minute:02}:00Z,2026-04-{day:02}T{hour:02}:{minute:02}:00.125Z,c{customer}@example.com,\
             {quote}{note}{quote}",
            amount / 100,
            amount.rem_euclid(100)
        )
        .unwrap();
    }
    text.into_bytes()
}
