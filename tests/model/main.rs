//! A model check of the ledger's transition functions: the very ones that production calls.
//!
//! `cargo test -p rowproof-tests --test model` runs a small size. The full size, about 20 minutes on two
//! cores, prints what it found:
//!
//! ```text
//! ROWPROOF_MODEL=full cargo test -p rowproof-tests --test model \
//!     --config 'profile.dev.package.rowproof-tests.opt-level=3' -- --nocapture
//! ```
//!
//! Workers take the protocol's steps in the order in which `rowproof-io` takes them, and decide by calling
//! `rowproof_core::ledger`; what they send is applied by `Write::apply` and judged by `Write::judge`. Every
//! remote write sits in a set and may be applied at any later time, also after its sender died; its answer
//! may be lost, and then the SDK sends it again under its id; a copy may land later. Every lease seems over
//! to everybody, unless a model says that clocks are right. Any worker may begin anything at any time, so
//! messages that are lost, repeated or late are implied.
//!
//! - `models` lists the cases: what may happen, and how often.
//! - `rules` and `properties` say what must hold: at every write that lands, and in every state.
//! - `search` asks for liveness: from every reachable state with slack in its bounds, a settled state can
//!   be reached. Stateright explores what is too big for that.
//! - `mutants` takes one clause out of a write just before it is sent; `hunt` runs each mutant until a
//!   property fails or states are stuck; `equivalents` names those that nothing can tell, and why.
//!
//! Not modelled: watermarks, the row order of A7, keys across chunks, a chain whose chunks are split.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on fails, and a report is printed"
)]

mod bounds;
mod chunk;
mod commit;
mod deeds;
mod equivalents;
mod fixed;
mod hash;
mod hunt;
mod machine;
mod models;
mod mutants;
mod observe;
mod outage;
mod parsed;
mod programs;
mod properties;
mod redrive;
mod replay;
mod report;
mod revert;
mod rules;
mod search;
mod state;
mod world;

use hunt::{hunt, in_parallel};
use models::{Size, cases};

/// Whether everything is run, not only a small size of it.
fn is_full() -> bool {
    #[allow(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let size = std::env::var("ROWPROOF_MODEL");
    size.is_ok_and(|size| size == "full")
}

#[test]
fn every_model_keeps_its_promises_and_comes_to_an_end() {
    let wanted = |size| is_full() || size == Size::Smoke;
    let cases: Vec<_> = cases().into_iter().filter(|case| wanted(case.size)).collect();
    report::print_heads();
    let rows = in_parallel(&cases, report::check);
    report::print_sums(&rows);
    report::assert_right(&rows);
}

#[test]
fn every_mutant_is_killed_or_known_to_be_equivalent() {
    let all = cases();
    let wanted = |size| size == Size::Smoke || (is_full() && size == Size::Small);
    let cases: Vec<_> = all.iter().filter(|case| wanted(case.size)).collect();
    if is_full() {
        let hunted = hunt(&cases, |_| true);
        equivalents::print(&hunted);
        equivalents::assert_complete(&hunted);
    } else {
        // A few of every model, each of which a small case kills.
        let hunted = hunt(&cases, equivalents::is_in_the_small_size);
        equivalents::print(&hunted);
        equivalents::assert_killed(&hunted);
    }
}
