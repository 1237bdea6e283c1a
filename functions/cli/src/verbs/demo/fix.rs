//! The demo's repair: two kinds of bad rows come back by a patch.

use std::fs;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::orders::{PATCH, Truth};
use super::{Demo, Ran, folder, step};
use crate::show::report::{grouped, line};

impl Demo {
    /// Patches rows, replays them, tries it twice, and checks the receipt.
    pub(super) async fn fix(&self, ran: &Ran, truth: &Truth) -> anyhow::Result<()> {
        let patch = self.pipeline.with_file_name("fix.toml");
        fs::write(&patch, PATCH)?;
        let patch = patch.to_str().context("the demo's folder has no plain name")?;
        step(5, "amounts with a comma and EURO for EUR: fix them by a patch, replay, verify");
        for text in
            PATCH.lines().filter(|text| text.contains(" = {") || text.contains("column = \""))
        {
            line(&format!("     {text}"));
        }
        let out = self.out.display();
        line(&format!("   $ rowproof replay --patch {patch} --out {out}"));
        let replay = ["replay", "--job", &ran.job, "--patch", patch, "--json"];
        let first = self.replayed(&replay).await?;
        let (loaded, rejected) = (truth.loaded() + truth.fixable, truth.rejected() - truth.fixable);
        let number = |name: &str| first.get(name).and_then(Value::as_u64);
        ensure!(number("loaded") == Some(truth.fixable), "the replay did {first}");
        ensure!(number("rows_loaded") == Some(loaded), "the replay did {first}");
        ensure!(number("rows_rejected") == Some(rejected), "the replay did {first}");
        let visible = folder::parquet_rows(&self.table(), "")?;
        ensure!(visible == loaded, "the Parquet files hold {visible} rows, not {loaded}");
        line(&format!(
            "   {} rows are loaded now; {} read = {} loaded + {} rejected",
            grouped(truth.fixable),
            grouped(truth.rows),
            grouped(loaded),
            grouped(rejected)
        ));
        let again = self.replayed(&replay).await?;
        let loads = again.get("loaded").and_then(Value::as_u64);
        ensure!(loads == Some(0), "given twice, the replay did {again}");
        ensure!(folder::parquet_rows(&self.table(), "")? == loaded, "rows are there twice");
        line("   given again, it loads nothing: a row lands once");
        self.verb(&["verify", &ran.job]).await?;
        line(&format!("   $ rowproof verify {} --out {out}", ran.job));
        line("   the receipt holds: books, files, archive and source agree");
        Ok(())
    }

    async fn replayed(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let printed = self.verb(arguments).await?;
        let last = printed.lines().last().context("the replay printed nothing")?;
        serde_json::from_str(last).with_context(|| format!("the replay printed {last}"))
    }
}
