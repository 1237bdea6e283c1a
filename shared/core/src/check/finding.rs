//! What is wrong with a text that is no value of its column's type, as far as it can be told without
//! showing the text.

use crate::pipeline::{Column, ColumnType};

/// What is wrong with a text that is no value of its column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Blanks stand around a value.
    Blanks,
    /// A whole number has a fraction.
    Fraction,
    /// A whole number has an exponent.
    Exponent,
    /// A decimal has more digits after the point than its scale.
    Scale,
    /// A number is outside the range of the type.
    Range,
    /// A number that is not 0 would become 0.
    TooSmall,
    /// A number with commas, or blanks or apostrophes between its digits.
    Separators,
    /// A number with a minus sign that is not declared.
    Negative,
    /// A time is finer than a microsecond.
    Subsecond,
    /// A local time, and no zone is known.
    NoOffset,
    /// A date where a timestamp is wanted.
    NoTimeOfDay,
    /// A timestamp where a date is wanted.
    TimeOfDay,
    /// The zone has the local time twice.
    Twice,
    /// The zone does not have the local time.
    Never,
}

impl Finding {
    /// What is wrong and what to write, for the column and the zone of its source.
    pub(super) fn text(self, column: &Column, zone: Option<&str>) -> String {
        let zone = column.reading.timezone.as_deref().or(zone).unwrap_or("its zone");
        match self {
            Finding::Blanks => "blanks around it (trim = true drops them)".to_owned(),
            Finding::Fraction => "it has a fraction".to_owned(),
            Finding::Exponent => "it has an exponent".to_owned(),
            Finding::Scale => {
                let whole = matches!(column.data_type, ColumnType::Decimal { scale: 0, .. });
                let text = if whole { "it has a fraction" } else { "finer than the scale" };
                text.to_owned()
            }
            Finding::Range => "outside the range of the type".to_owned(),
            Finding::TooSmall => "so small that it would become 0".to_owned(),
            Finding::Separators => {
                "other separators (decimal_separator and thousands name them)".to_owned()
            }
            Finding::Negative => "another way to write a minus (negative names it)".to_owned(),
            Finding::Subsecond => {
                "finer than a microsecond (subsecond = \"truncate\" cuts it)".to_owned()
            }
            Finding::NoOffset => "it has no offset, and no timezone is declared".to_owned(),
            Finding::NoTimeOfDay => "it has no time of day".to_owned(),
            Finding::TimeOfDay => {
                "it has a time of day (time_of_day = \"drop\" drops it)".to_owned()
            }
            Finding::Twice => format!(
                "this local time is there twice in {zone}, as clocks were put back (local_time says \
                 which one)"
            ),
            Finding::Never => format!(
                "this local time does not exist in {zone}, as clocks were put forward (local_time \
                 says what it is)"
            ),
        }
    }
}
