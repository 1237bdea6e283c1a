use std::collections::BTreeMap;

use super::*;
use crate::block::{Layout, Repairs};
use crate::ids::tests::{object, pipeline};
use crate::ids::{JobId, SlotId};
use crate::pipeline::{HoldIf, Rejected, Replaces};
use crate::time::EpochSeconds;

fn facts() -> JobFacts {
    JobFacts {
        job: JobId("job".into()),
        slot: SlotId("slot".into()),
        generation: 2,
        pipeline: "orders".into(),
        pipeline_sha: "sha".into(),
        object: object("a.csv", "v1", None),
        captures: BTreeMap::new(),
        created_at: EpochSeconds(0),
        replay: None,
        reverts: None,
    }
}

/// Two chunks over bytes 10 to 100 of an object of 100 bytes: 3 and 5 rows.
fn plan(kind: PlanKind) -> Plan {
    let ranges = kind == PlanKind::Ranges;
    Plan {
        kind,
        codec: crate::input::Codec::None,
        layout: Layout {
            line_end: crate::block::LineEnd::Any,
            header: vec![],
            doubts: vec![],
            fields: 1,
            field_of_column: vec![],
            new_columns: vec![],
            missing_columns: vec![],
        },
        data_start: 10,
        headless: false,
        text_bytes: ranges.then_some(100),
        rows: ranges.then_some(8),
        segments: vec![],
    }
}

fn outcome(chunk: u32, (start, end): (u64, u64), first_row: u64, counts: Counts) -> ChunkOutcome {
    let file = StagedFile {
        partition: vec![("day".into(), "1".into())],
        sha256: format!("file{chunk}"),
        rows: counts.loaded,
        bytes: 1000,
    };
    let key = names::archived(&facts(), &ChunkId::whole(&facts().job, chunk), 0, "a");
    let part = String::new();
    let archive = ArchivedFile { chunk, part, key, sha256: "a".into(), rows: counts.rejected };
    let reason = |code: &str, rows| Reason { code: code.into(), column: None, rows };
    ChunkOutcome {
        chunk,
        part: String::new(),
        fix: 0,
        start,
        end,
        first_row,
        counts,
        blank_lines: 1,
        repairs: Repairs { fields_added: 1, ..Repairs::default() },
        source_digest: Digest(u128::MAX),
        loaded_digest: Digest(7),
        files: vec![file],
        failures: (counts.rejected > 0).then_some(archive),
        reasons: match counts.rejected {
            0 => vec![],
            rows => vec![reason("type", rows - 1), reason("range", 1)],
        },
        packed_bytes: None,
    }
}

fn good() -> Vec<ChunkOutcome> {
    let first = Counts { read: 3, loaded: 3, ..Counts::default() };
    let second = Counts { read: 5, loaded: 1, filtered: 1, rejected: 3, ..Counts::default() };
    vec![outcome(0, (10, 40), 0, first), outcome(1, (40, 100), 3, second)]
}

fn build(plan: &Plan, outcomes: &[ChunkOutcome]) -> Manifest {
    Manifest::build(&facts(), &pipeline("orders", Replaces::Key), plan, outcomes, 0)
}

#[test]
fn balanced_books_have_no_problem_and_add_up() {
    let manifest = build(&plan(PlanKind::Ranges), &good());
    assert_eq!(manifest.problems, Vec::<String>::new());
    assert!(manifest.balanced());
    let totals = &manifest.totals;
    assert_eq!((totals.counts.read, totals.counts.loaded, totals.counts.rejected), (8, 4, 3));
    assert_eq!((totals.chunks, totals.bytes_read, totals.header_bytes), (2, 100, 10));
    assert_eq!((totals.blank_lines, totals.loaded_digest), (2, Digest(14)));
    assert_eq!(totals.source_digest, Digest(u128::MAX - 1), "digests add mod 2^128");
    let codes: Vec<_> = totals.reasons.iter().map(|r| (r.code.as_str(), r.rows)).collect();
    assert_eq!(codes, [("type", 2), ("range", 1)]);
    assert_eq!(manifest.files[1].key, "curated/orders/day=1/000002-job-000001-file1.parquet");
    assert_eq!(manifest.files[1].staged, "_staging/job/000001-file1.parquet");
    assert_eq!((manifest.files.len(), manifest.failures.len(), manifest.chunks.len()), (2, 1, 2));
}

#[test]
fn a_file_without_rows_balances_with_no_chunk_at_all() {
    let plan = Plan { data_start: 100, rows: Some(0), ..plan(PlanKind::Ranges) };
    assert_eq!(build(&plan, &[]).problems, Vec::<String>::new());
}

#[test]
fn a_manifest_is_a_function_of_the_job_and_its_outcomes() {
    let plan = plan(PlanKind::Ranges);
    let text = build(&plan, &good()).to_json();
    assert_eq!(build(&plan, &good()).to_json(), text);
    let read: Manifest = serde_json::from_str(&text).unwrap();
    assert_eq!(read, build(&plan, &good()));
    assert_eq!(read.to_json(), text);
}

