use std::collections::BTreeMap;

use rowproof_core::ids::{ObjectVersion, SlotId};
use rowproof_core::ledger::{Hold, JobFacts};
use rowproof_core::time::EpochSeconds;

use super::*;

fn job(id: &str, generation: i64, state: JobState) -> Job {
    let object = ObjectVersion {
        bucket: "input".into(),
        key: "incoming/a.csv".into(),
        etag: "abc".into(),
        size: 1_234,
        version_id: None,
        last_modified: EpochSeconds(0),
    };
    Job {
        facts: JobFacts {
            job: JobId(id.into()),
            slot: SlotId("s".into()),
            generation,
            pipeline: "orders".into(),
            pipeline_sha: "0123456789abcdef".into(),
            object,
            captures: BTreeMap::new(),
            created_at: EpochSeconds(60),
            replay: None,
            reverts: None,
        },
        state,
        rev: 0,
        plan: None,
        chunk_count: Some(3),
        planning: None,
        hold: None,
        approval: None,
        intent: None,
        manifest: None,
        replay: None,
        failure: None,
        updated_at: EpochSeconds(120),
    }
}

fn story(job: Job) -> Story {
    Story {
        tally: Tally { total: Some(3), done: 1, retaken: 1, ..Tally::default() },
        manifest: None,
        head: Some(job.facts.job.clone()),
        visible: None,
        visible_manifest: None,
        today: Today::Same,
        runs: false,
        dir: "out".into(),
        job,
    }
}

#[test]
fn an_interrupted_job_tells_what_is_done_and_how_it_goes_on() {
    let story = story(job("j", 1, JobState::Running));
    assert_eq!(
        story.tell(),
        [
            "job j is RUNNING: its chunks are being processed",
            "file: s3://input/incoming/a.csv of 1,234 bytes, stored 1970-01-01T00:00:00Z (etag abc)",
            "pipeline: orders as of 0123456789ab, begun 1970-01-01T00:01:00Z; \
             the pipeline file stored now is the same",
            "work: 3 chunks: 1 done, 2 waiting",
            "  1 chunk begun more than once: a worker died, was cut off or ran out of time",
            "visible now: nothing in its place",
        ]
    );
    assert!(story.next().iter().any(|next| next == "rowproof dev --out out"));
}

#[test]
fn a_held_job_offers_both_decisions() {
    let mut job = job("j", 2, JobState::Held);
    job.hold = Some(Hold {
        reason: HoldReason::Rejected,
        message: "9 of 10 rows were rejected".into(),
        shown: "h".into(),
        from: JobState::Running,
    });
    let mut story = story(job);
    story.visible = Some(super::tests::job("before", 1, JobState::Committed));
    let told = story.tell().join("\n");
    assert!(told.contains("held: too many rows were rejected: 9 of 10"), "{told}");
    assert!(told.contains("visible now: still the 0 rows of job before"), "{told}");
    let next = story.next();
    assert_eq!(next.len(), 2);
    assert!(next[0].starts_with("rowproof approve j --out out"), "{next:?}");
}

#[test]
fn unbalanced_books_are_never_offered_for_approval() {
    let mut job = job("j", 1, JobState::Held);
    job.hold = Some(Hold {
        reason: HoldReason::Unbalanced,
        message: "m".into(),
        shown: "h".into(),
        from: JobState::Running,
    });
    assert!(story(job).next().iter().all(|next| !next.contains("approve")));
}

#[test]
fn a_replaced_job_names_what_replaced_it_and_when() {
    let mut story = story(job("old", 1, JobState::Committed));
    story.visible = Some(job("new", 2, JobState::Committed));
    let told = story.tell().join("\n");
    assert!(told.contains("job new from s3://input/incoming/a.csv"), "{told}");
    assert!(told.contains("took its place 1970-01-01T00:02:00Z"), "{told}");
}

#[test]
fn a_changed_pipeline_file_offers_a_rerun() {
    let mut story = story(job("j", 1, JobState::Committed));
    story.visible = Some(story.job.clone());
    story.today = Today::Differs("fedcba9876543210".into());
    assert!(story.pipeline().ends_with("is another one, fedcba987654"));
    assert_eq!(story.next(), ["rowproof rerun j --out out"]);
}

#[test]
fn a_failure_says_what_its_code_means() {
    let mut job = job("j", 1, JobState::Failed);
    job.failure = Some(Failure { code: "truncated".into(), message: "m".into() });
    let lines = story(job).failure();
    assert_eq!(lines.len(), 2);
    assert!(lines[1].contains("cut off"), "{lines:?}");
}
