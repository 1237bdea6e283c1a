//! `int64`, `decimal(12,2)`, `timestamp`: the names of types.

use crate::pipeline::{ColumnType, TimestampFormat};
use crate::toml_file::problem::{nearest, quoted};

const NAMES: [&str; 16] = [
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "decimal(12,2)",
    "string",
    "date",
    "time",
    "timestamp",
];

/// Names of other systems for our types.
const ALIASES: [(&str, &str); 26] = [
    ("boolean", "bool"),
    ("tinyint", "int8"),
    ("smallint", "int16"),
    ("int", "int64"),
    ("integer", "int64"),
    ("long", "int64"),
    ("bigint", "int64"),
    ("i64", "int64"),
    ("number", "int64"),
    ("uint", "uint64"),
    ("float", "float64"),
    ("double", "float64"),
    ("real", "float32"),
    ("money", "decimal(12,2)"),
    ("decimal", "decimal(12,2)"),
    ("numeric", "decimal(12,2)"),
    ("text", "string"),
    ("str", "string"),
    ("utf8", "string"),
    ("varchar", "string"),
    ("char", "string"),
    ("datetime", "timestamp"),
    ("timestamptz", "timestamp"),
    ("timestamp_ntz", "timestamp"),
    ("instant", "timestamp"),
    ("epoch", "timestamp"),
];

/// Reads a type's name. The error is what is wrong and what to write.
pub(super) fn parse_type(text: &str) -> Result<ColumnType, (String, String)> {
    let rfc3339 = TimestampFormat::Rfc3339;
    Ok(match text {
        "bool" => ColumnType::Bool,
        "int8" => ColumnType::Int(8),
        "int16" => ColumnType::Int(16),
        "int32" => ColumnType::Int(32),
        "int64" => ColumnType::Int(64),
        "uint8" => ColumnType::UInt(8),
        "uint16" => ColumnType::UInt(16),
        "uint32" => ColumnType::UInt(32),
        "uint64" => ColumnType::UInt(64),
        "float32" => ColumnType::Float(32),
        "float64" => ColumnType::Float(64),
        "string" => ColumnType::String,
        "date" => ColumnType::Date { format: None },
        "time" => ColumnType::Time { format: None },
        "timestamp" => ColumnType::Timestamp { format: rfc3339 },
        _ => return parse_decimal(text).unwrap_or_else(|| Err(unknown_type(text))),
    })
}

/// `decimal(p,s)` or `decimal(p)`; `None` when it is something else.
fn parse_decimal(text: &str) -> Option<Result<ColumnType, (String, String)>> {
    let inside = text.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inside.split_once(',').unwrap_or((inside, "0"));
    let number = |digits: &str| -> Option<u8> {
        let digits = digits.trim_matches(' ');
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    Some(match (number(precision), number(scale)) {
        (Some(precision @ 1..=38), Some(scale)) if scale <= precision => {
            Ok(ColumnType::Decimal { precision, scale })
        }
        _ => Err((
            format!("{} has no valid precision and scale", quoted(text)),
            "\"decimal(p,s)\" with p from 1 to 38 digits in all and s from 0 to p after the point"
                .to_owned(),
        )),
    })
}

fn unknown_type(text: &str) -> (String, String) {
    let what = format!("{} is not a type", quoted(text));
    let word = text.to_lowercase();
    let word = word.split('(').next().unwrap_or("").trim();
    let alias = ALIASES.iter().find(|(alias, _)| *alias == word).map(|(_, name)| *name);
    let near = alias.or_else(|| nearest(word, NAMES));
    (what, near.map_or_else(|| format!("one of {}", NAMES.join(", ")), quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_name() {
        for name in NAMES {
            assert!(parse_type(name).is_ok(), "{name}");
        }
        let decimal = |precision, scale| Ok(ColumnType::Decimal { precision, scale });
        assert_eq!(parse_type("decimal(38,38)"), decimal(38, 38));
        assert_eq!(parse_type("decimal( 9 , 0 )"), decimal(9, 0));
        assert_eq!(parse_type("decimal(9)"), decimal(9, 0));
    }

    #[test]
    fn a_wrong_type_is_answered_with_the_right_one() {
        for (text, write) in [
            ("integer", "\"int64\""),
            ("VARCHAR(20)", "\"string\""),
            ("numeric(10,2)", "\"decimal(12,2)\""),
            ("timestmap", "\"timestamp\""),
            ("Int64", "\"int64\""),
            ("zebra", "one of bool, int8"),
            ("", "one of bool, int8"),
            ("decimal(39,2)", "from 1 to 38"),
            ("decimal(4,5)", "s from 0 to p"),
            ("decimal(0,0)", "from 1 to 38"),
            ("decimal(+4,2)", "from 1 to 38"),
            ("decimal(4,2,1)", "from 1 to 38"),
        ] {
            let (_, found) = parse_type(text).expect_err(text);
            assert!(found.contains(write), "{text}: {found}");
        }
    }
}
