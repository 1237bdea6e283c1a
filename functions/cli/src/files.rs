//! `rowproof files`: the data files that make up a table now.

use std::path::Path;

use clap::Args as ClapArgs;
use rowproof_core::receipt::Manifest;
use rowproof_io::app::App;
use rowproof_io::current::current_manifests;
use serde::Serialize;

use crate::args::Out;
use crate::inputs::read_pipeline;
use crate::report::{counted, grouped, line};
use crate::world::World;
use crate::{FAILED, OK, Usage};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Name of the pipeline, or its file
    pub(crate) pipeline: String,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Print a CREATE VIEW over exactly these files for DuckDB
    #[arg(long, conflicts_with = "json")]
    pub(crate) sql: bool,
    /// Print one JSON object a line for each file
    #[arg(long)]
    pub(crate) json: bool,
}

/// One data file. The keys are a contract: more may come, none is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct DataFile {
    /// Relative to the folder.
    path: String,
    rows: u64,
    bytes: u64,
    sha256: String,
    job: String,
    /// `s3://` URI of the file that the rows come from.
    source: String,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let name = name_of(&args.pipeline)?;
    let world = World::open(&args.out.dir).await?;
    let found = current_manifests(&world.app, &name).await;
    let known = known_pipelines(&world.app, &name).await;
    let dir = world.dir.clone();
    world.shutdown().await;
    let manifests = found?;
    if manifests.is_empty() {
        known?;
    }
    let files: Vec<DataFile> = manifests.iter().flat_map(data_files).collect();
    if args.json {
        for file in &files {
            line(&serde_json::to_string(file)?);
        }
        return Ok(OK);
    }
    if args.sql {
        if files.is_empty() {
            eprintln!("error: {name} has no data files yet, so there is nothing to make a view of");
            return Ok(FAILED);
        }
        line(&view(&name, &dir, &files));
        return Ok(OK);
    }
    for file in &files {
        line(&format!(
            "{:>12} rows {:>14} bytes  {}",
            grouped(file.rows),
            grouped(file.bytes),
            file.path
        ));
    }
    let (rows, bytes) =
        (files.iter().map(|file| file.rows).sum(), files.iter().map(|f| f.bytes).sum());
    line(&format!(
        "{name}: {} in {}, {}, from {}",
        counted(rows, "row"),
        counted(u64::try_from(files.len())?, "data file"),
        counted(bytes, "byte"),
        counted(u64::try_from(manifests.len())?, "source file")
    ));
    Ok(OK)
}

/// The name in a pipeline file, or the text itself.
fn name_of(text: &str) -> anyhow::Result<String> {
    let path = Path::new(text);
    match path.is_file() || text.ends_with(".toml") {
        true => Ok(read_pipeline(path)?.name),
        false => Ok(text.to_owned()),
    }
}

/// An error that names the pipelines there are, when this is none of them.
async fn known_pipelines(app: &App, name: &str) -> anyhow::Result<()> {
    let stored = app.pipelines.stored().await?;
    let names: Vec<_> = stored.iter().map(|ready| ready.pipeline.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let known = match names.is_empty() {
        true => "the folder has none yet".to_owned(),
        false => format!("the folder has {}", names.join(", ")),
    };
    Err(Usage(format!("there is no pipeline {name}: {known}")).into())
}

fn data_files(manifest: &Manifest) -> impl Iterator<Item = DataFile> {
    let (job, source) = (manifest.job.job.0.clone(), manifest.job.object.uri());
    manifest.files.iter().map(move |file| DataFile {
        path: format!("output/{}", file.key),
        rows: file.rows,
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        job: job.clone(),
        source: source.clone(),
    })
}

/// A view for DuckDB; partition columns come from the paths.
fn view(name: &str, dir: &Path, files: &[DataFile]) -> String {
    let quoted = |file: &DataFile| {
        let path = dir.join(&file.path).display().to_string();
        format!("  '{}'", path.replace('\'', "''"))
    };
    let paths: Vec<_> = files.iter().map(quoted).collect();
    let paths = paths.join(",\n");
    format!(
        "CREATE OR REPLACE VIEW \"{name}\" AS SELECT * FROM read_parquet([\n{paths}\n], hive_partitioning = true);"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_quotes_its_paths() {
        let file = DataFile {
            path: "output/curated/a=1/x.parquet".into(),
            rows: 1,
            bytes: 2,
            sha256: String::new(),
            job: "j".into(),
            source: "s3://input/a".into(),
        };
        let text = view("orders", Path::new("it's"), &[file]);
        assert!(text.contains("'it''s/output/curated/a=1/x.parquet'"), "{text}");
        assert!(text.starts_with("CREATE OR REPLACE VIEW \"orders\" AS SELECT"), "{text}");
    }

    #[test]
    fn a_name_that_is_no_file_stands_for_itself() {
        assert_eq!(name_of("orders").unwrap(), "orders");
        assert!(name_of("missing.toml").is_err());
    }
}
