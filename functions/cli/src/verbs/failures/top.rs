//! `rowproof failures top`: why rows were rejected, what the values look like, what a fix would gain.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rowproof_core::patch::{Coverage, Fix, NullWords, Operation, Proposal, ShapeCount};
use rowproof_io::app::App;
use serde_json::{Value, json};

use super::analysis::Analysis;
use super::select::{Source, sources};
use crate::exit::Usage;
use crate::options::Out;
use crate::show::report::{counted, grouped, line, printable};

/// Shapes of one reason that are shown on a terminal.
const SHAPES_SHOWN: usize = 5;

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Of this job only (the start of its id will do)
    #[arg(long)]
    job: Option<String>,
    /// Write the fixes that would gain rows to a new patch file, for `rowproof replay --patch FILE`
    #[arg(long, value_name = "FILE")]
    write_patch: Option<PathBuf>,
    #[command(flatten)]
    pub(super) out: Out,
    /// Print one JSON object a line for each reason
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "Under each reason stand the shapes of the values, each with one of them: 9 for \
                          digits, A and a for letters, everything else as it is, each once: 1.234,56 is 9.9,9. What \
                          a fix covers is measured by applying it to the rows; columns that the archive masks are \
                          taken as good.";
/// What a shape means, once under a list that shows some.
const LEGEND: &str = "shapes: 9 is digits, A and a are letters, every other character is itself, each once \
                      however often it follows itself";

/// Rows and jobs by code and column.
type Counts<'a> = BTreeMap<(&'a str, Option<&'a str>), (u64, u64)>;

/// Runs the verb.
pub(super) async fn run(app: &App, args: &Args) -> anyhow::Result<()> {
    let sources = sources(app, args.job.as_deref()).await?;
    let mut counts = Counts::new();
    for reason in sources.iter().flat_map(|source| &source.manifest.totals.reasons) {
        let (rows, jobs) = counts.entry((&reason.code, reason.column.as_deref())).or_default();
        *rows += reason.rows;
        *jobs += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.0.cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
    let all: u64 = counts.iter().map(|(_, (rows, _))| rows).sum();
    let analyses = Analysis::of(app, &sources).await?;
    for ((code, column), (rows, jobs)) in &counts {
        let reason = Reason { code, column: *column, rows: *rows, jobs: *jobs };
        match args.json {
            true => line(&reason.json(&analyses, all).to_string()),
            false => reason.print(&analyses, all),
        }
    }
    if !args.json {
        print_end(args, &sources, &analyses, all)?;
    }
    match &args.write_patch {
        Some(file) => write_patch(args, &sources, &analyses, file),
        None => Ok(()),
    }
}

/// One line of the list.
struct Reason<'a> {
    code: &'a str,
    column: Option<&'a str>,
    rows: u64,
    jobs: u64,
}