/// What one change to the good outcomes is called.
fn problems(change: impl FnOnce(&mut Vec<ChunkOutcome>)) -> Vec<String> {
    let mut outcomes = good();
    change(&mut outcomes);
    build(&plan(PlanKind::Ranges), &outcomes).problems
}

#[test]
fn each_way_not_to_balance_has_its_text() {
    let lost_row = problems(|chunks| chunks[1].counts.filtered = 0);
    assert_eq!(lost_row, ["chunk 1: its classes do not add up to its rows"]);
    let file = problems(|chunks| chunks[0].files[0].rows = 2);
    assert_eq!(file, ["chunk 0: its files hold 2 rows, not the loaded ones"]);
    let archive = problems(|chunks| chunks[1].failures = None);
    assert_eq!(archive, ["chunk 1: its archive holds 0 rows, not the rejected"]);
    let gap = problems(|chunks| chunks[1].start = 41);
    let short = "99 bytes were read of 100";
    assert_eq!(gap, ["chunk 1 begins at byte 41, not 40", short]);
    let overlap = problems(|chunks| chunks[1].start = 39);
    let long = "101 bytes were read of 100";
    assert_eq!(overlap, ["chunk 1 begins at byte 39, not 40", long]);
    let rows = problems(|chunks| chunks[1].first_row = 4);
    assert_eq!(rows, ["chunk 1 begins at row 4, not 3"]);
    let number = problems(|chunks| chunks[1].chunk = 2);
    assert_eq!(number, ["chunk 1 is missing: found chunk 2 in its place"]);
    let tail = problems(|chunks| chunks[1].end = 99);
    let ends = "the chunks end at byte 99, not at the end of the object";
    assert_eq!(tail, [ends, short]);
}

#[test]
fn a_missing_chunk_is_missed_wherever_it_was() {
    let first = problems(|chunks| drop(chunks.remove(0)));
    assert_eq!(first[0], "chunk 0 is missing: found chunk 1 in its place");
    let last = problems(|chunks| drop(chunks.pop()));
    let expected = [
        "the chunks end at byte 40, not at the end of the object",
        "the chunks hold 3 rows, not what the plan counted",
        "40 bytes were read of 100",
    ];
    assert_eq!(last, expected);
    assert_eq!(problems(Vec::clear).len(), 3);
    assert!(!problems(|chunks| chunks.push(chunks[1].clone())).is_empty());
    assert!(!problems(|chunks| chunks.swap(0, 1)).is_empty());
}

#[test]
fn a_chunk_that_ends_before_it_begins_is_a_problem_and_no_panic() {
    let backwards = problems(|chunks| chunks[1].end = 30);
    assert_eq!(backwards[0], "chunk 1 ends at byte 30, before it begins");
}

#[test]
fn rows_that_the_plan_counted_and_no_chunk_read_are_missed() {
    let lost = problems(|chunks| {
        chunks[1].counts.read = 4;
        chunks[1].counts.filtered = 0;
    });
    assert_eq!(lost, ["the chunks hold 7 rows, not what the plan counted"]);
}

#[test]
fn chunks_past_the_end_of_the_object_do_not_balance_even_if_the_plan_agrees() {
    let mut outcomes = good();
    outcomes[1].end = 110;
    let plan = Plan { text_bytes: Some(110), ..plan(PlanKind::Ranges) };
    let problems = build(&plan, &outcomes).problems;
    assert_eq!(problems, ["110 bytes were read of 100"]);
}

#[test]
fn a_chain_balances_only_when_its_last_chunk_read_the_whole_object() {
    let chain = |first, last| {
        let mut outcomes = good();
        outcomes[0].packed_bytes = first;
        outcomes[1].packed_bytes = last;
        build(&plan(PlanKind::Chain), &outcomes).problems
    };
    assert_eq!(chain(None, Some(100)), Vec::<String>::new());
    assert_eq!(chain(None, Some(99)), ["99 bytes were read of 100"]);
    assert_eq!(chain(None, None), ["0 bytes were read of 100"]);
    assert_eq!(chain(Some(100), None), ["0 bytes were read of 100"]);
}

#[test]
fn every_class_is_part_of_the_balance() {
    let none = Counts::default();
    assert!(none.balance());
    let classes: [fn(&mut Counts) -> &mut u64; 5] = [
        |counts| &mut counts.loaded,
        |counts| &mut counts.unchanged,
        |counts| &mut counts.filtered,
        |counts| &mut counts.superseded,
        |counts| &mut counts.rejected,
    ];
    for class in classes {
        let mut counts = Counts { read: 1, ..none };
        assert!(!counts.balance());
        *class(&mut counts) = 1;
        assert!(counts.balance());
        let mut sum = counts;
        sum.add(&counts);
        assert_eq!((sum.read, *class(&mut sum), sum.balance()), (2, 2, true));
    }
}

