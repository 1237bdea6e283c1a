//! Gates that look at the application: whether it is well for a time, whether its queries are as fast as
//! before, and time in which nothing is dropped yet.

use std::collections::BTreeMap;
use std::time::Duration;

use rowproof_core::sql::quote_text;
use serde::Deserialize;
use serde_json::json;

use super::overridden;
use crate::config::{Health, QueryTimes};
use crate::drive::{Drive, Pause};
use crate::error::MigrateError;
use crate::link::passes;
use crate::run::{Run, event};

/// Longest time between two looks at the application, in milliseconds.
const LOOK_AGAIN_MS: u64 = 30_000;
/// Shortest time between two.
const LOOK_SOONEST: Duration = Duration::from_millis(250);

/// What an author's query gave.
enum Probed {
    /// Its number.
    Number(f64),
    /// Nothing in time.
    Late,
    /// It asks for what is not there, which expand may yet make.
    Missing(String),
    /// Nothing that could be a number, ever.
    Wrong(String),
}

/// Calls and milliseconds of a query, in all.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Times {
    calls: u64,
    ms: f64,
}

impl Times {
    fn mean_ms(self) -> Option<f64> {
        let calls = u32::try_from(self.calls).unwrap_or(u32::MAX);
        (calls > 0).then(|| self.ms / f64::from(calls))
    }
}

type TimesById = BTreeMap<String, Times>;

