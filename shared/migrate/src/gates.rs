//! What has to be before the contract phase: rehearsals, a backup, people who approve, an application that is
//! well.

mod application;

use rowproof_core::sql::quote_text;
use rowproof_io::postgres::PostgresError;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::warn;

use crate::config::Gates;
use crate::error::MigrateError;
use crate::link::Answer;
use crate::queries::bare;
use crate::run::{Run, Turn, event, settings};
use crate::state::State;

/// Names of all gates.
pub(crate) const NAMES: [&str; 7] = [
    "staging_run",
    "rollback_rehearsed",
    "backup_max_age",
    "approvals",
    "health",
    "queries",
    "grace",
];

/// Evidence that was recorded for a gate.
#[derive(Debug, Clone, Deserialize)]
struct Recorded {
    name: String,
    checksum: String,
    evidence: Value,
    by: String,
    /// Age of `evidence.taken_at`, or of the record, in milliseconds.
    age_ms: f64,
}

impl Run<'_> {
    /// All gates of the folder, then the contract phase begins.
    pub(crate) async fn pass_gates(&mut self) -> Result<Turn, MigrateError> {
        let mut passed = self.evidence_gates().await?;
        if self.gated {
            let recorded = self.recorded().await?;
            let gates = self.folder.config.gates.clone();
            let sum = self.folder.checksum.to_string();
            if let Some(queries) = &gates.queries {
                let unmet = self.slower(queries).await?;
                passed.push(self.pass("queries", unmet, overridden(&recorded, "queries", &sum))?);
            }
            if let Some(health) = &gates.health {
                let record = overridden(&recorded, "health", &sum);
                let unmet = record.map(|_| "it was not waited for".to_owned());
                if record.is_none()
                    && let Some(end) = self.soak(health).await?
                {
                    return Ok(Turn::End(end));
                }
                passed.push(self.pass("health", unmet, record)?);
            }
        }
        self.move_on(State::Validated, State::Contracting, json!({ "gates": passed })).await
    }

    /// The gates that evidence opens.
    pub(crate) async fn evidence_gates(&mut self) -> Result<Vec<Value>, MigrateError> {
        if !self.gated {
            return Ok(vec![]);
        }
        let recorded = self.recorded().await?;
        let (gates, sum) = (self.folder.config.gates.clone(), self.folder.checksum.to_string());
        let unmet = self.unmet(&gates, &recorded).await?;
        let passed = unmet
            .into_iter()
            .map(|(gate, unmet)| self.pass(gate, unmet, overridden(&recorded, gate, &sum)));
        passed.collect()
    }

    /// A gate that is met, or that somebody lets pass.
    fn pass(
        &self,
        gate: &str,
        unmet: Option<String>,
        record: Option<&Recorded>,
    ) -> Result<Value, MigrateError> {
        let Some(what) = unmet else { return Ok(json!({ "gate": gate })) };
        let Some(record) = record else {
            return Err(MigrateError::GateUnmet { gate: gate.to_owned(), what });
        };
        let reason = record.evidence.get("override");
        warn!(migration = self.id(), gate, what, by = record.by, "a gate is overridden");
        Ok(json!({ "gate": gate, "unmet": what, "overridden_by": record.by, "reason": reason }))
    }

    async fn recorded(&mut self) -> Result<Vec<Recorded>, MigrateError> {
        let sql = format!(
            "SELECT jsonb_build_object('name', name, 'checksum', checksum, 'evidence', evidence, 'by', by, \
             'age_ms', extract(epoch FROM clock_timestamp() - \
               coalesce((evidence->>'taken_at')::timestamptz, at)) * 1000) \
             FROM rowproof_migrate.gate WHERE migration_id = {} ORDER BY at",
            self.sql_id()
        );
        self.link.run("read the evidence", &sql).await?.jsons()
    }

    /// Each gate that the folder has, and what it lacks.
    async fn unmet(
        &mut self,
        gates: &Gates,
        recorded: &[Recorded],
    ) -> Result<Vec<(&'static str, Option<String>)>, MigrateError> {
        let mine = self.folder.checksum.to_string();
        let counts = |record: &&Recorded| record.evidence.get("override").is_none();
        let of = |name: &'static str| {
            recorded.iter().filter(counts).filter(move |record| record.name == name)
        };
        let mut found = vec![];
        let rehearsed = |name| of(name).any(|record| record.checksum == mine);
        let missing = "there is no record of a rehearsal with exactly these files; run `rehearse --json` on a copy, \
            and record what it prints by `evidence`";
        if gates.staging_run.is_some() {
            found.push(("staging_run", (!rehearsed("staging_run")).then(|| missing.to_owned())));
        }
        if gates.rollback_rehearsed {
            found.push((
                "rollback_rehearsed",
                (!rehearsed("rollback_rehearsed")).then(|| missing.to_owned()),
            ));
        }
        if let Some(max) = gates.backup_max_age {
            let age_ms = match &gates.backup_probe {
                Some(probe) => self.backup_age_ms(probe).await?,
                None => of("backup").map(|record| record.age_ms).reduce(f64::min),
            };
            let what = match age_ms {
                None => {
                    Some("no backup is known; record one, or set gates.backup_probe".to_owned())
                }
                Some(age_ms) => (std::time::Duration::try_from_secs_f64(age_ms.max(0.0) / 1000.0)
                    .unwrap_or(std::time::Duration::MAX)
                    > max.0)
                    .then(|| {
                        format!(
                            "the newest backup is {:.0} s old, more than {max}",
                            age_ms / 1000.0
                        )
                    }),
            };
            found.push(("backup_max_age", what));
        }
        if gates.approvals > 0 {
            let approved = of("approval").filter(|record| record.checksum == mine);
            let mut people: Vec<&str> = approved.map(|record| record.by.as_str()).collect();
            people.sort_unstable();
            people.dedup();
            let lacks = u32::try_from(people.len()).unwrap_or(u32::MAX) < gates.approvals;
            let what = format!(
                "{} of {} people approve of exactly these files (`evidence --gate approval`)",
                people.len(),
                gates.approvals
            );
            found.push(("approvals", lacks.then_some(what)));
        }
        Ok(found)
    }

    async fn backup_age_ms(&mut self, probe: &str) -> Result<Option<f64>, MigrateError> {
        let sql = format!(
            "SELECT extract(epoch FROM clock_timestamp() - ({}\n)::timestamptz) * 1000",
            bare(probe)
        );
        let asked = self.read_only("ask for the newest backup (gates.backup_probe)", &sql).await;
        Ok(asked?.number(0, 0))
    }

    /// An author's query, in a transaction that cannot write.
    async fn read_only(&mut self, doing: &str, query: &str) -> Result<Answer, PostgresError> {
        let sql = format!(
            "BEGIN READ ONLY; {} {}\n; COMMIT",
            settings(self.limits(), self.id(), self.epoch),
            bare(query)
        );
        let answer = self.link.run(doing, &sql).await;
        if answer.is_err() {
            self.link.roll_back().await;
        }
        answer
    }
}

fn overridden<'a>(recorded: &'a [Recorded], gate: &str, checksum: &str) -> Option<&'a Recorded> {
    recorded.iter().rev().find(|record| {
        record.name == gate
            && record.checksum == checksum
            && record.evidence.get("override").is_some()
    })
}

/// The statements that record evidence for a gate, with an event.
pub(crate) fn record(id: &str, name: &str, checksum: &str, evidence: &Value, by: &str) -> String {
    let kind = if evidence.get("override").is_some() { "gate_overridden" } else { "evidence" };
    format!(
        "INSERT INTO rowproof_migrate.gate (migration_id, name, checksum, evidence, by) \
         VALUES ({}, {}, {}, {}, {}); {}",
        quote_text(id),
        quote_text(name),
        quote_text(checksum),
        crate::batch::json_text(evidence),
        quote_text(by),
        event(
            id,
            kind,
            &json!({ "gate": name, "checksum": checksum, "by": by, "evidence": evidence })
        )
    )
}
