//! Reads what a run left, as any engine would: by a plain listing, with the Parquet library alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row as ParquetRow};

use super::oracle::Row;

/// Every file under a folder, sorted; none when it is not there.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Rows of one Parquet file by column name; partition folders are columns.
pub(crate) fn read(path: &Path) -> Vec<BTreeMap<String, Option<String>>> {
    let file = File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    read_file(file, path)
}

/// See [`read`]; the file is open already.
pub(crate) fn read_file(file: File, path: &Path) -> Vec<BTreeMap<String, Option<String>>> {
    let reader = SerializedFileReader::new(file)
        .unwrap_or_else(|error| panic!("{} is no Parquet file: {error}", path.display()));
    let folders = path.iter().filter_map(|part| part.to_str()?.split_once('='));
    let folders: Vec<_> =
        folders.map(|(name, value)| (name.to_owned(), folder_value(value))).collect();
    let rows = reader.get_row_iter(None).unwrap();
    let named = |row: ParquetRow| {
        let columns = row.get_column_iter().map(|(name, field)| (name.clone(), text(field)));
        columns.chain(folders.iter().cloned()).collect()
    };
    rows.map(|row| named(row.unwrap())).collect()
}

/// What a folder's name stands for: `%2F` is a slash.
fn folder_value(name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let hex = (byte == b'%').then(|| rest.by_ref().take(2).map(char::from).collect::<String>());
        bytes.push(hex.map_or(byte, |hex| u8::from_str_radix(&hex, 16).unwrap()));
    }
    Some(String::from_utf8(bytes).unwrap()).filter(|_| name != "__HIVE_DEFAULT_PARTITION__")
}

/// Rows of all Parquet files under a folder, with these columns in this order, sorted.
pub(crate) fn rows(folder: &Path, columns: &[&str]) -> Vec<Row> {
    let mut rows = Vec::new();
    for path in files(folder) {
        for mut row in read(&path) {
            let value = |column: &&str| {
                row.remove(*column).unwrap_or_else(|| panic!("{} lacks {column}", path.display()))
            };
            rows.push(columns.iter().map(value).collect());
        }
    }
    rows.sort();
    rows
}

fn text(field: &Field) -> Option<String> {
    let text = match field {
        Field::Null => return None,
        Field::Bool(value) => value.to_string(),
        Field::Int(value) | Field::Date(value) => value.to_string(),
        Field::Long(value) | Field::TimestampMicros(value) => value.to_string(),
        Field::Str(value) => value.clone(),
        Field::Decimal(value) => {
            let (bytes, scale) = (value.data(), usize::try_from(value.scale()).unwrap());
            let negative = bytes.first().is_some_and(|byte| *byte >= 128);
            let start = if negative { -1_i128 } else { 0 };
            let number = bytes.iter().fold(start, |sum, byte| (sum << 8) | i128::from(*byte));
            let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
            let (whole, part) = digits.split_at(digits.len() - scale);
            format!("{}{whole}.{part}", if number < 0 { "-" } else { "" })
        }
        other => panic!("no test writes a value like {other:?}"),
    };
    Some(text)
}
