use std::collections::BTreeMap;

use rowproof_core::ids::{ObjectVersion, SlotId};
use rowproof_core::ledger::{Hold, JobFacts, ReplayFacts};
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
        given_up: vec![],
        others: vec![],
        went_back_to: None,
        manifest: None,
        head: Some(job.facts.job.clone()),
        visible: None,
        visible_manifest: None,
        today: Today::Same,
        columns: None,
        table: None,
        is_stored: true,
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

#[test]
fn a_blocked_job_names_the_chunks_that_were_given_up_and_how_they_come_back() {
    let given_up = |n: usize| {
        let failure = Failure { code: "poison".into(), message: "its workers died".into() };
        GivenUp { chunk: format!("{n}.01"), failure }
    };
    let blocked = Story {
        given_up: (0..7).map(given_up).collect(),
        tally: Tally { total: Some(9), done: 2, failed: 7, split: 2, ..Tally::default() },
        ..story(job("j", 1, JobState::Blocked))
    };
    let told = blocked.tell();
    assert!(told.contains(&"  2 chunks cut in two to find a record that kills its workers".into()));
    assert!(told.contains(&"  chunk 4.01 given up: poison: its workers died".into()), "{told:#?}");
    assert!(told.contains(&"  and 2 chunks more given up".into()), "{told:#?}");
    assert_eq!(blocked.next()[0], "rowproof redrive --job j --out out");
}

#[test]
fn replays_reverts_and_later_files_are_told() {
    let request = rowproof_core::ledger::PlanRef { key: "k".into(), sha256: "s".into() };
    let facts = ReplayFacts { parent: JobId("j".into()), parent_rev: 3, request };
    let mut replay = job("r", 2, JobState::Committed);
    replay.facts.replay = Some(facts);
    let mut back = job("b", 5, JobState::Committed);
    back.facts.reverts = Some(JobId("first".into()));
    let told = story(replay.clone()).tell();
    assert!(told.contains(&"it replays failed rows of job j".into()), "{told:#?}");
    let told = story(back.clone()).tell();
    let went = "an operator went back: its rows are those of job first";
    assert!(told.contains(&went.into()), "{told:#?}");

    let mut others: Vec<_> =
        (3..8).map(|n| job(&format!("l{n}"), n, JobState::Committed)).collect();
    others.extend([replay, back, job("first", 1, JobState::Committed)]);
    let visible = job("j", 2, JobState::Committed);
    let tells = Story {
        others,
        went_back_to: Some(JobId("b".into())),
        visible: Some(visible.clone()),
        ..story(visible)
    };
    let told = tells.tell();
    let afterwards: Vec<_> = told.iter().skip_while(|line| !line.starts_with("replay")).collect();
    assert_eq!(afterwards[0], "replay: job r of its failed rows is COMMITTED");
    assert_eq!(afterwards[1], "later: an operator went back from this version, by job b");
    assert!(afterwards[2].starts_with("later: job b of s3://input/incoming/a.csv"), "{told:#?}");
    assert_eq!(afterwards[5], "  and 3 jobs before them");
    assert_eq!(tells.next()[1], "rowproof revert 'incoming/a.csv' --out out");
}

#[test]
fn rows_in_a_table_are_looked_for_there_and_a_deleted_file_is_said_to_leave_its_rows() {
    let job = self::job("j", 2, JobState::Committed);
    let mut story = story(job.clone());
    story.visible = Some(job);
    story.others = vec![self::job("i", 1, JobState::Committed)];
    story.table = Some(Table { name: "public.orders".into(), goes_back: false });
    story.is_stored = false;
    let told = story.tell().join("\n");
    assert!(told.contains("visible now: its 0 rows in table public.orders"), "{told}");
    assert!(told.contains("rows that it loaded stay"), "{told}");
    assert_eq!(story.next(), ["rowproof verify j --out out"]);
    story.table = None;
    let next = story.next();
    assert!(
        next[0].starts_with("rowproof files") && next[1].starts_with("rowproof revert"),
        "{next:?}"
    );
}
