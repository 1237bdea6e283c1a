//! Each transition from each state it is allowed in, and its refusal in every other.

use super::fixtures::*;
use super::own_write::all_writes;
use crate::ledger::*;

struct Row {
    write: fn(&Job) -> Write,
    from: &'static [JobState],
    to: JobState,
}

/// The wish of an operator to bring the job back that was read in `state`, whatever is stored by now.
fn brought_back(job: &Job, state: JobState, plan: Option<PlanRef>) -> Write {
    redrive_job(&Job { state, plan, ..job.clone() }, NOW).unwrap()
}

/// The decision of an operator on the HELD job, whatever is stored by now.
fn as_held(job: &Job) -> Job {
    Job { rev: job.rev, ..job_in(JobState::Held, 0) }
}

fn job_rows() -> Vec<Row> {
    use JobState::*;
    vec![
        Row { write: |job| save_planning(job, "progress", NOW), from: &[Planning], to: Planning },
        Row {
            write: |job| seal_plan(job, &plan_ref("p"), Some(3), NOW),
            from: &[Planning],
            to: Running,
        },
        Row {
            write: |job| begin_commit(job, &plan_ref("i"), NOW),
            from: &[Running],
            to: Committing,
        },
        Row { write: |job| end_commit(job, "manifest", NOW), from: &[Committing], to: Committed },
        Row {
            write: |job| supersede_committing(&job.facts.job, NOW),
            from: &[Committing],
            to: Superseded,
        },
        Row {
            write: |job| supersede(&job.facts.job, NOW),
            from: &[Planning, Running, Blocked, Held, Failed],
            to: Superseded,
        },
        Row { write: |job| block(job, &failure("attempts"), NOW), from: &[Running], to: Blocked },
        Row {
            write: |job| hold(job, HoldReason::Rejected, "too many", "totals", NOW),
            from: &[Planning, Running],
            to: Held,
        },
        Row {
            write: |job| approve(&as_held(job), "ann", "fine", 1, NOW).unwrap(),
            from: &[Held],
            to: Running,
        },
        Row {
            write: |job| discard(&as_held(job), "ann", "no", NOW).unwrap(),
            from: &[Held],
            to: Failed,
        },
        Row {
            write: |job| fail(job, &failure("not_gzip"), NOW),
            from: &[Planning, Running],
            to: Failed,
        },
        Row { write: |job| brought_back(job, Blocked, None), from: &[Blocked], to: Running },
        Row { write: |job| brought_back(job, Failed, None), from: &[Failed], to: Planning },
        Row {
            write: |job| brought_back(job, Failed, Some(plan_ref("p"))),
            from: &[Failed],
            to: Running,
        },
    ]
}

#[test]
fn a_job_moves_only_along_the_table() {
    for row in job_rows() {
        for state in JOB_STATES {
            let before = job_item(state, 4);
            let write = (row.write)(&Job::from_item(&before).unwrap());
            let after = write.apply(Some(&before), "new");
            let name = write.name;
            assert_eq!(after.is_some(), row.from.contains(&state), "{name} from {state:?}");
            if let Some(after) = after {
                let job = Job::from_item(&after).unwrap();
                assert_eq!(job.state, row.to, "{name}");
                assert!(job.rev == 4 || job.rev == 5, "{name}");
            }
        }
    }
}

#[test]
fn no_transition_but_its_creation_touches_an_absent_job() {
    for row in job_rows() {
        for state in JOB_STATES {
            let write = (row.write)(&job_in(state, 0));
            assert_eq!(write.apply(None, "new"), None, "{}", write.name);
        }
    }
    let count = set_chunk_count(&facts(1).job, 3);
    assert_eq!(count.apply(None, "new"), None);
    assert!(create(&facts(1), NOW).apply(None, "new").is_some());
}

#[test]
fn a_job_is_created_once_whatever_became_of_it() {
    for state in JOB_STATES {
        let before = job_item(state, 4);
        for write in [create(&facts(1), NOW), create_superseded(&facts(1), NOW)] {
            assert_eq!(write.apply(Some(&before), "new"), None);
            assert!(write.judge(Some(before.clone()), "new").stands());
        }
    }
}

#[test]
fn a_job_superseded_at_birth_is_in_no_index() {
    let item = create_superseded(&facts(1), NOW).apply(None, "new").unwrap();
    assert_eq!(Job::from_item(&item).unwrap().state, JobState::Superseded);
    assert!(!item.contains_key("due_shard") && !item.contains_key("due_at"));
}

#[test]
fn decisions_and_only_decisions_raise_the_revision() {
    let deciding = ["begin_commit", "hold", "approve", "discard", "fail", "redrive_job"];
    for row in job_rows() {
        let before = job_item(row.from[0], 4);
        let write = (row.write)(&Job::from_item(&before).unwrap());
        let after = Job::from_item(&write.apply(Some(&before), "new").unwrap()).unwrap();
        let raised = after.rev == 5;
        assert_eq!(raised, deciding.contains(&write.name), "{}", write.name);
    }
}

#[test]
fn an_item_is_in_the_index_of_unfinished_work_exactly_while_it_moves_by_itself() {
    for row in job_rows() {
        for state in row.from {
            let before = job_item(*state, 4);
            let write = (row.write)(&Job::from_item(&before).unwrap());
            let after = write.apply(Some(&before), "new").unwrap();
            let due = after.contains_key("due_shard") && after.contains_key("due_at");
            let blocked = row.to == JobState::Blocked;
            assert_eq!(due, !row.to.is_settled() || blocked, "{}", write.name);
        }
    }
}

