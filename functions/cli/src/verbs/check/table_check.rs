//! A pipeline's table as it is in its database.

use rowproof_core::pipeline::{Dsn, Pipeline};
use rowproof_io::aws::clients::Clients;
use rowproof_io::clock::Clock;
use rowproof_io::pipelines::Ready;
use rowproof_io::postgres::Databases;
use rowproof_io::sinks::postgres::check_table;
use serde_json::json;

use crate::exit::{FAILED, OK, Usage};
use crate::show::report::line;

/// Says all in which the table differs; with `dsn` empty, where the pipeline says it is.
pub(super) async fn run(pipeline: &Pipeline, dsn: &str, as_json: bool) -> anyhow::Result<u8> {
    if pipeline.sink.postgres().is_none() {
        let what = "--dsn: the sink of this pipeline is no table; write [sink.postgres]";
        return Err(Usage(what.into()).into());
    }
    let other = match dsn {
        "" => None,
        text => Some(Dsn::parse(text).ok_or_else(|| {
            Usage("--dsn takes secret:NAME, iam:user@host:port/database or env:VARIABLE".into())
        })?),
    };
    let ready = Ready::compile(pipeline.clone())?;
    let databases = Databases::new(&Clients::load(None).await, Clock::system());
    let differences = check_table(&databases, &ready, other.as_ref()).await?;
    let fits = differences.iter().all(|difference| difference.harmless);
    if as_json {
        let list: Vec<_> = differences
            .iter()
            .map(|found| {
                json!({"what": found.what, "problem": found.problem, "sql": found.sql,
                       "harmless": found.harmless})
            })
            .collect();
        line(&json!({"table_fits": fits, "differences": list}).to_string());
        return Ok(if fits { OK } else { FAILED });
    }
    if differences.is_empty() {
        line("table: it fits the columns");
    }
    for found in &differences {
        let kind = if found.harmless { "note" } else { "problem" };
        line(&format!("{kind}: {}: {}", found.what, found.problem));
    }
    let mends: Vec<_> = differences.iter().filter_map(|found| found.sql.as_deref()).collect();
    if !mends.is_empty() {
        line("\nSQL that mends it:");
        mends.iter().for_each(|sql| line(sql));
    }
    Ok(if fits { OK } else { FAILED })
}
