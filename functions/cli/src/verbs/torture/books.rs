//! All rows that a run left, in one sum that does not depend on their order.

use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Row;

/// Columns of the failure archive that are the same in every run of a file.
const OF_A_REJECT: [&str; 6] =
    ["source_key", "row_number", "byte_start", "byte_end", "error_code", "raw_data"];

/// What a run left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Books {
    /// State of each input's job.
    states: Vec<String>,
    loaded: Rows,
    rejected: Rows,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rows {
    count: u64,
    /// Sum of the hashes of all rows.
    sum: u128,
}

impl fmt::Display for Books {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (loaded, rejected) = (self.loaded, self.rejected);
        write!(
            formatter,
            "{}, {} rows loaded ({:016x}), {} rejected ({:016x})",
            self.states.join(" "),
            loaded.count,
            loaded.sum,
            rejected.count,
            rejected.sum
        )
    }
}

impl Books {
    /// Reads the files of a folder by a plain listing, as any engine would.
    pub(super) fn read(dir: &Path, states: Vec<String>) -> anyhow::Result<Books> {
        let output = dir.join("output");
        let mut loaded = Rows::default();
        for path in parquet_files(&output)? {
            // Folders that begin with an underscore are Rowproof's own.
            let folder = path.strip_prefix(&output)?.parent().map(Path::to_owned);
            let folder = folder.unwrap_or_default().display().to_string();
            if !folder.starts_with('_') {
                loaded.add(&path, |row| format!("{folder} {row}"))?;
            }
        }
        let mut rejected = Rows::default();
        for path in parquet_files(&dir.join("failures"))? {
            rejected.add(&path, |row| {
                let columns = row.get_column_iter();
                let told = columns.filter(|(name, _)| OF_A_REJECT.contains(&name.as_str()));
                told.map(|(name, field)| format!("{name}={field} ")).collect()
            })?;
        }
        Ok(Books { states, loaded, rejected })
    }
}

impl Rows {
    fn add(&mut self, path: &Path, text: impl Fn(&Row) -> String) -> anyhow::Result<()> {
        let reader = SerializedFileReader::new(File::open(path)?)?;
        for row in reader.get_row_iter(None)? {
            let text = text(&row?);
            self.count += 1;
            self.sum = self.sum.wrapping_add(hash(0, &text) << 64 | hash(1, &text));
        }
        Ok(())
    }
}

fn hash(seed: u8, text: &str) -> u128 {
    let mut hasher = DefaultHasher::new();
    (seed, text).hash(&mut hasher);
    hasher.finish().into()
}

fn parquet_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(parquet_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            found.push(path);
        }
    }
    Ok(found)
}
