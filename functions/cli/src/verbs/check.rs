//! `rowproof check`: whether a pipeline file is right, and what it would do with a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rowproof_core::check::Contract;
use rowproof_core::pipeline::Pipeline;
use rowproof_core::toml_file::Problem;
use serde_json::{Value, json};

use crate::exit::{FAILED, HELD, OK, USAGE, Usage};
use crate::input::dry_run::{DryRun, Rejection, Verdict, dry_run};
use crate::input::inputs::{Input, check_order, parse_pipeline, place_inputs};
use crate::show::report::{grouped, line, printable};
use crate::show::summary;
use crate::verbs::failures::told;

mod table_check;

/// Characters of a rejected row that are shown on a terminal.
const RAW_CHARS_MAX: usize = 200;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 right (rejected rows included), 1 a file would fail or the table does not fit, \
                        2 the pipeline file is wrong, 3 a file would be held"
)]
pub(crate) struct Args {
    /// Pipeline file
    pub(crate) pipeline: PathBuf,
    /// Files to try it on; nothing is written
    pub(crate) inputs: Vec<PathBuf>,
    /// Compare with the table in its database: the pipeline's own dsn, or this one
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "",
          value_name = "secret:NAME|iam:PLACE|env:VARIABLE")]
    pub(crate) dsn: Option<String>,
    /// Print JSON objects, one a line: the pipeline's, then one for each file
    #[arg(long)]
    pub(crate) json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    check_order("check", &args.pipeline, &args.inputs)?;
    let parsed = match parse_pipeline(&args.pipeline)? {
        Ok(parsed) => parsed,
        Err(problems) if args.json => {
            line(&pipeline_json(&args.pipeline, None, &problems.0, &[]).to_string());
            return Ok(USAGE);
        }
        Err(problems) => return Err(Usage(problems.to_string()).into()),
    };
    let pipeline = Arc::new(parsed.pipeline);
    // Whatever this could find, the parser has reported with its line.
    let contract = Contract::compile(&pipeline).map_err(|problems| {
        let texts: Vec<_> = problems.iter().map(|problem| problem.to_string()).collect();
        Usage(texts.join("\n"))
    })?;
    let contract = Arc::new(contract);
    let warnings: Vec<_> = parsed.warnings.into_iter().chain(parsed.notes).collect();
    if args.json {
        let object = pipeline_json(&args.pipeline, Some(&pipeline), &[], &warnings);
        line(&object.to_string());
    } else {
        for warning in &warnings {
            eprintln!("warning: {warning}");
        }
        line(&format!("{}: ok", args.pipeline.display()));
        summary::lines(&pipeline).iter().for_each(|text| line(&format!("  {text}")));
    }
    let mut codes = vec![];
    if let Some(dsn) = &args.dsn {
        codes.push(table_check::run(&pipeline, dsn, args.json).await?);
    }
    for input in place_inputs(&pipeline, &args.inputs, None)? {
        if let Some(what) = input.skipped {
            print_skipped(&input, what, args.json);
            continue;
        }
        let (pipeline, contract, tried) = (pipeline.clone(), contract.clone(), input.clone());
        let tried = tokio::task::spawn_blocking(move || dry_run(&pipeline, &contract, &tried));
        let tried = tried.await??;
        match args.json {
            true => line(&input_json(&input, &tried).to_string()),
            false => print_input(&input, &tried),
        }
        codes.push(exit_code(&tried.verdict));
    }
    Ok(if codes.contains(&FAILED) { FAILED } else { codes.into_iter().max().unwrap_or(OK) })
}

fn exit_code(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Commit => OK,
        Verdict::Hold(_) => HELD,
        Verdict::Fail(..) => FAILED,
    }
}

fn pipeline_json(
    path: &Path,
    pipeline: Option<&Pipeline>,
    problems: &[Problem],
    warnings: &[Problem],
) -> Value {
    let listed = |problems: &[Problem]| -> Vec<Value> {
        let object = |problem: &Problem| {
            let Problem { file, line, name, what, write } = problem;
            json!({ "file": file, "line": line, "name": name, "what": what, "write": write })
        };
        problems.iter().map(object).collect()
    };
    json!({
        "pipeline": path.display().to_string(),
        "name": pipeline.map(|pipeline| &pipeline.name),
        "ok": problems.is_empty(),
        "problems": listed(problems),
        "warnings": listed(warnings),
    })
}

fn input_json(input: &Input, tried: &DryRun) -> Value {
    let (would, code, message) = match &tried.verdict {
        Verdict::Commit => ("commit", None, None),
        Verdict::Hold(message) => ("hold", None, Some(message)),
        Verdict::Fail(code, message) => ("fail", Some(code), Some(message)),
    };
    json!({
        "input": input.path.display().to_string(),
        "would": would,
        "code": code,
        "message": message,
        "note": tried.note,
        "rows_read": tried.counts.read,
        "rows_loaded": tried.counts.loaded,
        "rows_rejected": tried.counts.rejected,
        "new_columns": tried.new_columns,
        "missing_columns": tried.missing_columns,
        "reasons": tried.rejections,
    })
}

fn print_skipped(input: &Input, what: &str, json: bool) {
    let path = input.path.display().to_string();
    let message = format!("skipped by its name: {what}");
    line(&match json {
        true => json!({ "input": path, "would": "skip", "message": message }).to_string(),
        false => format!("{path}: would be {message}"),
    });
}

fn print_input(input: &Input, tried: &DryRun) {
    let path = input.path.display();
    match &tried.verdict {
        Verdict::Commit => line(&format!("{path}: would be loaded")),
        Verdict::Hold(message) => line(&format!("{path}: would be HELD: {message}")),
        Verdict::Fail(code, message) => line(&format!("{path}: would FAIL: {code}: {message}")),
    }
    for (columns, what) in [
        (&tried.new_columns, "columns of the file that are not read"),
        (&tried.missing_columns, "columns that the file lacks"),
    ] {
        if !columns.is_empty() {
            line(&format!("  {what}: {}", printable(&columns.join(", "), RAW_CHARS_MAX)));
        }
    }
    if let Some(note) = &tried.note {
        line(&format!("  {note}"));
    }
    let counts = &tried.counts;
    let [read, loaded, rejected] = [counts.read, counts.loaded, counts.rejected].map(grouped);
    line(&format!("  {read} rows read = {loaded} good + {rejected} rejected"));
    tried.rejections.iter().for_each(print_rejection);
}

fn print_rejection(rejection: &Rejection) {
    let Rejection { code, column, rows, examples } = rejection;
    let column = column.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
    line(&format!("  {:>9} rejected: {code}{column}", grouped(*rows)));
    for example in examples {
        let (start, end) = (example.byte_start, example.byte_end);
        line(&format!(
            "            row {}, bytes {start} to {end}: {}",
            example.row_number,
            told(&example.error, example.value.as_deref())
        ));
        if let Some(raw) = &example.raw_data {
            line(&format!("              {}", printable(raw, RAW_CHARS_MAX)));
        }
    }
}
