//! Children whose parents have not reported them.

use std::time::Instant;

use libc::c_int;
use penfold_core::Tid;

/// A child that was seen before its parent reported it.
#[derive(Debug)]
pub(crate) enum UnreportedChild {
    /// In its first stop.
    Stopped {
        /// The signal of the stop.
        signal: c_int,
        /// The time when it was first found that no task in the table can report the child.
        waits_since: Option<Instant>,
    },
    /// Killed before its first stop, and reaped.
    Died {
        /// The child's process; the child itself unless it was a thread.
        tgid: Tid,
        /// The parent's process.
        parent: Tid,
    },
}