#[test]
fn a_job_is_held_over_its_limit_and_not_at_it() {
    let counts = |read, rejected| Counts { read, rejected, ..Counts::default() };
    let rows = |rows| Rejected::Rows(rows);
    let five_percent = Rejected::PartsPerMillion(50_000);
    let table = [
        (rows(0), 0, counts(10, 0), false),
        (rows(0), 0, counts(10, 1), true),
        (rows(3), 0, counts(10, 3), false),
        (rows(3), 0, counts(10, 4), true),
        (rows(3), 11, counts(10, 4), false),
        (rows(3), 10, counts(10, 4), true),
        (five_percent, 0, counts(0, 0), false),
        (five_percent, 0, counts(100, 5), false),
        (five_percent, 0, counts(100, 6), true),
        (five_percent, 200, counts(199, 199), false),
        (five_percent, 200, counts(200, 10), false),
        (five_percent, 200, counts(200, 11), true),
        (Rejected::PartsPerMillion(0), 0, counts(u64::MAX, 1), true),
        (Rejected::PartsPerMillion(1_000_000), 0, counts(u64::MAX, u64::MAX), false),
    ];
    for (rejected, min_rows, counts, held) in table {
        let hold_if = HoldIf { rejected, min_rows };
        let over = over_limit(Some(&hold_if), &counts);
        assert_eq!(over.is_some(), held, "{hold_if:?} {counts:?}");
        assert_eq!(over_limit(None, &counts), None);
    }
}

#[test]
fn a_hold_says_how_many_and_how_many_are_allowed() {
    let text = |rejected| {
        let hold_if = HoldIf { rejected, min_rows: 0 };
        let counts = Counts { read: 200, rejected: 11, ..Counts::default() };
        over_limit(Some(&hold_if), &counts).unwrap()
    };
    let percent = "11 of 200 rows were rejected; hold_if allows 2.5 %";
    assert_eq!(text(Rejected::PartsPerMillion(25_000)), percent);
    let rows = "11 of 200 rows were rejected; hold_if allows 3 rows";
    assert_eq!(text(Rejected::Rows(3)), rows);
}

#[test]
fn a_stored_receipt_checks_out_again() {
    for kind in [PlanKind::Ranges, PlanKind::Chain] {
        let mut outcomes = good();
        outcomes[1].packed_bytes = (kind == PlanKind::Chain).then_some(100);
        assert_eq!(build(&plan(kind), &outcomes).recheck(), Vec::<String>::new(), "{kind:?}");
    }
    let empty = Plan { data_start: 100, rows: Some(0), ..plan(PlanKind::Ranges) };
    assert_eq!(build(&empty, &[]).recheck(), Vec::<String>::new());
}

#[test]
fn every_figure_of_a_stored_receipt_that_was_changed_is_found() {
    type Change = fn(&mut Manifest);
    let changes: [(Change, &str); 12] = [
        (|m| m.totals.counts.loaded += 1, "the totals' rows are not"),
        (|m| m.totals.chunks += 1, "the totals' chunks are not"),
        (|m| m.totals.bytes_read += 1, "the totals' bytes are not"),
        (|m| m.totals.source_digest.add(1), "the totals' digest of the source is"),
        (|m| m.totals.loaded_digest.add(1), "the totals' digest of the loaded rows is"),
        (|m| m.totals.reasons[0].rows += 1, "the totals' reasons for rejection are"),
        (|m| m.chunks[1].counts.filtered += 1, "chunk 1: its classes do not add up"),
        (|m| m.chunks[0].end -= 1, "chunk 1 begins at byte 40, not 39"),
        (|m| m.files[1].rows += 1, "chunk 1: its files hold 2 rows"),
        (|m| m.files[1].chunk = 7, "belongs to no chunk"),
        (|m| m.failures[0].rows += 1, "chunk 1: its archive holds 4 rows"),
        (|m| m.failures.push(m.failures[0].clone()), "are of one chunk"),
    ];
    for (change, expected) in changes {
        let mut manifest = build(&plan(PlanKind::Ranges), &good());
        change(&mut manifest);
        let problems = manifest.recheck();
        assert!(problems.iter().any(|p| p.contains(expected)), "{expected}: {problems:?}");
    }
}

#[test]
fn rows_go_for_being_missing_only_as_far_as_allowed() {
    assert_eq!(over_missing(0, 100, 0, 5), None);
    assert_eq!(over_missing(100_000, 100, 10, 0), None);
    let over = over_missing(100_000, 100, 11, 0).unwrap_or_default();
    assert!(over.contains("11 of 100 rows") && over.contains("10 %"), "{over}");
    let rejected = over_missing(1_000_000, 100, 1, 3).unwrap_or_default();
    assert!(rejected.contains("3 rows were rejected"), "{rejected}");
}
