//! What happens in a run: files, accidents, and what operators do.

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use rowproof_io::settings::read_env;
use rowproof_local::faults::{Class, Rates};
use std::io::Write;

use crate::support::orders::Orders;
use crate::support::sabotage::Sabotage;

/// Something that comes from outside.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// The table and the pipeline file.
    Install {
        hold: bool,
    },
    Upload {
        key: String,
        bytes: Vec<u8>,
    },
    /// Approves every job that is held.
    Approve,
    /// Discards every job that is held.
    Discard,
    /// Asks for a file to be loaded again.
    Rerun {
        key: String,
    },
    /// Replays the failed rows of what is shown of a file, by [`PATCH`]: those with no known currency
    /// get one.
    Replay {
        key: String,
    },
    /// Every message is deleted.
    Purge,
    /// The schedule's duties.
    Sweep,
    Reconcile,
    /// Asks for everything that failed to go through again.
    Redrive,
}

/// A run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) rates: Rates,
    /// Chance of a crash at a boundary, in parts of 10,000.
    pub(crate) crash_parts: u64,
    /// Boundaries, counted from 1, at which a crash happens.
    pub(crate) crash_at: Vec<u64>,
    /// By milliseconds after the begin.
    pub(crate) script: Vec<(u64, Action)>,
    /// By how much the clock of each environment is wrong.
    pub(crate) skews_ms: Vec<i64>,
    pub(crate) chunk_rows: u64,
    pub(crate) inline_chunks: u32,
    /// Hold a file with more rejected rows than 5 %.
    pub(crate) hold: bool,
    /// Whether rows are replayed, so that [`PATCH`] is part of what must come out.
    pub(crate) patched: bool,
    /// A file and the byte of it that no worker survives.
    pub(crate) poison: Option<(String, u64)>,
    /// When the sink does not answer, in milliseconds after the begin.
    pub(crate) outage: Option<std::ops::Range<u64>>,
    pub(crate) sabotage: Option<Sabotage>,
    /// Prints all that happens.
    pub(crate) verbose: bool,
}

/// What a replay does.
pub(crate) const PATCH: &str = "version = 1\npipeline = \"orders\"\n[[fix]]\n\
                                where = \"error_code = 'one_of'\"\ncolumn = \"currency\"\nset = \"EUR\"\n";

const DAY_MS: i64 = 86_400_000;

impl Plan {
    /// Nothing goes wrong.
    pub(crate) fn calm(seed: u64) -> Plan {
        Plan {
            seed,
            rates: Rates::default(),
            crash_parts: 0,
            crash_at: vec![],
            script: vec![],
            skews_ms: vec![0, 0],
            chunk_rows: 12,
            inline_chunks: 1,
            hold: false,
            patched: false,
            poison: None,
            outage: None,
            sabotage: None,
            verbose: read_env("ROWPROOF_SIM_VERBOSE").is_some(),
        }
    }

    pub(crate) fn with(mut self, at: u64, action: Action) -> Plan {
        self.script.push((at, action));
        self
    }

    /// Versions of one file that overtake each other: what the guards are for.
    pub(crate) fn contended(seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0xC0DE);
        let mut plan = Plan { skews_ms: vec![0; 4], chunk_rows: 8, ..Plan::calm(seed) };
        plan.rates = Rates::default().with(Class::Late, 1_000).with(Class::Slow, 1_500);
        plan.rates = plan.rates.with(Class::MessageLate, 3_000).with(Class::MessageTwice, 4_000);
        for version in 0..4 {
            let key = "incoming/0.csv".to_owned();
            let rows = rng.usize(1..14);
            let bytes = file(&mut rng, &key, 1 + version * 100, rows);
            // Every other seed leaves each version the time to be loaded.
            let at = rng.u64(..9_000) + (seed % 2) * version as u64 * 45_000;
            plan = plan.with(at, Action::Upload { key, bytes });
        }
        plan
    }

    /// Everything goes wrong, as the seed has it.
    pub(crate) fn of_seed(seed: u64) -> Plan {
        let mut rng = Rng::with_seed(seed ^ 0x5EED);
        let mut plan = Plan::calm(seed);
        let harsh = [40, 120, 300][rng.usize(..3)];
        plan.rates = Rates::all(harsh).with(Class::Conflict, harsh * 2);
        for class in [Class::MessageTwice, Class::MessageLate, Class::MessageLost] {
            plan.rates = plan.rates.with(class, harsh * 4);
        }
        plan.crash_parts = [0, 20, 60, 150][rng.usize(..4)];
        plan.skews_ms = vec![0, 0, [DAY_MS, -DAY_MS, 0, 4_000][rng.usize(..4)]];
        plan.chunk_rows = rng.u64(6..40);
        plan.inline_chunks = rng.u32(1..4);
        plan.hold = rng.u8(..4) == 0;
        let keys = rng.usize(1..=3);
        let mut first_id = 1;
        for key in 0..keys {
            let key = format!("incoming/{key}.csv{}", if rng.u8(..4) == 0 { ".gz" } else { "" });
            let mut at = rng.u64(..3_000);
            for _ in 0..rng.usize(1..=2) {
                let rows = rng.usize(1..70);
                let bytes = file(&mut rng, &key, first_id, rows);
                first_id += 100;
                plan = plan.with(at, Action::Upload { key: key.clone(), bytes });
                at += rng.u64(..15_000);
            }
            if rng.u8(..5) == 0 {
                plan = plan.with(at + rng.u64(..9_000), Action::Rerun { key });
            }
        }
        if plan.hold {
            for action in [Action::Approve, Action::Discard] {
                if rng.bool() {
                    plan = plan.with(rng.u64(5_000..40_000), action);
                }
            }
        }
        for action in [Action::Purge, Action::Redrive, Action::Sweep, Action::Reconcile] {
            if rng.u8(..8) == 0 {
                plan = plan.with(rng.u64(500..30_000), action);
            }
        }
        if rng.u8(..8) == 0 {
            let from = rng.u64(..10_000);
            plan.outage = Some(from..from + rng.u64(1_000..90_000));
        }
        plan
    }
}

fn file(rng: &mut Rng, key: &str, first_id: usize, rows: usize) -> Vec<u8> {
    let flaw_every = [0, 9, 30][rng.usize(..3)];
    let orders = Orders { rows, seed: rng.u64(..), first_id, flaw_every, ..Orders::clean(0) };
    packed(key, orders.csv().0)
}

/// Compressed when the key says so.
pub(crate) fn packed(key: &str, bytes: Vec<u8>) -> Vec<u8> {
    if !key.ends_with(".gz") {
        return bytes;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap()
}
