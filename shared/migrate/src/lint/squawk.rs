//! Squawk's rules for single statements. Those are left out that ask for what the engine does itself
//! (timeouts, transactions, statements that can be repeated), that a rule of ours says for the whole folder,
//! and those of taste.

use squawk_linter::{Linter, Rule};

use crate::phase::Mode;
use crate::phase::Phase;

use super::{Finding, Sources};

const ALWAYS: [Rule; 11] = [
    Rule::AddingFieldWithDefault,
    Rule::AddingRequiredField,
    Rule::AddingSerialPrimaryKeyField,
    Rule::BanAlterDomainWithAddConstraint,
    Rule::BanCharField,
    Rule::BanCreateDomainWithConstraint,
    Rule::BanDropDatabase,
    Rule::BanTruncateCascade,
    Rule::ChangingColumnType,
    Rule::DisallowedUniqueConstraint,
    Rule::IdentifierTooLong,
];

/// Their advice is a form that cannot run in a transaction, as `down.sql` does.
const FORWARD: [Rule; 5] = [
    Rule::PreferRepack,
    Rule::RequireConcurrentIndexCreation,
    Rule::RequireConcurrentIndexDeletion,
    Rule::RequireConcurrentPartitionDetach,
    Rule::RequireConcurrentReindex,
];

pub(super) fn look(sources: &Sources) -> Vec<Finding> {
    let mut findings = vec![];
    for script in &sources.scripts {
        let mut rules = ALWAYS.to_vec();
        if script.phase != Phase::Down {
            rules.extend(FORWARD);
        }
        let mut linter = Linter::from(rules);
        linter.settings.assume_in_transaction = script.phase.mode() == Mode::OneTransaction;
        for found in linter.lint(&script.tree, &script.text) {
            let code = found.code.to_string();
            let line = script.line(found.text_range.start().into());
            let instead =
                found.help.unwrap_or_else(|| format!("see https://squawkhq.com/docs/{code}"));
            findings.push(Finding::at(
                (script.phase.file(), line),
                &code,
                &found.message,
                &instead,
            ));
        }
    }
    findings
}
