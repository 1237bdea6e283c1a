//! Which files there are: the root's fixed entries, and the rest of the tree for the other rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All that the root may hold besides `.git` and the folders that are built.
const ROOT_ENTRIES: [&str; 18] = [
    ".cargo",
    ".ci",
    ".clippy.toml",
    ".config",
    ".deny.toml",
    ".github",
    ".gitignore",
    ".rustfmt.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "findings",
    "functions",
    "infra",
    "samconfig.toml",
    "shared",
    "tests",
];

/// Folders that hold built or fetched things, wherever they are.
const BUILT: [&str; 4] = [".git", "target", ".aws-sam", "__pycache__"];

/// One text file of the workspace.
pub(crate) struct File {
    /// Path from the workspace root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The workspace root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of one file, by its path from the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every UTF-8 file of the workspace, in order of path.
pub(crate) fn files() -> Vec<File> {
    let mut files = Vec::new();
    for entry in ROOT_ENTRIES {
        collect(&root().join(entry), entry, &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every Rust file of the workspace, in order of path.
pub(crate) fn rust_files() -> Vec<File> {
    files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

fn collect(path: &Path, name: &str, files: &mut Vec<File>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap_or_else(|error| panic!("{name}: {error}")).flatten()
        {
            let child = entry.file_name().to_string_lossy().into_owned();
            if !BUILT.contains(&child.as_str()) {
                collect(&entry.path(), &format!("{name}/{child}"), files);
            }
        }
    } else if let Ok(text) = fs::read_to_string(path) {
        files.push(File { path: name.to_owned(), text });
    }
}

/// What git tracks at the root, or what lies there when this is no checkout. A developer's own
/// untracked output folder is nobody's business.
fn root_entries() -> BTreeSet<String> {
    let tracked = Command::new("git").arg("ls-files").current_dir(root()).output();
    if let Ok(output) = tracked
        && output.status.success()
    {
        let list = String::from_utf8_lossy(&output.stdout).into_owned();
        return list.lines().filter_map(|line| line.split('/').next()).map(str::to_owned).collect();
    }
    let listing = fs::read_dir(root()).unwrap_or_else(|error| panic!("root: {error}"));
    listing.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn strangers<'a>(entries: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    entries
        .into_iter()
        .filter(|entry| !ROOT_ENTRIES.contains(entry) && !BUILT.contains(entry))
        .map(|entry| {
            format!("{entry}:1: the root holds a fixed set of entries; move it under one of them")
        })
        .collect()
}

#[test]
fn the_root_holds_nothing_but_its_fixed_entries() {
    let entries = root_entries();
    assert!(entries.contains("Cargo.toml"), "the root was not found: {entries:?}");
    assert_eq!(strangers(entries.iter().map(String::as_str)), Vec::<String>::new());
}

#[test]
fn a_stranger_at_the_root_is_named() {
    let found = strangers(["Cargo.toml", "tests", "Makefile", "target", ".git"]);
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|line| line.starts_with("Makefile:1:")), "{found:?}");
}

#[test]
fn the_walk_finds_the_sources_and_nothing_that_was_built() {
    let paths: Vec<String> = files().into_iter().map(|file| file.path).collect();
    assert!(paths.iter().any(|path| path == "shared/core/src/lib.rs"), "{paths:?}");
    assert!(!paths.iter().any(|path| path.contains("/target/")), "{paths:?}");
}
