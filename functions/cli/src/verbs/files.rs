//! `rowproof files`: the data files that make up a table now.

use std::path::Path;
use std::sync::Arc;

use clap::Args as ClapArgs;
use clap::ValueEnum;
use rowproof_core::receipt::Manifest;
use rowproof_core::view::{self, Engine, Source, Table, ViewFile};
use rowproof_io::app::App;
use rowproof_io::documents::current::current_manifests;
use rowproof_io::pipelines::Ready;
use serde::Serialize;

use crate::exit::{OK, Usage};
use crate::input::inputs::read_pipeline;
use crate::local::world::World;
use crate::options::Out;
use crate::show::report::{counted, grouped, line};

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Name of the pipeline, or its file
    pub(crate) pipeline: String,
    #[command(flatten)]
    pub(crate) out: Out,
    /// Print SQL that lets an engine read exactly these files, with the contract's columns and types
    #[arg(long, conflicts_with = "json")]
    pub(crate) sql: bool,
    /// The engine that is to run the SQL
    #[arg(long, value_enum, default_value_t = EngineName::Duckdb, requires = "sql")]
    pub(crate) engine: EngineName,
    /// Print one JSON object a line for each file
    #[arg(long)]
    pub(crate) json: bool,
}

/// An engine by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// A view
    Duckdb,
    /// A temporary view
    Spark,
    /// A view; a server reads only files below its `user_files_path`
    Clickhouse,
    /// An external table over the table's folder
    Athena,
}

impl EngineName {
    fn engine(self) -> Engine {
        match self {
            EngineName::Duckdb => Engine::Duckdb,
            EngineName::Spark => Engine::Spark,
            EngineName::Clickhouse => Engine::Clickhouse,
            EngineName::Athena => Engine::Athena,
        }
    }
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

/// What is known of a table.
struct Found {
    manifests: Vec<Manifest>,
    /// The pipeline of each manifest.
    written_by: Vec<Arc<Ready>>,
    /// The pipeline as it is today.
    today: Option<Arc<Ready>>,
    bucket: String,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let given = given(&args.pipeline)?;
    let name = match &given {
        Some(ready) => ready.pipeline.name.clone(),
        None => args.pipeline.clone(),
    };
    let world = World::open(&args.out.dir).await?;
    let found = find(&world.app, &name, args.sql).await;
    let known = known_pipelines(&world.app, &name).await;
    let dir = world.dir.clone();
    world.shutdown().await;
    let mut found = found?;
    if found.manifests.is_empty() && !(args.sql && given.is_some()) {
        known?;
    }
    if args.sql {
        found.today = given.or(found.today);
        line(&sql(&name, &dir, args.engine.engine(), &found)?);
        return Ok(OK);
    }
    let manifests = found.manifests;
    let files: Vec<DataFile> = manifests.iter().flat_map(data_files).collect();
    if args.json {
        for file in &files {
            line(&serde_json::to_string(file)?);
        }
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

/// The pipeline of a file; `None` when the text is a name.
fn given(text: &str) -> anyhow::Result<Option<Arc<Ready>>> {
    let path = Path::new(text);
    if !path.is_file() && !text.ends_with(".toml") {
        return Ok(None);
    }
    Ok(Some(Arc::new(Ready::compile(read_pipeline(path)?)?)))
}

/// `layouts`: also under which pipelines the files were written.
async fn find(app: &App, name: &str, layouts: bool) -> anyhow::Result<Found> {
    let manifests = current_manifests(app, name).await?;
    let mut written_by = vec![];
    if layouts {
        for manifest in &manifests {
            written_by.push(app.pipelines.frozen(&manifest.job.pipeline_sha).await?);
        }
    }
    let stored = app.pipelines.stored().await?;
    let today = stored.into_iter().find(|ready| ready.pipeline.name == name);
    let bucket = app.settings.output_bucket.clone();
    Ok(Found { manifests, written_by, today, bucket })
}

/// The statement for an engine; without a data file, one for a table without rows.
fn sql(name: &str, dir: &Path, engine: Engine, found: &Found) -> anyhow::Result<String> {
    let Some(today) = found.today.as_ref().or(found.written_by.last()) else {
        return Err(Usage(format!("the columns of {name} are not known: give its file")).into());
    };
    let table = table(today)?;
    let mut sources = vec![];
    for (manifest, ready) in found.manifests.iter().zip(&found.written_by) {
        let file = |(path, partition)| ViewFile { path, partition };
        let path = |key: &str| dir.join(format!("output/{key}")).display().to_string();
        let files = manifest.files.iter().map(|f| (path(&f.key), f.partition.clone()));
        sources.push(Source { table: self::table(ready)?, files: files.map(file).collect() });
    }
    Ok(view::sql(engine, name, table, &sources, &found.bucket))
}

fn table(ready: &Ready) -> anyhow::Result<Table<'_>> {
    let Some(sink) = ready.pipeline.sink.parquet() else {
        let name = &ready.pipeline.name;
        return Err(Usage(format!("the rows of {name} are in a database, not in files")).into());
    };
    Ok(Table { contract: &ready.contract, sink })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_file_stands_for_itself() {
        assert!(given("orders").unwrap().is_none());
        assert!(given("missing.toml").is_err());
    }
}
