//! `rowproof failures`: the rejected rows, where they are and why.

mod analysis;
mod select;
mod top;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use rowproof_core::archive::{self, ArchivedRow, Export, Predicate, Wanted};
use rowproof_io::app::App;

use crate::args::Out;
use crate::report::{counted, grouped, line, printable};
use crate::world::World;
use crate::{OK, Usage};
pub(crate) use select::sources;
use select::{Source, archive_file};

/// Rows that `list` shows on a terminal when nothing else is asked for.
const LIST_MAX: u64 = 50;
/// Characters of an error text that `list` shows.
const ERROR_CHARS_MAX: usize = 160;

const WHERE_HELP: &str = "For which this is true, as behind WHERE in SQL, over the archive's columns: \
                          \"error_code = 'type' and row_number > 1000\"";

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List rejected rows of the current files
    List(List),
    /// Count rejected rows by reason and by what the value looks like, and say what a fix would gain
    Top(top::Args),
    /// Show everything about one rejected row
    Show(Show),
    /// Write rejected rows to one CSV or Parquet file
    Export(To),
}

/// Which rows.
#[derive(Debug, clap::Args)]
struct Filter {
    /// Of this job only, also when a newer file has replaced its rows (the start of its id will do)
    #[arg(long)]
    job: Option<String>,
    /// With this error code, e.g. `type` or `not_null`
    #[arg(long)]
    code: Option<String>,
    /// With this column to blame
    #[arg(long)]
    column: Option<String>,
    #[arg(long = "where", value_name = "CONDITION", help = WHERE_HELP)]
    condition: Option<String>,
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    out: Out,
    /// Show at most N rows [default: 50, with --json all]
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print one JSON object a line for each row
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Job and row number, as `list` prints them
    #[arg(value_name = "JOB:ROW", required_unless_present_all = ["job", "row"])]
    place: Option<String>,
    /// Job, or the start of its id
    #[arg(long, requires = "row", conflicts_with = "place")]
    job: Option<String>,
    /// Number of the row in its file, from 1
    #[arg(long, requires = "job", conflicts_with = "place")]
    row: Option<i64>,
    #[command(flatten)]
    out: Out,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct To {
    /// File to write; its name ends in .csv (text that a spreadsheet would run gets a ' in front)
    /// or .parquet
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    out: Out,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let dir = match &args.verb {
        Verb::List(list) => &list.out.dir,
        Verb::Top(top) => &top.out.dir,
        Verb::Show(show) => &show.out.dir,
        Verb::Export(to) => &to.out.dir,
    };
    let world = World::open(dir).await?;
    let done = match &args.verb {
        Verb::List(args) => list(&world.app, args).await,
        Verb::Top(args) => top::run(&world.app, args).await,
        Verb::Show(args) => show(&world.app, args).await,
        Verb::Export(args) => export(&world.app, args).await,
    };
    world.shutdown().await;
    done.map(|()| OK)
}

/// The jobs asked for, and how many of their rows the filter lets through.
async fn filtered(app: &App, filter: &Filter) -> anyhow::Result<(Vec<Source>, Wanted, u64)> {
    let mut sources = sources(app, filter.job.as_deref()).await?;
    let condition = filter.condition.as_deref().map(Predicate::parse).transpose();
    let wanted = Wanted {
        code: filter.code.clone(),
        column: filter.column.clone(),
        condition: condition.map_err(|error| Usage(format!("--where: {error}")))?,
        ..Wanted::default()
    };
    sources.retain(|source| source.rows_with(&wanted) > 0);
    let mut rows = sources.iter().map(|source| source.rows_with(&wanted)).sum();
    if wanted.condition.is_some() {
        rows = 0;
        let mut matching = vec![];
        for source in sources {
            let own = rows_matching(app, &source, &wanted).await?;
            rows += own;
            if own > 0 {
                matching.push(source);
            }
        }
        sources = matching;
    }
    if rows == 0 && wanted != Wanted::default() {
        eprintln!("no rejected row is like that; `rowproof failures top` shows what there is");
    }
    Ok((sources, wanted, rows))
}

/// Counts by reading: a manifest tells codes and columns only.
async fn rows_matching(app: &App, source: &Source, wanted: &Wanted) -> anyhow::Result<u64> {
    let mut rows = 0;
    for file in &source.manifest.failures {
        for batch in archive::read(archive_file(app, source, file).await?, wanted)? {
            rows += u64::try_from(batch?.num_rows())?;
        }
    }
    Ok(rows)
}

async fn list(app: &App, args: &List) -> anyhow::Result<()> {
    let (sources, wanted, rows) = filtered(app, &args.filter).await?;
    let limit = args.limit.unwrap_or(if args.json { u64::MAX } else { LIST_MAX });
    let mut left = limit;
    for source in &sources {
        if left > 0 && !args.json {
            let facts = &source.job.facts;
            line(&format!("job {} {} {}", facts.job, source.job.state.as_str(), facts.object.key));
        }
        for file in &source.manifest.failures {
            if left == 0 {
                break;
            }
            for batch in archive::read(archive_file(app, source, file).await?, &wanted)? {
                for row in archive::rows(&batch?)?.take(usize::try_from(left).unwrap_or(usize::MAX))
                {
                    left -= 1;
                    match args.json {
                        true => line(&serde_json::to_string(&row)?),
                        false => print_row(&row),
                    }
                }
            }
        }
    }
    if !args.json {
        print_list_end(args, (rows, limit), &sources);
    }
    Ok(())
}

fn print_row(row: &ArchivedRow) {
    let error = printable(&row.error, ERROR_CHARS_MAX);
    line(&format!("  row {:<10} {:<18} {error}", row.row_number, row.error_code));
}

fn print_list_end(args: &List, (rows, limit): (u64, u64), sources: &[Source]) {
    if rows > limit {
        line(&format!("{} of {} rows; more with --limit", grouped(limit), grouped(rows)));
    } else {
        line(&format!("{} rejected", counted(rows, "row")));
    }
    if let Some(source) = sources.first() {
        let (job, dir) = (&source.job.facts.job, args.out.dir.display());
        line(&format!("next: rowproof failures show {job}:ROW --out {dir}"));
    }
}

async fn show(app: &App, args: &Show) -> anyhow::Result<()> {
    let (job, number) = match (&args.place, &args.job, args.row) {
        (Some(place), ..) => place_of(place)?,
        (None, Some(job), Some(row)) => (job.as_str(), row),
        (None, ..) => return Err(Usage("give JOB:ROW, or --job and --row".into()).into()),
    };
    let wanted = Wanted { row: Some(number), ..Wanted::default() };
    let sources = sources(app, Some(job)).await?;
    let mut found = vec![];
    for source in &sources {
        for file in &source.manifest.failures {
            for batch in archive::read(archive_file(app, source, file).await?, &wanted)? {
                found.extend(archive::rows(&batch?)?);
            }
        }
    }
    if found.is_empty() {
        let read: u64 = sources.iter().map(|source| source.manifest.totals.counts.read).sum();
        let why = match u64::try_from(number).is_ok_and(|number| (1..=read).contains(&number)) {
            true => "was not rejected",
            false => "is not in the file",
        };
        let read = counted(read, "row");
        return Err(Usage(format!("row {number} {why}: job {job} read {read}")).into());
    }
    for row in &found {
        if args.json {
            line(&serde_json::to_string(row)?);
            continue;
        }
        for (name, text) in row.texts().into_iter().filter(|(name, _)| *name != "raw_data") {
            let text = text.map_or("-".to_owned(), |text| printable(&text, usize::MAX));
            line(&format!("{name:<15} {text}"));
        }
        let raw = row.raw_data.as_deref().map(|raw| printable(raw, usize::MAX));
        let none = "- (the pipeline keeps none of it; see byte_start and byte_end)".to_owned();
        line(&format!("{:<15} {}", "raw_data", raw.unwrap_or(none)));
    }
    Ok(())
}

/// `JOB:ROW`.
fn place_of(text: &str) -> Result<(&str, i64), Usage> {
    let parts = text.rsplit_once(':').and_then(|(job, row)| Some((job, row.parse().ok()?)));
    parts.ok_or_else(|| Usage(format!("{text:?} is not JOB:ROW, such as `b2kx:17`")))
}

async fn export(app: &App, args: &To) -> anyhow::Result<()> {
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
    let mut export = if is_csv { Export::csv(to)? } else { Export::parquet(to)? };
    let mut rows = 0;
    for source in sources {
        for file in &source.manifest.failures {
            for batch in archive::read(archive_file(app, source, file).await?, wanted)? {
                let batch = batch?;
                export.append(&batch)?;
                rows += u64::try_from(batch.num_rows())?;
            }
        }
    }
    export.finish()?.flush()?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_job_and_a_row() {
        assert_eq!(place_of("b2kx:17").unwrap(), ("b2kx", 17));
        for text in ["b2kx", "b2kx:", "b2kx:last", ""] {
            assert!(place_of(text).unwrap_err().to_string().contains("JOB:ROW"), "{text}");
        }
    }

    #[test]
    fn an_export_grows_beside_its_place() {
        assert_eq!(partial(Path::new("a/b.csv")), Path::new("a/b.csv.partial"));
    }
}
