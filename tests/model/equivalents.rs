//! The mutants that no model can tell from the protocol, and why each is none the worse.

use crate::hunt::Hunted;
use crate::mutants::{Mutant, Part};

/// Mutants, each by its label and what the whole condition must contain, for one reason.
type Equivalents = (&'static str, &'static [(&'static str, &'static str)]);

const EQUIVALENT: &[Equivalents] = &[
    (
        "whatever the answer, its sender is done, or reads again and finds how things stand",
        &[
            ("approve stands: approval = ?", ""),
            ("begin_commit stands: intent = ?", ""),
            ("begin_commit stands: state in COMMITTING COMMITTED", ""),
            ("block stands: state = BLOCKED", ""),
            ("close_group stands: state = DONE", ""),
            ("discard stands: failure = ?", ""),
            ("discard stands: state = FAILED", ""),
            ("end_commit stands: state = COMMITTED", ""),
            ("end_outage stands: no since", ""),
            ("extend_outage stands: never", ""),
            ("fail stands: failure = ?", ""),
            ("fail stands: state = FAILED", ""),
            ("give_back stands: epoch = ?", ""),
            ("give_back stands: state = READY", ""),
            ("hold stands: hold = ?", ""),
            ("hold stands: state = HELD", ""),
            ("raise_manifest stands: manifest = ?", ""),
            ("redrive_chunk stands: redrive = ?", ""),
            ("rest_job stands: no due_shard", ""),
            ("rest_slot stands: no due_shard", ""),
            ("save_planning stands: planning = ?", ""),
            ("seal_plan stands: plan = ?", ""),
            ("settle_slot stands: no due_shard", ""),
            ("split stands: split = ?", ""),
            ("split stands: state = SPLIT", ""),
            ("supersede stands: state = SUPERSEDED", ""),
            ("swap_outcome stands: outcome = ?", ""),
            ("supersede_committing stands: state = SUPERSEDED", ""),
            ("unlock_after_replay stands: or no replay", ""),
            ("unlock_after_replay stands: or replay <> ?", ""),
        ],
    ),
    (
        "a worker that wrongly thinks that it holds a chunk is stopped by the fence of its next write",
        &[("renew stands: never", "")],
    ),
    (
        "sent again it passes its own guard and changes nothing, so that it is never refused",
        &[
            ("renew refused", ""),
            ("set_chunk_count refused", ""),
            ("settle_slot refused", ""),
            ("rest_job refused", ""),
            ("rest_slot refused", ""),
        ],
    ),
    (
        "it is refused only where what it makes is there",
        &[
            ("create stands: exists", ""),
            ("create_replay stands: exists", ""),
            ("create_superseded stands: exists", ""),
            ("set_chunk_count stands: chunk_count = ?", ""),
        ],
    ),
    (
        "the owner is new for every acquisition, so it tells the epoch too, and the epoch the owner; both \
         stand because a ledger that was restored gives its epochs again",
        &[
            ("acquire stands: epoch = ?", ""),
            ("acquire stands: state = LEASED", ""),
            ("complete: epoch = ?", ""),
            ("complete: owner = ?", ""),
            ("give_back: epoch = ?", ""),
            ("give_back: owner = ?", ""),
            ("renew: epoch = ?", ""),
            ("renew: owner = ?", ""),
            ("split: epoch = ?", ""),
            ("split: owner = ?", ""),
        ],
    ),
    ("a lease of a chunk that nobody holds says nothing", &[("renew: state = LEASED", "")]),
    (
        "an outcome is stored only together with DONE",
        &[("complete stands: state = DONE", ""), ("swap_outcome: state = DONE", "")],
    ),
    (
        "a chunk that its holder cannot give up is given up by those who come after it",
        &[("give_up: or (state = LEASED and epoch = ? and owner = ?)", "")],
    ),
    ("the owner, or the attempts, tell the epoch too", &[("give_up: epoch = ?", "")]),
    (
        "whoever gives a chunk back takes back its attempts, so that a READY one has some left",
        &[("give_up: or state = READY", "")],
    ),
    ("every writer of a group writes the same item", &[("close_group: absent", "")]),
    (
        "a slot and a job are never removed, and a job is made only behind its slot",
        &[("commit_slot: exists", ""), ("set_chunk_count: exists", "")],
    ),
    (
        "every finder of a chain's end counts the same chunks: an unequal count would be a bug to be paged",
        &[
            ("set_chunk_count: (no chunk_count or chunk_count = ?)", ""),
            ("set_chunk_count: or chunk_count = ?", ""),
        ],
    ),
    (
        "the state that was read is one of these",
        &[("fail: state in PLANNING RUNNING", ""), ("hold: state in PLANNING RUNNING", "")],
    ),
    (
        "at one revision no way leads from RUNNING back to PLANNING",
        &[("fail: state = RUNNING", ""), ("hold: state = RUNNING", "")],
    ),
    (
        "an object that planning found wrong is as wrong once its plan is sealed",
        &[("fail: state = PLANNING", "")],
    ),
    (
        "a discarded or superseded job shows nothing, whatever a replay does to its outcomes",
        &[("discard: no replay", ""), ("lock_for_replay: state in COMMITTED HELD", "")],
    ),
    (
        "a lock raises the revision, so each tells the other",
        &[
            ("lock_for_replay: no replay", ""),
            ("unlock_after_replay: rev = ?", ""),
            ("unlock_after_replay: replay = ?", ""),
        ],
    ),
    (
        "a COMMITTED or SUPERSEDED job stays so",
        &[
            ("unlock_after_replay: state = COMMITTED", ""),
            ("unlock_after_replay: state = SUPERSEDED", ""),
        ],
    ),
    (
        "each of the three tells that the job was brought back",
        &[
            ("redrive_job stands: no failure", ""),
            ("redrive_job stands: rev = ?", ""),
            ("redrive_job stands: state = PLANNING", ""),
            ("redrive_job stands: state = RUNNING", ""),
        ],
    ),
    (
        "a BLOCKED job without a FAILED chunk goes on by itself; the revision spares it the detour",
        &[("block: rev = ?", ""), ("give_up stands: state = FAILED", "")],
    ),
    (
        "a BLOCKED job that left the index lacks a reminder, which whatever brings it back puts there",
        &[("rest_job: rev = ?", "")],
    ),
    (
        "only a redrive leaves FAILED, and it raises the epoch",
        &[("redrive_chunk: state = FAILED", "")],
    ),
    (
        "at one revision a BLOCKED job becomes nothing but SUPERSEDED, which is not listed either",
        &[("rest_job: state = BLOCKED", "")],
    ),
    (
        "what was gone back from, and to, names the new head too",
        &[("revert stands: head_job = ?", "")],
    ),
    ("a manifest's name contains its job", &[("raise_manifest: committed_job = ?", "")]),
    (
        "only the job that has just committed sends it, and a newer one that committed is a newer head",
        &[("settle_slot: committed_job = ?", "")],
    ),
    (
        "a look too many costs waiting, and what was ended has no `since`, so it is no outage",
        &[("extend_outage: looks = ?", ""), ("extend_outage: mark = ?", "")],
    ),
];