impl Reason<'_> {
    fn proposals<'a>(
        &self,
        analyses: &'a [Analysis],
    ) -> impl Iterator<Item = (&'a Analysis, &'a Proposal, &'a Coverage)> {
        analyses.iter().flat_map(move |analysis| {
            let own = analysis.measured.proposals.iter().filter(|(proposal, _)| {
                proposal.code == self.code && proposal.column.as_deref() == self.column
            });
            own.map(move |(proposal, coverage)| (analysis, proposal, coverage))
        })
    }

    /// Shapes of all pipelines, most rows first; one without a shape is the rows whose value is not shown.
    fn shapes(&self, analyses: &[Analysis]) -> (Vec<ShapeCount>, u64) {
        let mut all: Vec<ShapeCount> = vec![];
        let mut others = 0;
        for analysis in analyses {
            let (shapes, more) = analysis.shapes(self.code, self.column);
            for count in shapes {
                match all.iter_mut().find(|other| other.shape == count.shape) {
                    Some(other) => other.rows += count.rows,
                    None => all.push(count),
                }
            }
            others += more;
        }
        all.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.shape.cmp(&b.shape)));
        (all, others)
    }

    /// The line for the pipeline file that would do what this proposal does, in every column.
    fn advice<'a>(&self, analysis: &'a Analysis, proposal: &Proposal) -> Option<&'a NullWords> {
        let words = analysis.null_words.as_ref()?;
        let only_words =
            proposal.fixes.iter().all(|fix| matches!(fix.operation, Operation::SetNull));
        let is_covered = self.column.is_some_and(|column| words.columns.contains(column));
        (only_words && is_covered).then_some(words)
    }

    fn json(&self, analyses: &[Analysis], all: u64) -> Value {
        let (shapes, other_shapes) = self.shapes(analyses);
        let shapes: Vec<_> = shapes
            .into_iter()
            .map(|count| json!({ "shape": count.shape, "rows": count.rows, "example": count.example }))
            .collect();
        let fixes = self.proposals(analyses).map(|(analysis, proposal, coverage)| {
            let fix: Vec<_> = proposal.fixes.iter().map(Fix::to_toml).collect();
            json!({
                "pipeline": analysis.pipeline,
                "about": proposal.about,
                "covers": coverage.gained,
                "of": all,
                "ambiguous": coverage.ambiguous,
                "doubt": proposal.doubt(coverage),
                "fix": fix,
                "pipeline_file": self.advice(analysis, proposal).map(NullWords::toml),
            })
        });
        let fixes: Vec<_> = fixes.collect();
        json!({
            "code": self.code,
            "column": self.column,
            "rows": self.rows,
            "jobs": self.jobs,
            "shapes": shapes,
            "other_shapes": other_shapes,
            "fixes": fixes,
        })
    }

    fn print(&self, analyses: &[Analysis], all: u64) {
        let column = self.column.map(|name| format!(" in {name}")).unwrap_or_default();
        let jobs = counted(self.jobs, "job");
        line(&format!("{:>9} {}{column}, {jobs}", grouped(self.rows), self.code));
        let (shapes, mut others) = self.shapes(analyses);
        if shapes.iter().any(|count| count.shape.is_some()) {
            for (index, count) in shapes.iter().enumerate() {
                if index >= SHAPES_SHOWN {
                    others += count.rows;
                    continue;
                }
                line(&format!("{:>19}  {}", grouped(count.rows), shown(count)));
            }
            if others > 0 {
                line(&format!("{:>19}  of other shapes", grouped(others)));
            }
        }
        for (analysis, proposal, coverage) in self.proposals(analyses) {
            let pipeline = match analyses {
                [_] => String::new(),
                _ => format!(" of pipeline {}", analysis.pipeline),
            };
            let share = covered(coverage.gained, all);
            line(&format!("          fix{pipeline}: {}: covers {share}", proposal.about));
            if let Some(words) = self.advice(analysis, proposal) {
                line(&format!("               in the pipeline file: {}, see below", words.toml()));
                continue;
            }
            for fix in &proposal.fixes {
                let column = fix.column.as_deref().unwrap_or("the record");
                let what = printable(&fix.operation.to_toml(), 200);
                line(&format!("               {column}: {what}"));
            }
            if let Some(doubt) = proposal.doubt(coverage) {
                line(&format!("               look twice: {doubt}"));
            }
        }
    }
}

/// `9a9    such as "1e3"`.
fn shown(count: &ShapeCount) -> String {
    let shape = match count.shape.as_deref() {
        Some("") => return "(empty)".to_owned(),
        Some(shape) => printable(shape, usize::MAX),
        None => return "(no value, or not shown)".to_owned(),
    };
    match &count.example {
        Some(example) => format!("{shape:<12}  such as \"{}\"", printable(example, usize::MAX)),
        None => shape,
    }
}

/// `812 of 1,010 rejected rows (80 %)`.
fn covered(gained: u64, all: u64) -> String {
    let percent = gained.saturating_mul(100) / all.max(1);
    format!("{} of {} ({percent} %)", grouped(gained), counted(all, "rejected row"))
}

