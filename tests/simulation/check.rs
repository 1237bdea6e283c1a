//! The end of a run, judged by an oracle that reads what went in and what came out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::plan::{Action, Plan};
use crate::setup::Job;
use crate::support::oracle::{self, Row};
use crate::support::orders::COLUMNS;
use crate::support::table;

/// Whether a person has to decide about a job, or did: nothing of it is visible. Every file can be
/// loaded, so no other failure is one that may last.
fn is_listed(job: &Job, plan: &Plan) -> bool {
    match job.state.as_str() {
        // A version all of whose rows became poison waits where it would take rows away.
        "HELD" => plan.hold || job.why.contains("\"no_rows\""),
        "FAILED" => job.why.contains("discarded"),
        _ => false,
    }
}

/// What was found in a run's folder.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) wrong: Vec<String>,
    /// Good rows that are archived because their workers died.
    pub(crate) poison: u64,
}

/// Looks at a run's folder.
pub(crate) fn check(dir: &Path, plan: &Plan, jobs: &[Job]) -> Found {
    let mut wrong = vec![];
    let mut poison = 0;
    let mut expected: Vec<Row> = vec![];
    let mut named = BTreeSet::new();
    let manifests = manifests(dir, &mut wrong, &mut named);
    for (key, versions) in versions(plan) {
        let shown = manifests.get(&key);
        let last = versions.last().unwrap();
        let heads: Vec<_> = jobs.iter().filter(|job| job.key == key && !job.is_replay).collect();
        let Some(head) = heads.iter().max_by_key(|job| job.generation) else {
            wrong.push(format!("{key} was never seen"));
            continue;
        };
        let is_listed = is_listed(head, plan);
        match (shown, head.state.as_str()) {
            (Some(shown), "COMMITTED") if shown.job == head.id => {}
            (_, _) if is_listed => {}
            (shown, state) => wrong.push(format!(
                "{key}: its last job {} is {state} ({}), but {:?} is shown",
                head.id,
                head.why,
                shown.map(|shown| &shown.job)
            )),
        }
        let Some(shown) = shown else { continue };
        let of_job = jobs.iter().find(|job| job.id == shown.job);
        let etag = of_job.map(|job| job.etag.clone()).unwrap_or_default();
        let Some(version) = versions.iter().find(|version| etag_of(version) == etag) else {
            wrong.push(format!("{key}: what is shown is no version that was stored"));
            continue;
        };
        if !is_listed && version != last {
            wrong.push(format!("{key}: an older version is shown"));
        }
        let rows = rows(dir, plan, shown, &unpacked(version));
        poison += rows.poison;
        expected.extend(rows.loaded);
        if rows.unknown != rows.bad {
            let (is, should) = (rows.unknown, rows.bad);
            wrong.push(format!("{key}: rejected rows {is:?}, expected {should:?}"));
        }
    }
    expected.sort();
    let loaded = table::rows(&dir.join("output/curated/orders"), &COLUMNS);
    if loaded != expected {
        wrong.push(difference(&loaded, &expected));
    }
    for path in table::files(&dir.join("output/curated")) {
        let name = path.strip_prefix(dir.join("output")).unwrap().display().to_string();
        if !named.contains(&name) {
            wrong.push(format!("{name} belongs to no manifest that is shown"));
        }
    }
    Found { wrong, poison }
}

/// What must become of the rows of a version.
struct Rows {
    loaded: Vec<Row>,
    bad: Vec<Place>,
    /// Archived rows that are not poison.
    unknown: Vec<Place>,
    poison: u64,
}

/// A row is loaded or archived, never both, and a good one is archived only as poison.
fn rows(dir: &Path, plan: &Plan, shown: &Shown, plain: &[u8]) -> Rows {
    let unknown = rejected(dir, &shown.failures);
    let mut rows = Rows { loaded: vec![], bad: vec![], unknown, poison: 0 };
    for mut row in oracle::judge(plain) {
        if plan.patched && row.verdict == Err("one_of") {
            let span = usize::try_from(row.start).unwrap()..usize::try_from(row.end).unwrap();
            row.verdict = patched(&plain[span]);
        }
        let at = |code: &str| (row.number, row.start, row.end, code.to_owned());
        let poisoned = rows.unknown.iter().position(|found| *found == at("poison"));
        match (row.verdict, poisoned) {
            (_, Some(found)) => {
                rows.unknown.remove(found);
                rows.poison += 1;
            }
            (Err(code), None) => rows.bad.push(at(code)),
            (Ok(row), None) => rows.loaded.push(row),
        }
    }
    rows
}

