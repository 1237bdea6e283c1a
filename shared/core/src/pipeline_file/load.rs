//! The file and the bases that it extends, merged into one tree.

use crate::toml_file::problem::{Report, quoted};
use crate::toml_file::section::text_of;
use crate::toml_file::tree::{self, Node, Table};

/// Most files in a chain of `extends`, the pipeline file included.
const CHAIN_MAX: usize = 8;
/// Largest pipeline file, in bytes.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Reads `text` and every base below it. `None` when one of them cannot be read: what else would be
/// wrong without it is not worth saying.
pub(super) fn load(
    name: &str,
    text: &str,
    load: &dyn Fn(&str) -> Result<String, String>,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Option<Table> {
    let (folder, own) = split_folder(name);
    report.files.push(name.to_owned());
    // Paths of the chain, relative to the folder of the pipeline file.
    let mut chain = vec![own.to_owned()];
    let mut layers: Vec<Table> = Vec::new();
    let mut next_text = text.to_owned();
    loop {
        let file = chain.len() - 1;
        let mut table = read_file(file, &next_text, env, report)?;
        let Some(place) = table.0.iter().position(|entry| entry.key == "extends") else {
            layers.push(table);
            break;
        };
        let entry = table.0.remove(place);
        layers.push(table);
        let path = base_path(&entry.node, &chain, report)?;
        match load(&path) {
            Ok(text) => next_text = text,
            Err(error) => {
                let what = format!("{} cannot be read: {error}", quoted(&path));
                let write = "the path of a file that exists";
                report.problem(entry.node.at, "extends", what, write);
                return None;
            }
        }
        report.files.push(join(folder, &path).unwrap_or_else(|| format!("{folder}{path}")));
        chain.push(path);
    }
    Some(layers.into_iter().rev().fold(Table::default(), |mut below, above| {
        below.overlay(above);
        below
    }))
}

/// The path of the base that the last file of the chain names, unless the chain must end here.
fn base_path(node: &Node, chain: &[String], report: &mut Report) -> Option<String> {
    let base = text_of(node, "extends", "extends = \"base.toml\"", report)?;
    let from = chain.last().map_or("", |path| split_folder(path).0);
    let (what, write) = match join(from, base) {
        None => (
            format!("{} is not a path relative to this file", quoted(base)),
            "a file name such as \"base.toml\"",
        ),
        Some(path) if chain.contains(&path) => (
            format!("{} extends itself in the end", quoted(&path)),
            "a base that stands on its own",
        ),
        Some(_) if chain.len() == CHAIN_MAX => {
            (format!("more than {CHAIN_MAX} files in the chain"), "the keys into a nearer base")
        }
        Some(path) => return Some(path),
    };
    report.problem(node.at, "extends", what, write);
    None
}

fn read_file(
    file: usize,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Option<Table> {
    if text.len() > FILE_BYTES_MAX {
        let at = crate::toml_file::problem::At { file, line: 1 };
        report.problem(at, "", format!("the file is over {FILE_BYTES_MAX} bytes"), "");
        return None;
    }
    tree::read(file, text.strip_prefix('\u{feff}').unwrap_or(text), Some(env), report)
}

/// The folder with its slash, and the file's own name.
fn split_folder(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some((folder, own)) => (path.get(..folder.len() + 1).unwrap_or(path), own),
        None => ("", path),
    }
}

/// `path` seen from `folder`, without `.` and with `..` resolved where a folder is left for it.
fn join(folder: &str, path: &str) -> Option<String> {
    if path.is_empty() || path.starts_with('/') || path.chars().any(|c| c.is_control()) {
        return None;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in folder.split('/').chain(path.split('/')) {
        match segment {
            "" | "." => {}
            ".." if segments.last().is_some_and(|last| *last != "..") => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let root = if folder.starts_with('/') { "/" } else { "" };
    (!segments.is_empty()).then(|| format!("{root}{}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_named_from_the_file_that_extends_it() {
        for (folder, path, expected) in [
            ("", "base.toml", Some("base.toml")),
            ("a/", "base.toml", Some("a/base.toml")),
            ("a/b/", "../base.toml", Some("a/base.toml")),
            ("", "../base.toml", Some("../base.toml")),
            ("/etc/", "./base.toml", Some("/etc/base.toml")),
            ("a/", "/base.toml", None),
            ("a/", "", None),
        ] {
            assert_eq!(join(folder, path).as_deref(), expected, "{folder} {path}");
        }
    }
}
