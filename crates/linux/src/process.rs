//! Signals to other processes.

use nix::errno::Errno;

/// Sends a signal of any number, real-time ones too, to a process.
///
/// # Errors
/// What kill(2) gives; `ESRCH` for what is no process id, so that no group can be hit.
pub fn send_signal(pid: i32, signal: i32) -> Result<(), Errno> {
    if pid <= 0 {
        return Err(Errno::ESRCH);
    }
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}
