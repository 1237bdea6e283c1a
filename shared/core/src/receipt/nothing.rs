//! Versions of a file that leave nothing: whether an operator decides before they take rows away.

use super::Counts;
use crate::ledger::HoldReason;
use crate::pipeline::{Format, OnEmpty, Pipeline, Replaces, Sink, WriteMode};

/// A file as it was read.
#[derive(Debug, Clone, Copy)]
pub struct AsRead<'a> {
    /// The pipeline it was read by.
    pub pipeline: &'a Pipeline,
    /// It ends before the header that its format has.
    pub headless: bool,
    /// Bytes as stored.
    pub bytes: u64,
    /// Its rows.
    pub counts: Counts,
}

impl AsRead<'_> {
    /// Whether no row of it is good.
    pub fn is_rowless(&self) -> bool {
        self.counts.loaded + self.counts.unchanged == 0
    }

    /// Whether committing it would take rows away that are visible in its place, if there are any.
    pub fn takes_rows_away(&self) -> bool {
        self.is_rowless()
            && match &self.pipeline.sink {
                Sink::Parquet(_) => self.pipeline.source.replaces != Replaces::Nothing,
                Sink::Postgres(sink) => {
                    sink.mode == WriteMode::DeleteInsert || sink.delete_missing.is_some()
                }
            }
    }

    /// Neither a record nor, where the format has one, a header.
    fn is_empty(&self) -> bool {
        self.counts.read == 0 && (self.headless || !self.wants_header())
    }

    fn wants_header(&self) -> bool {
        matches!(&self.pipeline.source.format, Format::Csv(dialect) if dialect.header)
    }
}

/// Why the job is to be HELD before a file that leaves nothing takes the place of `visible` rows.
///
/// A file that holds nothing is held whatever is visible: it is an upload that broke off far more often
/// than a table that has no rows. A header without rows, and a file of bad rows alone, are held where rows
/// would go. `empty = "accept"` says that files without a record mean what they say.
pub fn over_nothing(file: &AsRead<'_>, visible: u64) -> Option<(HoldReason, String)> {
    let accepted = file.pipeline.source.empty == OnEmpty::Accept;
    let takes = file.takes_rows_away() && visible > 0;
    if file.counts.read == 0 && accepted {
        return None;
    }
    if file.is_empty() {
        let nothing = if file.wants_header() { "no header and no row" } else { "no row" };
        let mut text = match file.bytes {
            0 => "the object has 0 bytes".to_owned(),
            bytes => format!("the object's {bytes} bytes hold {nothing}"),
        };
        text.push_str(": an upload that broke off, or a placeholder, looks like that");
        if takes {
            text.push_str(&format!(
                "; approved, it takes the place of the {visible} rows visible now"
            ));
        }
        text.push_str("; empty = \"accept\" in [source] takes such files as they are");
        return Some((HoldReason::Empty, text));
    }
    takes.then(|| {
        let rows = match file.counts.read {
            0 => "the file has a header and no rows".to_owned(),
            read => format!("none of the file's {read} rows is good"),
        };
        let text =
            format!("{rows}; approved, it takes the place of the {visible} rows visible now");
        (HoldReason::NoRows, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{column, pipeline};
    use crate::pipeline::ColumnType;

    fn counts(read: u64, loaded: u64) -> Counts {
        Counts { read, loaded, rejected: read - loaded, ..Counts::default() }
    }

    fn judged(
        change: impl Fn(&mut Pipeline),
        (headless, counts): (bool, Counts),
        visible: u64,
    ) -> Option<HoldReason> {
        let mut pipeline = pipeline(vec![column("id", ColumnType::Int(64))]);
        change(&mut pipeline);
        let file = AsRead { pipeline: &pipeline, headless, bytes: 9, counts };
        over_nothing(&file, visible).map(|(reason, _)| reason)
    }

    #[test]
    fn a_file_that_holds_nothing_waits_and_one_without_good_rows_does_where_rows_would_go() {
        let as_is = |_: &mut Pipeline| {};
        let accept = |pipeline: &mut Pipeline| pipeline.source.empty = OnEmpty::Accept;
        let appends = |pipeline: &mut Pipeline| pipeline.source.replaces = Replaces::Nothing;
        let jsonl = |pipeline: &mut Pipeline| {
            let unknown_fields = crate::pipeline::UnknownFields::Ignore;
            pipeline.source.format = Format::Jsonl(crate::pipeline::JsonlOptions {
                unknown_fields,
                ..Default::default()
            });
        };
        let (nothing, header) = ((true, counts(0, 0)), (false, counts(0, 0)));
        let (bad, good) = ((false, counts(3, 0)), (false, counts(3, 1)));
        let (empty, no_rows) = (Some(HoldReason::Empty), Some(HoldReason::NoRows));
        for visible in [0, 5] {
            assert_eq!(judged(as_is, nothing, visible), empty);
            assert_eq!(judged(appends, nothing, visible), empty);
            assert_eq!(judged(jsonl, header, visible), empty, "records need no header");
            assert_eq!(judged(accept, nothing, visible), None);
            assert_eq!(judged(accept, header, visible), None);
            assert_eq!(judged(appends, header, visible), None);
            assert_eq!(judged(appends, bad, visible), None);
            assert_eq!(judged(as_is, good, visible), None);
        }
        assert_eq!([header, bad].map(|file| judged(as_is, file, 0)), [None, None]);
        assert_eq!([header, bad].map(|file| judged(as_is, file, 5)), [no_rows, no_rows]);
        assert_eq!(judged(accept, bad, 5), no_rows, "bad rows are no empty file");
    }
}
