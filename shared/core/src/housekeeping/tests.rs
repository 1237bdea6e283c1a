use std::collections::BTreeMap;

use super::*;
use crate::ids::{ObjectVersion, SlotId};
use crate::ledger::{ChunkId, JobFacts};
use crate::names;

const ID: &str = "abcdefghijklmnopqrstuvwx27";

fn facts() -> JobFacts {
    JobFacts {
        job: JobId(ID.into()),
        slot: SlotId("slot".into()),
        generation: 7,
        pipeline: "orders".into(),
        pipeline_sha: "sha".into(),
        object: ObjectVersion {
            bucket: "input".into(),
            key: "a.csv".into(),
            etag: "e".into(),
            size: 1,
            version_id: None,
            last_modified: EpochSeconds(0),
        },
        captures: BTreeMap::new(),
        created_at: EpochSeconds(0),
        replay: None,
        reverts: None,
    }
}

fn job(state: JobState) -> Job {
    let write = crate::ledger::create(&facts(), EpochSeconds(0));
    let item = write.apply(None, "w").unwrap();
    Job { state, ..Job::from_item(&item).unwrap() }
}

#[test]
fn every_name_that_is_written_leads_back_to_its_job() {
    let facts = facts();
    let sha = "0123456789abcdef0123456789abcdef";
    let plan = names::plan(&facts.job, sha);
    let segment = names::segment(&facts.job, 3, sha);
    for key in [plan.as_str(), segment.as_str(), &format!("_staging/{ID}/000001-x.parquet")] {
        assert_eq!(job_of_working_file(key), Some(facts.job.clone()), "{key}");
    }
    let changes = names::changes(&facts, &JobId("replay".into()), sha);
    for key in [names::intent(&facts, sha), names::manifest(&facts, 2), changes] {
        assert_eq!(documented(&key), Some((7, facts.job.clone())), "{key}");
    }
    for name in ["000007-{}-000003-0123456789abcdef", "1000007-{}-000003.01-002-0123456789abcdef"] {
        let key = format!("curated/day=2026-01-01/{}.parquet", name.replace("{}", ID));
        assert!(publisher(&key).is_some_and(|(_, job)| job == facts.job), "{key}");
    }
}

#[test]
fn files_of_others_have_no_job() {
    for key in [
        "_plans/pipelines/0123.json",
        "_staging/000001.parquet",
        "_staging/UPPERCASEUPPERCASEUPPERCAS/x",
        "curated/part-0000.parquet",
    ] {
        assert_eq!(job_of_working_file(key), None, "{key}");
    }
    for key in [
        "curated/part-0000.parquet",
        "curated/000001-short-000001-0123.parquet",
        "curated/000001-abcdefghijklmnopqrstuvwx27.parquet",
        "curated/000001-abcdefghijklmnopqrstuvwx27-report-1.parquet",
        "curated/000001-abcdefghijklmnopqrstuvwx27-000001-0123.csv",
    ] {
        assert_eq!(publisher(key), None, "{key}");
    }
    assert_eq!(documented("manifests/slot/000001/deep/abcdefghijklmnopqrstuvwx27-0.json"), None);
}

#[test]
fn working_files_go_only_when_nobody_can_ask_for_them_again() {
    let (now, grace) = (EpochSeconds(86_401), 86_400);
    let fate = |state, now| fate_of_working_files(Some(&job(state)), now, grace);
    assert_eq!(fate(JobState::Superseded, now), Fate::Remove);
    assert_eq!(fate(JobState::Superseded, EpochSeconds(86_400)), Fate::Keep);
    assert_eq!(fate(JobState::Committed, now), Fate::RemoveUnlessNamed);
    // It may be brought back by a redrive.
    assert_eq!(fate(JobState::Failed, now), Fate::Keep);
    assert_eq!(fate(JobState::Failed, EpochSeconds(31 * 86_400)), Fate::Remove);
    use JobState::*;
    for state in [Planning, Running, Blocked, Held, Committing] {
        assert_eq!(fate(state, EpochSeconds(i64::MAX)), Fate::Keep, "{state:?}");
    }
    assert_eq!(fate_of_working_files(None, EpochSeconds(i64::MAX), 0), Fate::Keep);
}

#[test]
fn a_published_file_is_stray_only_when_it_and_its_jobs_end_are_old() {
    let over = job(JobState::Superseded);
    let stray = |stored, now| is_stray(Some(&over), EpochSeconds(stored), EpochSeconds(now), 100);
    assert!(stray(0, 101));
    assert!(!stray(1, 101), "a copy that landed late");
    assert!(!stray(0, 100), "a job that ended just now");
    let publishing = job(JobState::Committing);
    assert!(!is_stray(Some(&publishing), EpochSeconds(0), EpochSeconds(i64::MAX), 0));
    assert!(!is_stray(None, EpochSeconds(0), EpochSeconds(i64::MAX), 0));
}

#[test]
fn staged_files_of_a_chunk_lead_back_to_its_job() {
    let [id, _] = ChunkId::whole(&JobId(ID.into()), 1).halves();
    for key in [names::staged(&id, "0123456789abcdef0123"), names::outcome(&id, "0123456789abcdef")]
    {
        assert_eq!(job_of_working_file(&key), Some(id.job.clone()), "{key}");
    }
    let published = names::published("curated", &[], &facts(), &id, "0123456789abcdef");
    assert_eq!(publisher(&published), Some((7, id.job)));
}
