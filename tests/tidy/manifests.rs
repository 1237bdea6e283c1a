//! Rules over the direct dependencies that each package declares, in whatever section.

use crate::tree;

/// Crates that decide nothing: with one of them, `core` would no longer be values in, values out.
const NOT_IN_CORE: [&str; 8] =
    ["async-", "aws-", "axum", "futures", "hyper", "lambda", "reqwest", "tokio"];

/// The names a manifest declares under any `dependencies` heading, with their line numbers.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut inside = false;
    for (number, line) in (1..).zip(manifest.lines()).map(|(number, line)| (number, line.trim())) {
        if let Some(heading) = line.strip_prefix('[') {
            let heading = heading.trim_end_matches(']');
            inside = heading.ends_with("dependencies");
            if let Some((_, name)) = heading.rsplit_once("dependencies.") {
                found.push((number, name.to_owned()));
            }
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(line.len());
            let renamed =
                line.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            let name = renamed.or(line.get(..end)).unwrap_or(line);
            found.push((number, name.trim_matches('"').to_owned()));
        }
    }
    found
}

/// The own packages that the package in `folder` may name, or `None` for all of them.
fn may_import(folder: &str) -> Option<&'static [&'static str]> {
    match folder {
        "functions/cli" | "tests" => None,
        "shared/core" | "shared/local" => Some(&[]),
        "shared/io" => Some(&["rowproof-core"]),
        "shared/migrate" => Some(&["rowproof-core", "rowproof-io"]),
        _ => Some(&["rowproof-core", "rowproof-io", "rowproof-migrate"]),
    }
}

/// What the manifest of the package in `folder` declares and must not.
fn broken(folder: &str, manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (line, name) in dependencies(manifest) {
        let own = name == "rowproof" || name.starts_with("rowproof-");
        if own && may_import(folder).is_some_and(|allowed| !allowed.contains(&name.as_str())) {
            found.push(format!(
                "{folder}/Cargo.toml:{line}: {name} may not be imported here; imports run functions, \
                 migrate, io, core, and only the command line and the tests import functions or local"
            ));
        }
        if folder == "shared/core" && NOT_IN_CORE.iter().any(|prefix| name.starts_with(prefix)) {
            found.push(format!(
                "{folder}/Cargo.toml:{line}: core decides, it does not do: {name} belongs into io"
            ));
        }
    }
    found
}

/// Every package of the workspace: its folder and its manifest.
fn packages() -> Vec<(String, String)> {
    let manifests = tree::files().into_iter().filter_map(|file| {
        let folder = file.path.strip_suffix("/Cargo.toml")?.to_owned();
        Some((folder, file.text))
    });
    manifests.filter(|(folder, _)| folder != "tests/fuzz").collect()
}

#[test]
fn imports_run_one_way() {
    let packages = packages();
    assert!(packages.len() >= 8, "the manifests were not found");
    let found: Vec<String> =
        packages.iter().flat_map(|(folder, manifest)| broken(folder, manifest)).collect();
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn an_import_against_the_way_is_named() {
    let dependency = |name: &str| {
        format!("[package]\nname = \"x\"\n\n[dependencies]\n{name}.workspace = true\n")
    };
    for (folder, name) in [
        ("shared/core", "tokio"),
        ("shared/core", "aws-sdk-s3"),
        ("shared/core", "hyper-util"),
        ("shared/core", "rowproof-io"),
        ("shared/io", "rowproof-local"),
        ("shared/io", "rowproof-migrate"),
        ("shared/migrate", "rowproof-local"),
        ("shared/migrate", "rowproof-chunk"),
        ("shared/local", "rowproof-core"),
        ("functions/ingest", "rowproof-chunk"),
        ("functions/chunk", "rowproof-local"),
        ("functions/chunk", "rowproof"),
    ] {
        let found = broken(folder, &dependency(name));
        assert_eq!(found.len(), 1, "{folder} {name}");
        assert!(
            found.iter().all(|line| line.starts_with(&format!("{folder}/Cargo.toml:5:"))),
            "{found:?}"
        );
    }
    assert_eq!(broken("functions/cli", &dependency("rowproof-local")), Vec::<String>::new());
    assert_eq!(broken("functions/chunk", &dependency("rowproof-io")), Vec::<String>::new());
}

#[test]
fn dependencies_are_found_in_every_section_and_spelling() {
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\n# c = \"1\"\nd = \"1\"\n\
        e = { version = \"1\", package = \"f\" }\n\n[target.'cfg(unix)'.dev-dependencies]\ng = \"1\"\n\
        [build-dependencies.h]\nversion = \"1\"\n[lints]\nworkspace = true\n";
    let names: Vec<String> = dependencies(manifest).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["b", "d", "f", "g", "h"]);
}
