//! `rowproof failures export`: rejected rows in one file, to be corrected by hand or looked at.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rowproof_core::archive::{self, ArchivedRow, Export, Wanted};
use rowproof_core::block::Layout;
use rowproof_core::patch::column_texts;
use rowproof_core::pipeline::{Column, ColumnSource};
use rowproof_io::app::App;
use rowproof_io::documents::job::layout_of;
use rowproof_io::pipelines::Ready;

use super::select::{Source, archive_file};
use super::{Filter, filtered};
use crate::exit::Usage;
use crate::options::Out;
use crate::show::report::{counted, line};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File to write; its name ends in .csv (with the record's fields behind the archive's columns, and a
    /// ' in front of text that a spreadsheet would run) or .parquet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    pub(super) out: Out,
}

/// Writes the file.
pub(super) async fn run(app: &App, args: &Args) -> anyhow::Result<()> {
    let extension = args.to.extension().and_then(|extension| extension.to_str());
    let is_csv = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => true,
        Some("parquet") => false,
        _ => {
            let text = format!("{}: give a name that ends in .csv or .parquet", args.to.display());
            return Err(Usage(text).into());
        }
    };
    let (sources, wanted, _) = filtered(app, &args.filter).await?;
    let part = partial(&args.to);
    let file = File::create(&part)
        .map_err(|error| Usage(format!("{}: {error}; give another --to", args.to.display())))?;
    let written = write(app, BufWriter::new(file), is_csv, &sources, &wanted).await;
    let rows = match written {
        Ok(rows) => rows,
        Err(error) => {
            drop(std::fs::remove_file(&part));
            return Err(error);
        }
    };
    std::fs::rename(&part, &args.to).with_context(|| args.to.display().to_string())?;
    line(&format!("{}: {}", args.to.display(), counted(rows, "rejected row")));
    if is_csv && rows > 0 {
        let to = args.to.display();
        line(&format!(
            "correct raw_data, or value for the field at fault (the columns field.* are for reading), then:\n\
             next: rowproof replay --fixed {to} --dry-run --out {}",
            args.out.dir.display()
        ));
    }
    Ok(())
}

/// Where an export grows until it is whole.
fn partial(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    to.with_file_name(name)
}

async fn write(
    app: &App,
    to: BufWriter<File>,
    is_csv: bool,
    sources: &[Source],
    wanted: &Wanted,
) -> anyhow::Result<u64> {
    let mut feeds = vec![];
    if is_csv {
        for source in sources {
            feeds.push(Feed::of(app, source).await);
        }
    }
    let mut names: Vec<String> = vec![];
    for name in feeds.iter().flatten().flat_map(Feed::names) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let mut export = if is_csv { Export::csv(to, &names)? } else { Export::parquet(to)? };
    let mut rows = 0;
    for (number, source) in sources.iter().enumerate() {
        let feed = feeds.get(number).and_then(Option::as_ref);
        let fields = |row: &ArchivedRow| feed.map_or(vec![], |feed| feed.texts(&names, row));
        for file in &source.manifest.failures {
            for batch in archive::read(archive_file(app, source, file).await?, wanted)? {
                let batch = batch?;
                export.append(&batch, &fields)?;
                rows += u64::try_from(batch.num_rows())?;
            }
        }
    }
    export.finish()?.flush()?;
    Ok(rows)
}

/// What a job's records are cut into fields with.
struct Feed {
    ready: Arc<Ready>,
    layout: Layout,
    /// Columns that a field feeds.
    names: Vec<String>,
}

impl Feed {
    /// `None` when what the job ran under is gone: its rows come without their fields.
    async fn of(app: &App, source: &Source) -> Option<Feed> {
        let ready = app.pipelines.frozen(&source.job.facts.pipeline_sha).await.ok()?;
        let layout = layout_of(app, &source.job).await.ok()?;
        let fed = |column: &&Column| matches!(column.from, ColumnSource::Field(_));
        let fed = ready.pipeline.columns.iter().filter(fed);
        let names = fed.map(|column| column.name.clone()).collect();
        Some(Feed { ready, layout, names })
    }

    fn names(&self) -> &[String] {
        &self.names
    }

    /// Texts of the columns of these names.
    fn texts(&self, names: &[String], row: &ArchivedRow) -> Vec<Option<String>> {
        let columns = &self.ready.pipeline.columns;
        let mut texts = column_texts(&self.ready.pipeline, &self.layout, row);
        let mut text = |name: &String| {
            let index = columns.iter().position(|column| column.name == *name)?;
            texts.get_mut(index)?.take()
        };
        names.iter().map(&mut text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_grows_beside_its_place() {
        assert_eq!(partial(Path::new("a/b.csv")), Path::new("a/b.csv.partial"));
    }
}