#[test]
fn no_write_sets_and_removes_one_attribute() {
    let mut writes: Vec<Write> = vec![create(&facts(1), NOW), create_superseded(&facts(1), NOW)];
    for row in job_rows() {
        writes.extend(JOB_STATES.map(|state| (row.write)(&job_in(state, 0))));
    }
    let job = job_in(JobState::Committing, 0);
    writes.push(commit_slot(&job, "manifest"));
    writes.extend(all_writes().into_iter().map(|sent| sent.write));
    let store = Store::default();
    for who in [worker("a"), worker_of("a", "r")] {
        writes.push(try_acquire(&store, &chunk_id(0), &who, NOW).0);
    }
    for write in writes {
        let both = write.remove.iter().find(|name| write.set.contains_key(*name));
        assert_eq!(both, None, "{}", write.name);
    }
}

#[test]
fn every_state_has_one_name() {
    for state in JOB_STATES {
        assert_eq!(JobState::parse(state.as_str()), Some(state));
    }
    use ChunkState::*;
    for state in [Ready, Leased, Done, Failed, Split] {
        assert_eq!(ChunkState::parse(state.as_str()), Some(state));
    }
    for stage in [Stage::Reading, Stage::Decoding, Stage::Sinking] {
        assert_eq!(Stage::parse(stage.as_str()), Some(stage));
    }
    assert_eq!(JobState::parse("running"), None);
    assert_eq!(ChunkState::parse(""), None);
}

fn halves() -> Value {
    stored(&cut(&range(0, 2)).unwrap())
}

/// What may be stored about chunk 0 when the holder of epoch 1, `ann`, writes: name, item.
fn chunk_rows() -> Vec<(&'static str, Option<Item>)> {
    use ChunkState::*;
    let (live, past) = (NOW.0 + 60, NOW.0 - 60);
    vec![
        ("absent", None),
        ("ready again", Some(chunk_item(Ready, 1, "ann", live))),
        ("mine", Some(chunk_item(Leased, 1, "ann", live))),
        ("mine, expired", Some(chunk_item(Leased, 1, "ann", past))),
        ("taken over", Some(chunk_item(Leased, 2, "bob", live))),
        ("taken over, expired", Some(chunk_item(Leased, 2, "bob", past))),
        ("ready after a successor", Some(chunk_item(Ready, 2, "bob", live))),
        ("done", Some(chunk_item(Done, 1, "ann", live))),
        ("done by a successor", Some(chunk_item(Done, 2, "bob", live))),
        ("failed", Some(chunk_item(Failed, 1, "ann", past))),
        ("ready by a redrive", Some(chunk_item(Ready, 2, "ann", past))),
        ("split", Some(with(chunk_item(Split, 1, "ann", past), &[("split", halves())]))),
        (
            "split by a successor",
            Some(with(chunk_item(Split, 2, "bob", live), &[("split", halves())])),
        ),
    ]
}

#[test]
fn the_holder_of_a_lease_writes_only_while_nobody_took_it_over() {
    let lease = Lease {
        id: chunk_id(0),
        epoch: 1,
        owner: "ann".into(),
        attempts: 1,
        seconds: LEASE_SECONDS,
        isolate: false,
    };
    let writes = [
        (renew(&lease, Stage::Sinking, NOW), ChunkState::Leased),
        (give_back(&lease), ChunkState::Ready),
        (complete(&lease, &outcome("o")), ChunkState::Done),
        (give_up(&lease, &failure("poison"), NOW), ChunkState::Failed),
        (split(&lease, &cut(&range(0, 2)).unwrap()), ChunkState::Split),
    ];
    for (write, to) in writes {
        for (name, before) in chunk_rows() {
            let after = write.apply(before.as_ref(), "new");
            let allowed = name.starts_with("mine");
            assert_eq!(after.is_some(), allowed, "{} on `{name}`", write.name);
            if let Some(after) = after {
                assert_eq!(Chunk::from_item(&after).unwrap().state, to);
            }
        }
    }
}

#[test]
fn a_chunk_is_acquired_when_absent_ready_or_left_behind() {
    for (name, stored) in chunk_rows() {
        let chunk = stored.as_ref().map(|item| Chunk::from_item(item).unwrap());
        let decision = acquire(&chunk_id(0), chunk.as_ref(), &worker("eve"), NOW);
        let free = name == "absent" || name.contains("ready") || name.contains("expired");
        match decision {
            Acquire::Try(write, lease) => {
                assert!(free, "{name}");
                let epoch = chunk.map_or(0, |chunk| chunk.epoch);
                assert_eq!(lease.epoch, epoch + 1);
                let after = write.apply(stored.as_ref(), "new").unwrap();
                assert_eq!(Chunk::from_item(&after).unwrap().epoch, epoch + 1);
            }
            other @ (Acquire::Done(_)
            | Acquire::Split(_)
            | Acquire::Busy(_)
            | Acquire::Failed
            | Acquire::GiveUp(_)) => assert!(!free, "{name}: {other:?}"),
        }
    }
}

#[test]
fn an_acquisition_decided_on_one_state_is_refused_on_every_other_epoch() {
    for (_, read) in chunk_rows() {
        let chunk = read.as_ref().map(|item| Chunk::from_item(item).unwrap());
        let Acquire::Try(write, _) = acquire(&chunk_id(0), chunk.as_ref(), &worker("eve"), NOW)
        else {
            continue;
        };
        for (name, stored) in chunk_rows() {
            let epoch = |item: &Option<Item>| item.as_ref().map(|item| item["epoch"].clone());
            let over = ["done", "failed", "split"].iter().any(|state| name.starts_with(state));
            if epoch(&stored) != epoch(&read) || over {
                assert_eq!(write.apply(stored.as_ref(), "new"), None, "{name}");
            }
        }
    }
}