/// Mutants that the small size makes: some of every model.
const SMALL_SIZE: &[&str] = &[
    "acquire: epoch = ?",
    "begin_commit: state = RUNNING",
    "commit_slot: (no committed_gen or committed_gen < ?)",
    "commit_slot refused",
    "complete: state = LEASED",
    "hold: rev = ?",
    "lock_for_replay: rev = ?",
    "mark_unavailable: no since",
    "observe: rev = ?",
    "swap_outcome: outcome = ?",
];

fn label(mutant: &Mutant) -> String {
    let (write, text) = (mutant.write, &mutant.text);
    match mutant.part {
        Part::Guard => format!("{write}: {text}"),
        Part::Effect => format!("{write} stands: {text}"),
        Part::Judgement => format!("{write} refused"),
    }
}

/// Why a mutant is equivalent, if it is listed.
fn reason(mutant: &Mutant) -> Option<&'static str> {
    let label = label(mutant);
    let is_it = |(name, within): &(&str, &str)| *name == label && mutant.shape.contains(within);
    EQUIVALENT.iter().find(|(_, mutants)| mutants.iter().any(is_it)).map(|(why, _)| *why)
}

pub(crate) fn is_in_the_small_size(mutant: &Mutant) -> bool {
    SMALL_SIZE.contains(&label(mutant).as_str())
}

/// Prints what became of every mutant, and the sums.
pub(crate) fn print(hunted: &[Hunted]) {
    let mut killed = 0;
    for one in hunted {
        match (&one.killed_by, reason(&one.mutant)) {
            (Some((case, how)), _) => {
                killed += 1;
                println!("killed      {}\n            by {case}: {how}", one.mutant);
            }
            (None, Some(why)) => println!("equivalent  {}\n            {why}", one.mutant),
            (None, None) => println!("SURVIVES    {}\n            {:?}", one.mutant, one.tried),
        }
    }
    println!("{killed} mutants killed of {} made, the others equivalent", hunted.len());
}

/// Every mutant is killed or listed, and none is both.
pub(crate) fn assert_complete(hunted: &[Hunted]) {
    let mut wrong = vec![];
    for one in hunted {
        match (&one.killed_by, reason(&one.mutant)) {
            (Some(_), None) | (None, Some(_)) => {}
            (Some((case, _)), Some(_)) => wrong.push(format!("{case} kills {}", one.mutant)),
            (None, None) => wrong.push(format!("{} survives", one.mutant)),
        }
    }
    let listed = EQUIVALENT.iter().flat_map(|(_, mutants)| *mutants);
    for (name, within) in listed {
        let made = |one: &Hunted| label(&one.mutant) == *name && one.mutant.shape.contains(within);
        if !hunted.iter().any(made) {
            wrong.push(format!("{name} is listed, and no model has it"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every one of these mutants is killed, and every name of the small size was made.
pub(crate) fn assert_killed(hunted: &[Hunted]) {
    let survivors: Vec<_> = hunted.iter().filter(|one| one.killed_by.is_none()).collect();
    assert!(survivors.is_empty(), "{survivors:#?}");
    for name in SMALL_SIZE {
        assert!(hunted.iter().any(|one| label(&one.mutant) == *name), "no model has {name}");
    }
}
