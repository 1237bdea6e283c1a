//! Folders that are read, and folders that are refused with what to write instead.

use std::fs;

use tempfile::TempDir;

use super::*;

const TOML: &str = r#"
id = "20240115_add_tier"
reversible = true
target = { table = "public.customers", key = ["id"], expect_rows = { min = 1 } }
locks = { lock_timeout = "500ms", attempts = 40 }
backfill = { needs = "t.tier IS NULL", preserve = ["email"] }
gates = { staging_run = "same_checksum", backup_max_age = "24h", window = "Sat 02:00-06:00 UTC" }
[[invariant]]
name = "tier_complete"
kind = "zero_rows"
sql = "SELECT id FROM public.customers WHERE tier IS NULL LIMIT 5"
"#;
const RULE: &str = "UPDATE customers t SET tier = 'a' FROM rowproof_batch b WHERE t.id = b.id;";

fn folder(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("20240115_add_tier");
    fs::create_dir(&path).unwrap();
    for (name, text) in files {
        fs::write(path.join(name), text).unwrap();
    }
    (dir, path)
}

fn usual() -> Vec<(&'static str, &'static str)> {
    vec![
        ("migration.toml", TOML),
        ("expand.sql", "ALTER TABLE customers ADD tier text;\n"),
        ("backfill.sql", RULE),
        ("down.sql", "ALTER TABLE customers DROP tier;\n"),
        (
            "undo_backfill.sql",
            "UPDATE customers t SET tier = NULL FROM rowproof_batch b WHERE t.id = b.id",
        ),
        ("README.md", "why"),
    ]
}

fn with(name: &'static str, text: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut files = usual();
    files.retain(|(known, _)| *known != name);
    files.push((name, text));
    files
}

#[test]
fn a_folder_is_read_with_its_defaults() {
    let (_dir, path) = folder(&usual());
    let folder = Folder::load(&path).unwrap();
    assert_eq!(folder.statements(Phase::Expand).len(), 1);
    assert_eq!(folder.statements(Phase::Online), []);
    assert_eq!(folder.config.locks.statement_timeout.as_ms(), 5_000);
    assert_eq!(folder.config.backfill.start, 1_000);
    assert_eq!(folder.backfill.unwrap().updated.as_deref(), Some("t"));
}

#[test]
fn the_checksum_is_of_the_files_that_count() {
    let sum = |files: &[(&str, &str)]| {
        let (_dir, path) = folder(files);
        Folder::load(&path).unwrap().checksum
    };
    let usual_sum = sum(&usual());
    assert_eq!(sum(&with("README.md", "another reason")), usual_sum);
    assert_ne!(sum(&with("expand.sql", "ALTER TABLE customers ADD tier text; \n")), usual_sum);
    assert_ne!(sum(&with("precheck.sql", "")), usual_sum);
}

#[test]
fn what_cannot_be_is_refused_with_its_file_and_key() {
    let toml = |from: &str, to: &str| TOML.replace(from, to).leak();
    for (files, parts) in [
        (
            with("migration.toml", toml("reversible", "revertible")),
            ["migration.toml:3", "revertible"],
        ),
        (with("migration.toml", toml("500ms", "500")), ["migration.toml:5", "\"2s\""]),
        (
            with("migration.toml", toml("_tier\"\n", "_tear\"\n")),
            ["migration.toml", "id = \"20240115_add_tier\""],
        ),
        (
            with("migration.toml", toml("public.customers\", key", "customers\", key")),
            ["migration.toml:4", "schema.table"],
        ),
        (with("migration.toml", toml("zero_rows", "no_rows")), ["migration.toml:8", "zero_rows"]),
        (with("migration.toml", toml("sql = ", "query = ")), ["migration.toml:8", "query"]),
        (with("migration.toml", toml("Sat 02", "Sam 02")), ["migration.toml:7", "daily"]),
        (
            with("migration.toml", toml("needs", "start = 50, needs")),
            ["migration.toml", "backfill.start"],
        ),
        (
            with("migration.toml", toml("needs", "duty = 1.5, needs")),
            ["migration.toml", "backfill.duty"],
        ),
        (with("expand.sql", "BEGIN;\nSELECT 1"), ["expand.sql:1", "transaction"]),
        (with("expand.sql", "SELECT 1;\nSELECT 'a"), ["expand.sql:2", "closed"]),
        (with("down.sql", "-- nothing"), ["down.sql", "reversible = false"]),
        (with("undo_backfill.sql", ""), ["undo_backfill.sql", "reversible = false"]),
        (with("backfill.sql", "SELECT 1;\nSELECT 2"), ["backfill.sql:2", "one rule"]),
        (with("expnad.sql", ""), ["expnad.sql", "expand.sql"]),
    ] {
        let (_dir, path) = folder(&files);
        let error = Folder::load(&path).unwrap_err();
        let text = error.to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?}: {text}");
        assert_eq!(error.class().exit_code(), 2);
    }
}
