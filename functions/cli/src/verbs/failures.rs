//! `rowproof failures`: the rejected rows, where they are and why.

mod analysis;
mod export;
mod select;
mod show;
mod top;

use rowproof_core::archive::{self, ArchivedRow, Predicate, Wanted};
use rowproof_io::app::App;

use crate::exit::{OK, Usage};
use crate::local::world::World;
use crate::options::Out;
use crate::show::report::{counted, grouped, line, printable};
pub(crate) use select::sources;
use select::{Source, archive_file};

/// Rows that `list` shows on a terminal when nothing else is asked for.
const LIST_MAX: u64 = 50;
/// Characters of an error text that `list` shows.
const ERROR_CHARS_MAX: usize = 160;
/// Characters of a value behind it.
const VALUE_CHARS_MAX: usize = 60;

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
    Show(show::Args),
    /// Write rejected rows to one CSV or Parquet file
    Export(export::Args),
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
        Verb::Show(args) => show::run(&world.app, args).await,
        Verb::Export(args) => export::run(&world.app, args).await,
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
    let error = printable(&told(&row.error, row.value.as_deref()), ERROR_CHARS_MAX);
    line(&format!("  row {:<10} {:<18} {error}", row.row_number, row.error_code));
}

/// A reason with the value, as far as the archive shows it: `area: not an int64: "0.44"`.
pub(crate) fn told(error: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{error}: \"{}\"", printable(value, VALUE_CHARS_MAX)),
        None => error.to_owned(),
    }
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
