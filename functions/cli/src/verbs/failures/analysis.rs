//! What rejected values look like, and what fixes would gain: read from the archives.

use std::collections::BTreeMap;

use anyhow::Context;
use rowproof_core::archive::{self, ArchivedRow, Wanted};
use rowproof_core::patch::{Feed, Measure, Measured, NullWords, ShapeCount, Survey};
use rowproof_io::app::App;
use rowproof_io::documents::job::layout_of;

use super::select::{Source, archive_file};

/// Rows of one pipeline that are read.
const ROWS_MAX: u64 = 1_000_000;

/// The rejected rows of one pipeline.
pub(super) struct Analysis {
    pub(super) pipeline: String,
    survey: Survey,
    pub(super) measured: Measured,
    /// Words that one line of the pipeline file would read as NULL.
    pub(super) null_words: Option<NullWords>,
}

impl Analysis {
    /// Reads the archives of these jobs, by pipeline.
    pub(super) async fn of(app: &App, sources: &[Source]) -> anyhow::Result<Vec<Analysis>> {
        let mut by_pipeline: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
        for source in sources.iter().filter(|source| !source.manifest.failures.is_empty()) {
            by_pipeline.entry(&source.job.facts.pipeline).or_default().push(source);
        }
        let mut analyses = vec![];
        for (pipeline, sources) in by_pipeline {
            analyses.push(one(app, pipeline, &sources).await?);
        }
        Ok(analyses)
    }

    /// What the values of a code and column look like, most rows first; how many rows have other shapes.
    pub(super) fn shapes(&self, code: &str, column: Option<&str>) -> (Vec<ShapeCount>, u64) {
        self.survey.shapes(code, column)
    }
}

impl Analysis {
    /// Whether a shape of any value is known.
    pub(super) fn has_shapes(&self) -> bool {
        self.survey.has_shapes()
    }
}

async fn one(app: &App, pipeline: &str, sources: &[&Source]) -> anyhow::Result<Analysis> {
    let mut feeds = vec![];
    for source in sources {
        feeds.push(feed(app, source).await?);
    }
    let mut survey = Survey::default();
    let count = |number: usize, feed: &Feed, rows: Vec<ArchivedRow>| -> anyhow::Result<()> {
        rows.into_iter().for_each(|row| survey.add(number, feed, row));
        Ok(())
    };
    each_batch(app, sources, &feeds, count).await?;
    let mut measure = Measure::new(survey.propose(&feeds)?);
    let apply = |_, feed: &Feed, rows: Vec<ArchivedRow>| Ok(measure.add(feed, &rows)?);
    each_batch(app, sources, &feeds, apply).await?;
    let null_words = survey.null_words(&feeds);
    Ok(Analysis { pipeline: pipeline.to_owned(), survey, measured: measure.finish(), null_words })
}

async fn feed(app: &App, source: &Source) -> anyhow::Result<Feed> {
    let facts = &source.job.facts;
    let ready = app.pipelines.frozen(&facts.pipeline_sha).await?;
    let layout = layout_of(app, &source.job).await?;
    let feed = Feed::new(&ready.pipeline, &layout, &facts.captures);
    feed.map_err(|problems| {
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", problems.join("; "))
    })
    .with_context(|| format!("the pipeline of job {}", facts.job))
}

/// Gives the rows batch by batch, with their feed and its number.
async fn each_batch(
    app: &App,
    sources: &[&Source],
    feeds: &[Feed],
    mut take: impl FnMut(usize, &Feed, Vec<ArchivedRow>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut left = ROWS_MAX;
    for (number, (source, feed)) in sources.iter().zip(feeds).enumerate() {
        for file in &source.manifest.failures {
            if left == 0 {
                return Ok(());
            }
            let bytes = archive_file(app, source, file).await?;
            for batch in archive::read(bytes, &Wanted::default())? {
                let most = usize::try_from(left).unwrap_or(usize::MAX);
                let rows: Vec<_> = archive::rows(&batch?)?.take(most).collect();
                left -= u64::try_from(rows.len())?;
                take(number, feed, rows)?;
            }
        }
    }
    Ok(())
}
