//! Reaping what nobody else reaps.
//!
//! The trace host makes this process a child subreaper, so orphans of jobs become children of its first thread. Those that
//! are traced the tracer reaps; what was let go, and what release agents leave behind, is reaped here.

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use penfold_core::Tid;
use penfold_linux::proc::StatusFile;

/// Reaps the dead children of the calling thread that nobody traces.
///
/// A dead child that is traced would be taken from its tracer, so each is only looked at first. One that is traced hides
/// those behind it: true if there may be more, a little later.
pub(super) fn reap() -> bool {
    // children of other threads are waited for by who started them
    let own = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::__WNOTHREAD;
    loop {
        let pid = match waitid(Id::All, own | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => pid,
            Err(Errno::EINTR) => continue,
            // nobody is dead, or there is nobody
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
