//! `rowproof amend`: the fixes of a patch into the pipeline file, so that the next file needs none.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rowproof_core::patch::{Amended, Fate, Patch, amend};
use serde_json::json;

use crate::exit::{FAILED, OK, Usage};
use crate::input::inputs::{parse_text, read_pipeline};
use crate::show::report::line;

/// Arguments of the verb.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 the pipeline file says all that it can say, 1 no fix has a key that does the same"
)]
pub(crate) struct Args {
    /// Pipeline file; its comments and everything else in it stay as they are
    pipeline: PathBuf,
    /// Patch file, as `rowproof failures top --write-patch FILE` proposes one
    patch: PathBuf,
    /// Only say what would be written
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object a line for each fix
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let pipeline = read_pipeline(&args.pipeline)?;
    let text = read(&args.pipeline)?;
    let name = args.patch.display().to_string();
    let patch = Patch::parse(&name, &read(&args.patch)?).map_err(|all| Usage(all.to_string()))?;
    patch.check(&pipeline).map_err(|all| Usage(all.to_string()))?;
    let check = |text: &str| match parse_text(&args.pipeline, text) {
        Ok(_) => Ok(()),
        Err(problems) => Err(problems.0.first().map(ToString::to_string).unwrap_or_default()),
    };
    let amended = amend(&patch, &pipeline, &text, &check)
        .map_err(|error| Usage(format!("{}: {error}", args.pipeline.display())))?;
    let changed = amended.text != text;
    if changed && !args.dry_run {
        replace(&args.pipeline, &amended.text)?;
    }
    for (number, fate) in (1..).zip(&amended.fates) {
        told(&args, number, fate);
    }
    if !args.json {
        print_end(&args, &amended, changed);
    }
    let all_left = amended.fates.iter().all(|fate| matches!(fate, Fate::Left(_)));
    Ok(if all_left { FAILED } else { OK })
}

fn read(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file);
    Ok(text.map_err(|error| Usage(format!("{}: {error}", file.display())))?)
}

/// The whole new file or the whole old one, whatever happens meanwhile.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let place = || file.display().to_string();
    // A link stays a link.
    let real = file.canonicalize().with_context(place)?;
    let folder = real.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder).with_context(place)?;
    new.write_all(text.as_bytes()).with_context(place)?;
    let permissions = std::fs::metadata(&real).with_context(place)?.permissions();
    std::fs::set_permissions(new.path(), permissions).with_context(place)?;
    new.persist(&real).with_context(place)?;
    Ok(())
}

fn told(args: &Args, number: usize, fate: &Fate) {
    let (word, text) = match fate {
        Fate::Written(text) => ("written", text),
        Fate::There(text) => ("there", text),
        Fate::Left(why) => ("left", why),
    };
    if args.json {
        line(&json!({ "fix": number, "fate": word, "text": text }).to_string());
        return;
    }
    line(&match fate {
        Fate::Written(text) => format!("fix {number}: {text}"),
        Fate::There(text) => format!("fix {number}: {text} (is there already)"),
        Fate::Left(why) => format!("fix {number}: stays a fix of the patch: {why}"),
    });
}

fn print_end(args: &Args, amended: &Amended, changed: bool) {
    let file = args.pipeline.display();
    let written = amended.fates.iter().filter(|fate| matches!(fate, Fate::Written(_))).count();
    match (changed, args.dry_run) {
        (false, _) => line(&format!("{file}: nothing to write")),
        (true, true) => line(&format!("{file}: {written} would be written; nothing was")),
        (true, false) => {
            line(&format!("{file}: {written} written; a key is for every value of its column"));
            line(&format!(
                "next: rowproof check {file} FILE, which tells what FILE would lose or gain"
            ));
        }
    }
}
