//! `rowproof failures show`: everything about one rejected row.

use rowproof_core::archive::{self, ArchivedRow, Wanted};
use rowproof_core::patch::{NamedField, named_fields};
use rowproof_io::app::App;
use rowproof_io::documents::job::layout_of;
use serde_json::json;

use super::select::{Source, archive_file, sources};
use crate::exit::Usage;
use crate::options::Out;
use crate::show::report::{counted, line, printable};

/// Characters of a field that are shown on a terminal.
const FIELD_CHARS_MAX: usize = 200;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
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
    pub(super) out: Out,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Shows the row.
pub(super) async fn run(app: &App, args: &Args) -> anyhow::Result<()> {
    let (job, number) = match (&args.place, &args.job, args.row) {
        (Some(place), ..) => place_of(place)?,
        (None, Some(job), Some(row)) => (job.as_str(), row),
        (None, ..) => return Err(Usage("give JOB:ROW, or --job and --row".into()).into()),
    };
    let wanted = Wanted { row: Some(number), ..Wanted::default() };
    let sources = sources(app, Some(job)).await?;
    let mut found = false;
    for source in &sources {
        for file in &source.manifest.failures {
            for batch in archive::read(archive_file(app, source, file).await?, &wanted)? {
                for row in archive::rows(&batch?)? {
                    print(args, &row, fields_of(app, source, &row).await)?;
                    found = true;
                }
            }
        }
    }
    if found {
        return Ok(());
    }
    let read: u64 = sources.iter().map(|source| source.manifest.totals.counts.read).sum();
    let why = match u64::try_from(number).is_ok_and(|number| (1..=read).contains(&number)) {
        true => "was not rejected",
        false => "is not in the file",
    };
    let read = counted(read, "row");
    Err(Usage(format!("row {number} {why}: job {job} read {read}")).into())
}

/// The record's fields; `None` when it has none, or when what its job ran under is gone.
async fn fields_of(app: &App, source: &Source, row: &ArchivedRow) -> Option<Vec<NamedField>> {
    let ready = app.pipelines.frozen(&source.job.facts.pipeline_sha).await.ok()?;
    let layout = layout_of(app, &source.job).await.ok()?;
    named_fields(&ready.pipeline, &layout, row)
}

fn print(args: &Args, row: &ArchivedRow, fields: Option<Vec<NamedField>>) -> anyhow::Result<()> {
    if args.json {
        let mut object = serde_json::to_value(row)?;
        let fields = fields.map(|fields| {
            let field = |NamedField { name, text, at_fault }: NamedField| {
                json!({ "name": name, "text": text, "at_fault": at_fault })
            };
            fields.into_iter().map(field).collect::<Vec<_>>()
        });
        if let Some(object) = object.as_object_mut() {
            object.insert("fields".to_owned(), json!(fields));
        }
        line(&object.to_string());
        return Ok(());
    }
    for (name, text) in row.texts().into_iter().filter(|(name, _)| *name != "raw_data") {
        let text = text.map_or("-".to_owned(), |text| printable(&text, usize::MAX));
        line(&format!("{name:<15} {text}"));
    }
    let raw = row.raw_data.as_deref().map(|raw| printable(raw, usize::MAX));
    let none = "- (the pipeline keeps none of it; see byte_start and byte_end)".to_owned();
    line(&format!("{:<15} {}", "raw_data", raw.unwrap_or(none)));
    for NamedField { name, text, at_fault } in fields.unwrap_or_default() {
        let text = text.map_or("-".to_owned(), |text| printable(&text, FIELD_CHARS_MAX));
        let blame = match at_fault {
            true => format!("   <- {}", row.error_code),
            false => String::new(),
        };
        line(&format!("  {:<13} {text}{blame}", printable(&name, usize::MAX)));
    }
    Ok(())
}

/// `JOB:ROW`.
fn place_of(text: &str) -> Result<(&str, i64), Usage> {
    let parts = text.rsplit_once(':').and_then(|(job, row)| Some((job, row.parse().ok()?)));
    parts.ok_or_else(|| Usage(format!("{text:?} is not JOB:ROW, such as `b2kx:17`")))
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
}
