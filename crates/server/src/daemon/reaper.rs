//! Reaping of orphans.
//!
//! The trace host makes this process a child subreaper, so orphans of jobs become children of its first thread. The
//! tracer reaps those that it traces. This file reaps the others: processes that are no longer traced, and children
//! that release agents leave behind.

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use penfold_core::Tid;
use penfold_linux::proc::StatusFile;

/// Reaps the dead children of the calling thread that are not traced. Returns true if more may follow soon.
///
/// A wait would take a dead child from its tracer, so each is peeked at first. A traced child that is dead hides the
/// dead children behind it, until its tracer has reaped it.
pub(super) fn reap() -> bool {
    // the code that starts a child on another thread waits for it there
    let own = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::__WNOTHREAD;
    loop {
        let pid = match waitid(Id::All, own | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => pid,
            Err(Errno::EINTR) => continue,
            // no child is dead, or there is no child
            Ok(_) | Err(_) => return false,
        };
        let untraced = StatusFile::read(Tid(pid.as_raw())).and_then(|status| status.is_untraced());
        if untraced != Some(true) {
            return true;
        }
        tracing::debug!(pid = pid.as_raw(), "reaped");
        let _ = waitid(Id::Pid(pid), own | WaitPidFlag::__WALL);
    }
}
