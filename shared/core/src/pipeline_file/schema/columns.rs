//! `[columns]` in the JSON Schema.

use schemars::JsonSchema;

use super::LocalTimeName;

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum ColumnEntry {
    Short(TypeName),
    Full(Box<ColumnTable>),
}

/// bool, int8 to int64, uint8 to uint64, float32, float64, decimal(p,s), string, date, time or timestamp.
#[derive(JsonSchema)]
pub(super) struct TypeName(
    #[schemars(regex(
        pattern = concat!(
            r"^(bool|u?int(8|16|32|64)|float(32|64)|decimal\( *[0-9]+ *(, *[0-9]+ *)?\)",
            r"|string|date|time|timestamp)$"
        )
    ))]
    String,
);

/// One output column and its rules.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ColumnTable {
    /// Output type.
    #[schemars(rename = "type")]
    data_type: TypeName,
    /// The field it reads (default: its own name), a list of names of which the file has one, its place
    /// from 1 on, or "{capture}" of source.match.
    from: Option<FieldOf>,
    /// Part of the row's key. Default false.
    key: Option<bool>,
    /// Whether NULL is allowed. Default false.
    nullable: Option<bool>,
    /// Stands in for NULL.
    default: Option<Scalar>,
    /// Drop spaces and tabs around the text first. Default false.
    trim: Option<bool>,
    /// How a date, time or timestamp is written: strftime, or a word: "rfc3339" for timestamps, "iso" for
    /// dates and times, "epoch_days" for dates, "epoch_s", "epoch_ms", "epoch_us" and "epoch_ns" for dates
    /// and timestamps. Of a list the first that fits is taken.
    format: Option<OneOrMany>,
    /// Regular expression that the text must match.
    pattern: Option<String>,
    /// Allowed values.
    #[schemars(length(min = 1))]
    one_of: Option<Vec<Scalar>>,
    /// Smallest allowed value.
    min: Option<Scalar>,
    /// Largest allowed value.
    max: Option<Scalar>,
    /// Fewest characters of a string.
    min_length: Option<u32>,
    /// Most characters of a string.
    max_length: Option<u32>,
    /// The value in the failure archive and in reports: "full" (default), "mask" or "hash".
    archive: Option<ArchiveName>,
    /// Words that mean true in a bool column, as they are written; together with "false". Default: true,
    /// t, yes, y, on and 1 in any case.
    #[schemars(rename = "true", length(min = 1))]
    true_words: Option<Vec<String>>,
    /// Words that mean false in a bool column, as they are written; together with "true". Default: false,
    /// f, no, n, off and 0 in any case.
    #[schemars(rename = "false", length(min = 1))]
    false_words: Option<Vec<String>>,
    /// Between the whole part and the fraction of a number. Default: the source's.
    #[schemars(length(min = 1, max = 1))]
    decimal_separator: Option<String>,
    /// What may stand between groups of three digits of a number. Default: the source's.
    #[schemars(length(min = 1, max = 1))]
    thousands: Option<String>,
    /// Ways to write a negative number besides "-5.00": "trailing" for "5.00-", "parentheses" for
    /// "(5.00)", "unicode" for the minus sign U+2212. Default none.
    negative: Option<Vec<NegativeName>>,
    /// Texts that may stand before or after a number and do not count, e.g. ["$", "EUR", "%"]. A percent
    /// sign does not divide. Default none.
    affix: Option<Vec<String>>,
    /// Digits of a time or timestamp that are finer than a microsecond: "reject" (default) unless they are
    /// zeros, or "truncate".
    subsecond: Option<SubsecondName>,
    /// A time of day behind a date: "reject" (default) unless it is midnight, or "drop".
    time_of_day: Option<TimeOfDayName>,
    /// IANA zone of a timestamp without an offset. Default: the source's.
    timezone: Option<String>,
    /// A local time that the zone has twice or never: "reject", "earlier" or "later". Default: the
    /// source's.
    local_time: Option<LocalTimeName>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum NegativeName {
    Trailing,
    Parentheses,
    Unicode,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum SubsecondName {
    Reject,
    Truncate,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum TimeOfDayName {
    Reject,
    Drop,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum FieldOf {
    Place(#[schemars(range(min = 1, max = 10_000))] u32),
    One(String),
    Many(#[schemars(length(min = 1))] Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum OneOrMany {
    One(String),
    Many(#[schemars(length(min = 1))] Vec<String>),
}

/// A number, text, truth value, date or time.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Scalar {
    Text(String),
    Number(f64),
    Truth(bool),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ArchiveName {
    Full,
    Mask,
    Hash,
}
