//! waitid(2): the events of tracees.

use std::mem;

use libc::c_int;
use nix::errno::Errno;
use penfold_core::Tid;

/// With `__WNOTHREAD` a tracer thread sees its own tracees only, so that a process can run several jobs.
const WAIT_FLAGS: c_int = libc::__WALL | libc::__WNOTHREAD;

/// An event of a tracee, as waitid(2) reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WaitReport {
    pub(crate) tid: Tid,
    /// `CLD_TRAPPED`, `CLD_EXITED`, `CLD_KILLED` or `CLD_DUMPED`.
    pub(crate) code: c_int,
    /// For `CLD_TRAPPED` the signal and, shifted by 8, the ptrace event; otherwise exit code or signal.
    pub(crate) status: c_int,
}

impl WaitReport {
    /// The status in the encoding of wait(2).
    pub(crate) fn raw_status(&self) -> i32 {
        match self.code {
            libc::CLD_EXITED => (self.status & 0xff) << 8,
            libc::CLD_DUMPED => self.status | 0x80,
            _ => self.status,
        }
    }
}

fn waitid(id_type: libc::idtype_t, id: Tid, flags: c_int) -> Result<Option<WaitReport>, Errno> {
    // SAFETY: siginfo_t is plain data, for which zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes one siginfo_t.
    let rc = unsafe { libc::waitid(id_type, id.0 as libc::id_t, &raw mut info, flags | WAIT_FLAGS) };
    Errno::result(rc)?;
    // SAFETY: waitid filled the SIGCHLD fields, or left the zeroes.
    let (tid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((tid != 0).then_some(WaitReport { tid: Tid(tid), code: info.si_code, status }))
}

/// The next event, left in place. `None` only when not blocking.
///
/// # Errors
/// `EINTR` after a wake-up, `ECHILD` when there is no tracee.
pub(crate) fn peek(block: bool) -> Result<Option<WaitReport>, Errno> {
    let nohang = if block { 0 } else { libc::WNOHANG };
    waitid(libc::P_ALL, Tid(0), libc::WEXITED | libc::WSTOPPED | libc::WNOWAIT | nohang)
}

/// Consumes the stop of a task that is to stay stopped, so that it is not reported again.
pub(crate) fn consume(tid: Tid) {
    // fails only when the task was killed meanwhile; its death is reported next
    let _ = waitid(libc::P_PID, tid, libc::WSTOPPED | libc::WNOHANG);
}

/// Reaps a task whose death was looked at. Only then does the kernel notify the task's own parent.
pub(crate) fn reap(tid: Tid) {
    let _ = waitid(libc::P_PID, tid, libc::WEXITED | libc::WNOHANG);
}

/// Reaps a child of this thread that was killed before it executed a program, and so dies at once.
pub(crate) fn reap_blocking(tid: Tid) {
    while waitid(libc::P_PID, tid, libc::WEXITED) == Err(Errno::EINTR) {}
}
