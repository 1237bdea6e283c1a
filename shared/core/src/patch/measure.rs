//! Proposals applied to every row: the figures behind "covers 812 of 1,010".

use arrow_schema::ArrowError;

use super::render;
use super::{Feed, Fix, Proposal};
use crate::archive::ArchivedRow;

/// What a proposal covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Rows of its code and column.
    pub rows: u64,
    /// Of them those that it makes good.
    pub gained: u64,
    /// Of those the ones that could be read another way too, such as month first.
    pub ambiguous: u64,
}

/// Proposals being applied to rows.
#[derive(Debug)]
pub struct Measure {
    proposals: Vec<(Proposal, Coverage)>,
    /// For each proposal which of its fixes good rows need.
    used: Vec<Vec<bool>>,
    all: Vec<Fix>,
    rows: u64,
    gained: u64,
}

/// Proposals and what they cover.
#[derive(Debug)]
pub struct Measured {
    /// Most rows first.
    pub proposals: Vec<(Proposal, Coverage)>,
    /// Rows that were seen.
    pub rows: u64,
    /// Of them those that all proposals together make good.
    pub gained: u64,
}

impl Measure {
    /// Nothing seen yet.
    pub fn new(proposals: Vec<Proposal>) -> Measure {
        let all = proposals.iter().flat_map(|proposal| proposal.fixes.clone()).collect();
        let used = proposals.iter().map(|proposal| vec![false; proposal.fixes.len()]).collect();
        let proposals = proposals.into_iter().map(|proposal| (proposal, Coverage::default()));
        Measure { proposals: proposals.collect(), used, all, rows: 0, gained: 0 }
    }

    /// Applies the proposals to rows of one feed.
    ///
    /// # Errors
    /// When Arrow cannot hold the values.
    pub fn add(&mut self, feed: &Feed, rows: &[ArchivedRow]) -> Result<(), ArrowError> {
        for ((proposal, coverage), used) in self.proposals.iter_mut().zip(&mut self.used) {
            let own = |row: &&ArchivedRow| {
                row.error_code == proposal.code && row.column == proposal.column
            };
            let own: Vec<&ArchivedRow> = rows.iter().filter(own).collect();
            let gained = feed.gained(&proposal.fixes, &own)?;
            coverage.rows += count(own.len());
            coverage.gained += count(gained.iter().flatten().count());
            for (row, _) in own.iter().zip(&gained).filter(|(_, record)| record.is_some()) {
                if used.iter().all(|used| *used) {
                    break;
                }
                feed.mark_used(&proposal.fixes, row, used);
            }
            if let Some((_, other)) = &proposal.other {
                let also = feed.gained(other, &own)?;
                let both = gained.iter().zip(&also);
                let differ =
                    both.filter(|(one, other)| one.is_some() && other.is_some() && one != other);
                coverage.ambiguous += count(differ.count());
            }
        }
        let rows: Vec<&ArchivedRow> = rows.iter().collect();
        let gained = feed.gained(&self.all, &rows)?;
        self.rows += count(rows.len());
        self.gained += count(gained.iter().flatten().count());
        Ok(())
    }

    /// The figures; proposals that gain nothing are left out, and so are fixes that no good row needs.
    pub fn finish(self) -> Measured {
        let mut proposals = self.proposals;
        for ((proposal, _), used) in proposals.iter_mut().zip(self.used) {
            let mut used = used.into_iter();
            proposal.fixes.retain(|_| used.next().unwrap_or(true));
        }
        proposals.retain(|(_, coverage)| coverage.gained > 0);
        proposals.sort_by_key(|(_, coverage)| std::cmp::Reverse(coverage.gained));
        Measured { proposals, rows: self.rows, gained: self.gained }
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

impl Proposal {
    /// What is doubtful about it, in words.
    pub fn doubt(&self, coverage: &Coverage) -> Option<String> {
        let (about, _) = self.other.as_ref().filter(|_| coverage.ambiguous > 0)?;
        Some(match coverage.ambiguous == coverage.gained {
            true => format!("no value tells whether they are not to be read {about}"),
            false => format!("{} of them could also be read {about}", coverage.ambiguous),
        })
    }
}

impl Measured {
    /// A patch file for these proposals, with comments that say what each is for.
    pub fn patch_file(&self, pipeline: &str) -> String {
        render::proposals(pipeline, self)
    }
}
