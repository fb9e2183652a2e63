//! Signals to other processes.

use nix::errno::Errno;

/// Sends a signal of any number to a process, also a real-time signal.
///
/// # Errors
/// Those of kill(2). `ESRCH` for a number that is no process id, so that no process group is hit.
pub fn send_signal(pid: i32, signal: i32) -> Result<(), Errno> {
    if pid <= 0 {
        return Err(Errno::ESRCH);
    }
    // SAFETY: takes numbers.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}
