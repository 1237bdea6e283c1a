//! Names that say that an object is no data: what Hadoop, Spark, their kin and file systems put beside the
//! files of an export. This is the one list of them.
//!
//! An object of such a name is skipped and counted, unless `match` spells the sign out. Other names that
//! begin with `_` are data: Hadoop's readers hide them all, but people use them for files of their own.

/// Where a sign stands in a part of a key between slashes.
#[derive(Debug, Clone, Copy)]
enum Sign {
    /// It is the whole name of a file.
    File(&'static str),
    /// A file's name begins with it.
    FileStart(&'static str),
    /// A file's name ends with it.
    FileEnd(&'static str),
    /// It is the whole name of a folder.
    Folder(&'static str),
    /// The name of a file or folder begins with it.
    Start(&'static str),
}

use Sign::{File, FileEnd, FileStart, Folder, Start};

const SIGNS: [(Sign, &str); 14] = [
    (File("_SUCCESS"), "a mark of Hadoop or Spark that an export is complete"),
    (FileStart("_started_"), "a mark of Databricks that a commit began"),
    (FileStart("_committed_"), "a mark of Databricks of what a commit wrote"),
    (File("_metadata"), "a summary of Parquet files"),
    (File("_common_metadata"), "a summary of Parquet files"),
    (FileEnd("_$folder$"), "a folder as EMR and Hadoop mark it"),
    (FileEnd("._COPYING_"), "an upload by Hadoop that is not complete"),
    (FileEnd(".csv.metadata"), "what Athena writes beside a result"),
    (Folder("_temporary"), "output of Hadoop or Spark that is not complete"),
    (Folder("_impala_insert_staging"), "output of Impala that is not complete"),
    (Folder("_spark_metadata"), "Spark's log of a stream"),
    (Folder("_delta_log"), "the log of a Delta table"),
    (Folder("_symlink_format_manifest"), "a list of the files of a Delta table"),
    // Checksums of Hadoop, output that is not complete, what file systems and editors leave behind.
    (Start("."), "a hidden file, such as a checksum of Hadoop"),
];

/// Whether the object with this key is skipped by its name where a pipeline's `match` is `pattern`: what
/// such an object is.
pub fn skipped_by_name(pattern: &str, key: &str) -> Option<&'static str> {
    let file = key.rsplit('/').next().unwrap_or(key);
    let folders = key.rsplit('/').skip(1);
    let parts = std::iter::once((file, true)).chain(folders.map(|folder| (folder, false)));
    parts
        .flat_map(|(part, is_file)| signs_of(part, is_file).map(move |sign| (part, sign)))
        .find_map(|(part, (sign, what))| (!is_spelled_out(pattern, part, *sign)).then_some(*what))
}

/// Whether some pipeline may skip the object with this key by its name.
pub fn has_marker_name(key: &str) -> bool {
    skipped_by_name("", key).is_some()
}

fn signs_of(part: &str, is_file: bool) -> impl Iterator<Item = &'static (Sign, &'static str)> {
    SIGNS.iter().filter(move |(sign, _)| match sign {
        File(name) => is_file && part == *name,
        FileStart(start) => is_file && part.starts_with(start),
        FileEnd(end) => is_file && part.ends_with(end),
        Folder(name) => !is_file && part == *name,
        Start(start) => part.starts_with(start) && !matches!(part, "." | ".."),
    })
}

/// Whether a part of the pattern spells the sign out, as its beginning or end, and fits the key's part.
fn is_spelled_out(pattern: &str, part: &str, sign: Sign) -> bool {
    let wild = ['*', '?', '{', '}'];
    let mut literals = pattern.split('/').map(|piece| {
        let start = piece.split(wild).next().unwrap_or("");
        let end = piece.rsplit(wild).next().unwrap_or("");
        (start, end)
    });
    literals.any(|(start, end)| match sign {
        File(word) | FileStart(word) | Folder(word) | Start(word) => {
            start.starts_with(word) && part.starts_with(start)
        }
        FileEnd(word) => end.ends_with(word) && part.ends_with(end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_beside_an_export_are_skipped_and_data_is_not() {
        for key in [
            "in/_SUCCESS",
            "_SUCCESS",
            "in/_started_3812",
            "in/_committed_3812",
            "in/_committed_vacuum12",
            "in/_metadata",
            "in/_common_metadata",
            "in/day_$folder$",
            "in/a.csv._COPYING_",
            "in/5f.csv.metadata",
            "in/.part-00000.csv.crc",
            "in/.DS_Store",
            "in/._a.csv",
            "in/_temporary/0/a.csv",
            "in/_delta_log/0.json",
            "in/_spark_metadata/0",
            "in/.hive-staging_1/a.csv",
        ] {
            assert!(skipped_by_name("**", key).is_some(), "{key}");
            assert!(skipped_by_name("in/*", key).is_some() && has_marker_name(key), "{key}");
        }
        for key in [
            "in/a.csv",
            "in/_orders.csv",
            "in/_SUCCESS.csv",
            "in/_SUCCESS/a.csv",
            "in/orders_metadata",
            "in/a.csv.crc",
            "in/_temporary",
            "in/started_1",
            "./in/a.csv",
            "in/../a.csv",
        ] {
            assert!(!has_marker_name(key), "{key}");
        }
    }

    #[test]
    fn a_pattern_that_spells_a_sign_out_takes_the_objects() {
        for (pattern, key) in [
            ("in/_SUCCESS", "in/_SUCCESS"),
            ("in/_started_*", "in/_started_1"),
            ("in/*_$folder$", "in/a_$folder$"),
            ("in/*.csv.metadata", "in/a.csv.metadata"),
            ("**/_delta_log/*.json", "t/_delta_log/0.json"),
            (".hidden/*", ".hidden/a.csv"),
            ("in/.{name}", "in/.a"),
        ] {
            assert_eq!(skipped_by_name(pattern, key), None, "{pattern} {key}");
        }
        assert!(skipped_by_name("in/_SUCC*", "in/_SUCCESS").is_some());
        assert!(skipped_by_name("_delta_log/**", "_delta_log/.0.json.crc").is_some());
        assert!(skipped_by_name(".hidden/*", ".hidden/.a.csv").is_some());
    }
}
