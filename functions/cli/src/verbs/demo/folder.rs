//! What lies in the demo's folder, read without Rowproof: as any other program sees it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;
use parquet::file::reader::{FileReader, SerializedFileReader};

/// Every file below a folder with its size; a folder that is not there is empty.
pub(crate) fn files(folder: &Path) -> anyhow::Result<BTreeMap<PathBuf, u64>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let entry = entry?;
            // A file may be renamed between the listing and the look.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path(), metadata.len());
            }
        }
    }
    Ok(found)
}

/// Rows in all Parquet files below a folder whose names hold `part`.
pub(crate) fn parquet_rows(folder: &Path, part: &str) -> anyhow::Result<u64> {
    let mut rows = 0;
    let is_meant = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        has_extension(path, "parquet") && name.contains(part)
    };
    for path in files(folder)?.keys().filter(is_meant) {
        let reader = SerializedFileReader::new(File::open(path)?);
        let reader = reader.with_context(|| path.display().to_string())?;
        rows += u64::try_from(reader.metadata().file_metadata().num_rows())?;
    }
    Ok(rows)
}

pub(crate) fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}
