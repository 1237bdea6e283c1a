use super::*;
use crate::ids::tests::object;
use crate::time::EpochSeconds;

const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn facts(generation: i64) -> JobFacts {
    JobFacts {
        job: JobId("job".into()),
        slot: SlotId("slot".into()),
        generation,
        pipeline: "orders".into(),
        pipeline_sha: SHA.into(),
        object: object("a.csv", "v1", None),
        captures: Default::default(),
        created_at: EpochSeconds(1_795_392_000),
        replay: None,
        reverts: None,
    }
}

#[test]
fn names_are_as_documented() {
    let id = ChunkId::whole(&JobId("job".into()), 7);
    let part = ChunkId { part: "01".into(), ..id.clone() };
    let day = [("day".to_owned(), "2026-11-23".to_owned())];
    let names = [
        (plan(&id.job, SHA), "_plans/job/plan-0123456789abcdef.json"),
        (segment(&id.job, 3, SHA), "_plans/job/0003-0123456789abcdef.json"),
        (outcome(&id, SHA), "_staging/job/000007-0123456789abcdef.json"),
        (staged(&id, SHA), "_staging/job/000007-0123456789abcdef.parquet"),
        (
            published("curated/orders", &day, &facts(2), &id, SHA),
            "curated/orders/day=2026-11-23/000002-job-000007-0123456789abcdef.parquet",
        ),
        (
            archived(&facts(2), &id, 0, SHA),
            "pipeline=orders/dt=2026-11-23/job-000007-000-0123456789abcdef.parquet",
        ),
        (staged(&part, SHA), "_staging/job/000007.01-0123456789abcdef.parquet"),
        (
            archived(&facts(2), &part, 2, SHA),
            "pipeline=orders/dt=2026-11-23/job-000007.01-002-0123456789abcdef.parquet",
        ),
        (intent(&facts(2), SHA), "manifests/slot/000002/job-0123456789abcdef-intent.json"),
        (
            changes(&facts(2), &JobId("fix".into()), SHA),
            "manifests/slot/000002/job-fix-0123456789abcdef-intent.json",
        ),
        (manifest(&facts(2), 1), "manifests/slot/000002/job-1.json"),
        (current(&facts(2).slot), "current/slot.json"),
    ];
    for (name, expected) in names {
        assert_eq!(name, expected);
    }
    assert_eq!(frozen_pipeline(SHA), format!("_plans/pipelines/{SHA}.json"));
}

#[test]
fn equal_rows_of_two_generations_are_published_under_two_names() {
    let name = |generation| {
        published("t", &[], &facts(generation), &ChunkId::whole(&facts(1).job, 0), SHA)
    };
    assert_ne!(name(1), name(2));
}

#[test]
fn an_intents_key_tells_its_generation() {
    for generation in [1, 2, 999_999, 1_000_000, 123_456_789] {
        let facts = facts(generation);
        for key in [intent(&facts, SHA), changes(&facts, &JobId("fix".into()), SHA)] {
            assert!(key.starts_with(&slot_manifests(&facts.slot)));
            assert_eq!(intent_generation(&key), Some(generation));
        }
    }
}

#[test]
fn a_manifests_key_tells_its_generation_and_job() {
    let key = manifest(&facts(12), 3);
    assert_eq!(manifest_job(&key), Some((12, JobId("job".into()))));
    for other in [intent(&facts(1), SHA), current(&facts(1).slot), "manifests/s/1/job.json".into()]
    {
        assert_eq!(manifest_job(&other), None, "{other}");
    }
}

#[test]
fn no_other_key_tells_a_generation() {
    let others = [
        manifest(&facts(1), 0),
        current(&facts(1).slot),
        "manifests/slot/1/extra/job-intent.json".into(),
        "manifests/slot/one/job-intent.json".into(),
        "manifests/slot/+1/job-intent.json".into(),
        "manifests/slot/-1/job-intent.json".into(),
        "manifests/slot//job-intent.json".into(),
        "manifests/slot/job-intent.json".into(),
        "other/slot/1/job-intent.json".into(),
        "manifests/slot/99999999999999999999/job-intent.json".into(),
        String::new(),
    ];
    for key in others {
        assert_eq!(intent_generation(&key), None, "{key}");
    }
}
