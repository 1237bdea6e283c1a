use super::*;
use crate::pipeline::*;

/// A pipeline with one text column.
pub(crate) fn pipeline(name: &str, replaces: Replaces) -> Pipeline {
    Pipeline {
        name: name.into(),
        source: Source {
            pattern: "{supplier}/{day}.csv".into(),
            replaces,
            format: Format::Jsonl(JsonlOptions::default()),
            encoding: "utf-8".into(),
            timezone: None,
            on_new_column: OnNewColumn::Ignore,
            on_missing_column: OnMissingColumn::Hold,
            empty: OnEmpty::Hold,
        },
        columns: vec![],
        sink: Sink::Parquet(ParquetSink::new("curated/orders")),
        errors: ErrorPolicy { hold_if: None, archive_raw: ArchiveRaw::Full },
    }
}

/// One object of 100 bytes.
pub(crate) fn object(key: &str, etag: &str, version_id: Option<&str>) -> ObjectVersion {
    ObjectVersion {
        bucket: "in".into(),
        key: key.into(),
        etag: etag.into(),
        size: 100,
        version_id: version_id.map(str::to_owned),
        last_modified: EpochSeconds(10),
    }
}

fn captures(supplier: &str, day: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("supplier".into(), supplier.into()), ("day".into(), day.into())])
}

fn slot(
    replaces: &Replaces,
    object: &ObjectVersion,
    captures: &BTreeMap<String, String>,
) -> SlotId {
    slot_id(&pipeline("orders", replaces.clone()), object, captures)
}

#[test]
fn by_key_a_slot_is_the_object_key_in_every_version() {
    let by = Replaces::Key;
    let of = |key, etag, version| slot(&by, &object(key, etag, version), &captures("x", "1"));
    assert_eq!(of("a", "v1", None), of("a", "v2", Some("id")));
    assert_ne!(of("a", "v1", None), of("b", "v1", None));
    let elsewhere = ObjectVersion { bucket: "other".into(), ..object("a", "v1", None) };
    assert_ne!(of("a", "v1", None), slot(&by, &elsewhere, &captures("x", "1")));
}

#[test]
fn by_captures_a_slot_is_their_values_whatever_the_key() {
    let by = Replaces::Captures(vec!["supplier".into(), "day".into()]);
    let of = |key, supplier, day| slot(&by, &object(key, "v", None), &captures(supplier, day));
    assert_eq!(of("a", "x", "1"), of("b", "x", "1"));
    assert_ne!(of("a", "x", "1"), of("a", "x", "2"));
    assert_ne!(of("a", "x1", ""), of("a", "x", "1"), "values do not run together");
    let by = Replaces::Captures(vec!["supplier".into()]);
    let of = |day| slot(&by, &object("a", "v", None), &captures("x", day));
    assert_eq!(of("1"), of("2"));
}

#[test]
fn by_table_there_is_one_slot_a_pipeline() {
    let of = |name: &str, key| {
        let pipeline = pipeline(name, Replaces::Table);
        slot_id(&pipeline, &object(key, "v", None), &captures("x", "1"))
    };
    assert_eq!(of("orders", "a"), of("orders", "b"));
    assert_ne!(of("orders", "a"), of("returns", "a"));
}

#[test]
fn by_nothing_every_version_has_its_slot() {
    let by = Replaces::Nothing;
    let of = |etag, version| slot(&by, &object("a", etag, version), &captures("x", "1"));
    assert_ne!(of("v1", None), of("v2", None));
    assert_ne!(of("v1", Some("1")), of("v1", Some("2")), "the same bytes stored twice");
    assert_eq!(of("v1", Some("1")), of("v1", Some("1")));
}

#[test]
fn the_ways_to_replace_never_share_a_slot() {
    let captures = captures("x", "1");
    let object = object("a", "v", None);
    let ways = [
        Replaces::Key,
        Replaces::Captures(vec!["supplier".into()]),
        Replaces::Table,
        Replaces::Nothing,
    ];
    let slots: std::collections::BTreeSet<SlotId> =
        ways.iter().map(|by| slot(by, &object, &captures)).collect();
    assert_eq!(slots.len(), 4);
    assert!(slots.iter().all(|slot| slot.0.len() == 20));
}

#[test]
fn jobs_differ_by_slot_object_version_and_generation() {
    let (slot, other) = (SlotId("s".into()), SlotId("t".into()));
    let larger = ObjectVersion { size: 101, ..object("a", "v1", None) };
    let jobs = [
        job_id(&slot, &object("a", "v1", None), 1),
        job_id(&slot, &object("a", "v1", None), 2),
        job_id(&slot, &object("a", "v2", None), 1),
        job_id(&slot, &object("b", "v1", None), 1),
        job_id(&other, &object("a", "v1", None), 1),
        job_id(&slot, &larger, 1),
    ];
    let distinct: std::collections::BTreeSet<&JobId> = jobs.iter().collect();
    assert_eq!(distinct.len(), jobs.len());
    assert_eq!(jobs[0], job_id(&slot, &object("a", "v1", Some("id")), 1));
    let alphabet = |id: &JobId| id.0.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
    assert!(jobs.iter().all(|id| id.0.len() == 26 && alphabet(id)));
}

#[test]
fn ids_never_change_between_releases() {
    let slot = slot(&Replaces::Key, &object("a.csv", "v1", None), &BTreeMap::new());
    let job = job_id(&slot, &object("a.csv", "v1", None), 1);
    assert_eq!(
        (slot.0.as_str(), job.0.as_str()),
        ("fhehjsywxs7x6k4yom2v", "i2qz3mjp647j3cmslb22au5md2")
    );
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(sha256_hex(b""), empty);
}
