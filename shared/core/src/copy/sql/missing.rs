//! Rows of the table that a file which is the whole table does not have.

use super::Sql;
use crate::ledger::JobFacts;
use crate::sql::quote_text;

const KEPT: &str = "pg_temp.rowproof_kept";

impl Sql {
    /// An empty table for the keys that stay.
    pub fn create_kept(&self) -> String {
        self.temporary(KEPT, self.keys())
    }

    /// Takes keys in.
    pub fn copy_kept(&self) -> String {
        format!("COPY {KEPT} FROM STDIN (FORMAT binary)")
    }

    /// How many rows earlier files of the slot brought, and how many of them have no key that stays.
    pub fn count_missing(&self, facts: &JobFacts) -> [String; 2] {
        [
            format!("SELECT count(*) FROM {} t WHERE {}", self.target, of_slot(facts)),
            format!("SELECT count(*) FROM {} t WHERE {}", self.target, self.missing(facts)),
        ]
    }

    /// Those go.
    pub fn delete_missing(&self, facts: &JobFacts) -> String {
        format!("DELETE FROM {} t WHERE {}", self.target, self.missing(facts))
    }

    fn missing(&self, facts: &JobFacts) -> String {
        let same = self.same_key();
        format!("{} AND NOT EXISTS (SELECT FROM {KEPT} s WHERE {same})", of_slot(facts))
    }
}

/// Rows that nobody brought by a file of this slot are not ours to delete.
fn of_slot(facts: &JobFacts) -> String {
    let slot = quote_text(&facts.slot.0);
    format!("t._rowproof_load IN (SELECT load FROM rowproof.loads WHERE slot = {slot})")
}