fn print_end(
    args: &Args,
    sources: &[Source],
    analyses: &[Analysis],
    all: u64,
) -> anyhow::Result<()> {
    let read: u64 = sources.iter().map(|source| source.manifest.totals.counts.read).sum();
    let jobs = counted(u64::try_from(sources.len())?, "job");
    line(&format!("{:>9} of {} rejected in {jobs}", grouped(all), counted(read, "row")));
    let seen: u64 = analyses.iter().map(|analysis| analysis.measured.rows).sum();
    if seen < all {
        line(&format!("shapes and fixes are those of the first {} rows", grouped(seen)));
    }
    if analyses.iter().any(Analysis::has_shapes) {
        line(LEGEND);
    }
    for analysis in analyses {
        print_advice(analysis);
    }
    let fixes: usize = analyses.iter().map(|analysis| analysis.measured.proposals.len()).sum();
    if fixes == 0 {
        return Ok(());
    }
    let gained: u64 = analyses.iter().map(|analysis| analysis.measured.gained).sum();
    if fixes > 1 {
        line(&format!("all fixes together cover {}", covered(gained, all)));
    }
    if args.write_patch.is_none() {
        let (job, dir) = (job_option(args, sources), args.out.dir.display());
        line(&format!("next: rowproof failures top --write-patch fixes.toml{job} --out {dir}"));
    }
    Ok(())
}

/// One line for the pipeline file instead of a fix for each column.
fn print_advice(analysis: &Analysis) {
    let Some(words) = &analysis.null_words else { return };
    let pipeline = &analysis.pipeline;
    let columns = counted(u64::try_from(words.columns.len()).unwrap_or(u64::MAX), "column");
    let rows = counted(words.rows, "row");
    let named: Vec<_> = words.words.iter().map(|word| printable(word, usize::MAX)).collect();
    line(&format!(
        "advice: {} stands for no value in {columns} ({rows}): write {} under [source] of the pipeline file \
         of {pipeline} and run it again",
        named.join(", "),
        words.toml()
    ));
}

/// The job, where a command needs it.
fn job_option(args: &Args, sources: &[Source]) -> String {
    match (&args.job, sources) {
        (Some(_), [source]) => format!(" --job {}", source.job.facts.job),
        (_, _) => String::new(),
    }
}

fn write_patch(
    args: &Args,
    sources: &[Source],
    analyses: &[Analysis],
    file: &Path,
) -> anyhow::Result<()> {
    let analysis = match analyses {
        [analysis] => analysis,
        [] => return Err(Usage("no row was rejected: there is nothing to fix".into()).into()),
        several => {
            let names: Vec<_> = several.iter().map(|analysis| analysis.pipeline.as_str()).collect();
            let text = format!(
                "rows of {} were rejected, and a patch is for one pipeline: name a job by --job",
                names.join(" and ")
            );
            return Err(Usage(text).into());
        }
    };
    if analysis.measured.proposals.is_empty() {
        anyhow::bail!(
            "no fix is known that would gain a row; `rowproof failures export --to FILE.csv` writes them \
             to be corrected by hand"
        );
    }
    let text = analysis.measured.patch_file(&analysis.pipeline);
    // What stands there may have been edited.
    let created = File::create_new(file);
    let mut created =
        created.map_err(|error| Usage(format!("{}: {error}; name a new file", file.display())))?;
    created.write_all(text.as_bytes())?;
    if !args.json {
        let reasons = counted(u64::try_from(analysis.measured.proposals.len())?, "reason");
        let file = file.display();
        line(&format!("{file}: fixes for {reasons}; read it before you use it"));
        let mut with_rows = sources.iter().filter(|source| !source.manifest.failures.is_empty());
        let job = match (with_rows.next(), with_rows.next()) {
            (Some(source), None) => format!(" --job {}", source.job.facts.job),
            _ => " --job JOB".to_owned(),
        };
        let dir = args.out.dir.display();
        line(&format!("next: rowproof replay{job} --patch {file} --dry-run --out {dir}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::covered;

    #[test]
    fn a_share_is_never_rounded_up() {
        assert_eq!(covered(812, 1010), "812 of 1,010 rejected rows (80 %)");
        assert_eq!(covered(999, 1000), "999 of 1,000 rejected rows (99 %)");
        assert_eq!(covered(1, 1), "1 of 1 rejected row (100 %)");
    }
}
