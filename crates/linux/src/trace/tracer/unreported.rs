//! What is kept of tasks that came before, or after, their parents' report.

use std::time::Instant;

use libc::c_int;
use penfold_core::Tid;

/// A child that was seen before its parent reported it.
#[derive(Debug)]
pub(crate) enum UnreportedChild {
    /// In its first stop.
    Stopped {
        /// As reported by the stop.
        signal: c_int,
        /// When it was first found that nobody in the table can report it.
        waits_since: Option<Instant>,
    },
    /// Killed before its first stop, and reaped.
    Died {
        /// What it was a thread of; itself for a process.
        tgid: Tid,
        /// Its parent's process.
        parent: Tid,
    },
}