fn difference(loaded: &[Row], expected: &[Row]) -> String {
    let counted = |rows: &[Row]| {
        let mut counts = BTreeMap::new();
        for row in rows {
            *counts.entry(row.clone()).or_insert(0_i64) += 1;
        }
        counts
    };
    let (is, should) = (counted(loaded), counted(expected));
    let lost: i64 =
        should.iter().map(|(row, count)| (count - is.get(row).unwrap_or(&0)).max(0)).sum();
    let extra: i64 =
        is.iter().map(|(row, count)| (count - should.get(row).unwrap_or(&0)).max(0)).sum();
    format!("of {} rows {lost} are lost and {extra} are there too often", expected.len())
}

struct Shown {
    job: String,
    failures: Vec<String>,
}

/// What a record is worth when its currency is known.
fn patched(record: &[u8]) -> Result<Row, &'static str> {
    let record = String::from_utf8_lossy(record).replace(",XXX,", ",EUR,");
    oracle::judge(format!("header\n{record}").as_bytes()).remove(0).verdict
}

/// What each key's pointer names. All of it must be there.
fn manifests(
    dir: &Path,
    wrong: &mut Vec<String>,
    named: &mut BTreeSet<String>,
) -> BTreeMap<String, Shown> {
    let mut shown = BTreeMap::new();
    for pointer in table::files(&dir.join("output/current")) {
        let current: Value = serde_json::from_slice(&fs::read(&pointer).unwrap()).unwrap();
        let path = dir.join("output").join(current["manifest"].as_str().unwrap());
        let Ok(text) = fs::read(&path) else {
            wrong.push(format!("{} is not there", path.display()));
            continue;
        };
        let manifest: Value = serde_json::from_slice(&text).unwrap();
        for file in manifest["files"].as_array().unwrap() {
            let key = file["key"].as_str().unwrap().to_owned();
            if !dir.join("output").join(&key).is_file() {
                wrong.push(format!("{key} is named but not there"));
            }
            named.insert(key);
        }
        let key = manifest["job"]["object"]["key"].as_str().unwrap().to_owned();
        let job = manifest["job"]["job"].as_str().unwrap().to_owned();
        let failures = manifest["failures"].as_array().unwrap();
        let failures = failures.iter().map(|file| file["key"].as_str().unwrap().to_owned());
        shown.insert(key, Shown { job, failures: failures.collect() });
    }
    shown
}

/// Every version of every key, in the order of their uploads.
fn versions(plan: &Plan) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut script: Vec<_> = plan.script.iter().collect();
    script.sort_by_key(|(at, _)| *at);
    let mut versions: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (_, action) in script {
        if let Action::Upload { key, bytes } = action {
            versions.entry(key.clone()).or_default().push(bytes.clone());
        }
    }
    versions
}

/// The local S3's entity tag.
fn etag_of(bytes: &[u8]) -> String {
    format!("xxh3-{:032x}", xxhash_rust::xxh3::xxh3_128(bytes))
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes.to_vec();
    }
    let mut plain = vec![];
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// Row number, first byte, end and code of an archived row.
type Place = (i64, i64, i64, String);

/// The rows in files of the archive, in row order.
fn rejected(dir: &Path, files: &[String]) -> Vec<Place> {
    let mut rows = vec![];
    for file in files {
        for row in table::read(&dir.join("failures").join(file)) {
            let text = |column: &str| row[column].clone().unwrap();
            let number = |column: &str| text(column).parse::<i64>().unwrap();
            let at = (number("row_number"), number("byte_start"), number("byte_end"));
            rows.push((at.0, at.1, at.2, text("error_code")));
        }
    }
    rows.sort();
    rows
}
