//! A stored receipt, checked again from its own figures.

use super::{ArchivedFile, ChunkLine, ChunkOutcome, Manifest, StagedFile, check_books, totals};
use crate::block::Layout;
use crate::input::Codec;
use crate::plan::{Plan, PlanKind};

impl Manifest {
    /// Checks the books once more: every chunk's classes, files and archive, that the chunks tile the
    /// object, and that the totals are their sums. What does not add up, in words; empty when all does.
    pub fn recheck(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        let plan = Plan {
            kind: self.plan,
            codec: Codec::None,
            layout: Layout {
                line_end: crate::block::LineEnd::Any,
                header: vec![],
                doubts: vec![],
                fields: 0,
                field_of_column: vec![],
                new_columns: vec![],
                missing_columns: vec![],
            },
            data_start: self.totals.header_bytes,
            headless: false,
            text_bytes: (self.plan == PlanKind::Ranges).then_some(self.job.object.size),
            rows: Some(self.totals.counts.read),
            segments: vec![],
        };
        let outcomes = self.outcomes(&mut problems);
        let sums = totals(&plan, &outcomes);
        problems.extend(check_books(
            &self.job.object,
            &plan,
            &outcomes,
            &sums,
            self.table.is_some(),
        ));
        let stated = &self.totals;
        let reasons: u64 = stated.reasons.iter().map(|reason| reason.rows).sum();
        for (agree, what) in [
            (stated.counts == sums.counts, "rows are"),
            (stated.chunks == sums.chunks, "chunks are"),
            (stated.bytes_read == sums.bytes_read, "bytes are"),
            (stated.source_digest == sums.source_digest, "digest of the source is"),
            (stated.loaded_digest == sums.loaded_digest, "digest of the loaded rows is"),
            (stated.counts.rejected == reasons, "reasons for rejection are"),
        ] {
            if !agree {
                problems.push(format!("the totals' {what} not the sum over the chunks"));
            }
        }
        problems
    }

    /// The chunks' lines with their files, as the books want them.
    fn outcomes(&self, problems: &mut Vec<String>) -> Vec<ChunkOutcome> {
        let mut outcomes: Vec<_> = self.chunks.iter().map(outcome).collect();
        for file in &self.files {
            let staged = StagedFile {
                partition: file.partition.clone(),
                sha256: file.sha256.clone(),
                rows: file.rows,
                bytes: file.bytes,
            };
            let of_file = |outcome: &&mut ChunkOutcome| {
                (outcome.chunk, &outcome.part) == (file.chunk, &file.part)
            };
            match outcomes.iter_mut().find(of_file) {
                Some(outcome) => outcome.files.push(staged),
                None => problems.push(format!("{} belongs to no chunk", file.key)),
            }
        }
        for file in &self.failures {
            let outcome = outcomes
                .iter_mut()
                .find(|outcome| (outcome.chunk, &outcome.part) == (file.chunk, &file.part));
            match outcome.map(|outcome| &mut outcome.failures) {
                Some(none @ None) => *none = Some(file.clone()),
                Some(Some(ArchivedFile { key, .. })) => {
                    problems.push(format!("{} and {key} are of one chunk", file.key));
                }
                None => problems.push(format!("{} belongs to no chunk", file.key)),
            }
        }
        if let (PlanKind::Chain, Some(last)) = (self.plan, outcomes.last_mut()) {
            last.packed_bytes = Some(self.totals.bytes_read);
        }
        outcomes
    }
}

fn outcome(line: &ChunkLine) -> ChunkOutcome {
    ChunkOutcome {
        chunk: line.chunk,
        part: line.part.clone(),
        fix: line.fix,
        start: line.start,
        end: line.end,
        first_row: line.first_row,
        counts: line.counts,
        blank_lines: 0,
        repairs: crate::block::Repairs::default(),
        source_digest: line.source_digest,
        loaded_digest: line.loaded_digest,
        files: vec![],
        failures: None,
        reasons: vec![],
        packed_bytes: None,
    }
}
