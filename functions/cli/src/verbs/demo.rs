//! `rowproof demo`: a crash, bad rows, a fix and a corrected file, on generated orders. Everything that
//! it shows is checked.

mod fix;
mod folder;
mod orders;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args as ClapArgs;
use rowproof_core::ledger::{ChunkState, JobState};
use rowproof_core::message::Restart;
use serde::Deserialize;

use crate::exit::{OK, Usage};
use crate::input::inputs::{place_inputs, read_pipeline};
use crate::local::wait::{Awaited, observe, settle};
use crate::local::world::World;
use crate::show::jobs;
use crate::show::progress::Progress;
use crate::show::report::{counted, grouped, line};
use orders::Truth;

const PIPELINE: &str = include_str!("../../../../infra/pipelines/orders.toml");

/// Chunks that the file is cut into, so that there is something to interrupt.
const CHUNKS: u64 = 25;

/// Longest time for one run, far above what it takes.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, ClapArgs)]
pub(crate) struct Args {
    /// Folder for the demo, new or empty; by default a temporary one, which is kept
    #[arg(long = "out", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Orders to generate
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(5_000..=20_000_000))]
    pub(crate) rows: u64,
}

/// The demo's folder.
struct Demo {
    rows: u64,
    pipeline: PathBuf,
    file: PathBuf,
    /// The local AWS.
    out: PathBuf,
}

/// What a run printed.
#[derive(Debug, Deserialize)]
struct Ran {
    job: String,
    state: String,
    rows_read: u64,
    rows_loaded: u64,
    rows_rejected: u64,
    balanced: bool,
    seconds: f64,
    reasons: Vec<rowproof_core::receipt::Reason>,
}

/// Runs the verb.
pub(crate) async fn run(args: Args) -> anyhow::Result<u8> {
    let dir = prepare(args.dir.as_deref())?;
    let demo = Demo {
        rows: args.rows,
        pipeline: dir.join("orders.toml"),
        file: dir.join("orders.csv"),
        out: dir.join("out"),
    };
    let shown = Box::pin(demo.show()).await;
    shown.with_context(|| {
        format!("the demo did not show what it should; look into {}", dir.display())
    })?;
    Ok(OK)
}

fn prepare(dir: Option<&Path>) -> anyhow::Result<PathBuf> {
    let Some(dir) = dir else {
        return Ok(tempfile::Builder::new().prefix("rowproof-demo-").tempdir()?.keep());
    };
    let bad = |error| Usage(format!("{}: {error}; give another --out", dir.display()));
    fs::create_dir_all(dir).map_err(bad)?;
    if fs::read_dir(dir).map_err(bad)?.next().is_some() {
        let text = format!("{} is not empty; give --out a new folder", dir.display());
        return Err(Usage(text).into());
    }
    Ok(dir.to_owned())
}

fn step(number: u32, text: &str) {
    line(&format!("\n{number}. {text}"));
}

impl Demo {
    async fn show(&self) -> anyhow::Result<()> {
        fs::write(&self.pipeline, PIPELINE)?;
        let truth = self.write_orders(false)?;
        step(
            1,
            &format!("{} were written to {}", counted(truth.rows, "order"), self.file.display()),
        );
        line(&format!(
            "   {} of them are bad: text for a number, a stray quote, a missing field ...",
            grouped(truth.rejected())
        ));
        line(&format!("   {} says what a good one is", self.pipeline.display()));

        self.interrupt().await?;
        let first = self.load_after_crash(&truth).await?;
        show_rejects(&first, &self.out);
        self.fix(&first, &truth).await?;
        let second = self.replace(&first).await?;
        self.repeat(&second).await?;
        self.farewell(&second);
        Ok(())
    }

    fn write_orders(&self, corrected: bool) -> anyhow::Result<Truth> {
        let file = File::create(&self.file);
        let mut file = BufWriter::new(file.with_context(|| self.file.display().to_string())?);
        let truth = orders::write(self.rows, corrected, &mut file)?;
        file.into_inner().map_err(|error| error.into_error())?;
        Ok(truth)
    }