impl Run<'_> {
    /// Looks at the application once: nothing when it was well for long enough, else when to look again. Bad
    /// news, and a longer time without a look than the soak and the usual time between two, begin it anew.
    pub(super) async fn soak(&mut self, health: &Health) -> Result<Option<Drive>, MigrateError> {
        let sick = match self.probe("gates.health.probe", &health.probe).await? {
            Probed::Number(number) => number > 0.0,
            Probed::Late => true,
            Probed::Missing(what) | Probed::Wrong(what) => {
                return Err(MigrateError::GateUnmet { gate: "health".to_owned(), what });
            }
        };
        let id = self.sql_id();
        let own = format!("migration_id = {id} AND name = 'health' AND phase = 'soak'");
        let gap_ms = health.soak.as_ms().saturating_add(LOOK_AGAIN_MS);
        let sql = match sick {
            true => format!(
                "DELETE FROM rowproof_migrate.measure WHERE {own}; {}",
                event(self.id(), "unhealthy", &json!({ "soak": health.soak }))
            ),
            false => format!(
                "DELETE FROM rowproof_migrate.measure WHERE {own} \
                   AND taken_at < clock_timestamp() - {gap_ms} * interval '1 ms'; \
                 INSERT INTO rowproof_migrate.measure AS m (migration_id, name, phase, value) \
                 VALUES ({id}, 'health', 'soak', jsonb_build_object('since', clock_timestamp(), 'looks', 1)) \
                 ON CONFLICT (migration_id, name, phase) DO UPDATE SET taken_at = clock_timestamp(), \
                   value = m.value || jsonb_build_object('looks', (m.value->>'looks')::bigint + 1) \
                 RETURNING extract(epoch FROM clock_timestamp() - (value->>'since')::timestamptz) * 1000"
            ),
        };
        self.begin(self.limits()).await?;
        let written = self.link.run("write down how the application is", &sql).await;
        let for_ms = self.end(written.map_err(MigrateError::from)).await?.number::<f64>(0, 0);
        let well = Duration::try_from_secs_f64(for_ms.unwrap_or(0.0).max(0.0) / 1000.0);
        let left = health.soak.0.saturating_sub(well.unwrap_or_default());
        if !sick && left.is_zero() {
            return Ok(None);
        }
        let often = (health.soak.0 / 4).min(Duration::from_millis(LOOK_AGAIN_MS));
        let after = left.min(often).max(LOOK_SOONEST);
        let left_s = u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        Ok(Some(Drive::Yield { after, reason: Pause::Soaking { well: !sick, left_s } }))
    }

    /// Asks what the folder will ask later, so that a query that cannot be is known before anything is done.
    /// One that names what expand makes cannot be judged yet.
    pub(crate) async fn try_probes(&mut self) -> Result<(), MigrateError> {
        let config = &self.folder.config;
        let health = config.gates.health.as_ref().filter(|_| self.gated);
        let probes = [
            ("gates.health.probe", health.map(|health| health.probe.clone())),
            ("throttle.probe", config.throttle.probe.clone()),
        ];
        for (key, probe) in probes {
            let Some(probe) = probe else { continue };
            let Probed::Wrong(what) = self.probe(key, &probe).await? else { continue };
            let (file, line) = ("migration.toml".to_owned(), 0);
            return Err(MigrateError::Folder { file, line, what });
        }
        let queries = config.gates.queries.clone().filter(|_| self.gated);
        if let Some(queries) = queries
            && let Some(what) = self.unknown_query(&queries).await?
        {
            return Err(MigrateError::GateUnmet { gate: "queries".to_owned(), what });
        }
        Ok(())
    }

    async fn unknown_query(
        &mut self,
        queries: &QueryTimes,
    ) -> Result<Option<String>, MigrateError> {
        let sql = times(queries);
        let found = self.link.run("read pg_stat_statements (gates.queries)", &sql).await?;
        let found = found.json::<TimesById>()?.unwrap_or_default();
        let missing = queries.ids.iter().find(|id| !found.contains_key(*id));
        Ok(missing.map(|id| {
            format!("query {id} is not in pg_stat_statements, or this role does not see it")
        }))
    }

    /// The one number of an author's query.
    async fn probe(&mut self, key: &str, query: &str) -> Result<Probed, MigrateError> {
        let told = |what: &str| format!("{key}: {what}; write one query that reads one number");
        let answer = match self.read_only("ask", query).await {
            Ok(answer) => answer,
            Err(error) if error.state() == Some("57014") => return Ok(Probed::Late),
            Err(error) if passes(&error) => return Err(error.into()),
            Err(error) if matches!(error.state(), Some("42703" | "42P01" | "42883")) => {
                return Ok(Probed::Missing(told(&error.what)));
            }
            Err(error) => return Ok(Probed::Wrong(told(&error.what))),
        };
        let columns = answer.rows.first().map_or(0, tokio_postgres::SimpleQueryRow::len);
        Ok(match (answer.rows.len(), columns, answer.number::<f64>(0, 0)) {
            (1, 1, Some(number)) => Probed::Number(number),
            (rows, columns, _) => Probed::Wrong(told(&format!(
                "it gave {rows} rows with {columns} columns, or no number"
            ))),
        })
    }

    /// Within a transaction: writes down what `pg_stat_statements` has of the folder's queries.
    pub(crate) async fn measure_queries(&mut self, phase: &str) -> Result<(), MigrateError> {
        let Some(queries) = self.folder.config.gates.queries.as_ref().filter(|_| self.gated) else {
            return Ok(());
        };
        let sql = format!(
            "INSERT INTO rowproof_migrate.measure (migration_id, name, phase, value) \
             VALUES ({}, 'queries', {}, ({})) ON CONFLICT (migration_id, name, phase) \
             DO UPDATE SET value = excluded.value, taken_at = clock_timestamp()",
            self.sql_id(),
            quote_text(phase),
            times(queries)
        );
        let measured = self.link.run("read pg_stat_statements (gates.queries)", &sql).await;
        measured.map(drop).map_err(MigrateError::from)
    }

    /// What is wrong with the queries' times since the rows were validated, beside those of before.
    pub(super) async fn slower(
        &mut self,
        queries: &QueryTimes,
    ) -> Result<Option<String>, MigrateError> {
        let sql = format!(
            "SELECT coalesce(jsonb_object_agg(phase, value), '{{}}') || jsonb_build_object('now', ({})) \
             FROM rowproof_migrate.measure WHERE migration_id = {} AND name = 'queries'",
            times(queries),
            self.sql_id()
        );
        let read = self.link.run("read pg_stat_statements (gates.queries)", &sql).await?;
        let phases = read.json::<BTreeMap<String, TimesById>>()?.unwrap_or_default();
        let of = |phase: &str, id: &str| {
            phases.get(phase).and_then(|times| times.get(id)).copied().unwrap_or_default()
        };
        let wrong = queries.ids.iter().find_map(|id| {
            judge(queries, of("baseline", id), of("validated", id), of("now", id))
                .map(|what| format!("query {id} {what}"))
        });
        Ok(wrong)
    }

    /// Before rows or their values are dropped: nothing when the time is over in which they are kept, which
    /// begins with the contract phase or its last statement that dropped none, or the end of the call.
    pub(crate) async fn keep_for_now(&mut self) -> Result<Option<Drive>, MigrateError> {
        let Some(grace) = self.folder.config.gates.grace.filter(|_| self.gated) else {
            return Ok(None);
        };
        let recorded = self.recorded().await?;
        if overridden(&recorded, "grace", &self.folder.checksum.to_string()).is_some() {
            return Ok(None);
        }
        let sql = format!(
            "SELECT extract(epoch FROM clock_timestamp() - max(at)) * 1000 FROM rowproof_migrate.event \
             WHERE migration_id = {} AND (kind = 'state' AND detail->>'to' = 'contracting' \
               OR kind = 'contracted' AND detail->>'drops' = 'false')",
            self.sql_id()
        );
        let since = self.link.run("ask since when it is kept", &sql).await?.number::<f64>(0, 0);
        let since = Duration::try_from_secs_f64(since.unwrap_or(0.0).max(0.0) / 1000.0);
        let left = grace.0.saturating_sub(since.unwrap_or_default());
        if left.is_zero() {
            return Ok(None);
        }
        let left_s = u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        Ok(Some(Drive::soon(left_s, Pause::Grace { left_s })))
    }
}

