//! What was not read as it is written.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// What was not read as it is written, by what was done to it: records whose fields were not as many as the
/// header's, and values of loaded rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repairs {
    /// Missing fields are NULL.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fields_added: u64,
    /// Empty fields beyond the header's were dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub empty_fields_dropped: u64,
    /// Fields beyond the header's that held something were dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fields_dropped: u64,
    /// Values lost the digits finer than a microsecond.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub subseconds_cut: u64,
    /// Dates lost their time of day.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub times_of_day_dropped: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Repairs {
    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        *self == Repairs::default()
    }

    /// Each kind that came up: its name, and how many records or values.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let kinds = [
            ("a field too few, read as NULL", self.fields_added),
            ("an empty field too many, dropped", self.empty_fields_dropped),
            ("a field too many that held something, dropped", self.fields_dropped),
            ("digits finer than a microsecond, cut", self.subseconds_cut),
            ("a time of day in a date, dropped", self.times_of_day_dropped),
        ];
        kinds.into_iter().filter(|(_, count)| *count > 0)
    }
}

impl AddAssign for Repairs {
    fn add_assign(&mut self, other: Repairs) {
        self.fields_added += other.fields_added;
        self.empty_fields_dropped += other.empty_fields_dropped;
        self.fields_dropped += other.fields_dropped;
        self.subseconds_cut += other.subseconds_cut;
        self.times_of_day_dropped += other.times_of_day_dropped;
    }
}