    /// The program itself as a process of its own, as it is started by hand.
    fn command(&self) -> anyhow::Result<tokio::process::Command> {
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.arg("run").arg(&self.pipeline).arg(&self.file).arg("--out").arg(&self.out);
        command.arg("--json").env("ROWPROOF_CHUNK_ROWS", self.rows.div_ceil(CHUNKS).to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    fn shown_command(&self) -> String {
        let (pipeline, file) = (self.pipeline.display(), self.file.display());
        format!("rowproof run {pipeline} {file} --out {}", self.out.display())
    }

    /// The same program with another verb; what it printed.
    async fn verb(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = tokio::process::Command::new(std::env::current_exe()?);
        command.args(arguments).arg("--out").arg(&self.out);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        let output = output.context("it did not end")??;
        ensure!(output.status.success(), "{arguments:?} ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts a run and kills it once a third of the chunks are done.
    async fn interrupt(&self) -> anyhow::Result<()> {
        step(2, "load them, and kill the process in the middle (kill -9)");
        line(&format!("   $ {}", self.shown_command()));
        let mut child = self.command()?.stderr(Stdio::piped()).spawn()?;
        let staging = self.out.join("output/_staging");
        let began = Instant::now();
        while child.try_wait()?.is_none() {
            let outcomes = folder::files(&staging)?;
            let outcomes = outcomes.keys().filter(|path| folder::has_extension(path, "json"));
            if u64::try_from(outcomes.count())? >= CHUNKS / 3 {
                child.kill().await?;
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "no chunk was done in {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let output = child.wait_with_output().await?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the run ended with {}: {errors}", output.status);
        Ok(())
    }

    /// Chunks that are done, with how often each was begun.
    async fn done_chunks(&self) -> anyhow::Result<(Option<JobState>, BTreeMap<u32, i64>, u32)> {
        let world = World::open(&self.out).await?;
        let mut done = BTreeMap::new();
        let (mut state, mut total) = (None, 0);
        for job in world.app.ledger.all_jobs().await? {
            state = Some(job.state);
            total = job.chunk_count.unwrap_or(0);
            let chunks = jobs::chunks(&world.app, &job).await?;
            let chunks = chunks.iter().filter(|(_, chunk)| chunk.state == ChunkState::Done);
            done.extend(chunks.map(|(number, chunk)| (number.chunk, chunk.epoch)));
        }
        world.shutdown().await;
        Ok((state, done, total))
    }

    async fn load_after_crash(&self, truth: &Truth) -> anyhow::Result<Ran> {
        let (state, before, total) = self.done_chunks().await?;
        let was_cut = state != Some(JobState::Committed);
        match was_cut {
            true => line(&format!(
                "   killed with {} of {total} chunks done; nothing of the file is visible yet",
                before.len()
            )),
            false => {
                line("   it was done before it could be killed; more --rows give it more to do")
            }
        }
        let visible = folder::parquet_rows(&self.table(), "")?;
        ensure!(!was_cut || visible == 0, "{visible} rows were visible of an unfinished file");
        step(3, "the same command again goes on where it stopped");
        let ran = self.load().await?;
        self.check(&ran, truth)?;
        let (_, after, total) = self.done_chunks().await?;
        let again = before.iter().filter(|(n, epoch)| after.get(n) != Some(epoch)).count();
        ensure!(again == 0, "{again} chunks that were done were done again");
        line(&format!(
            "   {} of {total} chunks were kept, {} were loaded now, in {:.1} s",
            before.len(),
            after.len() - before.len(),
            ran.seconds
        ));
        line(&equation(&ran));
        line("   the Parquet files hold exactly those rows, none lost, none twice");
        Ok(ran)
    }

    /// Runs the command to its end.
    async fn load(&self) -> anyhow::Result<Ran> {
        let output = tokio::time::timeout(PATIENCE, self.command()?.output()).await;
        let output = output.context("the run did not end")??;
        ensure!(output.status.success(), "the run ended with {}", output.status);
        let text = String::from_utf8(output.stdout)?;
        let last = text.lines().last().context("the run printed nothing")?;
        serde_json::from_str(last).with_context(|| format!("the run printed {last}"))
    }

    /// Compares a run with what was generated, and with what the folder holds.
    fn check(&self, ran: &Ran, truth: &Truth) -> anyhow::Result<()> {
        ensure!(ran.state == "COMMITTED" && ran.balanced, "the run ended as {ran:?}");
        let (read, loaded, rejected) = (ran.rows_read, ran.rows_loaded, ran.rows_rejected);
        ensure!(read == truth.rows, "{read} rows were read, not {}", truth.rows);
        ensure!(loaded == truth.loaded(), "{loaded} rows were loaded, not {}", truth.loaded());
        ensure!(loaded + rejected == read, "{loaded} + {rejected} rows are not {read}");
        let mut codes = BTreeMap::new();
        for reason in &ran.reasons {
            *codes.entry(reason.code.clone()).or_default() += reason.rows;
        }
        ensure!(codes == truth.bad, "rejected were {codes:?}, not {:?}", truth.bad);
        let visible = folder::parquet_rows(&self.table(), "")?;
        ensure!(visible == loaded, "the Parquet files hold {visible} rows, not {loaded}");
        let archived = folder::parquet_rows(&self.out.join("failures"), &ran.job)?;
        ensure!(archived == rejected, "the failure archive holds {archived} rows, not {rejected}");
        Ok(())
    }

    fn table(&self) -> PathBuf {
        self.out.join("output/curated/orders")
    }

    /// A corrected file of the same name.
    async fn replace(&self, first: &Ran) -> anyhow::Result<Ran> {
        let truth = self.write_orders(true)?;
        step(6, "the supplier sends a corrected file of the same name");
        line(&format!("   $ {}", self.shown_command()));
        let ran = self.load().await?;
        self.check(&ran, &truth)?;
        ensure!(ran.job != first.job, "the corrected file got no job of its own");
        let left = folder::files(&self.table())?;
        let left = left.keys().filter(|path| path.display().to_string().contains(&first.job));
        let left = left.count();
        ensure!(left == 0, "{left} files of the first version were left");
        line(&equation(&ran));
        line("   its rows took the place of the first file's; nothing was there twice");
        Ok(ran)
    }

    /// The event of the upload once more.
    async fn repeat(&self, ran: &Ran) -> anyhow::Result<()> {
        step(7, "S3 may report an upload twice: the same event again changes nothing");
        let before = folder::files(&self.out.join("output"))?;
        let pipeline = std::sync::Arc::new(read_pipeline(&self.pipeline)?);
        let inputs = place_inputs(&pipeline, std::slice::from_ref(&self.file), None)?;
        let Some(input) = inputs.into_iter().next() else { bail!("the file has no key") };
        let world = World::resume(&self.out).await?;
        let restart = Restart::No;
        observe(&world.app, &input.key, restart).await?;
        let (captures, key) = (input.captures, input.key);
        let awaited = [Awaited::Object { pipeline, captures, key, before: None, restart }];
        let job = settle(&world, &awaited, &mut Progress::new(false)).await?.pop().flatten();
        world.shutdown().await;
        let job = job.map(|job| job.facts.job.0);
        ensure!(job.as_ref() == Some(&ran.job), "the event made another job, {job:?}");
        let after = folder::files(&self.out.join("output"))?;
        ensure!(before == after, "the event changed what is stored");
        line(&format!("   same job, same {} stored", counted(u64::try_from(after.len())?, "file")));
        Ok(())
    }

    fn farewell(&self, ran: &Ran) {
        let (out, table) = (self.out.display(), self.table());
        let table = table.display();
        line("\nEverything above was checked while it was shown. Look for yourself:");
        line(&format!(
            "  duckdb -c \"select status, count(*), sum(amount) from '{table}/*.parquet' group by 1\""
        ));
        line(&format!("  rowproof status --out {out}"));
        line(&format!("  rowproof why {} --out {out}", ran.job));
        line(&format!("  rowproof files orders --out {out}"));
        line("Your own file: copy the pipeline file, change its columns, and");
        line("  rowproof run PIPELINE.toml FILE.csv --out out");
    }
}

fn equation(ran: &Ran) -> String {
    format!(
        "   {} rows read = {} loaded + {} rejected: the books balance",
        grouped(ran.rows_read),
        grouped(ran.rows_loaded),
        grouped(ran.rows_rejected)
    )
}

fn show_rejects(ran: &Ran, out: &Path) {
    step(4, "why rows were rejected; every one is kept with its reason, row number and bytes");
    for reason in ran.reasons.iter().take(8) {
        let column = reason.column.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
        line(&format!("   {:>7}  {}{column}", grouped(reason.rows), reason.code));
    }
    line(&format!("   they are in {}", out.join("failures").display()));
}
