//! The end of the process at a chosen moment, as the disk sees it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// After a number of changes to the disk no other one happens: what is there then is what a process
/// leaves behind that is killed at this moment. Clones share the count.
#[derive(Debug, Clone)]
pub struct PowerCut(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    steps: u64,
    asked: AtomicU64,
}

impl PowerCut {
    /// So many changes still happen.
    #[must_use]
    pub fn after(steps: u64) -> Self {
        Self(Arc::new(Inner { steps, asked: AtomicU64::new(0) }))
    }

    /// Whether a change was asked for that did not happen.
    #[must_use]
    pub fn has_happened(&self) -> bool {
        self.0.asked.load(Ordering::Acquire) > self.0.steps
    }

    /// Counts a change, or refuses it.
    pub(crate) fn step(&self) -> io::Result<()> {
        if self.0.asked.fetch_add(1, Ordering::AcqRel) < self.0.steps {
            return Ok(());
        }
        Err(io::Error::other("injected: the power is cut"))
    }
}
