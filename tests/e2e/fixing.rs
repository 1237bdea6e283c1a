//! From rejected rows to none: what would help, the proposed patch, the rest by hand.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_rowproof-tests");
const PIPELINE: &str = include_str!("../../infra/pipelines/orders.toml");
const HEADER: &str =
    "id,customer_id,name,amount,currency,status,created_at,updated_at,email,note\n";
const GOOD: usize = 600;

/// Amount, currency and creation time of the bad rows, and how many of each.
const BAD: [(&str, &str, &str, usize); 5] = [
    ("\"1.234,56\"", "EUR", "2026-01-01T00:00:00Z", 9),
    ("\"12,50\"", "EUR", "2026-01-01T00:00:00Z", 4),
    ("\"7,5\"", "EUR", "23.11.2026 13:05", 3),
    ("1.50", "eur", "2026-01-01T00:00:00Z", 2),
    ("much", "EUR", "2026-01-01T00:00:00Z", 3),
];

struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A folder in which the orders are loaded.
struct Folder(TempDir, String);

impl Folder {
    fn loaded() -> Folder {
        let mut folder = Folder(tempfile::tempdir().unwrap(), String::new());
        fs::write(folder.path("orders.toml"), PIPELINE).unwrap();
        let good = ("1.50", "EUR", "2026-01-01T00:00:00Z", GOOD);
        let rows = [good].into_iter().chain(BAD);
        let rows = rows.flat_map(|(amount, currency, at, rows)| {
            std::iter::repeat_n(format!("7,Ana,{amount},{currency},paid,{at}"), rows)
        });
        let mut text = HEADER.to_owned();
        for (id, row) in rows.enumerate() {
            text.push_str(&format!("{id},{row},2026-12-02T00:00:00Z,a{id}@b.example,\n"));
        }
        fs::write(folder.path("a.csv"), text).unwrap();
        let ended = folder.on_out(&["run", "orders.toml", "a.csv", "--json"]);
        assert_eq!(ended.code, 0, "{}{}", ended.out, ended.err);
        folder.1 = ended.json()[0]["job"].as_str().unwrap().to_owned();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn on_out(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(PROGRAM);
        command.args(args).args(["--out", "out"]).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("ROWPROOF_CHUNK_ROWS", "250");
        let output = command.output().unwrap();
        Ended {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn ok(&self, args: &[&str]) -> Ended {
        let ended = self.on_out(args);
        assert_eq!(ended.code, 0, "{args:?}\n{}{}", ended.out, ended.err);
        ended
    }
}

#[test]
fn top_shows_what_values_look_like_and_what_a_fix_would_cover() {
    let folder = Folder::loaded();
    let top = folder.ok(&["failures", "top", "--json"]).json();
    assert_eq!(top.len(), 2);
    let amount = &top[0];
    assert_eq!((&amount["code"], &amount["column"]), (&"type".into(), &"amount".into()));
    assert_eq!((&amount["rows"], &amount["jobs"]), (&19.into(), &1.into()));
    let expected = [("9.9,9", 9, "1.234,56"), ("9,9", 7, "12,50"), ("a", 3, "much")];
    let expected = expected.map(|(shape, rows, example)| {
        serde_json::json!({ "shape": shape, "rows": rows, "example": example })
    });
    assert_eq!(amount["shapes"].as_array().unwrap(), &expected);
    let fix = &amount["fixes"][0];
    assert_eq!((&fix["covers"], &fix["of"]), (&16.into(), &21.into()), "{fix}");
    assert!(fix["fix"][0].as_str().unwrap().contains("cast = { decimal = \",\""), "{fix}");

    let shown = folder.ok(&["failures", "top"]).out;
    for part in [
        "19 type in amount, 1 job",
        "9  9.9,9         such as \"1.234,56\"\n",
        "3  a             such as \"much\"\n",
        "covers 16 of 21 rejected rows (76 %)",
        "amount: cast = { decimal = \",\", thousands = \".\" }",
        "created_at: cast = { timestamp = \"%d.%m.%Y %H:%M\" }",
        "21 of 621 rows rejected in 1 job",
        "all fixes together cover 18 of 21 rejected rows (85 %)",
        "next: rowproof failures top --write-patch",
    ] {
        assert!(shown.contains(part), "{part}\n--\n{shown}");
    }
}

#[test]
fn rows_are_chosen_by_a_condition() {
    let folder = Folder::loaded();
    let condition = "row_number > 601 and column = 'amount' and raw_data like '%1.234,56%'";
    let listed = folder.ok(&["failures", "list", "--where", condition, "--json"]).json();
    assert_eq!(listed.len(), 8);
    let shown = folder.ok(&["failures", "list", "--where", condition, "--limit", "2"]).out;
    assert!(shown.contains("2 of 8 rows; more with --limit"), "{shown}");
    let to = ["failures", "export", "--to", "x.csv", "--where", condition];
    assert!(folder.ok(&to).out.contains("8 rejected rows"));
    let none = folder.ok(&["failures", "list", "--where", "rule = 'x'", "--json"]);
    assert!(none.out.is_empty() && none.err.contains("no rejected row is like that"));
    for (condition, part) in [
        ("eror_code = 'type'", "--where: the failure archive has no column \"eror_code\""),
        ("lower(error) = 'x'", "the function `lower`"),
    ] {
        let ended = folder.on_out(&["failures", "list", "--where", condition]);
        assert!(ended.code == 2 && ended.err.contains(part), "{}", ended.err);
    }
}

#[test]
fn the_proposed_patch_gains_what_it_says_and_the_rest_is_corrected_by_hand() {
    let folder = Folder::loaded();
    let job = folder.1.as_str();
    let wrote = folder.ok(&["failures", "top", "--write-patch", "fixes.toml"]).out;
    let next = format!("next: rowproof replay --job {job} --patch fixes.toml --dry-run");
    assert!(wrote.contains(&next), "{wrote}");
    let again = folder.on_out(&["failures", "top", "--write-patch", "fixes.toml"]);
    assert!(again.code == 2 && again.err.contains("name a new file"), "{}", again.err);
    let patch = fs::read_to_string(folder.path("fixes.toml")).unwrap();
    assert!(
        patch.contains("# Proposed from 21 rejected rows of pipeline orders; 18 of them"),
        "{patch}"
    );

    let replay = |args: &[&str]| {
        let ended = folder.ok(&[&["replay", "--job", job, "--json"], args].concat());
        ended.json().remove(0)
    };
    let dry = replay(&["--patch", "fixes.toml", "--dry-run"]);
    assert_eq!((&dry["selected"], &dry["loaded"]), (&21.into(), &18.into()), "{dry}");
    let shown = folder.ok(&["replay", "--job", job, "--patch", "fixes.toml", "--dry-run"]).out;
    assert!(shown.contains("  - 600,7,Ana,\"1.234,56\",EUR,paid,"), "{shown}");
    assert!(shown.contains("  + 600,7,Ana,\"1234.56\",EUR,paid,"), "{shown}");
    assert!(!shown.contains("a600@b.example"), "{shown}");
    let done = replay(&["--patch", "fixes.toml"]);
    assert_eq!((&done["loaded"], &done["rows_rejected"]), (&18.into(), &3.into()), "{done}");
    assert_eq!((&done["balanced"], &done["rows_loaded"]), (&true.into(), &618.into()));

    folder.ok(&["failures", "export", "--to", "rest.csv"]);
    let rest = fs::read_to_string(folder.path("rest.csv")).unwrap();
    // In the record, as the value and as a field.
    assert_eq!(rest.matches("much").count(), 9, "{rest}");
    // A spreadsheet's way to save it; the hashed addresses stay as they are.
    let edited = rest.replace(",Ana,much,", ",Ana,12.25,").replace('\n', "\r\n");
    fs::write(folder.path("rest.csv"), format!("\u{feff}{edited}")).unwrap();
    let done = replay(&["--fixed", "rest.csv"]);
    assert_eq!((&done["loaded"], &done["rows_rejected"]), (&3.into(), &0.into()), "{done}");
    let verified = folder.ok(&["verify", job, "--json"]).json();
    assert_eq!(verified[0]["verified"], true, "{verified:?}");
    let none = folder.on_out(&["failures", "top", "--write-patch", "none.toml"]);
    assert!(none.code == 2 && none.err.contains("nothing to fix"), "{}", none.err);
}