/// The query for calls and times of all the folder's queries, as one JSON object by their ids.
fn times(queries: &QueryTimes) -> String {
    let ids: Vec<String> = queries.ids.iter().map(|id| quote_text(id)).collect();
    format!(
        "SELECT coalesce(jsonb_object_agg(id, jsonb_build_object('calls', calls, 'ms', ms)), '{{}}') FROM \
         (SELECT queryid::text AS id, sum(calls)::bigint AS calls, sum(total_exec_time) AS ms \
          FROM pg_stat_statements WHERE queryid::text IN ({}) GROUP BY 1) q",
        ids.join(", ")
    )
}

/// What is wrong with one query, if anything is.
fn judge(queries: &QueryTimes, before: Times, since: Times, now: Times) -> Option<String> {
    let Some(usual) = before.mean_ms() else {
        return Some("was not in pg_stat_statements when the migration began".to_owned());
    };
    if now.calls < since.calls {
        return Some("was counted anew since: pg_stat_statements was reset".to_owned());
    }
    let lately = Times { calls: now.calls - since.calls, ms: now.ms - since.ms };
    if lately.calls < queries.calls_min.max(1) {
        return Some(format!(
            "ran {} times since the rows were validated, and gates.queries.calls_min is {}",
            lately.calls,
            queries.calls_min.max(1)
        ));
    }
    let mean = lately.mean_ms().unwrap_or(0.0);
    (mean > usual * (1.0 + queries.slower_max)).then(|| {
        format!("takes {mean:.2} ms since the rows were validated, and took {usual:.2} ms before")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_judged_by_its_calls_since_the_rows_were_validated() {
        let queries = QueryTimes { ids: vec!["7".into()], slower_max: 0.5, calls_min: 10 };
        let times = |calls: u64, ms: f64| Times { calls, ms };
        let usual = times(100, 200.0);
        for (before, since, now, wrong) in [
            (usual, times(150, 500.0), times(160, 530.0), None),
            (usual, times(150, 500.0), times(160, 531.0), Some("takes 3.10 ms")),
            (usual, times(150, 500.0), times(159, 501.0), Some("ran 9 times")),
            (usual, times(150, 500.0), times(10, 5.0), Some("reset")),
            (times(0, 0.0), times(0, 0.0), times(50, 50.0), Some("when the migration began")),
        ] {
            let found = judge(&queries, before, since, now);
            match wrong {
                None => assert_eq!(found, None),
                Some(wrong) => {
                    assert!(found.as_ref().is_some_and(|f| f.contains(wrong)), "{found:?}")
                }
            }
        }
    }
}
